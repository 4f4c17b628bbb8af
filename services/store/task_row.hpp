// Between a task and its row: the columns in one fixed order, and both directions of the translation.
// The one place that knows how a task's members are laid out in the embedded store.
#pragma once

#include "services/domain/task.hpp"
#include "services/store/sqlite_connection.hpp"

#include <string>

namespace task_runner {

/// The columns that read_task_row expects, from column 0 on; for use after SELECT.
#define TASK_ROW_COLUMNS                                                                                     \
  "sequence, state, attempt, recoveries, created_at_ms, not_before_ms, started_at_ms, ended_at_ms, "         \
  "outcome_kind, outcome_code, outcome_error, id, distinct_key, name, command_line, command_argv"

/// How many columns that are.
constexpr int task_row_column_count = 16;

/// Inserts one task; bind_task_row fills its placeholders. Writes nothing when the id or the distinct key is
/// taken.
constexpr const char* insert_task_row =
    "INSERT INTO tasks (channel, " TASK_ROW_COLUMNS
    ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";

/// Binds a task as insert_task_row wants it. `value` and `argv`, its encoded argument vector, must outlive
/// the run.
void bind_task_row(sqlite_statement::run& run, int64_t channel_number, int64_t sequence, const task& value,
                   const std::string& argv);

/// Binds the three columns of an outcome.
void bind_outcome(sqlite_statement::run& run, const outcome& how);

/// The task of the current row. Throws sqlite_failure when the row is damaged.
task read_task_row(const sqlite_connection& connection, const sqlite_statement::run& run,
                   const std::string& channel);

} // namespace task_runner
