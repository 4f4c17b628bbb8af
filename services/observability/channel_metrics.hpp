// What is measured of each channel: how many tasks stand where, what has been counted, and how long tasks
// waited and ran. Written by the channel's queue, readable from any thread at any time, a stuck queue's too.
#pragma once

#include "services/domain/task.hpp"
#include "services/observability/duration_spread.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace task_runner {

/// Upper bounds of the buckets of durations, seconds; what takes longer is counted beyond the last.
constexpr std::array<double, 15> duration_bounds_s = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,  1,
                                                      2.5,   5,    10,    30,   60,  300,  1'800};

/// Counts durations. Thread-safe; a reader may see a duration counted whose sum comes a moment later.
class duration_histogram {
public:
  /// What was counted up to one moment.
  struct snapshot {
    /// How many took at most so long, for each of duration_bounds_s: each bucket holds those before it.
    std::array<uint64_t, duration_bounds_s.size()> at_most{};
    uint64_t count = 0;
    double sum_s = 0;

    void add(const snapshot& other) noexcept;
  };

  /// `fine`: where each duration is counted as well, in finer buckets; null: nowhere.
  explicit duration_histogram(std::shared_ptr<duration_spread> fine = nullptr) noexcept
      : fine_(std::move(fine)) {}

  /// A negative duration counts as 0: the clock was set.
  void add(int64_t duration_ms) noexcept;
  snapshot take() const noexcept;

private:
  const std::shared_ptr<duration_spread> fine_;
  std::array<std::atomic<uint64_t>, duration_bounds_s.size() + 1> buckets_{};
  std::atomic<uint64_t> sum_ms_{0};
};

/// How attempts end, as metrics tell them apart; an exit with 0 and one with another code are two ends.
enum class attempt_end : uint8_t { succeeded, failed, signalled, timed_out, spawn_failed, cancelled, lost };
constexpr size_t attempt_ends_count = 7;
std::string_view to_string(attempt_end end) noexcept;
/// None for an end that is none of an attempt: a task that has expired.
std::optional<attempt_end> find_attempt_end(const outcome& how) noexcept;

/// What stands in a channel now, as its queue has last shown it. Plain values.
struct channel_counts {
  uint64_t pending = 0;
  uint64_t held = 0;
  uint64_t delayed = 0;
  uint64_t running = 0;
  bool paused = false;
  /// When the task that is next in line could have run at the earliest; 0: nothing stands in line.
  wall_time_ms next_ready_at_ms = 0;
};

/// What has been counted of a channel. Plain values.
struct channel_tally {
  uint64_t pushed = 0;
  uint64_t duplicates = 0;
  uint64_t finished = 0;
  uint64_t dead = 0;
  uint64_t cancelled = 0;
  uint64_t expired = 0;
  uint64_t retried = 0;
  uint64_t repairs = 0;
  std::array<uint64_t, attempt_ends_count> attempts_ended{};
  duration_histogram::snapshot wait;
  duration_histogram::snapshot run;

  void add(const channel_tally& other) noexcept;
};

/// Channels that have lines of their own in the metrics; what is beyond is summed up. It bounds the page at
/// about two megabytes.
constexpr size_t metrics_channels_max = 500;

/// How the durations of all channels together are spread.
struct duration_spreads {
  const std::shared_ptr<duration_spread> wait = std::make_shared<duration_spread>();
  const std::shared_ptr<duration_spread> run = std::make_shared<duration_spread>();
};

/// One channel. Written by one thread at a time, read by anyone.
class channel_metrics {
public:
  explicit channel_metrics(std::string channel)
      : channel_(std::move(channel)) {}
  /// One whose durations are counted along with those of others.
  channel_metrics(std::string channel, const duration_spreads& spreads, bool has_lines)
      : wait(spreads.wait)
      , run(spreads.run)
      , channel_(std::move(channel))
      , has_lines_(has_lines) {}

  const std::string& channel() const noexcept { return channel_; }
  /// Whether it has lines of its own; fixed when the channel is first seen, so that no line ever falls.
  bool has_lines() const noexcept { return has_lines_; }

  void set_workers(uint64_t count) noexcept { workers_.store(count, std::memory_order_relaxed); }
  uint64_t workers() const noexcept { return workers_.load(std::memory_order_relaxed); }
  void set(const channel_counts& now) noexcept;
  channel_counts counts() const noexcept;
  channel_tally tally() const noexcept;

  /// Counters since the daemon was started; they outlive the death of a queue.
  std::atomic<uint64_t> pushed{0};
  std::atomic<uint64_t> duplicates{0};
  std::atomic<uint64_t> finished{0};
  std::atomic<uint64_t> dead{0};
  std::atomic<uint64_t> cancelled{0};
  std::atomic<uint64_t> expired{0};
  std::atomic<uint64_t> retried{0};
  std::atomic<uint64_t> repairs{0};
  std::array<std::atomic<uint64_t>, attempt_ends_count> attempts_ended{};
  /// From when a task could run to the start of its first attempt, and from start to end of each attempt.
  duration_histogram wait;
  duration_histogram run;

private:
  const std::string channel_;
  const bool has_lines_ = true;
  std::atomic<uint64_t> pending_{0};
  std::atomic<uint64_t> held_{0};
  std::atomic<uint64_t> delayed_{0};
  std::atomic<uint64_t> running_{0};
  std::atomic<uint64_t> workers_{0};
  std::atomic<bool> paused_{false};
  std::atomic<wall_time_ms> next_ready_at_ms_{0};
};

/// All channels at one moment.
struct channel_overview {
  /// In the order in which they came.
  std::vector<std::shared_ptr<const channel_metrics>> channels;
  /// What was counted of channels that are gone and had no lines of their own; none where there were none.
  std::optional<channel_tally> gone;
};

/// All channels that are measured. Thread-safe.
class channel_metrics_registry {
public:
  /// The metrics of that channel, which are new when nobody holds any of that name.
  std::shared_ptr<channel_metrics> of(const std::string& channel);
  /// The channel is gone: one of the same name begins anew.
  void remove(const std::string& channel);
  /// In the order in which they came.
  std::vector<std::shared_ptr<const channel_metrics>> list() const;
  channel_overview overview() const;
  /// The durations of all channels, those that are gone too.
  const duration_spreads& spreads() const noexcept { return spreads_; }

private:
  const duration_spreads spreads_{};
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<channel_metrics>> channels_;
  /// Channels with lines of their own.
  size_t with_lines_ = 0;
  std::optional<channel_tally> gone_;
};

} // namespace task_runner
