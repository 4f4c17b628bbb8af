// Between a task and its row: the columns in one fixed order, and both directions of the translation.
// The one place that knows how a task's members are laid out in the embedded store.
#pragma once

#include "services/domain/task.hpp"
#include "services/store/sqlite_connection.hpp"

#include <cstddef>
#include <string>

namespace task_runner {

/// The columns that read_task_row expects, from column 0 on; for use after SELECT.
#define TASK_ROW_COLUMNS                                                                                     \
  "sequence, state, held, attempt, attempts_before, recoveries, cancel_requested, distinct_while_pending, "  \
  "delay_is_relative, priority, concurrency_max, created_at_ms, not_before_ms, expires_at_ms, "              \
  "started_at_ms, ended_at_ms, outcome_kind, outcome_code, output_bytes, id, concurrency_key, "              \
  "distinct_key, outcome_error, name, command_line, command_argv, options, launcher_id"

/// How many columns that are.
constexpr int task_row_column_count = 28;

/// Inserts one task; bind_task_row fills its placeholders. Writes nothing when the id or the distinct key is
/// taken.
constexpr const char* insert_task_row =
    "INSERT INTO tasks (channel, " TASK_ROW_COLUMNS
    ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT DO NOTHING";

/// What has to be encoded before it can be bound; must outlive the run.
struct task_row_texts {
  explicit task_row_texts(const task& value);
  std::string argv;
  std::string options;
};

/// Binds a task as insert_task_row wants it. `value` and `texts` must outlive the run.
void bind_task_row(sqlite_statement::run& run, int64_t channel_number, int64_t sequence, const task& value,
                   const task_row_texts& texts);

/// Whether the task is as nearly all are when they are inserted: pending or running, with nothing set that
/// insert_plain_rows leaves out.
bool is_plain(const task& value) noexcept;

/// Inserts `rows` plain tasks with one statement, which opens the table and its indexes once instead of once
/// for each; bind_plain_row fills the placeholders of one. A single one writes nothing when the id or the
/// distinct key is taken; of several, those before the first that is taken are inserted.
std::string insert_plain_rows(size_t rows);

/// As bind_task_row, for insert_plain_rows.
void bind_plain_row(sqlite_statement::run& run, int64_t channel_number, int64_t sequence, const task& value,
                    const task_row_texts& texts);

/// Binds the kind and the code of an outcome.
void bind_outcome(sqlite_statement::run& run, const outcome& how);

/// The task of the current row. Throws sqlite_failure when the row is damaged.
task read_task_row(const sqlite_connection& connection, const sqlite_statement::run& run,
                   const std::string& channel);

/// The outcome whose kind, code and error stand in these columns; `whose` names the task should it be
/// damaged. Throws sqlite_failure.
outcome read_outcome(const sqlite_connection& connection, const sqlite_statement::run& run, int kind_column,
                     int code_column, int error_column, const std::string& whose);

/// Options as they are stored: JSON, empty for none.
std::string encode_stored_options(const task_options& options);

/// Reads what encode_stored_options gave; `whose` names the owner should it be damaged. Throws
/// sqlite_failure.
task_options decode_stored_options(const sqlite_connection& connection, std::string_view stored,
                                   const std::string& whose);

} // namespace task_runner
