// The store in memory: where tasks stand, and how operations move them; memory_store_upkeep.cpp has what is
// done around them. All checks come before the first change, so that an apply that fails has changed nothing.
#include "services/store/memory_store.hpp"

#include "services/store/store_rules.hpp"

#include <algorithm>
#include <limits>
#include <utility>
#include <variant>

namespace task_runner {

// -- where a task stands --------------------------------------------------------

bool memory_store::can_expire(const task& value) noexcept {
  return value.expires_at_ms > 0 && value.state < task_state::running &&
         value.attempt == value.attempts_before;
}

memory_store::row* memory_store::find(const std::string& id) {
  const auto at = sequences_.find(id);
  return at == sequences_.end() ? nullptr : &tasks_.at(at->second);
}

void memory_store::unlink(const task& value) {
  auto& index = index_[value.channel];
  switch (value.state) {
  case task_state::pending:
    if (value.held) {
      index.held.erase(value.sequence);
      const auto same = index.held_by_key.find(value.concurrency_key);
      same->second.erase(order_of(value));
      if (same->second.empty())
        index.held_by_key.erase(same);
    } else {
      index.pending.erase(order_of(value));
    }
    break;
  case task_state::delayed:
    index.delayed.erase({value.not_before_ms, value.sequence});
    break;
  case task_state::running:
    index.running.erase(value.sequence);
    break;
  default:
    --index.ended;
    if (value.state == task_state::dead && dead_letters_ != nullptr)
      dead_letters_->add(value.channel, -1);
    (value.state == task_state::dead ? dead_ : ended_).erase({value.ended_at_ms, value.sequence});
    return;
  }
  if (can_expire(value))
    index.expiring.erase({value.expires_at_ms, value.sequence});
  if (!value.distinct_key.empty())
    index.holders.erase(value.distinct_key);
  if (!value.concurrency_key.empty() && !value.held && value.state != task_state::delayed) {
    const auto use = index.key_use.find(value.concurrency_key);
    if (--use->second == 0)
      index.key_use.erase(use);
  }
}

void memory_store::link(const task& value) {
  auto& index = index_[value.channel];
  switch (value.state) {
  case task_state::pending:
    if (value.held) {
      index.held.insert(value.sequence);
      index.held_by_key[value.concurrency_key].insert(order_of(value));
    } else {
      index.pending.insert(order_of(value));
    }
    break;
  case task_state::delayed:
    index.delayed.insert({value.not_before_ms, value.sequence});
    break;
  case task_state::running:
    index.running.insert(value.sequence);
    break;
  default:
    ++index.ended;
    if (value.state == task_state::dead && dead_letters_ != nullptr)
      dead_letters_->add(value.channel, 1);
    (value.state == task_state::dead ? dead_ : ended_).insert({value.ended_at_ms, value.sequence});
    return;
  }
  if (can_expire(value))
    index.expiring.insert({value.expires_at_ms, value.sequence});
  if (!value.distinct_key.empty())
    index.holders.emplace(value.distinct_key, value.sequence);
  if (!value.concurrency_key.empty() && !value.held && value.state != task_state::delayed)
    ++index.key_use[value.concurrency_key];
}

bool memory_store::has_room(const task& value) {
  if (value.concurrency_key.empty())
    return true;
  const auto& use = index_[value.channel].key_use;
  const auto found = use.find(value.concurrency_key);
  return found == use.end() || found->second < value.concurrency_max;
}

void memory_store::record_attempt(row& of) {
  const task& value = of.value;
  if (value.attempt > 0 && value.last_outcome)
    of.attempts.emplace(value.attempt, attempt_record{value.attempt, value.started_at_ms, value.ended_at_ms,
                                                      *value.last_outcome, value.output_bytes});
}

task memory_store::end_waiting(row& waiting, outcome_kind why, wall_time_ms now_ms) {
  task before = waiting.value;
  unlink(before);
  task& value = waiting.value;
  value.state = task_state::cancelled;
  value.held = false;
  value.last_outcome = outcome{why, 0, {}};
  value.ended_at_ms = now_ms;
  link(value);
  return before;
}

void memory_store::release_key(const std::string& channel, const std::string& key, uint32_t limit,
                               std::vector<task>& released) {
  auto& index = index_[channel];
  for (uint32_t done = 0; done < limit; ++done) {
    const auto same = index.held_by_key.find(key);
    if (same == index.held_by_key.end())
      return;
    task& first = tasks_.at(same->second.begin()->sequence).value;
    if (!has_room(first))
      return;
    unlink(first);
    first.held = false;
    link(first);
    released.push_back(first);
  }
}

sweep_answer memory_store::end_all(const std::string& channel, const std::vector<uint64_t>& sequences,
                                   outcome_kind why, wall_time_ms now_ms) {
  sweep_answer answer;
  for (const uint64_t sequence : sequences)
    answer.cancelled.push_back(end_waiting(tasks_.at(sequence), why, now_ms));
  // Only when all are ended: what expires itself must not get into line first.
  for (const auto& one : answer.cancelled)
    if (!one.concurrency_key.empty())
      release_key(channel, one.concurrency_key, std::numeric_limits<uint32_t>::max(), answer.released);
  if (const auto& expiring = index_[channel].expiring; !expiring.empty())
    answer.next_expiry_ms = expiring.begin()->first;
  return answer;
}

void memory_store::erase(uint64_t sequence) {
  const auto at = tasks_.find(sequence);
  unlink(at->second.value);
  sequences_.erase(at->second.value.id);
  tasks_.erase(at);
}

// -- operations -----------------------------------------------------------------

result<std::vector<store_answer>> memory_store::apply(const std::vector<store_operation>& operations) {
  if (auto checked = check_operations(operations); !checked)
    return checked.failure();
  std::vector<store_answer> answers;
  answers.reserve(operations.size());
  for (const auto& operation : operations)
    answers.push_back(std::visit([this](const auto& one) { return apply_one(one); }, operation));
  return answers;
}

store_answer memory_store::apply_one(const insert_task& operation) {
  insert_answer answer;
  if (operation.origin) {
    const auto batch = marks_.find(operation.origin->batch);
    if (batch != marks_.end() && batch->second.count(operation.origin->position) > 0) {
      answer.what = is_of_request(*operation.origin) ? insert_answer::kind::inserted_before
                                                     : insert_answer::kind::duplicate_origin;
      return answer;
    }
  }
  if (const row* holder = find(operation.value.id); holder != nullptr) {
    answer.what = insert_answer::kind::duplicate_id;
    answer.holder_id = operation.value.id;
    answer.same_definition = holder->value.channel == operation.value.channel &&
                             holder->value.name == operation.value.name &&
                             holder->value.command == operation.value.command;
    return answer;
  }
  // From here on the message is decided, whether it becomes a task or has found its holder.
  if (operation.origin)
    marks_[operation.origin->batch].insert(operation.origin->position);
  if (!operation.value.distinct_key.empty()) {
    const auto& holders = index_[operation.value.channel].holders;
    if (const auto holder = holders.find(operation.value.distinct_key); holder != holders.end()) {
      if (operation.origin && is_of_request(*operation.origin))
        unmark(*operation.origin);
      answer.what = insert_answer::kind::duplicate_key;
      answer.holder_id = tasks_.at(holder->second).value.id;
      return answer;
    }
  }
  row made{operation.value, {}};
  task& value = made.value;
  if (value.options && value.options->empty())
    value.options.reset();
  value.held = value.state != task_state::delayed && !has_room(value);
  if (value.held && value.state == task_state::running) {
    value.state = task_state::pending;
    value.attempt = 0;
    value.started_at_ms = 0;
    value.launcher_id = 0;
  }
  if (value.state == task_state::running && value.distinct_while_pending)
    value.distinct_key.clear();
  value.sequence = next_sequence_++;
  answer.sequence = value.sequence;
  answer.held = value.held;
  sequences_.emplace(value.id, value.sequence);
  link(value);
  tasks_.emplace(answer.sequence, std::move(made));
  return answer;
}

store_answer memory_store::apply_one(const lease_task& operation) {
  change_answer answer;
  row* const found = find(operation.id);
  if (found == nullptr)
    return answer;
  task& value = found->value;
  if (value.state != task_state::pending || value.held || value.attempt >= operation.attempt) {
    answer.after = value;
    return answer;
  }
  unlink(value);
  value.state = task_state::running;
  value.attempt = operation.attempt;
  value.started_at_ms = operation.started_at_ms;
  value.launcher_id = operation.launcher_id;
  value.ended_at_ms = 0;
  value.last_outcome.reset();
  value.output_bytes = 0;
  if (value.distinct_while_pending)
    value.distinct_key.clear();
  link(value);
  answer.applied = true;
  return answer;
}

store_answer memory_store::apply_one(const return_lease& operation) {
  change_answer answer;
  row* const found = find(operation.id);
  if (found == nullptr)
    return answer;
  task& value = found->value;
  if (value.channel != operation.channel || value.state != task_state::running || value.attempt != 1 ||
      value.attempts_before != 0 || value.cancel_requested || value.distinct_while_pending ||
      !value.concurrency_key.empty()) {
    answer.after = value;
    return answer;
  }
  unlink(value);
  value.state = task_state::pending;
  value.attempt = 0;
  value.started_at_ms = 0;
  value.launcher_id = 0;
  link(value);
  answer.applied = true;
  return answer;
}

store_answer memory_store::apply_one(const settle_task& operation) {
  change_answer answer;
  row* const found = find(operation.id);
  if (found == nullptr)
    return answer;
  task& value = found->value;
  if (value.state != task_state::running || value.attempt != operation.attempt) {
    answer.after = value;
    return answer;
  }
  unlink(value);
  value.state = operation.state;
  value.last_outcome = operation.how;
  if (operation.started_at_ms != 0)
    value.started_at_ms = operation.started_at_ms;
  value.ended_at_ms = operation.ended_at_ms;
  value.recoveries = operation.recoveries;
  value.output_bytes = operation.output_bytes;
  if (value.state == task_state::delayed) {
    value.not_before_ms = operation.not_before_ms;
    value.delay_is_relative = true;
  }
  link(value);
  if (!is_terminal(value.state))
    record_attempt(*found);
  if (!value.concurrency_key.empty() && value.state != task_state::pending)
    release_key(value.channel, value.concurrency_key, std::numeric_limits<uint32_t>::max(), answer.released);
  answer.applied = true;
  return answer;
}

store_answer memory_store::apply_one(const promote_due& operation) {
  promote_answer answer;
  auto& index = index_[operation.channel];
  while (!index.delayed.empty() && index.delayed.begin()->first <= operation.now_ms &&
         answer.promoted.size() + answer.held_count < operation.limit) {
    task& due = tasks_.at(index.delayed.begin()->second).value;
    unlink(due);
    due.state = task_state::pending;
    due.held = !has_room(due);
    link(due);
    if (due.held)
      ++answer.held_count;
    else
      answer.promoted.push_back(due);
  }
  if (!index.delayed.empty())
    answer.next_due_ms = index.delayed.begin()->first;
  return answer;
}

store_answer memory_store::apply_one(const expire_due& operation) {
  std::vector<uint64_t> due;
  for (const auto& [moment, sequence] : index_[operation.channel].expiring) {
    if (moment > operation.now_ms || due.size() >= operation.limit)
      break;
    due.push_back(sequence);
  }
  return end_all(operation.channel, due, outcome_kind::expired, operation.now_ms);
}

store_answer memory_store::apply_one(const cancel_channel_tasks& operation) {
  const auto& index = index_[operation.channel];
  std::vector<uint64_t> waiting;
  const auto add = [&](uint64_t sequence) {
    if (waiting.size() < operation.limit)
      waiting.push_back(sequence);
    return waiting.size() < operation.limit;
  };
  // Those that are held go first: otherwise they would get into line for the others, only to be cancelled.
  for (auto at = index.held.begin(); at != index.held.end() && add(*at);)
    ++at;
  for (auto at = index.pending.begin(); at != index.pending.end() && add(at->sequence);)
    ++at;
  for (auto at = index.delayed.begin(); at != index.delayed.end() && add(at->second);)
    ++at;
  return end_all(operation.channel, waiting, outcome_kind::cancelled, operation.now_ms);
}

store_answer memory_store::apply_one(const cancel_task& operation) {
  change_answer answer;
  row* const found = find(operation.id);
  if (found == nullptr)
    return answer;
  task& value = found->value;
  if (value.state == task_state::running) {
    answer.applied = !value.cancel_requested;
    if (answer.applied)
      answer.before = task_state::running;
    value.cancel_requested = true;
  } else if (!is_terminal(value.state)) {
    answer.before = value.state;
    answer.was_held = value.held;
    end_waiting(*found, outcome_kind::cancelled, operation.now_ms);
    answer.applied = true;
    if (!value.concurrency_key.empty())
      release_key(value.channel, value.concurrency_key, std::numeric_limits<uint32_t>::max(),
                  answer.released);
  }
  answer.after = value;
  return answer;
}

store_answer memory_store::apply_one(const retry_task& operation) {
  change_answer answer;
  row* const found = find(operation.id);
  if (found == nullptr)
    return answer;
  task& value = found->value;
  if (value.state == task_state::dead || value.state == task_state::cancelled) {
    const auto& holders = index_[value.channel].holders;
    if (const auto holder = holders.find(value.distinct_key); holder != holders.end()) {
      answer.holder_id = tasks_.at(holder->second).value.id;
    } else {
      record_attempt(*found);
      unlink(value);
      value.state = task_state::pending;
      value.held = !has_room(value);
      value.attempts_before = value.attempt;
      value.recoveries = 0;
      value.expires_at_ms = 0;
      value.cancel_requested = false;
      value.not_before_ms = 0;
      value.delay_is_relative = false;
      link(value);
      answer.applied = true;
    }
  }
  answer.after = value;
  return answer;
}

store_answer memory_store::apply_one(const delete_task& operation) {
  change_answer answer;
  const row* const found = find(operation.id);
  if (found == nullptr)
    return answer;
  answer.after = found->value;
  answer.applied = is_terminal(found->value.state);
  if (answer.applied)
    erase(found->value.sequence);
  return answer;
}

store_answer memory_store::apply_one(const release_distinct& operation) {
  change_answer answer;
  row* const found = find(operation.id);
  if (found == nullptr)
    return answer;
  task& value = found->value;
  answer.applied = !is_terminal(value.state) && !value.distinct_key.empty();
  if (answer.applied) {
    unlink(value);
    value.distinct_key.clear();
    link(value);
  }
  answer.after = value;
  return answer;
}

store_answer memory_store::apply_one(const release_held& operation) {
  sweep_answer answer;
  const auto& index = index_[operation.channel];
  std::vector<std::string> keys;
  for (const auto& [key, waiting] : index.held_by_key)
    keys.push_back(key);
  for (const auto& key : keys)
    release_key(operation.channel, key, static_cast<uint32_t>(operation.limit - answer.released.size()),
                answer.released);
  if (!index.expiring.empty())
    answer.next_expiry_ms = index.expiring.begin()->first;
  return answer;
}

} // namespace task_runner
