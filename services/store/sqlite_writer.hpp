// The write side of the embedded store: operation by operation inside a transaction that its caller owns.
// Keeps the counts of every channel touched and writes each of them once, at the end.
#pragma once

#include "services/ports/queue_store.hpp"
#include "services/store/sqlite_connection.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace task_runner {

/// Applies operations. Throws sqlite_failure. Between transactions it remembers nothing but its compiled
/// statements, so that a rollback has nothing to undo here. Not thread-safe.
class sqlite_writer {
public:
  explicit sqlite_writer(sqlite_connection& connection);

  /// REQUIRES: a transaction is open, and rolled back when this throws.
  std::vector<store_answer> apply(const std::vector<store_operation>& operations);

private:
  /// How the counts of one channel have changed in this transaction.
  struct count_change {
    int64_t pending = 0;
    int64_t delayed = 0;
    int64_t running = 0;
    int64_t ended = 0;

    int64_t& of(task_state state) noexcept;
    bool none() const noexcept { return pending == 0 && delayed == 0 && running == 0 && ended == 0; }
  };

  /// The part of a task's row that decides whether a transition applies.
  struct task_position {
    int64_t sequence = 0;
    int64_t channel_number = 0;
    task_state state = task_state::pending;
    uint32_t attempt = 0;
  };

  store_answer apply_one(const insert_task& operation);
  store_answer apply_one(const lease_task& operation);
  store_answer apply_one(const settle_task& operation);
  store_answer apply_one(const promote_due& operation);
  store_answer apply_one(const mark_origin& operation);
  store_answer apply_one(const forget_batch& operation);
  store_answer apply_one(const save_channel& operation);

  /// Whether the place was not marked before; it is now.
  bool mark(const push_origin& origin);
  std::optional<task_position> find_position(const std::string& id);
  /// The channel's number; 0 when no task was ever pushed to it and `create` is false.
  int64_t channel_number(const std::string& channel, bool create);
  void moved(int64_t channel_number, task_state from, task_state to);
  void write_counts();

  sqlite_connection& connection_;
  sqlite_statement read_next_sequence_;
  sqlite_statement write_next_sequence_;
  sqlite_statement find_channel_number_;
  sqlite_statement add_channel_number_;
  sqlite_statement add_counts_;
  sqlite_statement insert_;
  sqlite_statement find_holder_;
  sqlite_statement find_same_;
  sqlite_statement find_position_;
  sqlite_statement lease_;
  sqlite_statement settle_;
  sqlite_statement load_due_;
  sqlite_statement next_due_;
  sqlite_statement make_pending_;
  sqlite_statement mark_;
  sqlite_statement unmark_;
  sqlite_statement forget_batch_;
  sqlite_statement save_channel_;

  // Of the transaction in progress.
  int64_t next_sequence_ = 0;
  std::unordered_map<std::string, int64_t> channel_numbers_;
  std::unordered_map<int64_t, count_change> count_changes_;
};

} // namespace task_runner
