// What people and moments do to tasks: cancelling, expiring, retrying, releasing.
// Tasks are read whole before they are changed, because the answer tells how they stood.
#include "services/store/sqlite_writer.hpp"
#include "services/store/task_row.hpp"

#include <iterator>
#include <limits>
#include <utility>

namespace task_runner {

wall_time_ms sqlite_writer::next_moment(sqlite_statement& earliest, int64_t channel_number) {
  sqlite_statement::run run(earliest);
  return run.number(channel_number).next() ? run.number_at(0) : 0;
}

void sqlite_writer::end_waiting(int64_t channel_number, const task& before, outcome_kind why,
                                wall_time_ms now_ms) {
  const auto sequence = static_cast<int64_t>(before.sequence);
  sqlite_statement::run(end_waiting_)
      .number(static_cast<int64_t>(why))
      .number(now_ms)
      .number(sequence)
      .finish();
  moved(channel_number, before.state, before.held, task_state::cancelled, false);
  if (before.attempt > 0 || before.output_bytes > 0)
    count_changes_[channel_number].kept_bytes += kept_bytes_of(sequence);
}

sweep_answer sqlite_writer::end_all(int64_t channel_number, const std::string& channel,
                                    std::vector<task> waiting, outcome_kind why, wall_time_ms now_ms) {
  sweep_answer answer;
  for (const auto& one : waiting)
    end_waiting(channel_number, one, why, now_ms);
  // Only when all are ended: what expires itself must not get into line first.
  for (const auto& one : waiting)
    if (!one.concurrency_key.empty())
      release_key(channel_number, channel, one.concurrency_key, std::numeric_limits<uint64_t>::max(),
                  answer.released);
  answer.cancelled = std::move(waiting);
  answer.next_expiry_ms = next_moment(next_expiry_, channel_number);
  return answer;
}

store_answer sqlite_writer::apply_one(const expire_due& operation) {
  const int64_t channel = channel_number(operation.channel, false);
  if (channel == 0)
    return sweep_answer{};
  std::vector<task> due;
  {
    sqlite_statement::run run(load_expired_);
    run.number(channel).number(operation.now_ms).number(operation.limit);
    due = collect(run, operation.channel);
  }
  return end_all(channel, operation.channel, std::move(due), outcome_kind::expired, operation.now_ms);
}

store_answer sqlite_writer::apply_one(const cancel_channel_tasks& operation) {
  const int64_t channel = channel_number(operation.channel, false);
  if (channel == 0)
    return sweep_answer{};
  std::vector<task> waiting;
  // Those that are held go first: otherwise they would get into line for the others, only to be cancelled.
  for (auto* const search : {&load_held_, &load_pending_, &load_delayed_}) {
    sqlite_statement::run run(*search);
    run.number(channel).number(static_cast<int64_t>(operation.limit - waiting.size()));
    auto some = collect(run, operation.channel);
    waiting.insert(waiting.end(), std::make_move_iterator(some.begin()), std::make_move_iterator(some.end()));
  }
  return end_all(channel, operation.channel, std::move(waiting), outcome_kind::cancelled, operation.now_ms);
}

store_answer sqlite_writer::apply_one(const cancel_task& operation) {
  change_answer answer;
  auto found = find_whole(operation.id);
  if (!found)
    return answer;
  task& value = found->value;
  if (value.state == task_state::running) {
    if (!value.cancel_requested)
      sqlite_statement::run(request_cancel_).number(static_cast<int64_t>(value.sequence)).finish();
    answer.applied = !value.cancel_requested;
    if (answer.applied)
      answer.before = task_state::running;
    value.cancel_requested = true;
  } else if (!is_terminal(value.state)) {
    answer.before = value.state;
    answer.was_held = value.held;
    end_waiting(found->channel_number, value, outcome_kind::cancelled, operation.now_ms);
    answer.applied = true;
    value.state = task_state::cancelled;
    value.held = false;
    value.last_outcome = outcome{outcome_kind::cancelled, 0, {}};
    value.ended_at_ms = operation.now_ms;
    if (!value.concurrency_key.empty())
      release_key(found->channel_number, value.channel, value.concurrency_key,
                  std::numeric_limits<uint64_t>::max(), answer.released);
  }
  answer.after = std::move(value);
  return answer;
}

store_answer sqlite_writer::apply_one(const retry_task& operation) {
  change_answer answer;
  auto found = find_whole(operation.id);
  if (!found)
    return answer;
  task& value = found->value;
  if (value.state == task_state::dead || value.state == task_state::cancelled) {
    answer.holder_id = find_holder(found->channel_number, value.distinct_key);
    if (answer.holder_id.empty()) {
      const auto sequence = static_cast<int64_t>(value.sequence);
      count_changes_[found->channel_number].kept_bytes -= kept_bytes_of(sequence);
      sqlite_statement::run(record_attempt_).number(sequence).finish();
      const task_state former = value.state;
      value.state = task_state::pending;
      value.held = !has_room(found->channel_number, value);
      value.attempts_before = value.attempt;
      value.recoveries = 0;
      value.expires_at_ms = 0;
      value.cancel_requested = false;
      value.not_before_ms = 0;
      value.delay_is_relative = false;
      sqlite_statement::run(retry_).number(value.held ? 1 : 0).number(sequence).finish();
      moved(found->channel_number, former, false, task_state::pending, value.held);
      answer.applied = true;
    }
  }
  answer.after = std::move(value);
  return answer;
}

store_answer sqlite_writer::apply_one(const release_distinct& operation) {
  change_answer answer;
  auto found = find_whole(operation.id);
  if (!found)
    return answer;
  task& value = found->value;
  answer.applied = !is_terminal(value.state) && !value.distinct_key.empty();
  if (answer.applied) {
    sqlite_statement::run(clear_distinct_).number(static_cast<int64_t>(value.sequence)).finish();
    value.distinct_key.clear();
  }
  answer.after = std::move(value);
  return answer;
}

store_answer sqlite_writer::apply_one(const release_held& operation) {
  sweep_answer answer;
  const int64_t channel = channel_number(operation.channel, false);
  if (channel == 0)
    return answer;
  // From key to key by search; a key that stays full costs two.
  for (std::string key; answer.released.size() < operation.limit;) {
    {
      sqlite_statement::run run(next_held_key_);
      const std::string last = key;
      if (!run.number(channel).text(last).next())
        break;
      key = run.text_at(0);
    }
    release_key(channel, operation.channel, key, operation.limit - answer.released.size(), answer.released);
  }
  answer.next_expiry_ms = next_moment(next_expiry_, channel);
  return answer;
}

} // namespace task_runner
