// The clock of the launcher's deadlines: it only goes forward and does not care what anybody sets.
#pragma once

#include <cstdint>
#include <ctime>

namespace task_runner::launcher {

/// Milliseconds of a clock that only goes forward; the same for every process of the machine.
using steady_ms = int64_t;

inline steady_ms steady_now_ms() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<steady_ms>(now.tv_sec) * 1'000 + now.tv_nsec / 1'000'000;
}

} // namespace task_runner::launcher
