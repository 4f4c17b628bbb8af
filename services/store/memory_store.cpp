// The store in memory.
// All checks come before the first change, so that an apply that fails has changed nothing.
#include "services/store/memory_store.hpp"

#include "services/store/store_rules.hpp"

#include <utility>
#include <variant>

namespace task_runner {

task* memory_store::find(const std::string& id) {
  const auto at = sequences_.find(id);
  return at == sequences_.end() ? nullptr : &tasks_.at(at->second);
}

void memory_store::unlink(const task& value) {
  auto& index = index_[value.channel];
  switch (value.state) {
  case task_state::pending:
    index.pending.erase(value.sequence);
    break;
  case task_state::delayed:
    index.delayed.erase({value.not_before_ms, value.sequence});
    break;
  case task_state::running:
    index.running.erase(value.sequence);
    break;
  default:
    --index.ended;
    return;
  }
  if (!value.distinct_key.empty())
    index.holders.erase(value.distinct_key);
}

void memory_store::link(const task& value) {
  auto& index = index_[value.channel];
  switch (value.state) {
  case task_state::pending:
    index.pending.insert(value.sequence);
    break;
  case task_state::delayed:
    index.delayed.insert({value.not_before_ms, value.sequence});
    break;
  case task_state::running:
    index.running.insert(value.sequence);
    break;
  default:
    ++index.ended;
    return;
  }
  if (!value.distinct_key.empty())
    index.holders.emplace(value.distinct_key, value.sequence);
}

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
  if (operation.origin) {
    const auto batch = marks_.find(operation.origin->batch);
    if (batch != marks_.end() && batch->second.count(operation.origin->position) > 0)
      return insert_answer{insert_answer::kind::duplicate_origin, 0, {}};
  }
  if (const task* holder = find(operation.value.id); holder != nullptr)
    return insert_answer{insert_answer::kind::duplicate_id, 0, operation.value.id,
                         holder->channel == operation.value.channel && holder->name == operation.value.name &&
                             holder->command == operation.value.command};
  // From here on the message is decided, whether it becomes a task or has found its holder.
  if (operation.origin)
    marks_[operation.origin->batch].insert(operation.origin->position);
  if (!operation.value.distinct_key.empty()) {
    const auto& holders = index_[operation.value.channel].holders;
    if (const auto holder = holders.find(operation.value.distinct_key); holder != holders.end())
      return insert_answer{insert_answer::kind::duplicate_key, 0, tasks_.at(holder->second).id};
  }
  task value = operation.value;
  value.sequence = next_sequence_++;
  sequences_.emplace(value.id, value.sequence);
  link(value);
  const uint64_t sequence = value.sequence;
  tasks_.emplace(sequence, std::move(value));
  return insert_answer{insert_answer::kind::inserted, sequence, {}};
}

store_answer memory_store::apply_one(const lease_task& operation) {
  task* const found = find(operation.id);
  if (found == nullptr || found->state != task_state::pending || found->attempt >= operation.attempt)
    return change_answer{false};
  unlink(*found);
  found->state = task_state::running;
  found->attempt = operation.attempt;
  found->started_at_ms = operation.started_at_ms;
  found->ended_at_ms = 0;
  found->last_outcome.reset();
  link(*found);
  return change_answer{true};
}

store_answer memory_store::apply_one(const settle_task& operation) {
  task* const found = find(operation.id);
  if (found == nullptr || found->state != task_state::running || found->attempt != operation.attempt)
    return change_answer{false};
  unlink(*found);
  found->state = operation.state;
  found->last_outcome = operation.how;
  if (operation.started_at_ms != 0)
    found->started_at_ms = operation.started_at_ms;
  found->ended_at_ms = operation.ended_at_ms;
  found->recoveries = operation.recoveries;
  link(*found);
  return change_answer{true};
}

store_answer memory_store::apply_one(const promote_due& operation) {
  promote_answer answer;
  auto& index = index_[operation.channel];
  while (!index.delayed.empty() && index.delayed.begin()->first <= operation.now_ms &&
         answer.promoted.size() < operation.limit) {
    task& due = tasks_.at(index.delayed.begin()->second);
    unlink(due);
    due.state = task_state::pending;
    link(due);
    answer.promoted.push_back(due);
  }
  if (!index.delayed.empty())
    answer.next_due_ms = index.delayed.begin()->first;
  return answer;
}

store_answer memory_store::apply_one(const mark_origin& operation) {
  return change_answer{marks_[operation.origin.batch].insert(operation.origin.position).second};
}

store_answer memory_store::apply_one(const forget_batch& operation) {
  return change_answer{marks_.erase(operation.batch) > 0};
}

store_answer memory_store::apply_one(const save_channel& operation) {
  channels_[operation.record.name] = operation.record;
  return change_answer{true};
}

result<std::vector<channel_record>> memory_store::load_channels() {
  std::vector<channel_record> records;
  for (const auto& [name, record] : channels_)
    records.push_back(record);
  return records;
}

result<channel_recovery> memory_store::recover_channel(const std::string& channel) {
  channel_recovery recovery;
  const auto& index = index_[channel];
  for (const uint64_t sequence : index.running)
    recovery.running.push_back(tasks_.at(sequence));
  recovery.pending_count = index.pending.size();
  recovery.delayed_count = index.delayed.size();
  if (!index.delayed.empty())
    recovery.next_due_ms = index.delayed.begin()->first;
  return recovery;
}

result<std::vector<task>> memory_store::load_pending(const std::string& channel, order_key after,
                                                     window_limits limits) {
  std::vector<task> window;
  const auto& pending = index_[channel].pending;
  window_meter meter(limits);
  for (auto at = pending.upper_bound(after); at != pending.end() && meter.open(); ++at) {
    const task& row = tasks_.at(*at);
    if (!meter.admit(row))
      break;
    window.push_back(row);
  }
  return window;
}

result<std::vector<task>> memory_store::load_delayed(const std::string& channel, uint32_t limit) {
  std::vector<task> rows;
  for (const auto& [moment, sequence] : index_[channel].delayed) {
    if (rows.size() >= limit)
      break;
    rows.push_back(tasks_.at(sequence));
  }
  return rows;
}

result<std::optional<task>> memory_store::find_task(const std::string& id) {
  const task* const found = find(id);
  return found == nullptr ? std::optional<task>{} : std::optional<task>{*found};
}

result<std::vector<uint32_t>> memory_store::load_marks(uint64_t batch) {
  const auto found = marks_.find(batch);
  if (found == marks_.end())
    return std::vector<uint32_t>{};
  return std::vector<uint32_t>(found->second.begin(), found->second.end());
}

result<std::vector<uint64_t>> memory_store::load_marked_batches() {
  std::vector<uint64_t> batches;
  for (const auto& [batch, positions] : marks_)
    batches.push_back(batch);
  return batches;
}

result<store_totals> memory_store::totals() {
  store_totals sums;
  for (const auto& [name, index] : index_) {
    sums.pending += index.pending.size();
    sums.delayed += index.delayed.size();
    sums.running += index.running.size();
    sums.ended += index.ended;
  }
  return sums;
}

} // namespace task_runner
