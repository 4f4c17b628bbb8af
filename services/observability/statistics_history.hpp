// What was measured of the channels, step by step: the last hour and the last day of all of them together,
// and the last hour of each. In memory only, and bounded; sampled by whoever keeps the time.
#pragma once

#include "services/domain/result.hpp"
#include "services/observability/channel_metrics.hpp"
#include "services/observability/duration_spread.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace task_runner {

// Memory. All channels together: (720 + 288) points of 200 bytes, and 8 bytes for each bucket of durations in
// which something fell during the step: 200 KB for an idle daemon, at most 1.5 MB. Each channel: some 350
// bytes, and 16 for each of 60 points once anything has happened in it; with 4,096 busy channels 5.3 MB.

/// How long the steps are, and how many are kept.
struct statistics_limits {
  int64_t step_ms = 5'000;
  size_t points = 720;
  int64_t coarse_step_ms = 300'000;
  size_t coarse_points = 288;
  /// Of each channel.
  int64_t channel_step_ms = 60'000;
  size_t channel_points = 60;
};

/// Windows of the totals, milliseconds.
constexpr int64_t recent_window_ms = 300'000;
constexpr int64_t whole_window_ms = 3'600'000;

/// One moment, by a clock that nobody sets, which goes on while the machine is suspended, and by the wall's.
struct history_moment {
  int64_t steady_ms = 0;
  wall_time_ms wall_ms = 0;
};
/// CLOCK_BOOTTIME and the system's wall clock.
history_moment read_history_moment() noexcept;

/// What is counted of tasks, in the order of `counter_names`.
constexpr std::array<std::string_view, 7> counter_names = {"pushed",    "duplicates", "finished", "dead",
                                                           "cancelled", "expired",    "retried"};
constexpr size_t counter_pushed = 0;
constexpr size_t counter_finished = 2;
constexpr size_t counter_dead = 3;
/// Those, and attempts by their ends.
using task_counters = std::array<uint64_t, counter_names.size() + attempt_ends_count>;

/// Which of the two histories of all channels.
enum class history_span : uint8_t { hour, day };

/// Durations that half, and nearly all, have not exceeded; nothing where none was counted.
struct duration_percentiles {
  std::optional<double> p50_ms;
  std::optional<double> p95_ms;
  std::optional<double> p99_ms;
};

/// One step of time.
struct statistics_point {
  /// Its end, by the wall clock of the moment of asking: a clock that was set moves all points.
  wall_time_ms at_ms = 0;
  /// How long it really was; 0: this is a gap, in which nobody looked.
  int64_t length_ms = 0;
  /// What happened within it.
  task_counters counted{};
  /// How things stood at its end.
  channel_counts standing;
  uint64_t workers = 0;
  duration_percentiles wait;
  duration_percentiles run;
};

/// Tasks that ended dead, of those that finished or ended dead; nothing where none did.
std::optional<double> failure_share(uint64_t finished, uint64_t dead) noexcept;

/// Several steps as one.
struct statistics_totals {
  /// How long they were.
  int64_t length_ms = 0;
  task_counters counted{};
  duration_percentiles wait;
  duration_percentiles run;
};

/// The history of all channels together.
struct statistics_series {
  int64_t span_ms = 0;
  int64_t step_ms = 0;
  /// Oldest first; the last is the step in progress. A sample that came more than a step late stands behind a
  /// gap.
  std::vector<statistics_point> points;
  statistics_totals recent;
  statistics_totals whole;
};

/// One step of one channel.
struct channel_point {
  uint32_t pushed = 0;
  uint32_t finished = 0;
  uint32_t dead = 0;
  /// In line or held, at its end.
  uint32_t pending = 0;
};

/// When the steps of channels were: the same for all.
struct channel_step {
  wall_time_ms at_ms = 0;
  /// 0: a gap.
  int64_t length_ms = 0;
};

/// The sum of some steps of a channel.
struct channel_totals {
  int64_t length_ms = 0;
  uint64_t pushed = 0;
  uint64_t finished = 0;
  uint64_t dead = 0;
};

/// The history of one channel.
struct channel_history {
  std::string channel;
  channel_counts counts;
  uint64_t workers = 0;
  /// One for each step; nothing for gaps, and before there was the channel.
  std::vector<std::optional<channel_point>> points;
  channel_totals recent;
  channel_totals whole;

  /// Tasks that finished or ended dead, per second, of late; nothing where it cannot be told yet.
  std::optional<double> ended_per_s() const noexcept;
  /// When nothing will be pending any more if it goes on like this, seconds from now; nothing where it does
  /// not go on: nothing has ended of late, or the channel is paused.
  std::optional<double> eta_s() const noexcept;
};

/// The histories of some channels, by name.
struct channel_histories {
  int64_t span_ms = 0;
  int64_t step_ms = 0;
  std::vector<channel_step> steps;
  std::vector<channel_history> channels;
  /// The moment of asking.
  wall_time_ms now_ms = 0;
};

/// Keeps the history. Thread-safe; a call holds up others for as long as it looks at all channels: with 4,096
/// of them a sample 0.2 ms, a page of 1,000 channels 3 ms.
class statistics_history {
public:
  explicit statistics_history(std::shared_ptr<const channel_metrics_registry> channels,
                              statistics_limits limits = {},
                              std::function<history_moment()> now = read_history_moment);

  /// A step is over, by the clock of whoever calls this every `step_ms`. What is counted and not yet sampled
  /// belongs to it, whenever it comes.
  void sample();

  int64_t step_ms() const noexcept { return limits_.step_ms; }

  /// At most the newest `points_max` points of a history, and the totals, which are always of the newest.
  statistics_series read(history_span span, size_t points_max);

  /// Those of at most `limit` channels, the first behind `after` by name.
  channel_histories read_channels(std::string_view after, size_t limit);

  /// That of one channel; `not_found` where there is none of the name.
  result<channel_histories> read_channel(const std::string& name);

private:
  /// A step as it is kept.
  struct kept_point {
    int64_t end_ms = 0;
    int64_t length_ms = 0;
    std::array<uint32_t, counter_names.size() + attempt_ends_count> counted{};
    std::array<uint32_t, 5> standing{};
    spread_step wait;
    spread_step run;
  };

  /// The newest of a bounded number, the oldest make room.
  template <class T>
  class ring {
  public:
    explicit ring(size_t capacity)
        : capacity_(capacity) {}
    void push(T value) {
      if (kept_.size() < capacity_)
        kept_.push_back(std::move(value));
      else
        kept_[next_] = std::move(value);
      next_ = (next_ + 1) % capacity_;
    }
    size_t size() const noexcept { return kept_.size(); }
    /// 0: the oldest.
    const T& operator[](size_t at) const noexcept {
      return kept_[kept_.size() < capacity_ ? at : (next_ + at) % capacity_];
    }

  private:
    size_t capacity_;
    size_t next_ = 0;
    std::vector<T> kept_;
  };

  /// What is remembered of a channel.
  struct known_channel {
    std::shared_ptr<const channel_metrics> metrics;
    /// The counters at the last look.
    task_counters seen{};
    /// In the step in progress.
    channel_point current;
    /// The step of channels in which it appeared.
    uint64_t first_step = 0;
    /// The look at all channels that found it last.
    uint64_t look = 0;
    /// By number of the step; empty until something happens.
    std::vector<channel_point> steps;
  };

  struct stretch {
    int64_t end_ms = 0;
    int64_t length_ms = 0;
  };

  /// A history of all channels, and its step in progress.
  struct series {
    series(size_t points, int64_t step, int64_t now_ms)
        : step_ms(step)
        , kept(points)
        , begun_ms(now_ms) {}

    const int64_t step_ms;
    ring<kept_point> kept;
    int64_t begun_ms;
    task_counters counted{};
    spread_counts wait_before{};
    spread_counts run_before{};
  };

  /// How all channels stand together.
  struct standing_of_all {
    channel_counts counts;
    uint64_t workers = 0;
  };

  /// Takes what all channels have counted since the last look into the steps in progress, and forgets those
  /// that are gone.
  standing_of_all look();
  void take(known_channel& one);
  kept_point point_of(const series& which, const history_moment& now, const standing_of_all& standing) const;
  void close(series& which, const history_moment& now, const standing_of_all& standing);
  void close_channel_step(const history_moment& now);
  statistics_totals totals_of(int64_t window_ms, const history_moment& now, const kept_point& current) const;
  channel_histories frame_of(const history_moment& now) const;
  channel_history history_of(const known_channel& one, const history_moment& now) const;

  const std::shared_ptr<const channel_metrics_registry> channels_;
  const statistics_limits limits_;
  const std::function<history_moment()> now_;
  std::mutex mutex_;
  series fine_;
  series coarse_;
  std::unordered_map<const channel_metrics*, known_channel> known_;
  uint64_t looks_ = 0;
  /// The steps of channels that are over, the newest of them, and how many there have been.
  ring<stretch> channel_steps_;
  uint64_t channel_steps_over_ = 0;
  int64_t channel_step_begun_ms_;
};

} // namespace task_runner
