// Buckets of durations, and percentiles out of them.
#include "services/observability/duration_spread.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

namespace task_runner {

namespace {

constexpr auto relaxed = std::memory_order_relaxed;

} // namespace

void duration_spread::add(int64_t duration_ms) noexcept {
  const auto* const bound = std::lower_bound(spread_bounds_ms.begin(), spread_bounds_ms.end(), duration_ms);
  buckets_[static_cast<size_t>(bound - spread_bounds_ms.begin())].fetch_add(1, relaxed);
}

spread_counts duration_spread::take() const noexcept {
  spread_counts counts{};
  for (size_t i = 0; i < counts.size(); ++i)
    counts[i] = buckets_[i].load(relaxed);
  return counts;
}

spread_step::spread_step(const spread_counts& now, const spread_counts& before) {
  for (size_t i = 0; i < now.size(); ++i)
    if (now[i] > before[i])
      buckets_.push_back({static_cast<uint32_t>(i),
                          static_cast<uint32_t>(
                              std::min<uint64_t>(now[i] - before[i], std::numeric_limits<uint32_t>::max()))});
  buckets_.shrink_to_fit();
}

void spread_step::add_to(spread_counts& sum) const noexcept {
  for (const auto& one : buckets_)
    sum[one.number] += one.count;
}

std::optional<double> percentile_ms(const spread_counts& counts, double share) noexcept {
  const auto total = std::accumulate(counts.begin(), counts.end(), uint64_t{0});
  if (total == 0)
    return std::nullopt;
  const double rank = share * static_cast<double>(total);
  double below = 0;
  for (size_t i = 0; i < spread_bounds_ms.size(); ++i) {
    const auto in_bucket = static_cast<double>(counts[i]);
    if (counts[i] > 0 && below + in_bucket >= rank) {
      const double from = i == 0 ? 0 : static_cast<double>(spread_bounds_ms[i - 1]);
      const double until = static_cast<double>(spread_bounds_ms[i]);
      return from + (until - from) * std::clamp((rank - below) / in_bucket, 0.0, 1.0);
    }
    below += in_bucket;
  }
  return static_cast<double>(spread_bounds_ms.back());
}

} // namespace task_runner
