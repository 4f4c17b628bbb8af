// The decisions of one channel's queue; queue_core.hpp tells the life of a task. One machine over one set of
// members: split in two, each half would have to keep the other's invariants, so it stands in one file.
// Invariant of the window: it holds every pending task up to window_end_ in the order of execution, and is
// complete exactly when it holds as many as are counted.
#include "actors/queue_core.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace task_runner {

namespace {

/// Batches that arrive before recovery; it takes milliseconds, so more than this means something is wrong.
constexpr size_t early_batches_max = 4'096;

/// What a task weighs against window_limits::bytes_max, roughly.
uint64_t weight_of(const task& value) {
  uint64_t bytes =
      sizeof(task) + value.name.size() + value.command.line.size() + 2 * value.distinct_key.size();
  for (const auto& argument : value.command.argv)
    bytes += sizeof(std::string) + argument.size();
  return bytes;
}

} // namespace

std::string distinct_key_of(const task& value) {
  if (value.command.argv.empty())
    return "line:" + value.line();
  std::string key = "argv:";
  for (const auto& argument : value.command.argv) {
    key += std::to_string(argument.size());
    key += ':';
    key += argument;
  }
  return key;
}

queue_core::queue_core(std::string channel, bool distinct, queue_limits limits)
    : channel_(std::move(channel))
    , distinct_(distinct)
    , limits_(limits) {
  // nop
}

// -- events -------------------------------------------------------------------

queue_effects queue_core::recovered(const channel_recovery& found, const std::vector<known_attempt>& known,
                                    wall_time_ms now) {
  queue_effects effects;
  if (recovered_)
    return effects;
  recovered_ = true;
  pending_count_ = found.pending_count;
  delayed_count_ = found.delayed_count;
  next_due_ms_ = found.next_due_ms;
  std::map<attempt_key, const known_attempt*> by_key;
  for (const auto& attempt : known)
    by_key.emplace(attempt.key, &attempt);
  for (const auto& value : found.running) {
    auto& entry = running_[value.id];
    entry.value = value;
    if (!value.distinct_key.empty())
      distinct_index_[value.distinct_key] = value.id;
    const auto match = by_key.find(attempt_key{value.id, value.attempt});
    if (match != by_key.end() && !match->second->ended) {
      --credit_; // it occupies a worker
      by_key.erase(match);
      continue;
    }
    task_runner::attempt_ended end;
    if (match != by_key.end()) {
      end = match->second->end;
      by_key.erase(match);
    } else {
      end.key = {value.id, value.attempt};
      end.how.kind = outcome_kind::lost;
      end.ended_at_ms = now;
      repair("task " + value.id + " was leased, but no process of it is known: attempt " +
                 std::to_string(value.attempt) + " is lost",
             effects);
    }
    take_end(entry, end);
  }
  for (const auto& [key, attempt] : by_key) {
    if (attempt->ended)
      effects.settled.push_back(key); // settled before; only the launcher was not told
    else
      repair("attempt " + std::to_string(key.attempt) + " of task " + key.task_id +
                 " runs without a lease; it is left alone and its outcome will be dropped",
             effects);
  }
  for (auto& waiting : std::exchange(early_, {}))
    admit(waiting.token, std::move(waiting.items), now, effects);
  advance(now, effects);
  return effects;
}

queue_effects queue_core::push(batch_token token, std::vector<admitted_push> items, wall_time_ms now) {
  queue_effects effects;
  auto& opened = batches_[token];
  opened.replies.resize(items.size());
  opened.open = items.size();
  if (items.empty()) {
    batches_.erase(token);
    effects.answers.push_back({token, {}});
    return effects;
  }
  if (!recovered_) {
    if (early_.size() < early_batches_max) {
      early_.push_back({token, std::move(items)});
      return effects;
    }
    for (size_t i = 0; i < items.size(); ++i)
      refuse(token, i, items[i].value.name,
             {error_code::overloaded, "channel " + channel_ + " is still starting; try again in a second"},
             effects);
    return effects;
  }
  admit(token, std::move(items), now, effects);
  advance(now, effects);
  return effects;
}

queue_effects queue_core::committed(submission_token token, result<std::vector<store_answer>> answers,
                                    wall_time_ms now) {
  queue_effects effects;
  auto node = in_flight_.extract(token);
  if (node.empty())
    return effects;
  auto& purposes = node.mapped();
  if (answers && answers->size() != purposes.size())
    answers = error{error_code::internal, "the store answered " + std::to_string(answers->size()) + " of " +
                                              std::to_string(purposes.size()) + " operations"};
  if (!answers) {
    store_retry_at_ms_ = now + limits_.store_retry_ms;
    for (auto& purpose : purposes)
      on_failure(purpose, answers.failure(), effects);
    advance(now, effects);
    return effects;
  }
  store_retry_at_ms_ = 0;
  for (size_t i = 0; i < purposes.size(); ++i) {
    auto& purpose = purposes[i];
    const auto& answer = (*answers)[i];
    if (auto* insert = std::get_if<insert_context>(&purpose))
      on_insert(*insert, std::get<insert_answer>(answer), effects);
    else if (auto* lease = std::get_if<lease_context>(&purpose))
      on_lease(*lease, std::get<change_answer>(answer), effects);
    else if (auto* settle = std::get_if<settle_context>(&purpose))
      on_settle(*settle, std::get<change_answer>(answer), effects);
    else if (std::get_if<promote_context>(&purpose))
      on_promote(std::get<promote_answer>(answer));
    else if (auto* mark = std::get_if<mark_context>(&purpose))
      reply(mark->token, mark->index, std::move(mark->reply), effects);
  }
  advance(now, effects);
  return effects;
}

queue_effects queue_core::window_loaded(result<std::vector<task>> tasks, wall_time_ms now) {
  queue_effects effects;
  loading_ = false;
  if (!tasks) {
    store_retry_at_ms_ = now + limits_.store_retry_ms;
    advance(now, effects);
    return effects;
  }
  if (window_end_ != requested_after_) { // tasks were put back to the store meanwhile: ask again
    advance(now, effects);
    return effects;
  }
  for (auto& value : *tasks) {
    window_end_ = std::max(window_end_, value.sequence);
    if (running_.count(value.id) == 0)
      put_into_window(std::move(value));
  }
  if (tasks->empty() && window_.size() != pending_count_) {
    repair("channel " + channel_ + " counted " + std::to_string(pending_count_) +
               " pending tasks, the store has " + std::to_string(window_.size()),
           effects);
    pending_count_ = window_.size();
  } else if (window_.size() > pending_count_) {
    repair("channel " + channel_ + " counted " + std::to_string(pending_count_) + " pending tasks, found " +
               std::to_string(window_.size()),
           effects);
    pending_count_ = window_.size();
  }
  advance(now, effects);
  return effects;
}

queue_effects queue_core::credit(int64_t slots, wall_time_ms now) {
  queue_effects effects;
  credit_ += slots;
  if (recovered_)
    advance(now, effects);
  return effects;
}

queue_effects queue_core::attempt_ended(const task_runner::attempt_ended& event, wall_time_ms now) {
  queue_effects effects;
  if (!recovered_)
    return effects; // recovery reads the launcher's list, which has it
  const auto found = running_.find(event.key.task_id);
  if (found == running_.end() || found->second.value.attempt != event.key.attempt) {
    effects.settled.push_back(event.key);
    return effects;
  }
  if (found->second.now != phase::running)
    return effects; // repeated: its settle is on the way
  ++credit_;
  take_end(found->second, event);
  advance(now, effects);
  return effects;
}

void queue_core::attempt_started(const task_runner::attempt_started& event) {
  const auto found = running_.find(event.key.task_id);
  if (found != running_.end() && found->second.value.attempt == event.key.attempt)
    found->second.value.started_at_ms = event.started_at_ms;
}

queue_effects queue_core::tick(wall_time_ms now) {
  queue_effects effects;
  if (!recovered_)
    return effects;
  if (store_retry_at_ms_ != 0 && now >= store_retry_at_ms_)
    store_retry_at_ms_ = 0;
  advance(now, effects);
  return effects;
}

wall_time_ms queue_core::wake_at() const noexcept {
  if (store_retry_at_ms_ != 0)
    return store_retry_at_ms_;
  return promoting_ ? 0 : next_due_ms_;
}

queue_counts queue_core::counts() const noexcept {
  queue_counts counts;
  counts.pending = pending_count_;
  counts.delayed = delayed_count_;
  counts.running = running_.size();
  counts.finished = finished_;
  counts.dead = dead_;
  counts.duplicates = duplicates_;
  counts.repairs = repairs_;
  counts.credit = credit_;
  return counts;
}

std::vector<task> queue_core::running_tasks(size_t limit) const {
  std::vector<const task*> order;
  order.reserve(running_.size());
  for (const auto& [id, entry] : running_)
    order.push_back(&entry.value);
  const auto count = std::min(limit, order.size());
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(),
                    [](const task* a, const task* b) {
                      return a->started_at_ms != b->started_at_ms ? a->started_at_ms < b->started_at_ms
                                                                  : a->sequence < b->sequence;
                    });
  std::vector<task> tasks;
  tasks.reserve(count);
  for (size_t i = 0; i < count; ++i)
    tasks.push_back(*order[i]);
  return tasks;
}

std::vector<task> queue_core::window_tasks(size_t limit) const {
  std::vector<task> tasks;
  tasks.reserve(std::min(limit, window_.size()));
  for (const auto& [key, value] : window_) {
    if (tasks.size() == limit)
      break;
    tasks.push_back(value);
  }
  return tasks;
}

// -- pushes ---------------------------------------------------------------------

void queue_core::admit(batch_token token, std::vector<admitted_push> items, wall_time_ms now,
                       queue_effects& effects) {
  for (size_t i = 0; i < items.size(); ++i) {
    auto& item = items[i];
    auto& value = item.value;
    if (uncommitted_ >= limits_.uncommitted_max) {
      refuse(token, i, value.name,
             {error_code::overloaded, "channel " + channel_ + " has " + std::to_string(uncommitted_) +
                                          " pushes waiting to be stored; try again in a second"},
             effects);
      continue;
    }
    if (pending_count_ + delayed_count_ + uncommitted_ >= limits_.tasks_max) {
      refuse(token, i, value.name,
             {error_code::queue_full, "channel " + channel_ + " holds " +
                                          std::to_string(pending_count_ + delayed_count_) +
                                          " tasks, which is its limit; try again when some have run"},
             effects);
      continue;
    }
    if (distinct_) {
      value.distinct_key = distinct_key_of(value);
      const auto holder = distinct_index_.find(value.distinct_key);
      if (holder != distinct_index_.end()) {
        ++duplicates_;
        push_reply duplicate{value.name, holder->second, false, std::nullopt};
        if (item.origin)
          add_operation(mark_origin{*item.origin}, mark_context{token, i, std::move(duplicate)});
        else
          reply(token, i, std::move(duplicate), effects);
        continue;
      }
    }
    const bool delayed = value.not_before_ms > now;
    // Straight to a worker, in one commit, when one is free and nobody stands before it.
    const bool direct = !delayed && credit_ > 0 && !leasing_stopped_ && pending_count_ == 0 &&
                        uncommitted_waiting_ == 0 && store_retry_at_ms_ == 0;
    if (direct) {
      value.state = task_state::running;
      value.attempt = 1;
      value.started_at_ms = now;
      --credit_;
    } else {
      value.state = delayed ? task_state::delayed : task_state::pending;
      if (!delayed)
        ++uncommitted_waiting_;
    }
    ++uncommitted_;
    insert_task operation{value, item.origin};
    add_operation(std::move(operation), insert_context{std::move(value), token, i});
  }
}

void queue_core::reply(batch_token token, size_t index, push_reply value, queue_effects& effects) {
  const auto found = batches_.find(token);
  assert(found != batches_.end() && index < found->second.replies.size());
  found->second.replies[index] = std::move(value);
  if (--found->second.open == 0) {
    effects.answers.push_back({token, std::move(found->second.replies)});
    batches_.erase(found);
  }
}

void queue_core::refuse(batch_token token, size_t index, const std::string& name, error why,
                        queue_effects& effects) {
  reply(token, index, push_reply{name, {}, false, std::move(why)}, effects);
}

// -- answers of the store -----------------------------------------------------

void queue_core::on_insert(insert_context& purpose, const insert_answer& answer, queue_effects& effects) {
  auto& value = purpose.value;
  const auto state = value.state;
  --uncommitted_;
  if (state == task_state::pending)
    --uncommitted_waiting_;
  if (answer.what != insert_answer::kind::inserted) {
    ++duplicates_;
    if (state == task_state::running)
      ++credit_;
    if (answer.what == insert_answer::kind::duplicate_id && !answer.same_definition) {
      refuse(purpose.token, purpose.index, value.name,
             {error_code::conflict, "the id " + value.id +
                                        " belongs to another task; an id is good for one task, give a "
                                        "new one"},
             effects);
      return;
    }
    reply(purpose.token, purpose.index, push_reply{value.name, answer.holder_id, false, std::nullopt},
          effects);
    return;
  }
  value.sequence = answer.sequence;
  reply(purpose.token, purpose.index, push_reply{value.name, value.id, true, std::nullopt}, effects);
  effects.transitions.push_back(
      {value.id, value.name, value.attempt, state, std::nullopt, value.started_at_ms, 0});
  switch (state) {
  case task_state::running: {
    if (!value.distinct_key.empty())
      distinct_index_[value.distinct_key] = value.id;
    effects.runs.push_back(value);
    auto id = value.id;
    running_[std::move(id)] = {std::move(value), phase::running, std::nullopt};
    break;
  }
  case task_state::delayed:
    ++delayed_count_;
    if (next_due_ms_ == 0 || value.not_before_ms < next_due_ms_)
      next_due_ms_ = value.not_before_ms;
    break;
  default:
    enter_window(std::move(value));
  }
}

void queue_core::on_lease(const lease_context& purpose, const change_answer& answer, queue_effects& effects) {
  const auto found = running_.find(purpose.id);
  assert(found != running_.end());
  auto& entry = found->second;
  if (!answer.applied) {
    repair("task " + purpose.id +
               " was no longer pending when it was to be leased; it is dropped from the queue",
           effects);
    ++credit_;
    leave_index(entry.value);
    running_.erase(found);
    return;
  }
  entry.now = phase::running;
  effects.runs.push_back(entry.value);
  effects.transitions.push_back({entry.value.id, entry.value.name, entry.value.attempt, task_state::running,
                                 std::nullopt, entry.value.started_at_ms, 0});
}

void queue_core::on_settle(const settle_context& purpose, const change_answer& answer,
                           queue_effects& effects) {
  auto node = running_.extract(purpose.id);
  assert(!node.empty());
  auto& entry = node.mapped();
  const auto& settle = *entry.settle;
  effects.settled.push_back({settle.id, settle.attempt});
  if (!answer.applied) {
    repair("attempt " + std::to_string(settle.attempt) + " of task " + settle.id +
               " was settled by someone else; its outcome is dropped",
           effects);
    leave_index(entry.value);
    return;
  }
  effects.transitions.push_back({settle.id, entry.value.name, settle.attempt, settle.state, settle.how,
                                 settle.started_at_ms, settle.ended_at_ms});
  if (settle.state == task_state::pending) {
    auto again = std::move(entry.value);
    again.state = task_state::pending;
    again.recoveries = settle.recoveries;
    again.last_outcome = settle.how;
    enter_window(std::move(again));
    return;
  }
  ++(settle.state == task_state::finished ? finished_ : dead_);
  leave_index(entry.value);
}

void queue_core::on_promote(const promote_answer& answer) {
  promoting_ = false;
  const auto count = static_cast<uint64_t>(answer.promoted.size());
  delayed_count_ -= std::min(delayed_count_, count);
  for (const auto& value : answer.promoted)
    enter_window(value);
  next_due_ms_ = answer.next_due_ms;
}

void queue_core::on_failure(context& purpose, const error& why, queue_effects& effects) {
  if (auto* insert = std::get_if<insert_context>(&purpose)) {
    --uncommitted_;
    if (insert->value.state == task_state::pending)
      --uncommitted_waiting_;
    else if (insert->value.state == task_state::running)
      ++credit_;
    refuse(insert->token, insert->index, insert->value.name, why, effects);
  } else if (auto* lease = std::get_if<lease_context>(&purpose)) {
    auto node = running_.extract(lease->id);
    assert(!node.empty());
    ++credit_;
    auto value = std::move(node.mapped().value);
    --value.attempt;
    value.state = task_state::pending;
    value.started_at_ms = 0;
    enter_window(std::move(value));
  } else if (auto* settle = std::get_if<settle_context>(&purpose)) {
    unsettled_.push_back(std::move(settle->id)); // again when the pause is over
  } else if (std::get_if<promote_context>(&purpose)) {
    promoting_ = false;
  } else if (auto* mark = std::get_if<mark_context>(&purpose)) {
    refuse(mark->token, mark->index, mark->reply.task_name, why, effects);
  }
}

// -- parts ----------------------------------------------------------------------

void queue_core::add_operation(store_operation operation, context purpose) {
  operations_.push_back(std::move(operation));
  contexts_.push_back(std::move(purpose));
}

void queue_core::take_end(running_task& entry, const task_runner::attempt_ended& event) {
  settle_task settle;
  settle.id = entry.value.id;
  settle.attempt = entry.value.attempt;
  settle.how = event.how;
  settle.started_at_ms = event.started_at_ms != 0 ? event.started_at_ms : entry.value.started_at_ms;
  settle.ended_at_ms = event.ended_at_ms;
  settle.recoveries = entry.value.recoveries;
  if (event.how.kind == outcome_kind::lost) {
    ++settle.recoveries;
    settle.state = settle.recoveries > limits_.recoveries_max ? task_state::dead : task_state::pending;
  } else {
    settle.state = event.how.succeeded() ? task_state::finished : task_state::dead;
  }
  entry.now = phase::settling;
  entry.settle = std::move(settle);
  unsettled_.push_back(entry.value.id);
}

void queue_core::enter_window(task value) {
  const bool complete = window_is_complete();
  ++pending_count_;
  if (!complete && value.sequence > window_end_) {
    leave_index(value);
    return; // it stands behind the window, in the store
  }
  window_end_ = std::max(window_end_, value.sequence);
  value.state = task_state::pending;
  put_into_window(std::move(value));
  while (window_.size() > 1 &&
         (window_.size() > limits_.window.tasks_max || window_bytes_ > limits_.window.bytes_max)) {
    leave_index(take_from_window(std::prev(window_.end())));
    window_end_ = window_.rbegin()->first;
  }
}

void queue_core::put_into_window(task value) {
  const auto present = window_.find(value.sequence);
  if (present != window_.end())
    take_from_window(present);
  if (!value.distinct_key.empty())
    distinct_index_[value.distinct_key] = value.id;
  window_bytes_ += weight_of(value);
  const auto key = value.sequence;
  window_.emplace(key, std::move(value));
}

task queue_core::take_from_window(std::map<order_key, task>::iterator position) {
  auto value = std::move(window_.extract(position).mapped());
  window_bytes_ -= weight_of(value);
  return value;
}

void queue_core::leave_index(const task& value) {
  if (value.distinct_key.empty())
    return;
  const auto found = distinct_index_.find(value.distinct_key);
  if (found != distinct_index_.end() && found->second == value.id)
    distinct_index_.erase(found);
}

void queue_core::repair(std::string what, queue_effects& effects) {
  ++repairs_;
  effects.repairs.push_back(std::move(what));
}

void queue_core::advance(wall_time_ms now, queue_effects& effects) {
  if (store_retry_at_ms_ == 0) {
    for (auto& id : std::exchange(unsettled_, {})) {
      const auto& entry = running_.at(id);
      add_operation(*entry.settle, settle_context{std::move(id)});
    }
    while (credit_ > 0 && !window_.empty() && !leasing_stopped_) {
      auto value = take_from_window(window_.begin());
      --pending_count_;
      --credit_;
      ++value.attempt;
      value.state = task_state::running;
      value.started_at_ms = now;
      add_operation(lease_task{value.id, value.attempt, now}, lease_context{value.id});
      auto id = value.id;
      running_[std::move(id)] = {std::move(value), phase::leasing, std::nullopt};
    }
    if (!promoting_ && next_due_ms_ != 0 && now >= next_due_ms_) {
      promoting_ = true;
      add_operation(promote_due{channel_, now, limits_.promote_batch}, promote_context{});
    }
    if (!loading_ && window_.size() < limits_.window_low_water && !window_is_complete()) {
      loading_ = true;
      requested_after_ = window_end_;
      effects.load = window_request{window_end_, limits_.window};
    }
  }
  if (operations_.empty())
    return;
  const auto token = next_token_++;
  effects.submissions.push_back({token, std::move(operations_)});
  in_flight_.emplace(token, std::move(contexts_));
  operations_.clear();
  contexts_.clear();
}

} // namespace task_runner
