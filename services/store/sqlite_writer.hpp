// The write side of the embedded store: operation by operation inside a transaction that its caller owns.
// Keeps the counts of every channel touched and writes each of them once, at the end.
#pragma once

#include "services/ports/queue_store.hpp"
#include "services/store/place_hints.hpp"
#include "services/store/sqlite_connection.hpp"
#include "services/store/sqlite_requests.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace task_runner {

/// Applies operations. Throws sqlite_failure. What it remembers from one transaction to the next it forgets
/// unless it is told of the commit, so that a rollback has nothing to undo here. Not thread-safe.
///
/// sqlite_writer.cpp has the frame and the life of a task, sqlite_inserting.cpp its beginning,
/// sqlite_stopping.cpp what people and moments do to it, sqlite_upkeep.cpp purging, the clock and channels.
class sqlite_writer {
public:
  explicit sqlite_writer(sqlite_connection& connection);

  /// REQUIRES: a transaction is open, and rolled back when this throws.
  std::vector<store_answer> apply(const std::vector<store_operation>& operations);

  /// To be told after each commit of what apply did.
  void committed() noexcept { is_state_known_ = true; }

  /// How many more dead letters some channels have by the last apply(). REQUIRES: its transaction is open.
  std::vector<std::pair<std::string, int64_t>> dead_letter_changes();

  /// Notes where a task stands, for the lease that will come. It may be wrong.
  void note_place(const std::string& id, int64_t sequence, int64_t channel_number) noexcept {
    places_.note(id, sequence, channel_number);
  }

  /// Whether sequences were reserved that no task has had.
  bool has_spare_sequences() const noexcept { return is_state_known_ && reserved_until_ > next_sequence_; }

  /// Gives them back, so that the order of acceptance has no gap. REQUIRES: a transaction is open, and
  /// nothing is applied after it.
  void give_back_sequences();

private:
  /// Rows that one statement inserts, so that the table and its indexes are opened once for all of them.
  static constexpr size_t insert_few = 4;
  static constexpr size_t insert_many = 16;

  /// How the counts of one channel have changed in this transaction.
  struct count_change {
    int64_t pending = 0;
    int64_t held = 0;
    int64_t delayed = 0;
    int64_t running = 0;
    int64_t ended = 0;
    /// Of those that ended.
    int64_t dead = 0;
    int64_t kept_bytes = 0;

    /// `sign` 1: a task comes into the state; -1: one leaves it.
    void count(task_state state, bool is_held, int64_t sign) noexcept;
    int64_t unfinished() const noexcept { return pending + held + delayed + running; }
    bool none() const noexcept {
      return pending == 0 && held == 0 && delayed == 0 && running == 0 && ended == 0 && dead == 0 &&
             kept_bytes == 0;
    }
  };

  /// The part of a task's row that decides whether a transition applies.
  struct task_position {
    int64_t sequence = 0;
    int64_t channel_number = 0;
    task_state state = task_state::pending;
    uint32_t attempt = 0;
    bool held = false;
    bool distinct_while_pending = false;
    bool has_concurrency_key = false;
  };

  /// A whole task and its channel's number.
  struct found_task {
    task value;
    int64_t channel_number = 0;
  };

  /// An ended task that may be purged.
  struct purge_candidate {
    int64_t sequence = 0;
    int64_t channel_number = 0;
    wall_time_ms ended_at_ms = 0;
    uint32_t attempt = 0;
    task_state state = task_state::finished;
    std::string id;

    bool before(const purge_candidate& other) const noexcept {
      return ended_at_ms != other.ended_at_ms ? ended_at_ms < other.ended_at_ms : sequence < other.sequence;
    }
  };

  store_answer apply_one(const insert_task& operation);
  store_answer apply_one(const lease_task& operation);
  store_answer apply_one(const return_lease& operation);
  store_answer apply_one(const settle_task& operation);
  store_answer apply_one(const promote_due& operation);
  store_answer apply_one(const expire_due& operation);
  store_answer apply_one(const cancel_task& operation);
  store_answer apply_one(const cancel_channel_tasks& operation);
  store_answer apply_one(const retry_task& operation);
  store_answer apply_one(const delete_task& operation);
  store_answer apply_one(const release_distinct& operation);
  store_answer apply_one(const release_held& operation);
  store_answer apply_one(const purge_ended& operation);
  store_answer apply_one(const adjust_clock& operation);
  store_answer apply_one(const mark_origin& operation);
  store_answer apply_one(const forget_batch& operation);
  store_answer apply_one(const save_channel& operation);
  store_answer apply_one(const remove_channel& operation);
  store_answer apply_one(const begin_request& operation) { return requests_.begin(operation); }
  store_answer apply_one(const finish_request& operation);

  /// Whether the place was not marked before; it is now.
  bool mark(const push_origin& origin);
  /// Whether none of these places, each a bit, was marked before; they are now. When false, nothing was
  /// changed.
  bool mark_block(int64_t batch, int64_t block, int64_t bits);
  /// Marks the origins of so many rows in their order, as far as they are new: says how many rows these are.
  size_t mark_together(const insert_task* const* rows, size_t count);
  /// As if the place had never been marked.
  void unmark(const push_origin& origin);
  /// Inserts as many of the operations from `from` on as can go into one statement. Appends their answers and
  /// says how many these are: 0 when the first is not a plain task.
  size_t insert_together(const std::vector<store_operation>& operations, size_t from,
                         std::vector<store_answer>& answers);
  /// Inserts one task whose origin has been marked.
  insert_answer insert_marked(const insert_task& operation);
  /// What follows from an insertion under the next sequence, which is the next one's from then on.
  insert_answer inserted(int64_t channel_number, const task& value);
  /// Inserts the row as it stands, under the next sequence. False when the id or the distinct key is taken.
  bool insert_row(int64_t channel_number, const task& value);
  /// Why insert_row wrote nothing.
  insert_answer explain_conflict(const insert_task& operation, int64_t channel_number);
  /// Lease and settle as they nearly always are: the task is where it was last met and stands as expected.
  /// False when not; then nothing was changed.
  bool lease_at_once(const lease_task& operation);
  bool settle_at_once(const settle_task& operation);
  std::optional<task_position> find_position(const std::string& id);
  std::optional<found_task> find_whole(const std::string& id);
  /// The answer to a change that does not apply: the task as it stands.
  change_answer refused(const std::string& id);
  /// The unfinished task with this distinct key, empty when there is none.
  std::string find_holder(int64_t channel_number, const std::string& distinct_key);
  /// The channel's number; 0 when no task was ever pushed to it and `create` is false.
  int64_t channel_number(const std::string& channel, bool create);
  std::string channel_name(int64_t number);
  void moved(int64_t channel_number, task_state from, bool from_held, task_state to, bool to_held);
  void write_counts();
  void read_state();

  /// Whether fewer than `concurrency_max` tasks in line or running have this task's concurrency key; true
  /// without a key.
  bool has_room(int64_t channel_number, const task& value);
  /// Lets held tasks with this key into line while there is room, at most `limit`.
  void release_key(int64_t channel_number, const std::string& channel, const std::string& key, uint64_t limit,
                   std::vector<task>& released);
  /// The same for the key of a task that has just given up its place.
  void release_key_of(const task_position& former, std::vector<task>& released);

  /// What the output of a task's attempts counts for.
  int64_t kept_bytes_of(int64_t sequence);
  /// Counts the kept output of everything anew, because an attempt counts for at most another number now.
  void recount_kept_bytes(int64_t kept_bytes_max);

  /// The tasks that `rows`, bound and of TASK_ROW_COLUMNS, has.
  std::vector<task> collect(sqlite_statement::run& rows, const std::string& channel);
  /// Cancels a task that waits.
  void end_waiting(int64_t channel_number, const task& before, outcome_kind why, wall_time_ms now_ms);
  /// Cancels tasks that wait, then releases what their concurrency keys have room for; fills the whole
  /// answer.
  sweep_answer end_all(int64_t channel_number, const std::string& channel, std::vector<task> waiting,
                       outcome_kind why, wall_time_ms now_ms);
  wall_time_ms next_moment(sqlite_statement& earliest, int64_t channel_number);

  /// The one in this state that ended first.
  std::optional<purge_candidate> oldest(task_state state);
  std::optional<purge_candidate> next_to_purge(const purge_ended& rule, int64_t ended, int64_t kept_bytes);
  void erase(int64_t channel_number, int64_t sequence, task_state state, int64_t kept_bytes);
  /// Gives some pages back to the file system when many are free.
  void shrink_file();

  sqlite_connection& connection_;
  sqlite_requests requests_;
  // The frame.
  sqlite_statement read_state_;
  sqlite_statement write_next_sequence_;
  sqlite_statement find_channel_number_;
  sqlite_statement find_channel_name_;
  sqlite_statement add_channel_number_;
  sqlite_statement add_counts_;
  sqlite_statement find_position_;
  sqlite_statement find_whole_;
  // The life of a task.
  sqlite_statement insert_;
  sqlite_statement insert_one_;
  sqlite_statement insert_few_;
  sqlite_statement insert_many_;
  sqlite_statement find_holder_;
  sqlite_statement find_same_;
  sqlite_statement lease_;
  sqlite_statement lease_at_once_;
  sqlite_statement return_lease_;
  sqlite_statement settle_;
  sqlite_statement settle_at_once_;
  sqlite_statement set_backoff_;
  sqlite_statement record_attempt_;
  sqlite_statement load_due_;
  sqlite_statement next_due_;
  sqlite_statement make_pending_;
  sqlite_statement clear_distinct_;
  // Concurrency keys.
  sqlite_statement count_key_use_;
  sqlite_statement find_key_;
  sqlite_statement next_held_;
  sqlite_statement next_held_key_;
  sqlite_statement set_held_;
  // Stopping.
  sqlite_statement end_waiting_;
  sqlite_statement request_cancel_;
  sqlite_statement load_expired_;
  sqlite_statement next_expiry_;
  sqlite_statement load_held_;
  sqlite_statement load_pending_;
  sqlite_statement load_delayed_;
  sqlite_statement retry_;
  // Upkeep.
  sqlite_statement delete_task_;
  sqlite_statement delete_attempts_;
  sqlite_statement attempt_numbers_;
  sqlite_statement kept_bytes_of_;
  sqlite_statement oldest_;
  sqlite_statement sum_ended_;
  sqlite_statement shift_delays_;
  sqlite_statement shift_expiries_;
  sqlite_statement write_clock_;
  sqlite_statement mark_;
  sqlite_statement unmark_;
  sqlite_statement remove_unmarked_;
  sqlite_statement forget_batch_;
  sqlite_statement save_channel_;
  sqlite_statement remove_channel_;
  sqlite_statement count_unfinished_;

  place_hints places_;

  // As of the last commit, with what the transaction in progress has changed; read anew unless
  // is_state_known_.
  bool is_state_known_ = false;
  int64_t next_sequence_ = 0;
  /// What stands in the file as the next sequence: those before it are not given to others after a crash.
  int64_t reserved_until_ = 0;
  /// Most that one attempt's output counts for, as last told by a purge.
  int64_t kept_bytes_max_ = 0;
  std::unordered_map<std::string, int64_t> channel_numbers_;

  // Of the transaction in progress.
  std::unordered_map<int64_t, count_change> count_changes_;
};

} // namespace task_runner
