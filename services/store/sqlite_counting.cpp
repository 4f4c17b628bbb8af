// How many tasks of each channel stand where, changed in the transaction that moves them.
// A transaction gathers its changes and writes each channel's counts once.
#include "services/store/sqlite_writer.hpp"

namespace task_runner {

void sqlite_writer::count_change::count(task_state state, bool is_held, int64_t sign) noexcept {
  switch (state) {
  case task_state::pending:
    (is_held ? held : pending) += sign;
    return;
  case task_state::delayed:
    delayed += sign;
    return;
  case task_state::running:
    running += sign;
    return;
  case task_state::dead:
    dead += sign;
    break;
  case task_state::finished:
  case task_state::cancelled:
    break;
  }
  ended += sign;
}

void sqlite_writer::moved(int64_t channel_number, task_state from, bool from_held, task_state to,
                          bool to_held) {
  auto& change = count_changes_[channel_number];
  change.count(from, from_held, -1);
  change.count(to, to_held, 1);
}

void sqlite_writer::write_counts() {
  for (const auto& [number, change] : count_changes_)
    if (!change.none())
      sqlite_statement::run(add_counts_)
          .number(change.pending)
          .number(change.held)
          .number(change.delayed)
          .number(change.running)
          .number(change.ended)
          .number(change.dead)
          .number(change.kept_bytes)
          .number(number)
          .finish();
}

std::vector<std::pair<std::string, int64_t>> sqlite_writer::dead_letter_changes() {
  std::vector<std::pair<std::string, int64_t>> changes;
  for (const auto& [number, change] : count_changes_)
    if (change.dead != 0)
      changes.emplace_back(channel_name(number), change.dead);
  return changes;
}

} // namespace task_runner
