// The real clock behind the clock port. Only the composition root names it; everything else asks the port.
#pragma once

#include "services/domain/time_text.hpp"
#include "services/ports/clock.hpp"

namespace task_runner {

/// Tells the machine's own time. Thread-safe.
class system_wall_clock final : public wall_clock {
public:
  wall_time_ms now_ms() const override { return system_now_ms(); }
};

} // namespace task_runner
