// How many attempts of a channel end in a stretch of time, as a forecast of how many will.
// It is what a queue leases ahead by; a plain value with no clock of its own.
#pragma once

#include "services/domain/task.hpp"

#include <cstdint>

namespace task_runner {

/// Counts ends in stretches of 100 ms of the wall clock. NOT thread-safe.
class turnover {
public:
  /// An attempt has ended.
  void note_end(wall_time_ms now) noexcept {
    move_to(now);
    ++current_;
  }

  /// How many more will end within `within_ms` (0 or more), by the last full stretch; 0 when that is long
  /// ago, or when the clock was set meanwhile.
  uint64_t expected_within(int64_t within_ms, wall_time_ms now) noexcept {
    move_to(now);
    return last_ * static_cast<uint64_t>(within_ms) / static_cast<uint64_t>(stretch_ms);
  }

private:
  static constexpr int64_t stretch_ms = 100;

  void move_to(wall_time_ms now) noexcept {
    const auto passed_ms = now - began_at_ms_;
    if (passed_ms >= 0 && passed_ms < stretch_ms)
      return;
    const bool follows = passed_ms >= stretch_ms && passed_ms < 2 * stretch_ms;
    last_ = follows ? current_ : 0;
    current_ = 0;
    began_at_ms_ = follows ? began_at_ms_ + stretch_ms : now;
  }

  wall_time_ms began_at_ms_ = 0;
  uint64_t current_ = 0;
  uint64_t last_ = 0;
};

} // namespace task_runner
