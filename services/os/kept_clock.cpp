// Two clocks, and what was said of the distance between them.
#include "services/os/kept_clock.hpp"

#include "services/domain/time_text.hpp"
#include "services/os/clock_watch.hpp"

#include <cstdlib>
#include <ctime>

namespace task_runner {

wall_time_ms kept_wall_clock::now_ms() const {
  const auto wall_ms = system_now_ms();
  if (!keeps_.load(std::memory_order_acquire))
    return wall_ms;
  timespec since_boot{};
  ::clock_gettime(CLOCK_BOOTTIME, &since_boot);
  const auto kept_ms = int64_t{since_boot.tv_sec} * 1'000 + since_boot.tv_nsec / 1'000'000 +
                       offset_ms_.load(std::memory_order_relaxed);
  if (std::abs(wall_ms - kept_ms) <= clock_step_min_ms) {
    reported_.store(false, std::memory_order_relaxed);
    return wall_ms;
  }
  auto* const watch = watch_.load(std::memory_order_acquire);
  if (watch != nullptr && !reported_.exchange(true))
    watch->look();
  return kept_ms;
}

void kept_wall_clock::keep(int64_t offset_ms) noexcept {
  offset_ms_.store(offset_ms, std::memory_order_relaxed);
  keeps_.store(true, std::memory_order_release);
}

} // namespace task_runner
