// The beginning of a task in the embedded store: inserting one, or many at once.
// Every row is inserted first and asked about only when that writes nothing, for nearly every push is new.
#include "services/store/sqlite_writer.hpp"
#include "services/store/task_row.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <variant>

namespace task_runner {

bool sqlite_writer::insert_row(int64_t channel_number, const task& value) {
  const task_row_texts texts(value);
  if (is_plain(value)) {
    sqlite_statement::run run(insert_one_);
    bind_plain_row(run, channel_number, next_sequence_, value, texts);
    run.finish();
  } else {
    sqlite_statement::run run(insert_);
    bind_task_row(run, channel_number, next_sequence_, value, texts);
    run.finish();
  }
  return sqlite3_changes64(connection_.raw()) > 0;
}

store_answer sqlite_writer::apply_one(const insert_task& operation) {
  if (operation.origin && !mark(*operation.origin)) {
    insert_answer answer;
    answer.what = is_of_request(*operation.origin) ? insert_answer::kind::inserted_before
                                                   : insert_answer::kind::duplicate_origin;
    return answer;
  }
  return insert_marked(operation);
}

insert_answer sqlite_writer::insert_marked(const insert_task& operation) {
  const int64_t channel = channel_number(operation.value.channel, true);
  // Nearly every task goes in as it is; only a concurrency key may change where it stands.
  const task* value = &operation.value;
  std::optional<task> placed;
  if (value->held || !value->concurrency_key.empty()) {
    placed = *value;
    placed->held = value->state != task_state::delayed && !has_room(channel, *value);
    if (placed->held && placed->state == task_state::running) {
      placed->state = task_state::pending;
      placed->attempt = 0;
      placed->started_at_ms = 0;
      placed->launcher_id = 0;
    }
    value = &*placed;
  }
  if (!insert_row(channel, *value))
    return explain_conflict(operation, channel);
  return inserted(channel, *value);
}

insert_answer sqlite_writer::inserted(int64_t channel_number, const task& value) {
  // Inserted with its key, for the check, and only then without.
  if (value.state == task_state::running && value.distinct_while_pending && !value.distinct_key.empty())
    sqlite_statement::run(clear_distinct_).number(next_sequence_).finish();
  count_changes_[channel_number].count(value.state, value.held, 1);
  places_.note(value.id, next_sequence_, channel_number);
  insert_answer answer;
  answer.sequence = static_cast<uint64_t>(next_sequence_++);
  answer.held = value.held;
  return answer;
}

size_t sqlite_writer::insert_together(const std::vector<store_operation>& operations, size_t from,
                                      std::vector<store_answer>& answers) {
  std::array<const insert_task*, insert_many> rows{};
  const size_t most = std::min(insert_many, operations.size() - from);
  size_t count = 0;
  while (count < most) {
    const auto* one = std::get_if<insert_task>(&operations[from + count]);
    if (one == nullptr || !is_plain(one->value))
      break;
    rows[count++] = one;
  }
  if (count < insert_few)
    return 0;
  count = count < insert_many ? insert_few : insert_many;
  sqlite_statement& statement = count == insert_many ? insert_many_ : insert_few_;

  if (const size_t marked = mark_together(rows.data(), count); marked < count) {
    // Those before it are marked and have to go in, one by one; then this one is looked at again.
    for (size_t before = 0; before < marked; ++before)
      answers.push_back(insert_marked(*rows[before]));
    return marked;
  }

  std::array<int64_t, insert_many> channels{};
  size_t done = count;
  {
    std::array<std::optional<task_row_texts>, insert_many> texts;
    for (size_t i = 0; i < count; ++i)
      channels[i] = channel_number(rows[i]->value.channel, true);
    sqlite_statement::run run(statement);
    for (size_t i = 0; i < count; ++i)
      bind_plain_row(run, channels[i], next_sequence_ + static_cast<int64_t>(i), rows[i]->value,
                     texts[i].emplace(rows[i]->value));
    if (!run.finish_unless_conflict())
      done = static_cast<size_t>(sqlite3_changes64(connection_.raw()));
  }
  for (size_t i = 0; i < done; ++i)
    answers.push_back(inserted(channels[i], rows[i]->value));
  // The first of these is in conflict; the others were not tried.
  for (size_t i = done; i < count; ++i)
    answers.push_back(insert_marked(*rows[i]));
  return count;
}

insert_answer sqlite_writer::explain_conflict(const insert_task& operation, int64_t channel_number) {
  const task& value = operation.value;
  insert_answer answer;
  if (find_position(value.id)) {
    if (operation.origin)
      unmark(*operation.origin);
    const task_row_texts texts(value);
    sqlite_statement::run same(find_same_);
    same.text(value.id)
        .number(channel_number)
        .text(value.name)
        .text_or_null(value.command.line)
        .blob_or_null(texts.argv);
    answer.what = insert_answer::kind::duplicate_id;
    answer.holder_id = value.id;
    answer.same_definition = same.next();
    return answer;
  }
  if (operation.origin && is_of_request(*operation.origin))
    unmark(*operation.origin);
  answer.what = insert_answer::kind::duplicate_key;
  answer.holder_id = find_holder(channel_number, value.distinct_key);
  if (answer.holder_id.empty())
    connection_.fail_damaged("sequence " + std::to_string(next_sequence_) + " is taken");
  return answer;
}

} // namespace task_runner
