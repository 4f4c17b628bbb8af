// Inserting, leasing, settling, promoting, marking.
// Each is a few searches in an index, whatever the number of rows; INDEXED BY makes a statement that would
// scan instead fail to compile.
#include "services/store/sqlite_writer.hpp"

#include "services/store/argv_codec.hpp"
#include "services/store/task_row.hpp"

#include <algorithm>
#include <variant>

namespace task_runner {

sqlite_writer::sqlite_writer(sqlite_connection& connection)
    : connection_(connection)
    , read_next_sequence_(connection, "SELECT value FROM store_state WHERE name = 'next_sequence'")
    , write_next_sequence_(connection, "UPDATE store_state SET value = ? WHERE name = 'next_sequence'")
    , find_channel_number_(connection, "SELECT number FROM channel_counts WHERE name = ?")
    , add_channel_number_(connection, "INSERT INTO channel_counts (name) VALUES (?)")
    , add_counts_(connection, "UPDATE channel_counts SET pending = pending + ?, delayed = delayed + ?, "
                              "running = running + ?, ended = ended + ? WHERE number = ?")
    , insert_(connection, insert_task_row)
    , find_holder_(connection,
                   "SELECT id FROM tasks INDEXED BY tasks_distinct "
                   "WHERE channel = ? AND distinct_key = ? AND distinct_key IS NOT NULL AND state < 3")
    , find_same_(connection,
                 "SELECT 1 FROM tasks WHERE id = ? AND channel = ? AND name = ? AND command_line IS ? "
                 "AND command_argv IS ?")
    , find_position_(connection, "SELECT sequence, channel, state, attempt FROM tasks WHERE id = ?")
    , lease_(connection, "UPDATE tasks SET state = 2, attempt = ?, started_at_ms = ?, ended_at_ms = 0, "
                         "outcome_kind = NULL, outcome_code = NULL, outcome_error = NULL WHERE sequence = ?")
    , settle_(connection,
              "UPDATE tasks SET outcome_kind = ?, outcome_code = ?, outcome_error = ?, state = ?, "
              "recoveries = ?, ended_at_ms = ?, "
              "started_at_ms = coalesce(nullif(?, 0), started_at_ms) WHERE sequence = ?")
    , load_due_(connection, "SELECT " TASK_ROW_COLUMNS " FROM tasks INDEXED BY tasks_delayed "
                            "WHERE state = 1 AND channel = ? AND not_before_ms <= ? "
                            "ORDER BY not_before_ms, sequence LIMIT ?")
    , next_due_(connection, "SELECT not_before_ms FROM tasks INDEXED BY tasks_delayed "
                            "WHERE state = 1 AND channel = ? ORDER BY not_before_ms LIMIT 1")
    , make_pending_(connection, "UPDATE tasks SET state = 0 WHERE sequence = ?")
    , mark_(connection, "INSERT INTO origin_marks (batch, position) VALUES (?, ?) ON CONFLICT DO NOTHING")
    , unmark_(connection, "DELETE FROM origin_marks WHERE batch = ? AND position = ?")
    , forget_batch_(connection, "DELETE FROM origin_marks WHERE batch = ?")
    , save_channel_(connection, "INSERT OR REPLACE INTO channels "
                                "(name, is_distinct, worker, ini_distinct, ini_worker, created_at_ms) "
                                "VALUES (?, ?, ?, ?, ?, ?)") {}

std::vector<store_answer> sqlite_writer::apply(const std::vector<store_operation>& operations) {
  channel_numbers_.clear();
  count_changes_.clear();
  {
    sqlite_statement::run run(read_next_sequence_);
    if (!run.next())
      connection_.fail_damaged("the next sequence is missing");
    next_sequence_ = run.number_at(0);
  }
  const int64_t first_sequence = next_sequence_;
  std::vector<store_answer> answers;
  answers.reserve(operations.size());
  for (const auto& operation : operations)
    answers.push_back(std::visit([this](const auto& one) { return apply_one(one); }, operation));
  write_counts();
  if (next_sequence_ != first_sequence)
    sqlite_statement::run(write_next_sequence_).number(next_sequence_).finish();
  return answers;
}

int64_t& sqlite_writer::count_change::of(task_state state) noexcept {
  switch (state) {
  case task_state::pending:
    return pending;
  case task_state::delayed:
    return delayed;
  case task_state::running:
    return running;
  default:
    return ended;
  }
}

void sqlite_writer::moved(int64_t channel_number, task_state from, task_state to) {
  auto& change = count_changes_[channel_number];
  --change.of(from);
  ++change.of(to);
}

void sqlite_writer::write_counts() {
  for (const auto& [number, change] : count_changes_)
    if (!change.none())
      sqlite_statement::run(add_counts_)
          .number(change.pending)
          .number(change.delayed)
          .number(change.running)
          .number(change.ended)
          .number(number)
          .finish();
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

std::optional<sqlite_writer::task_position> sqlite_writer::find_position(const std::string& id) {
  sqlite_statement::run run(find_position_);
  if (!run.text(id).next())
    return std::nullopt;
  task_position found;
  found.sequence = run.number_at(0);
  found.channel_number = run.number_at(1);
  found.state = static_cast<task_state>(run.number_at(2));
  found.attempt = static_cast<uint32_t>(run.number_at(3));
  return found;
}

bool sqlite_writer::mark(const push_origin& origin) {
  sqlite_statement::run(mark_).number(static_cast<int64_t>(origin.batch)).number(origin.position).finish();
  return sqlite3_changes64(connection_.raw()) > 0;
}

store_answer sqlite_writer::apply_one(const insert_task& operation) {
  const task& value = operation.value;
  if (operation.origin && !mark(*operation.origin))
    return insert_answer{insert_answer::kind::duplicate_origin, 0, {}};
  const int64_t channel = channel_number(value.channel, true);
  // Insert first and ask only when that writes nothing: nearly every push is new.
  {
    const std::string argv = encode_argv(value.command.argv);
    sqlite_statement::run run(insert_);
    bind_task_row(run, channel, next_sequence_, value, argv);
    run.finish();
  }
  if (sqlite3_changes64(connection_.raw()) > 0) {
    ++count_changes_[channel].of(value.state);
    return insert_answer{insert_answer::kind::inserted, static_cast<uint64_t>(next_sequence_++), {}};
  }
  if (find_position(value.id)) {
    if (operation.origin)
      sqlite_statement::run(unmark_)
          .number(static_cast<int64_t>(operation.origin->batch))
          .number(operation.origin->position)
          .finish();
    const std::string argv = encode_argv(value.command.argv);
    sqlite_statement::run same(find_same_);
    same.text(value.id).number(channel).text(value.name).text_or_null(value.command.line).blob_or_null(argv);
    return insert_answer{insert_answer::kind::duplicate_id, 0, value.id, same.next()};
  }
  sqlite_statement::run run(find_holder_);
  if (!value.distinct_key.empty() && run.number(channel).text(value.distinct_key).next())
    return insert_answer{insert_answer::kind::duplicate_key, 0, run.text_at(0)};
  connection_.fail_damaged("sequence " + std::to_string(next_sequence_) + " is taken");
}

store_answer sqlite_writer::apply_one(const lease_task& operation) {
  const auto found = find_position(operation.id);
  if (!found || found->state != task_state::pending || found->attempt >= operation.attempt)
    return change_answer{false};
  sqlite_statement::run(lease_)
      .number(operation.attempt)
      .number(operation.started_at_ms)
      .number(found->sequence)
      .finish();
  moved(found->channel_number, task_state::pending, task_state::running);
  return change_answer{true};
}

store_answer sqlite_writer::apply_one(const settle_task& operation) {
  const auto found = find_position(operation.id);
  if (!found || found->state != task_state::running || found->attempt != operation.attempt)
    return change_answer{false};
  sqlite_statement::run run(settle_);
  bind_outcome(run, operation.how);
  run.number(static_cast<int64_t>(operation.state))
      .number(operation.recoveries)
      .number(operation.ended_at_ms)
      .number(operation.started_at_ms)
      .number(found->sequence)
      .finish();
  moved(found->channel_number, task_state::running, operation.state);
  return change_answer{true};
}

store_answer sqlite_writer::apply_one(const promote_due& operation) {
  promote_answer answer;
  const int64_t channel = channel_number(operation.channel, false);
  if (channel == 0)
    return answer;
  {
    sqlite_statement::run run(load_due_);
    run.number(channel).number(operation.now_ms).number(operation.limit);
    while (run.next())
      answer.promoted.push_back(read_task_row(connection_, run, operation.channel));
  }
  // Changed only now: a search must not change the index that it walks.
  for (auto& due : answer.promoted) {
    sqlite_statement::run(make_pending_).number(static_cast<int64_t>(due.sequence)).finish();
    due.state = task_state::pending;
    moved(channel, task_state::delayed, task_state::pending);
  }
  sqlite_statement::run run(next_due_);
  if (run.number(channel).next())
    answer.next_due_ms = run.number_at(0);
  return answer;
}

store_answer sqlite_writer::apply_one(const mark_origin& operation) {
  return change_answer{mark(operation.origin)};
}

store_answer sqlite_writer::apply_one(const forget_batch& operation) {
  sqlite_statement::run(forget_batch_).number(static_cast<int64_t>(operation.batch)).finish();
  return change_answer{sqlite3_changes64(connection_.raw()) > 0};
}

store_answer sqlite_writer::apply_one(const save_channel& operation) {
  const channel_record& record = operation.record;
  const auto number_or_null = [](sqlite_statement::run& run, const auto& value) {
    if (value)
      run.number(static_cast<int64_t>(*value));
    else
      run.null();
  };
  sqlite_statement::run run(save_channel_);
  run.text(record.name).number(record.distinct ? 1 : 0);
  number_or_null(run, record.worker);
  number_or_null(run, record.from_ini.distinct);
  number_or_null(run, record.from_ini.worker);
  run.number(record.created_at_ms).finish();
  return change_answer{true};
}

} // namespace task_runner
