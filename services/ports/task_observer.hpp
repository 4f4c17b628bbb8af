// The port through which the queues tell what became of their tasks, once that is durable.
// Implemented by whoever shows it to clients while it happens; tests put a fake in its place.
#pragma once

#include "services/domain/task.hpp"

#include <optional>
#include <string>
#include <vector>

namespace task_runner {

/// A task has entered a state, or was deleted.
struct task_event {
  std::string task_id;
  std::string channel;
  /// The attempt that begins or has ended, else the last one; 0 before the first.
  uint32_t attempt = 0;
  task_state state = task_state::pending;
  /// How the attempt ended, or why a task that waited was cancelled; unset for other changes.
  std::optional<outcome> how;
  wall_time_ms at_ms = 0;
  /// By a person, not by retention; it had ended in `state`, and nothing more is told of it.
  bool deleted = false;
};

/// Hears of tasks. Thread-safe; no call blocks. What happened while nobody was interested, and around the
/// restart of a queue, is not told: whoever must know asks the store beside it.
class task_observer {
public:
  virtual ~task_observer() = default;

  /// Whether it is worth putting events together. Costs next to nothing.
  virtual bool is_interested() const noexcept = 0;

  /// In the order in which they happened within a channel.
  virtual void on_task_events(const std::vector<task_event>& events) = 0;
};

} // namespace task_runner
