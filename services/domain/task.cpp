// Wire names of task states and outcome kinds.
#include "services/domain/task.hpp"

#include <array>

namespace task_runner {

std::string_view to_string(task_state state) noexcept {
  constexpr std::array<std::string_view, 6> names{"pending",  "delayed", "running",
                                                  "finished", "dead",    "cancelled"};
  return names[static_cast<size_t>(state)];
}

std::string_view to_string(outcome_kind kind) noexcept {
  constexpr std::array<std::string_view, 7> names{"exited",    "signalled", "timed_out", "spawn_failed",
                                                  "cancelled", "expired",   "lost"};
  return names[static_cast<size_t>(kind)];
}

std::string describe(const outcome& how) {
  std::string text(to_string(how.kind));
  if (how.kind == outcome_kind::exited || how.kind == outcome_kind::signalled)
    text += " " + std::to_string(how.code);
  if (!how.error.empty())
    text += ": " + how.error;
  return text;
}

} // namespace task_runner
