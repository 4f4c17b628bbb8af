// The clock port: wall time for records and delays, injected so that tests and simulations own the time.
#pragma once

#include "services/domain/task.hpp"

namespace task_runner {

/// Tells the time. Thread-safe.
class wall_clock {
public:
  virtual ~wall_clock() = default;
  virtual wall_time_ms now_ms() const = 0;
};

} // namespace task_runner
