// Binding and reading the columns of a task.
// What is read is checked: a damaged row is an error that names the task, never a task with invented values.
#include "services/store/task_row.hpp"

#include "services/store/argv_codec.hpp"
#include "services/wire/task_options_json.hpp"

#include <memory>
#include <utility>

namespace task_runner {

task_row_texts::task_row_texts(const task& value)
    : argv(encode_argv(value.command.argv)) {
  if (value.options)
    options = encode_stored_options(*value.options);
}

std::string encode_stored_options(const task_options& options) {
  return options.empty() ? std::string() : encode_task_options(options);
}

task_options decode_stored_options(const sqlite_connection& connection, std::string_view stored,
                                   const std::string& whose) {
  if (stored.empty())
    return {};
  auto options = decode_task_options(stored);
  if (!options)
    connection.fail_damaged("the options of " + whose + " cannot be read: " + options.failure().message);
  return *std::move(options);
}

void bind_outcome(sqlite_statement::run& run, const outcome& how) {
  run.number(static_cast<int64_t>(how.kind)).number(how.code);
}

void bind_task_row(sqlite_statement::run& run, int64_t channel_number, int64_t sequence, const task& value,
                   const task_row_texts& texts) {
  run.number(channel_number)
      .number(sequence)
      .number(static_cast<int64_t>(value.state))
      .number(value.held ? 1 : 0)
      .number(value.attempt)
      .number(value.attempts_before)
      .number(value.recoveries)
      .number(value.cancel_requested ? 1 : 0)
      .number(value.distinct_while_pending ? 1 : 0)
      .number(value.delay_is_relative ? 1 : 0)
      .number(value.priority)
      .number(value.concurrency_max)
      .number(value.created_at_ms)
      .number(value.not_before_ms)
      .number(value.expires_at_ms)
      .number(value.started_at_ms)
      .number(value.ended_at_ms);
  if (value.last_outcome)
    bind_outcome(run, *value.last_outcome);
  else
    run.null().null();
  run.number(static_cast<int64_t>(value.output_bytes))
      .text(value.id)
      .text_or_null(value.concurrency_key)
      .text_or_null(value.distinct_key);
  if (value.last_outcome)
    run.text_or_null(value.last_outcome->error);
  else
    run.null();
  run.text(value.name)
      .text_or_null(value.command.line)
      .blob_or_null(texts.argv)
      .text_or_null(texts.options)
      .number(static_cast<int64_t>(value.launcher_id));
}

bool is_plain(const task& value) noexcept {
  const bool is_new = value.attempts_before == 0 && value.recoveries == 0 && !value.cancel_requested &&
                      value.ended_at_ms == 0 && value.output_bytes == 0 && !value.last_outcome;
  const bool at_once = (value.state == task_state::pending || value.state == task_state::running) &&
                       value.not_before_ms == 0 && !value.delay_is_relative && value.expires_at_ms == 0;
  return is_new && at_once && !value.held && value.concurrency_key.empty() && value.concurrency_max == 0;
}

std::string insert_plain_rows(size_t rows) {
  const std::string conflict = rows == 1 ? " ON CONFLICT DO NOTHING" : "";
  std::string sql = rows == 1 ? "INSERT" : "INSERT OR FAIL";
  sql += " INTO tasks (channel, " TASK_ROW_COLUMNS ") VALUES ";
  for (size_t row = 0; row < rows; ++row) {
    sql += row == 0 ? "(" : ", (";
    // The order of TASK_ROW_COLUMNS, behind the channel.
    sql +=
        "?, ?, ?, 0, ?, 0, 0, 0, ?, 0, ?, 0, ?, 0, 0, ?, 0, NULL, NULL, 0, ?, NULL, ?, NULL, ?, ?, ?, ?, ?)";
  }
  return sql + conflict;
}

void bind_plain_row(sqlite_statement::run& run, int64_t channel_number, int64_t sequence, const task& value,
                    const task_row_texts& texts) {
  run.number(channel_number)
      .number(sequence)
      .number(static_cast<int64_t>(value.state))
      .number(value.attempt)
      .number(value.distinct_while_pending ? 1 : 0)
      .number(value.priority)
      .number(value.created_at_ms)
      .number(value.started_at_ms)
      .text(value.id)
      .text_or_null(value.distinct_key)
      .text(value.name)
      .text_or_null(value.command.line)
      .blob_or_null(texts.argv)
      .text_or_null(texts.options)
      .number(static_cast<int64_t>(value.launcher_id));
}

outcome read_outcome(const sqlite_connection& connection, const sqlite_statement::run& run, int kind_column,
                     int code_column, int error_column, const std::string& whose) {
  const int64_t kind = run.number_at(kind_column);
  if (kind < 0 || kind > static_cast<int64_t>(outcome_kind::lost))
    connection.fail_damaged("task " + whose + " has the unknown outcome " + std::to_string(kind));
  return {static_cast<outcome_kind>(kind), static_cast<int>(run.number_at(code_column)),
          run.text_at(error_column)};
}

task read_task_row(const sqlite_connection& connection, const sqlite_statement::run& run,
                   const std::string& channel) {
  task value;
  int column = 0;
  value.sequence = static_cast<uint64_t>(run.number_at(column++));
  const int64_t state = run.number_at(column++);
  value.held = run.number_at(column++) != 0;
  value.attempt = static_cast<uint32_t>(run.number_at(column++));
  value.attempts_before = static_cast<uint32_t>(run.number_at(column++));
  value.recoveries = static_cast<uint32_t>(run.number_at(column++));
  value.cancel_requested = run.number_at(column++) != 0;
  value.distinct_while_pending = run.number_at(column++) != 0;
  value.delay_is_relative = run.number_at(column++) != 0;
  value.priority = static_cast<int32_t>(run.number_at(column++));
  value.concurrency_max = static_cast<uint32_t>(run.number_at(column++));
  value.created_at_ms = run.number_at(column++);
  value.not_before_ms = run.number_at(column++);
  value.expires_at_ms = run.number_at(column++);
  value.started_at_ms = run.number_at(column++);
  value.ended_at_ms = run.number_at(column++);
  const int kind_column = column++;
  const int code_column = column++;
  value.output_bytes = static_cast<uint64_t>(run.number_at(column++));
  value.id = run.text_at(column++);
  value.concurrency_key = run.text_at(column++);
  value.distinct_key = run.text_at(column++);
  const int error_column = column++;
  value.name = run.text_at(column++);
  value.command.line = run.text_at(column++);
  auto argv = decode_argv(run.bytes_at(column++));
  const int options_column = column++;
  value.launcher_id = static_cast<uint64_t>(run.number_at(column++));
  value.channel = channel;

  if (state < 0 || state > static_cast<int64_t>(task_state::cancelled))
    connection.fail_damaged("task " + value.id + " has the unknown state " + std::to_string(state));
  value.state = static_cast<task_state>(state);
  if (!argv)
    connection.fail_damaged("the arguments of task " + value.id + " cannot be read");
  value.command.argv = std::move(*argv);
  if (!run.is_null_at(kind_column))
    value.last_outcome = read_outcome(connection, run, kind_column, code_column, error_column, value.id);
  if (!run.is_null_at(options_column))
    value.options = std::make_shared<const task_options>(
        decode_stored_options(connection, run.bytes_at(options_column), "task " + value.id));
  return value;
}

} // namespace task_runner
