// The daemon's wall clock. When somebody sets the machine's clock, this one keeps the old time until the
// delays have moved along, so that nothing becomes due in between because of a clock that was set.
#pragma once

#include "services/ports/clock.hpp"

#include <atomic>
#include <cstdint>

namespace task_runner {

class clock_watch;

/// Tells the machine's own time until keep() is called; from then on only as long as the wall clock stands
/// against the clock since boot as it was told, give or take clock_step_min_ms, and else the time that goes
/// on from there. Thread-safe, but for report_to().
class kept_wall_clock final : public wall_clock {
public:
  wall_time_ms now_ms() const override;

  /// How the wall clock stands from now on: wall clock minus the clock since boot, milliseconds.
  void keep(int64_t offset_ms) noexcept;

  /// Has `watch` compare the clocks when they disagree and nobody has said so, as after a machine was
  /// restored from a snapshot. It must outlive the last call of now_ms(). Call it once.
  void report_to(clock_watch* watch) noexcept { watch_ = watch; }

private:
  std::atomic<int64_t> offset_ms_{0};
  std::atomic<bool> keeps_{false};
  /// Whether the watch has been asked to look and the clocks disagree still: it tries again by itself.
  mutable std::atomic<bool> reported_{false};
  std::atomic<clock_watch*> watch_{nullptr};
};

} // namespace task_runner
