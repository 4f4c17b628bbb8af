// The way of a task through one channel's queue: pushes, leases, ends, and what waits; queue_core.hpp tells
// the life of a task. Actions of persons are in queue_actions.cpp, recovery and checks in queue_check.cpp.
#include "actors/queue_core.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace task_runner {

namespace {

/// Batches that arrive before recovery; it takes milliseconds, so more than this means something is wrong.
constexpr size_t early_batches_max = 4'096;

} // namespace

queue_core::queue_core(channel_record record, queue_limits limits)
    : record_(std::move(record))
    , defaults_(std::make_shared<const task_options>(record_.defaults))
    , limits_(limits)
    , window_(limits.window) {
  // nop
}

// -- events -------------------------------------------------------------------

queue_effects queue_core::push(batch_token token, std::vector<admitted_push> items, wall_time_ms now) {
  queue_effects effects;
  ++event_;
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
      refuse(
          token, i, items[i].value.name,
          {error_code::overloaded, "channel " + record_.name + " is still starting; try again in a second"},
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
  ++event_;
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
  for (size_t i = 0; i < purposes.size(); ++i)
    on_answer(purposes[i], (*answers)[i], now, effects);
  advance(now, effects);
  return effects;
}

queue_effects queue_core::window_loaded(result<std::vector<task>> tasks, wall_time_ms now) {
  queue_effects effects;
  ++event_;
  loading_ = false;
  if (!tasks) {
    store_retry_at_ms_ = now + limits_.store_retry_ms;
    advance(now, effects);
    return effects;
  }
  // Tasks were put back to the store meanwhile, or the window was begun anew: ask again.
  if (window_.end() != requested_after_ || window_.generation() != requested_generation_) {
    advance(now, effects);
    return effects;
  }
  for (auto& value : *tasks) {
    window_.extend(order_of(value));
    if (running_.count(value.id) > 0)
      continue;
    if (!value.distinct_key.empty())
      distinct_index_[value.distinct_key] = value.id;
    window_.append(std::move(value));
  }
  if ((tasks->empty() && !window_.is_complete()) || window_.size() > window_.count()) {
    repair("channel " + record_.name + " counted " + std::to_string(window_.count()) +
               " pending tasks, the store has " + std::to_string(window_.size()),
           effects);
    window_.set_count(window_.size());
  }
  advance(now, effects);
  return effects;
}

queue_effects queue_core::credit(int64_t slots, wall_time_ms now) {
  queue_effects effects;
  ++event_;
  credit_ += slots;
  if (recovered_)
    advance(now, effects);
  return effects;
}

queue_effects queue_core::limit_slots(bool limited, wall_time_ms now) {
  queue_effects effects;
  ++event_;
  if (limited == slots_limited_)
    return effects;
  slots_limited_ = limited;
  slots_unreported_ = limited;
  slots_free_ = 0;
  slots_returned_ = 0;
  slotless_ = 0;
  if (recovered_)
    advance(now, effects);
  return effects;
}

queue_effects queue_core::slots_granted(uint64_t slots, wall_time_ms now) {
  queue_effects effects;
  ++event_;
  if (!slots_limited_)
    return effects;
  slots_free_ += slots;
  if (recovered_)
    advance(now, effects);
  return effects;
}

queue_effects queue_core::attempt_ended(const task_runner::attempt_ended& event, wall_time_ms now) {
  queue_effects effects;
  ++event_;
  if (!recovered_)
    return effects; // recovery reads the launcher's list, which has it
  const auto found = find_attempt(event.key);
  if (found == running_.end()) {
    effects.settled.push_back(event.key);
    return effects;
  }
  if (found->second.now != phase::running)
    return effects; // repeated: its settle is on the way
  take_end(found->second, event, now);
  advance(now, effects);
  return effects;
}

queue_effects queue_core::start_refused(const attempt_key& key, wall_time_ms now) {
  queue_effects effects;
  ++event_;
  const auto found = find_attempt(key);
  if (!recovered_ || found == running_.end() || found->second.now != phase::running)
    return effects;
  auto& entry = found->second;
  entry.handed = false;
  entry.changed = event_;
  if (entry.value.cancel_requested) {
    take_end_unstarted(entry, outcome_kind::cancelled, now);
  } else {
    refused_.push_back(key);
    refused_until_ms_ = now + limits_.store_retry_ms;
  }
  advance(now, effects);
  return effects;
}

void queue_core::attempt_started(const task_runner::attempt_started& event) {
  const auto found = find_attempt(event.key);
  if (found != running_.end())
    found->second.value.started_at_ms = event.started_at_ms;
}

queue_effects queue_core::tick(wall_time_ms now) {
  queue_effects effects;
  ++event_;
  if (!recovered_)
    return effects;
  if (store_retry_at_ms_ != 0 && is_over(store_retry_at_ms_, now, limits_.store_retry_ms))
    store_retry_at_ms_ = 0;
  advance(now, effects);
  return effects;
}

wall_time_ms queue_core::wake_at() const noexcept {
  if (store_retry_at_ms_ != 0)
    return earlier(store_retry_at_ms_, refused_until_ms_);
  const auto waiting = earlier(promoting_ ? 0 : next_due_ms_, expiring_ ? 0 : next_expiry_ms_);
  return earlier(waiting, refused_until_ms_);
}

queue_effects queue_core::configure(channel_record record, wall_time_ms now) {
  queue_effects effects;
  ++event_;
  if (!(record.defaults == record_.defaults))
    defaults_ = std::make_shared<const task_options>(record.defaults);
  record_ = std::move(record);
  if (recovered_)
    advance(now, effects);
  return effects;
}

queue_effects queue_core::clock_adjusted(wall_time_ms now) {
  queue_effects effects;
  ++event_;
  ask_due_ = true;
  if (recovered_)
    advance(now, effects);
  return effects;
}

queue_counts queue_core::counts() const noexcept {
  auto counts = totals_;
  counts.pending = window_.count();
  counts.held = held_count_;
  counts.delayed = delayed_count_;
  counts.running = running_.size();
  counts.credit = credit_;
  counts.paused = record_.paused;
  counts.closing = closing_;
  return counts;
}

bool queue_core::is_quiet() const noexcept {
  const auto never_begins = [this](const auto& item) {
    return leasing_stopped_ && item.second.now == phase::running && !item.second.placed;
  };
  return recovered_ && in_flight_.empty() && std::all_of(running_.begin(), running_.end(), never_begins);
}

bool queue_core::is_empty() const noexcept {
  return recovered_ && running_.empty() && in_flight_.empty() && uncommitted_ == 0 && window_.count() == 0 &&
         held_count_ == 0 && delayed_count_ == 0 && (!closing_ || swept_);
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

// -- pushes ---------------------------------------------------------------------

std::optional<error> queue_core::refusal_of_push() const {
  const auto& name = record_.name;
  if (closing_)
    return error{error_code::not_found, "channel " + name + " is being removed; push to another"};
  if (uncommitted_ >= limits_.uncommitted_max)
    return error{error_code::overloaded, "channel " + name + " has " + std::to_string(uncommitted_) +
                                             " pushes waiting to be stored; try again in a second"};
  const auto waiting = window_.count() + held_count_ + delayed_count_;
  if (waiting + uncommitted_ >= tasks_max())
    return error{error_code::queue_full, "channel " + name + " holds " + std::to_string(waiting) +
                                             " tasks, which is its limit; try again when some have run"};
  return std::nullopt;
}

void queue_core::admit(batch_token token, std::vector<admitted_push> items, wall_time_ms now,
                       queue_effects& effects) {
  for (size_t i = 0; i < items.size(); ++i) {
    auto& item = items[i];
    auto& value = item.value;
    if (auto why = refusal_of_push()) {
      refuse(token, i, value.name, std::move(*why), effects);
      continue;
    }
    resolve_push(value, *defaults_, record_.distinct, now);
    if (!value.distinct_key.empty()) {
      const auto holder = distinct_index_.find(value.distinct_key);
      if (holder != distinct_index_.end()) {
        ++totals_.duplicates;
        push_reply duplicate{value.name, holder->second, false, std::nullopt};
        if (item.origin)
          add_operation(mark_origin{*item.origin}, mark_context{token, i, std::move(duplicate)});
        else
          reply(token, i, std::move(duplicate), effects);
        continue;
      }
    }
    const bool delayed = value.not_before_ms > now;
    // Straight to a worker, in one commit, when one is free and nobody stands before it. Where the store is
    // to decide more than that (room under a concurrency key, a record that ends with the start), it is
    // leased in a second step.
    const bool direct = !delayed && may_lease() && has_place() && window_.count() == 0 &&
                        uncommitted_waiting_ == 0 && value.concurrency_key.empty() &&
                        !(value.expires_at_ms != 0 && value.expires_at_ms <= now);
    if (direct) {
      value.state = task_state::running;
      value.attempt = 1;
      value.started_at_ms = now;
      take_place();
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

void queue_core::on_answer(context& purpose, const store_answer& answer, wall_time_ms now,
                           queue_effects& effects) {
  if (auto* insert = std::get_if<insert_context>(&purpose)) {
    on_insert(*insert, std::get<insert_answer>(answer), effects);
  } else if (auto* lease = std::get_if<lease_context>(&purpose)) {
    on_lease(*lease, std::get<change_answer>(answer), now, effects);
  } else if (auto* settle = std::get_if<settle_context>(&purpose)) {
    on_settle(*settle, std::get<change_answer>(answer), effects);
  } else if (std::get_if<promote_context>(&purpose)) {
    on_promote(std::get<promote_answer>(answer), effects);
  } else if (auto* mark = std::get_if<mark_context>(&purpose)) {
    reply(mark->token, mark->index, std::move(mark->reply), effects);
  } else if (auto* action = std::get_if<action_context>(&purpose)) {
    on_action(*action, std::get<change_answer>(answer), now, effects);
  } else if (std::get_if<expire_context>(&purpose)) {
    expiring_ = false;
    on_expired(std::get<sweep_answer>(answer), now, effects);
  } else if (std::get_if<sweep_context>(&purpose)) {
    sweeping_ = false;
    on_swept(std::get<sweep_answer>(answer), now, effects);
  } else if (std::get_if<release_context>(&purpose)) {
    releasing_ = false;
    enter_line(std::get<sweep_answer>(answer).released, effects);
  }
}

void queue_core::on_insert(insert_context& purpose, const insert_answer& answer, queue_effects& effects) {
  auto& value = purpose.value;
  const auto state = value.state;
  --uncommitted_;
  if (state == task_state::pending)
    --uncommitted_waiting_;
  if (answer.what != insert_answer::kind::inserted) {
    ++totals_.duplicates;
    if (state == task_state::running)
      free_place();
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
  effects.transitions.push_back({value.id, value.name, value.attempt,
                                 answer.held ? task_state::pending : state, std::nullopt, value.started_at_ms,
                                 0});
  if (state == task_state::running && !answer.held) {
    if (value.distinct_while_pending)
      value.distinct_key.clear(); // by the store as well
    if (!value.distinct_key.empty())
      distinct_index_[value.distinct_key] = value.id;
    auto& entry = begin_entry(std::move(value));
    entry.placed = true;
    if (cancel_all_)
      want_cancelled(entry);
    else
      hand_out(entry, effects);
    return;
  }
  swept_ = false;
  if (value.expires_at_ms != 0)
    next_expiry_ms_ = earlier(next_expiry_ms_, value.expires_at_ms);
  if (state == task_state::running)
    free_place(); // its concurrency key left no room
  if (state == task_state::delayed)
    enter_delayed(value.not_before_ms);
  else if (answer.held)
    ++held_count_;
  else if (!join_lease(value))
    enter_line(std::move(value));
}

void queue_core::on_lease(const lease_context& purpose, const change_answer& answer, wall_time_ms now,
                          queue_effects& effects) {
  const auto found = find_attempt(purpose.key);
  if (found == running_.end() || found->second.now != phase::leasing)
    return;
  auto& entry = found->second;
  if (!answer.applied) {
    const auto& after = answer.after;
    const bool ours = after && after->state == task_state::running && after->attempt == entry.value.attempt;
    if (!ours) {
      // A task that was cancelled meanwhile, or deleted after that, is no surprise.
      if (after && after->state != task_state::cancelled && !after->held)
        repair("task " + purpose.key.task_id + " was no longer pending when it was to be leased, it is " +
                   std::string(to_string(after->state)),
               effects);
      drop_superseded(found, after, effects);
      return;
    }
    // An earlier commit of this lease was reported as failed, and had happened.
    entry.value.cancel_requested = after->cancel_requested;
  }
  entry.now = phase::running;
  entry.changed = event_;
  if (entry.value.distinct_while_pending) {
    leave_index(entry.value);
    entry.value.distinct_key.clear();
  }
  effects.transitions.push_back({entry.value.id, entry.value.name, entry.value.attempt, task_state::running,
                                 std::nullopt, entry.value.started_at_ms, 0});
  if (entry.value.cancel_requested) {
    take_end_unstarted(entry, outcome_kind::cancelled, now);
  } else if (entry.cancels_open == 0) {
    hand_out(entry, effects);
  }
}

void queue_core::on_settle(const settle_context& purpose, const change_answer& answer,
                           queue_effects& effects) {
  const auto found = find_attempt(purpose.key);
  if (found == running_.end() || !found->second.settle)
    return;
  auto& entry = found->second;
  const auto settle = std::move(*entry.settle);
  effects.settled.push_back(purpose.key);
  const auto& after = answer.after;
  // An earlier commit of this outcome was reported as failed, and had happened.
  const bool done_before = !answer.applied && after && after->attempt == settle.attempt &&
                           after->state == settle.state && !after->held;
  if (!answer.applied && !done_before) {
    if (!after || after->state != task_state::cancelled)
      repair("attempt " + std::to_string(settle.attempt) + " of task " + settle.id +
                 " was settled by someone else; its outcome is dropped",
             effects);
    drop_superseded(found, after, effects);
    return;
  }
  settled_as(entry, settle, effects);
  auto value = std::move(entry.value);
  running_.erase(found);
  if (settle.state == task_state::pending) {
    enter_line(std::move(value));
  } else {
    leave_index(value);
    if (settle.state == task_state::delayed)
      enter_delayed(settle.not_before_ms);
    else
      answer_waiters(value, effects);
  }
  if (!is_terminal(settle.state))
    cancel_if_awaited(settle.id);
  enter_line(answer.released, effects);
}

void queue_core::on_promote(const promote_answer& answer, queue_effects& effects) {
  promoting_ = false;
  const auto count = static_cast<uint64_t>(answer.promoted.size()) + answer.held_count;
  delayed_count_ -= std::min(delayed_count_, count);
  held_count_ += answer.held_count;
  for (const auto& value : answer.promoted) {
    forget_settled(value.id, effects);
    enter_line(value);
  }
  next_due_ms_ = answer.next_due_ms;
}

void queue_core::on_failure(context& purpose, const error& why, queue_effects& effects) {
  swept_ = false; // it may have happened
  const auto remember = [this](const attempt_key& key) {
    if (unsure_.size() < limits_.unsure_max)
      unsure_.insert(key);
  };
  if (auto* insert = std::get_if<insert_context>(&purpose)) {
    --uncommitted_;
    if (insert->value.state == task_state::pending) {
      --uncommitted_waiting_;
    } else if (insert->value.state == task_state::running) {
      remember({insert->value.id, insert->value.attempt});
      free_place();
    }
    refuse(insert->token, insert->index, insert->value.name, why, effects);
  } else if (auto* lease = std::get_if<lease_context>(&purpose)) {
    const auto found = find_attempt(lease->key);
    if (found == running_.end() || found->second.now != phase::leasing)
      return;
    remember(lease->key);
    leave_place(found->second);
    const bool gone = found->second.gone;
    auto value = std::move(found->second.value);
    running_.erase(found);
    if (gone) {
      leave_index(value);
      return;
    }
    --value.attempt;
    value.state = task_state::pending;
    value.started_at_ms = 0;
    if (value.held)
      ++held_count_;
    else
      enter_line(std::move(value));
  } else if (auto* settle = std::get_if<settle_context>(&purpose)) {
    const auto found = find_attempt(settle->key);
    if (found == running_.end() || !found->second.settle)
      return;
    found->second.submitted = false;
    unsettled_.push_back(std::move(settle->key.task_id)); // again when the pause is over
  } else if (std::get_if<promote_context>(&purpose)) {
    promoting_ = false;
    ask_due_ = true; // it may have happened: then nothing is known of the next moment
  } else if (std::get_if<expire_context>(&purpose)) {
    expiring_ = false;
  } else if (std::get_if<sweep_context>(&purpose)) {
    sweeping_ = false;
  } else if (std::get_if<release_context>(&purpose)) {
    releasing_ = false;
    ask_release_ = true;
  } else if (auto* mark = std::get_if<mark_context>(&purpose)) {
    refuse(mark->token, mark->index, mark->reply.task_name, why, effects);
  } else if (auto* action = std::get_if<action_context>(&purpose)) {
    on_action_failure(*action, why, effects);
  }
}

} // namespace task_runner
