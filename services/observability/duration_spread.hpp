// How durations are spread, finely enough for percentiles: buckets a fifth to a third wide, up to a week.
// The metrics page has coarser ones of its own, whose bounds other programs know (channel_metrics.hpp).
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace task_runner {

/// Upper bounds of the buckets, milliseconds; what takes longer than the last counts as that long.
constexpr std::array<int64_t, 77> spread_bounds_ms = {
    1,          2,          3,          4,           5,          6,          8,          10,
    12,         16,         20,         25,          32,         40,         50,         63,
    80,         100,        125,        160,         200,        250,        320,        400,
    500,        630,        800,        1'000,       1'250,      1'600,      2'000,      2'500,
    3'200,      4'000,      5'000,      6'300,       8'000,      10'000,     12'500,     16'000,
    20'000,     25'000,     30'000,     40'000,      50'000,     60'000,     80'000,     100'000,
    120'000,    150'000,    180'000,    240'000,     300'000,    400'000,    500'000,    600'000,
    800'000,    1'000'000,  1'200'000,  1'500'000,   1'800'000,  2'400'000,  3'000'000,  3'600'000,
    5'400'000,  7'200'000,  9'000'000,  10'800'000,  14'400'000, 21'600'000, 28'800'000, 36'000'000,
    43'200'000, 64'800'000, 86'400'000, 259'200'000, 604'800'000};

/// Durations by bucket; the last holds those beyond all bounds.
using spread_counts = std::array<uint64_t, spread_bounds_ms.size() + 1>;

/// Counts durations. Thread-safe.
class duration_spread {
public:
  /// A negative duration counts as 0: the clock was set.
  void add(int64_t duration_ms) noexcept;
  /// What was counted up to now.
  spread_counts take() const noexcept;

private:
  std::array<std::atomic<uint64_t>, spread_bounds_ms.size() + 1> buckets_{};
};

/// The durations of one step of time: of most buckets there are none, and nothing is kept of those.
class spread_step {
public:
  spread_step() = default;
  /// What has come since `before`; buckets that have gone back, which none should, count as empty.
  spread_step(const spread_counts& now, const spread_counts& before);

  void add_to(spread_counts& sum) const noexcept;

private:
  struct bucket {
    uint32_t number = 0;
    uint32_t count = 0;
  };
  std::vector<bucket> buckets_;
};

/// The duration that this share (0 to 1) of all has not exceeded, milliseconds, taken evenly within its
/// bucket; nothing where none was counted.
std::optional<double> percentile_ms(const spread_counts& counts, double share) noexcept;

} // namespace task_runner
