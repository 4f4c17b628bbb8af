// The frame of a transaction, and the life of a task: leasing, settling, promoting.
// Each is a few searches in an index, whatever the number of rows; INDEXED BY makes a statement that would
// scan instead fail to compile.
#include "services/store/sqlite_writer.hpp"

#include "services/store/store_rules.hpp"
#include "services/store/task_row.hpp"

#include <algorithm>
#include <limits>
#include <utility>
#include <variant>

namespace task_runner {

namespace {

/// Sequences that are reserved with one write; a crash leaves a gap of at most so many.
constexpr int64_t reserved_sequences = 4'096;

/// Channels whose numbers are remembered at most.
constexpr size_t channel_numbers_max = 4'096;

/// The output that counts for an attempt, where ?1 is kept_bytes_max; for a task, the last attempt and what
/// stands in `attempts`, unless it stands there itself.
constexpr const char* kept_bytes_of_task =
    "SELECT coalesce((SELECT sum(min(a.output_bytes, ?1)) FROM attempts a WHERE a.task = t.sequence), 0) + "
    "CASE WHEN EXISTS (SELECT 1 FROM attempts a WHERE a.task = t.sequence AND a.attempt = t.attempt) "
    "THEN 0 ELSE min(t.output_bytes, ?1) END FROM tasks t WHERE t.sequence = ?2";

/// Binds what a settlement writes into the row.
void bind_settlement(sqlite_statement::run& run, const settle_task& operation) {
  bind_outcome(run, operation.how);
  run.text_or_null(operation.how.error)
      .number(static_cast<int64_t>(operation.state))
      .number(operation.recoveries)
      .number(operation.ended_at_ms)
      .number(operation.started_at_ms)
      .number(static_cast<int64_t>(operation.output_bytes));
}

} // namespace

sqlite_writer::sqlite_writer(sqlite_connection& connection)
    : connection_(connection)
    , requests_(connection)
    , read_state_(connection, "SELECT a.value, b.value FROM store_state a, store_state b "
                              "WHERE a.name = 'next_sequence' AND b.name = 'kept_bytes_max'")
    , write_next_sequence_(connection, "UPDATE store_state SET value = ? WHERE name = 'next_sequence'")
    , find_channel_number_(connection, "SELECT number FROM channel_counts WHERE name = ?")
    , find_channel_name_(connection, "SELECT name FROM channel_counts WHERE number = ?")
    , add_channel_number_(connection, "INSERT INTO channel_counts (name) VALUES (?)")
    , add_counts_(connection,
                  "UPDATE channel_counts SET pending = pending + ?, held = held + ?, delayed = delayed + ?, "
                  "running = running + ?, ended = ended + ?, dead = dead + ?, kept_bytes = kept_bytes + ? "
                  "WHERE number = ?")
    , find_position_(connection, "SELECT sequence, channel, state, attempt, held, distinct_while_pending, "
                                 "concurrency_key IS NOT NULL FROM tasks WHERE id = ?")
    , find_whole_(connection, "SELECT " TASK_ROW_COLUMNS ", channel FROM tasks WHERE id = ?")
    , insert_(connection, insert_task_row)
    , insert_one_(connection, insert_plain_rows(1).c_str())
    , insert_few_(connection, insert_plain_rows(insert_few).c_str())
    , insert_many_(connection, insert_plain_rows(insert_many).c_str())
    , find_holder_(connection,
                   "SELECT id FROM tasks INDEXED BY tasks_distinct "
                   "WHERE channel = ? AND distinct_key = ? AND distinct_key IS NOT NULL AND state < 3")
    , find_same_(connection,
                 "SELECT 1 FROM tasks WHERE id = ? AND channel = ? AND name = ? AND command_line IS ? "
                 "AND command_argv IS ?")
    , lease_(connection,
             "UPDATE tasks SET state = 2, attempt = ?, started_at_ms = ?, ended_at_ms = 0, outcome_kind = "
             "NULL, outcome_code = NULL, outcome_error = NULL, output_bytes = 0, launcher_id = ? "
             "WHERE sequence = ?")
    , lease_at_once_(
          connection,
          "UPDATE tasks NOT INDEXED SET state = 2, attempt = ?1, started_at_ms = ?2, ended_at_ms = 0, "
          "outcome_kind = NULL, outcome_code = NULL, outcome_error = NULL, output_bytes = 0, "
          "launcher_id = ?3 WHERE sequence = ?4 AND id = ?5 AND channel = ?6 AND state = 0 AND held = 0 "
          "AND attempt < ?1 AND distinct_while_pending = 0")
    , return_lease_(connection,
                    "UPDATE tasks SET state = 0, attempt = 0, started_at_ms = 0, launcher_id = 0 "
                    "WHERE sequence = ? AND attempt = 1 AND attempts_before = 0 AND cancel_requested = 0 "
                    "AND distinct_while_pending = 0 AND concurrency_key IS NULL")
    , settle_(connection,
              "UPDATE tasks SET outcome_kind = ?, outcome_code = ?, outcome_error = ?, state = ?, "
              "recoveries = ?, ended_at_ms = ?, started_at_ms = coalesce(nullif(?, 0), started_at_ms), "
              "output_bytes = ? WHERE sequence = ?")
    , settle_at_once_(
          connection,
          "UPDATE tasks NOT INDEXED SET outcome_kind = ?, outcome_code = ?, outcome_error = ?, state = ?, "
          "recoveries = ?, ended_at_ms = ?, started_at_ms = coalesce(nullif(?, 0), started_at_ms), "
          "output_bytes = ? WHERE sequence = ? AND id = ? AND channel = ? AND state = 2 AND attempt = ? "
          "AND concurrency_key IS NULL")
    , set_backoff_(connection, "UPDATE tasks SET not_before_ms = ?, delay_is_relative = 1 WHERE sequence = ?")
    , record_attempt_(
          connection,
          "INSERT INTO attempts (task, attempt, started_at_ms, ended_at_ms, outcome_kind, "
          "outcome_code, outcome_error, output_bytes) SELECT sequence, attempt, started_at_ms, "
          "ended_at_ms, outcome_kind, outcome_code, outcome_error, output_bytes FROM tasks "
          "WHERE sequence = ? AND attempt > 0 AND outcome_kind IS NOT NULL ON CONFLICT DO NOTHING")
    , load_due_(connection, "SELECT " TASK_ROW_COLUMNS " FROM tasks INDEXED BY tasks_delayed "
                            "WHERE state = 1 AND channel = ? AND not_before_ms <= ? "
                            "ORDER BY not_before_ms, sequence LIMIT ?")
    , next_due_(connection, "SELECT not_before_ms FROM tasks INDEXED BY tasks_delayed "
                            "WHERE state = 1 AND channel = ? ORDER BY not_before_ms LIMIT 1")
    , make_pending_(connection, "UPDATE tasks SET state = 0, held = ? WHERE sequence = ?")
    , clear_distinct_(connection, "UPDATE tasks SET distinct_key = NULL WHERE sequence = ?")
    , count_key_use_(connection,
                     "SELECT count(*) FROM (SELECT 1 FROM tasks INDEXED BY tasks_keyed "
                     "WHERE concurrency_key IS NOT NULL AND (state = 0 OR state = 2) AND channel = ? "
                     "AND concurrency_key = ? AND held = 0 LIMIT ?)")
    , find_key_(connection, "SELECT concurrency_key FROM tasks WHERE sequence = ?")
    , next_held_(connection, "SELECT " TASK_ROW_COLUMNS " FROM tasks INDEXED BY tasks_keyed "
                             "WHERE concurrency_key IS NOT NULL AND (state = 0 OR state = 2) AND channel = ? "
                             "AND concurrency_key = ? AND held = 1 ORDER BY priority DESC, sequence LIMIT 1")
    , next_held_key_(connection,
                     "SELECT concurrency_key FROM tasks INDEXED BY tasks_keyed "
                     "WHERE concurrency_key IS NOT NULL AND (state = 0 OR state = 2) AND channel = ? "
                     "AND concurrency_key > ? AND held = 1 ORDER BY concurrency_key LIMIT 1")
    , set_held_(connection, "UPDATE tasks SET held = ? WHERE sequence = ?")
    , end_waiting_(connection, "UPDATE tasks SET state = 5, held = 0, outcome_kind = ?, outcome_code = 0, "
                               "outcome_error = NULL, ended_at_ms = ? WHERE sequence = ?")
    , request_cancel_(connection, "UPDATE tasks SET cancel_requested = 1 WHERE sequence = ?")
    , load_expired_(connection,
                    "SELECT " TASK_ROW_COLUMNS " FROM tasks INDEXED BY tasks_expiring "
                    "WHERE channel = ? AND expires_at_ms > 0 AND state < 2 AND attempt = attempts_before "
                    "AND expires_at_ms <= ? ORDER BY expires_at_ms, sequence LIMIT ?")
    , next_expiry_(connection,
                   "SELECT expires_at_ms FROM tasks INDEXED BY tasks_expiring "
                   "WHERE channel = ? AND expires_at_ms > 0 AND state < 2 AND attempt = attempts_before "
                   "ORDER BY expires_at_ms LIMIT 1")
    , load_held_(connection,
                 "SELECT " TASK_ROW_COLUMNS " FROM tasks INDEXED BY tasks_by_state "
                 "WHERE (state = 1 OR state = 2 OR state = 4 OR held = 1) AND channel = ? AND state = 0 "
                 "ORDER BY sequence LIMIT ?")
    , load_pending_(connection, "SELECT " TASK_ROW_COLUMNS " FROM tasks INDEXED BY tasks_pending "
                                "WHERE state = 0 AND held = 0 AND channel = ? "
                                "ORDER BY priority DESC, sequence LIMIT ?")
    , load_delayed_(connection, "SELECT " TASK_ROW_COLUMNS " FROM tasks INDEXED BY tasks_delayed "
                                "WHERE state = 1 AND channel = ? ORDER BY not_before_ms, sequence LIMIT ?")
    , retry_(connection, "UPDATE tasks SET state = 0, held = ?, attempts_before = attempt, recoveries = 0, "
                         "expires_at_ms = 0, cancel_requested = 0, not_before_ms = 0, delay_is_relative = 0 "
                         "WHERE sequence = ?")
    , delete_task_(connection, "DELETE FROM tasks WHERE sequence = ?")
    , delete_attempts_(connection, "DELETE FROM attempts WHERE task = ?")
    , attempt_numbers_(connection, "SELECT attempt FROM attempts WHERE task = ? ORDER BY attempt")
    , kept_bytes_of_(connection, kept_bytes_of_task)
    , oldest_(connection, "SELECT sequence, channel, ended_at_ms, attempt, id FROM tasks "
                          "INDEXED BY tasks_ended WHERE state > 2 AND state = ? "
                          "ORDER BY ended_at_ms, sequence LIMIT 1")
    , sum_ended_(connection,
                 "SELECT coalesce(sum(ended), 0), coalesce(sum(kept_bytes), 0) FROM channel_counts")
    , shift_delays_(connection,
                    "UPDATE tasks INDEXED BY tasks_delayed SET not_before_ms = max(?, min(?, not_before_ms + "
                    "?)) WHERE state = 1 AND delay_is_relative = 1")
    , shift_expiries_(
          connection,
          "UPDATE tasks INDEXED BY tasks_expiring SET expires_at_ms = max(?, min(?, expires_at_ms + "
          "?)) WHERE expires_at_ms > 0 AND state < 2 AND attempt = attempts_before")
    , write_clock_(connection,
                   "INSERT OR REPLACE INTO clock_mark (only, boot_id, offset_ms) VALUES (1, ?, ?)")
    , mark_(connection,
            "INSERT INTO origin_marks (batch, block, bits) VALUES (?, ?, ?) ON CONFLICT DO UPDATE "
            "SET bits = bits | excluded.bits WHERE bits & excluded.bits = 0")
    , unmark_(connection, "UPDATE origin_marks SET bits = bits & ~?3 WHERE batch = ?1 AND block = ?2")
    , remove_unmarked_(connection, "DELETE FROM origin_marks WHERE batch = ? AND block = ? AND bits = 0")
    , forget_batch_(connection, "DELETE FROM origin_marks WHERE batch = ?")
    , save_channel_(connection,
                    "INSERT OR REPLACE INTO channels (name, distinct_mode, worker, weight, tasks_max, "
                    "paused, defaults, ini_distinct, ini_worker, ini_weight, ini_tasks_max, ini_defaults, "
                    "created_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
    , remove_channel_(connection, "DELETE FROM channels WHERE name = ?")
    , count_unfinished_(connection,
                        "SELECT pending + held + delayed + running FROM channel_counts WHERE number = ?") {}

// -- the frame --------------------------------------------------------------------

std::vector<store_answer> sqlite_writer::apply(const std::vector<store_operation>& operations) {
  count_changes_.clear();
  // Until the commit is told of, nothing that is remembered holds for the next transaction.
  if (!std::exchange(is_state_known_, false) || channel_numbers_.size() > channel_numbers_max) {
    channel_numbers_.clear();
    read_state();
  }
  std::vector<store_answer> answers;
  answers.reserve(operations.size());
  while (answers.size() < operations.size()) {
    const size_t next = answers.size();
    if (insert_together(operations, next, answers) == 0)
      answers.push_back(std::visit([this](const auto& one) { return apply_one(one); }, operations[next]));
  }
  write_counts();
  if (next_sequence_ > reserved_until_) {
    reserved_until_ = next_sequence_ + reserved_sequences;
    sqlite_statement::run(write_next_sequence_).number(reserved_until_).finish();
  }
  return answers;
}

void sqlite_writer::read_state() {
  sqlite_statement::run run(read_state_);
  if (!run.next())
    connection_.fail_damaged("the next sequence or the bound of kept output is missing");
  next_sequence_ = run.number_at(0);
  reserved_until_ = next_sequence_;
  kept_bytes_max_ = run.number_at(1);
}

void sqlite_writer::give_back_sequences() {
  is_state_known_ = false;
  sqlite_statement::run(write_next_sequence_).number(next_sequence_).finish();
}

int64_t sqlite_writer::channel_number(const std::string& channel, bool create) {
  if (const auto known = channel_numbers_.find(channel); known != channel_numbers_.end())
    return known->second;
  int64_t number = 0;
  {
    sqlite_statement::run run(find_channel_number_);
    if (run.text(channel).next())
      number = run.number_at(0);
  }
  if (number == 0) {
    if (!create)
      return 0;
    sqlite_statement::run(add_channel_number_).text(channel).finish();
    number = sqlite3_last_insert_rowid(connection_.raw());
  }
  channel_numbers_.emplace(channel, number);
  return number;
}

std::string sqlite_writer::channel_name(int64_t number) {
  sqlite_statement::run run(find_channel_name_);
  if (!run.number(number).next())
    connection_.fail_damaged("channel number " + std::to_string(number) + " has no name");
  return run.text_at(0);
}

std::optional<sqlite_writer::task_position> sqlite_writer::find_position(const std::string& id) {
  sqlite_statement::run run(find_position_);
  if (!run.text(id).next())
    return std::nullopt;
  task_position found;
  found.sequence = run.number_at(0);
  found.channel_number = run.number_at(1);
  found.state = static_cast<task_state>(run.number_at(2));
  found.attempt = static_cast<uint32_t>(run.number_at(3));
  found.held = run.number_at(4) != 0;
  found.distinct_while_pending = run.number_at(5) != 0;
  found.has_concurrency_key = run.number_at(6) != 0;
  return found;
}

std::optional<sqlite_writer::found_task> sqlite_writer::find_whole(const std::string& id) {
  found_task found;
  sqlite_statement::run run(find_whole_);
  if (!run.text(id).next())
    return std::nullopt;
  found.channel_number = run.number_at(task_row_column_count);
  found.value = read_task_row(connection_, run, channel_name(found.channel_number));
  return found;
}

std::string sqlite_writer::find_holder(int64_t channel_number, const std::string& distinct_key) {
  if (distinct_key.empty())
    return {};
  sqlite_statement::run run(find_holder_);
  return run.number(channel_number).text(distinct_key).next() ? run.text_at(0) : std::string();
}

std::vector<task> sqlite_writer::collect(sqlite_statement::run& rows, const std::string& channel) {
  std::vector<task> tasks;
  while (rows.next())
    tasks.push_back(read_task_row(connection_, rows, channel));
  return tasks;
}

// -- concurrency keys -------------------------------------------------------------

bool sqlite_writer::has_room(int64_t channel_number, const task& value) {
  if (value.concurrency_key.empty())
    return true;
  sqlite_statement::run run(count_key_use_);
  run.number(channel_number).text(value.concurrency_key).number(value.concurrency_max);
  return run.next() && run.number_at(0) < static_cast<int64_t>(value.concurrency_max);
}

void sqlite_writer::release_key(int64_t channel_number, const std::string& channel, const std::string& key,
                                uint64_t limit, std::vector<task>& released) {
  for (uint64_t done = 0; done < limit; ++done) {
    task first;
    {
      sqlite_statement::run run(next_held_);
      if (!run.number(channel_number).text(key).next())
        return;
      first = read_task_row(connection_, run, channel);
    }
    if (!has_room(channel_number, first))
      return;
    sqlite_statement::run(set_held_).number(0).number(static_cast<int64_t>(first.sequence)).finish();
    moved(channel_number, task_state::pending, true, task_state::pending, false);
    first.held = false;
    released.push_back(std::move(first));
  }
}

void sqlite_writer::release_key_of(const task_position& former, std::vector<task>& released) {
  std::string key;
  {
    sqlite_statement::run run(find_key_);
    if (run.number(former.sequence).next())
      key = run.text_at(0);
  }
  release_key(former.channel_number, channel_name(former.channel_number), key,
              std::numeric_limits<uint64_t>::max(), released);
}

// -- the life of a task -------------------------------------------------------------

change_answer sqlite_writer::refused(const std::string& id) {
  change_answer answer;
  if (auto found = find_whole(id))
    answer.after = std::move(found->value);
  return answer;
}

bool sqlite_writer::lease_at_once(const lease_task& operation) {
  const auto* place = places_.find(operation.id);
  if (place == nullptr)
    return false;
  {
    sqlite_statement::run run(lease_at_once_);
    run.number(operation.attempt)
        .number(operation.started_at_ms)
        .number(static_cast<int64_t>(operation.launcher_id))
        .number(place->sequence)
        .text(operation.id)
        .number(place->channel_number)
        .finish();
  }
  if (sqlite3_changes64(connection_.raw()) == 0)
    return false;
  moved(place->channel_number, task_state::pending, false, task_state::running, false);
  return true;
}

store_answer sqlite_writer::apply_one(const lease_task& operation) {
  change_answer answer;
  answer.applied = lease_at_once(operation);
  if (answer.applied)
    return answer;
  const auto found = find_position(operation.id);
  if (!found || found->state != task_state::pending || found->held || found->attempt >= operation.attempt)
    return refused(operation.id);
  sqlite_statement::run(lease_)
      .number(operation.attempt)
      .number(operation.started_at_ms)
      .number(static_cast<int64_t>(operation.launcher_id))
      .number(found->sequence)
      .finish();
  if (found->distinct_while_pending)
    sqlite_statement::run(clear_distinct_).number(found->sequence).finish();
  moved(found->channel_number, task_state::pending, false, task_state::running, false);
  answer.applied = true;
  return answer;
}

bool sqlite_writer::settle_at_once(const settle_task& operation) {
  // A later attempt has history that counts for what is kept.
  const auto* place =
      operation.attempt == 1 && is_terminal(operation.state) ? places_.find(operation.id) : nullptr;
  if (place == nullptr)
    return false;
  {
    sqlite_statement::run run(settle_at_once_);
    bind_settlement(run, operation);
    run.number(place->sequence)
        .text(operation.id)
        .number(place->channel_number)
        .number(operation.attempt)
        .finish();
  }
  if (sqlite3_changes64(connection_.raw()) == 0)
    return false;
  moved(place->channel_number, task_state::running, false, operation.state, false);
  count_changes_[place->channel_number].kept_bytes +=
      std::min(static_cast<int64_t>(operation.output_bytes), kept_bytes_max_);
  return true;
}

store_answer sqlite_writer::apply_one(const return_lease& operation) {
  change_answer answer;
  const auto found = find_position(operation.id);
  if (!found || found->state != task_state::running ||
      found->channel_number != channel_number(operation.channel, false))
    return refused(operation.id);
  sqlite_statement::run(return_lease_).number(found->sequence).finish();
  if (sqlite3_changes64(connection_.raw()) == 0)
    return refused(operation.id);
  moved(found->channel_number, task_state::running, false, task_state::pending, false);
  answer.applied = true;
  return answer;
}

store_answer sqlite_writer::apply_one(const settle_task& operation) {
  change_answer answer;
  answer.applied = settle_at_once(operation);
  if (answer.applied)
    return answer;
  const auto found = find_position(operation.id);
  if (!found || found->state != task_state::running || found->attempt != operation.attempt)
    return refused(operation.id);
  // Before the state: the row enters the index of delayed tasks once, at its place.
  if (operation.state == task_state::delayed)
    sqlite_statement::run(set_backoff_).number(operation.not_before_ms).number(found->sequence).finish();
  {
    sqlite_statement::run run(settle_);
    bind_settlement(run, operation);
    run.number(found->sequence).finish();
  }
  moved(found->channel_number, task_state::running, false, operation.state, false);
  if (!is_terminal(operation.state))
    sqlite_statement::run(record_attempt_).number(found->sequence).finish();
  else if (found->attempt > 1)
    count_changes_[found->channel_number].kept_bytes += kept_bytes_of(found->sequence);
  else
    count_changes_[found->channel_number].kept_bytes +=
        std::min(static_cast<int64_t>(operation.output_bytes), kept_bytes_max_);
  if (found->has_concurrency_key && operation.state != task_state::pending)
    release_key_of(*found, answer.released);
  answer.applied = true;
  return answer;
}

store_answer sqlite_writer::apply_one(const promote_due& operation) {
  promote_answer answer;
  const int64_t channel = channel_number(operation.channel, false);
  if (channel == 0)
    return answer;
  std::vector<task> due;
  {
    sqlite_statement::run run(load_due_);
    run.number(channel).number(operation.now_ms).number(operation.limit);
    due = collect(run, operation.channel);
  }
  // Changed only now: a search must not change the index that it walks.
  for (auto& one : due) {
    one.held = !has_room(channel, one);
    one.state = task_state::pending;
    sqlite_statement::run(make_pending_)
        .number(one.held ? 1 : 0)
        .number(static_cast<int64_t>(one.sequence))
        .finish();
    moved(channel, task_state::delayed, false, task_state::pending, one.held);
    if (one.held)
      ++answer.held_count;
    else
      answer.promoted.push_back(std::move(one));
  }
  answer.next_due_ms = next_moment(next_due_, channel);
  return answer;
}

} // namespace task_runner
