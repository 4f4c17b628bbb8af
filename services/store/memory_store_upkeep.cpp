// What the store in memory does around tasks: purging what has ended, the clock, origin marks, channels.
// memory_store.cpp has the tasks' own life.
#include "services/store/memory_store.hpp"
#include "services/store/store_rules.hpp"

#include <algorithm>
#include <cstdint>
#include <map>

namespace task_runner {

namespace {

/// What the output of a task's attempts counts for.
uint64_t kept_bytes_of(const task& value, const std::map<uint32_t, attempt_record>& attempts, uint64_t most) {
  uint64_t bytes = 0;
  for (const auto& [number, attempt] : attempts)
    bytes += std::min(attempt.output_bytes, most);
  return attempts.count(value.attempt) > 0 ? bytes : bytes + std::min(value.output_bytes, most);
}

} // namespace

uint64_t memory_store::next_to_purge(const purge_ended& rule, uint64_t kept_bytes) const {
  if (rule.ended_before_ms > 0 && !ended_.empty() && ended_.begin()->first < rule.ended_before_ms)
    return ended_.begin()->second;
  if (rule.dead_before_ms > 0 && !dead_.empty() && dead_.begin()->first < rule.dead_before_ms)
    return dead_.begin()->second;
  const bool too_many = rule.tasks_max > 0 && ended_.size() + dead_.size() > rule.tasks_max;
  const bool too_large = rule.output_bytes_max > 0 && kept_bytes > rule.output_bytes_max;
  if (!too_many && !too_large)
    return 0;
  if (ended_.empty() || dead_.empty())
    return (ended_.empty() ? dead_ : ended_).begin()->second;
  return std::min(*ended_.begin(), *dead_.begin()).second;
}

store_answer memory_store::apply_one(const purge_ended& operation) {
  purge_answer answer;
  uint64_t kept_bytes = 0;
  if (operation.output_bytes_max > 0)
    for (const auto& [sequence, one] : tasks_)
      if (is_terminal(one.value.state))
        kept_bytes += kept_bytes_of(one.value, one.attempts, operation.kept_bytes_max);
  while (const uint64_t sequence = next_to_purge(operation, kept_bytes)) {
    if (answer.tasks >= operation.limit) {
      answer.more = true;
      break;
    }
    const row& oldest = tasks_.at(sequence);
    for (const auto& [number, attempt] : oldest.attempts)
      answer.purged.push_back({oldest.value.id, number});
    if (oldest.value.attempt > 0 && oldest.attempts.count(oldest.value.attempt) == 0)
      answer.purged.push_back({oldest.value.id, oldest.value.attempt});
    if (operation.output_bytes_max > 0)
      kept_bytes -= kept_bytes_of(oldest.value, oldest.attempts, operation.kept_bytes_max);
    ++answer.tasks;
    erase(sequence);
  }
  return answer;
}

store_answer memory_store::apply_one(const adjust_clock& operation) {
  clock_ = operation.mark;
  if (operation.shift_ms != 0)
    for (auto& [sequence, one] : tasks_) {
      const bool waits = one.value.state == task_state::delayed && one.value.delay_is_relative;
      const bool expires = can_expire(one.value);
      if (!waits && !expires)
        continue;
      unlink(one.value);
      if (waits)
        one.value.not_before_ms = shifted_moment(one.value.not_before_ms, operation.shift_ms);
      if (expires)
        one.value.expires_at_ms = shifted_moment(one.value.expires_at_ms, operation.shift_ms);
      link(one.value);
    }
  change_answer answer;
  answer.applied = true;
  return answer;
}

store_answer memory_store::apply_one(const mark_origin& operation) {
  change_answer answer;
  answer.applied = marks_[operation.origin.batch].insert(operation.origin.position).second;
  return answer;
}

store_answer memory_store::apply_one(const forget_batch& operation) {
  change_answer answer;
  answer.applied = marks_.erase(operation.batch) > 0;
  return answer;
}

store_answer memory_store::apply_one(const save_channel& operation) {
  channels_[operation.record->name] = *operation.record;
  change_answer answer;
  answer.applied = true;
  return answer;
}

store_answer memory_store::apply_one(const remove_channel& operation) {
  change_answer answer;
  const auto& index = index_[operation.name];
  if (index.pending.empty() && index.held.empty() && index.delayed.empty() && index.running.empty())
    answer.applied = channels_.erase(operation.name) > 0;
  return answer;
}

} // namespace task_runner
