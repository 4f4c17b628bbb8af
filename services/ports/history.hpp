// The history port, as the queues see it: what has ended is kept for a while, and then goes with its output.
// Implemented by the retention thread; tests put a fake in its place.
#pragma once

#include "services/domain/task.hpp"

#include <vector>

namespace task_runner {

/// Hears of tasks that ended. Thread-safe; no call blocks.
class history_keeper {
public:
  virtual ~history_keeper() = default;

  /// Some task reached a terminal state: there may be more than is to be kept.
  virtual void task_ended() noexcept = 0;

  /// These attempts stand in no store any more: their output is deleted soon. What is lost in a crash, or
  /// beyond the bound of what waits, is found by the sweep of the next start.
  virtual void discard(std::vector<attempt_key> attempts) = 0;
};

} // namespace task_runner
