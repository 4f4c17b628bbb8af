// Binding and reading the columns of a task.
// What is read is checked: a damaged row is an error that names the task, never a task with invented values.
#include "services/store/task_row.hpp"

#include "services/store/argv_codec.hpp"

namespace task_runner {

void bind_outcome(sqlite_statement::run& run, const outcome& how) {
  run.number(static_cast<int64_t>(how.kind)).number(how.code).text_or_null(how.error);
}

void bind_task_row(sqlite_statement::run& run, int64_t channel_number, int64_t sequence, const task& value,
                   const std::string& argv) {
  run.number(channel_number)
      .number(sequence)
      .number(static_cast<int64_t>(value.state))
      .number(value.attempt)
      .number(value.recoveries)
      .number(value.created_at_ms)
      .number(value.not_before_ms)
      .number(value.started_at_ms)
      .number(value.ended_at_ms);
  if (value.last_outcome)
    bind_outcome(run, *value.last_outcome);
  else
    run.null().null().null();
  run.text(value.id)
      .text_or_null(value.distinct_key)
      .text(value.name)
      .text_or_null(value.command.line)
      .blob_or_null(argv);
}

task read_task_row(const sqlite_connection& connection, const sqlite_statement::run& run,
                   const std::string& channel) {
  task value;
  int column = 0;
  value.sequence = static_cast<uint64_t>(run.number_at(column++));
  const int64_t state = run.number_at(column++);
  value.attempt = static_cast<uint32_t>(run.number_at(column++));
  value.recoveries = static_cast<uint32_t>(run.number_at(column++));
  value.created_at_ms = run.number_at(column++);
  value.not_before_ms = run.number_at(column++);
  value.started_at_ms = run.number_at(column++);
  value.ended_at_ms = run.number_at(column++);
  const bool has_outcome = !run.is_null_at(column);
  const int64_t kind = run.number_at(column++);
  const int64_t code = run.number_at(column++);
  std::string outcome_error = run.text_at(column++);
  value.id = run.text_at(column++);
  value.distinct_key = run.text_at(column++);
  value.name = run.text_at(column++);
  value.command.line = run.text_at(column++);
  auto argv = decode_argv(run.bytes_at(column));
  value.channel = channel;

  if (state < 0 || state > static_cast<int64_t>(task_state::cancelled))
    connection.fail_damaged("task " + value.id + " has the unknown state " + std::to_string(state));
  value.state = static_cast<task_state>(state);
  if (!argv)
    connection.fail_damaged("the arguments of task " + value.id + " cannot be read");
  value.command.argv = std::move(*argv);
  if (has_outcome) {
    if (kind < 0 || kind > static_cast<int64_t>(outcome_kind::lost))
      connection.fail_damaged("task " + value.id + " has the unknown outcome " + std::to_string(kind));
    value.last_outcome =
        outcome{static_cast<outcome_kind>(kind), static_cast<int>(code), std::move(outcome_error)};
  }
  return value;
}

} // namespace task_runner
