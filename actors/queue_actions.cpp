// What persons do to the tasks of a queue: cancel, signal, retry, delete, release; and the removal of its
// channel. Whatever changes a task is decided by the store, in the order of its operations; here it is asked
// and followed.
#include "actors/queue_core.hpp"

#include <algorithm>
#include <utility>

namespace task_runner {

// -- events -------------------------------------------------------------------

queue_effects queue_core::act(action_token token, task_action action, wall_time_ms now) {
  queue_effects effects;
  ++event_;
  ++actions_open_;
  if (actions_open_ > limits_.actions_max)
    answer(token,
           error{error_code::overloaded, "channel " + record_.name + " has " +
                                             std::to_string(limits_.actions_max) +
                                             " actions that wait for their end; try again in a second"},
           effects);
  else if (!recovered_)
    early_actions_.push_back({token, std::move(action)});
  else
    begin(token, std::move(action), now, effects);
  if (recovered_)
    advance(now, effects);
  return effects;
}

queue_effects queue_core::cancel_running(wall_time_ms now) {
  queue_effects effects;
  ++event_;
  cancel_all_ = true;
  for (auto& [id, entry] : running_) {
    if (entry.ahead && !closing_)
      continue; // it has not begun, and goes back into line
    if (entry.now == phase::running && entry.handed && entry.value.cancel_requested)
      stop(entry, effects);
    want_cancelled(entry);
  }
  if (recovered_)
    advance(now, effects);
  return effects;
}

queue_effects queue_core::close(wall_time_ms now) {
  closing_ = true;
  swept_ = false;
  return cancel_running(now);
}

// -- beginning an action --------------------------------------------------------

void queue_core::begin(action_token token, task_action action, wall_time_ms now, queue_effects& effects) {
  store_operation operation;
  switch (action.verb) {
  case task_verb::signal:
    begin_signal(token, action, effects);
    return;
  case task_verb::cancel:
    operation = cancel_task{action.id, now};
    if (const auto found = running_.find(action.id); found != running_.end()) {
      ++found->second.cancels_open;
      found->second.changed = event_;
    }
    break;
  case task_verb::retry:
    if (auto why = refusal_of_push()) {
      answer(token, std::move(*why), effects);
      return;
    }
    operation = retry_task{action.id, now};
    break;
  case task_verb::remove:
    operation = delete_task{action.id};
    break;
  case task_verb::release:
    operation = release_distinct{action.id};
    break;
  }
  add_operation(std::move(operation), action_context{token, std::move(action)});
}

void queue_core::begin_signal(action_token token, const task_action& action, queue_effects& effects) {
  const auto found = running_.find(action.id);
  if (found != running_.end() && found->second.now == phase::running && found->second.handed) {
    const auto& value = found->second.value;
    effects.signals.push_back({token, {value.id, value.attempt}, action.signal_number});
    answer(token, value, effects);
    return;
  }
  auto why = refusal_of(task_verb::signal, action.id, action.seen);
  if (found != running_.end() || action.seen == task_state::running)
    why = {error_code::conflict, "task " + action.id +
                                     " is just starting or ending; only a running task takes signals, try "
                                     "again in a second"};
  answer(token, std::move(why), effects);
}

void queue_core::want_cancelled(running_task& entry) {
  if (entry.settle || entry.value.cancel_requested || entry.cancels_open > 0)
    return;
  ++entry.cancels_open;
  entry.changed = event_;
  uncancelled_.push_back(entry.value.id);
}

// -- what the store made of it ----------------------------------------------------

void queue_core::on_action(const action_context& purpose, const change_answer& answered, wall_time_ms now,
                           queue_effects& effects) {
  switch (purpose.action.verb) {
  case task_verb::cancel:
    on_cancel(purpose, answered, now, effects);
    break;
  case task_verb::retry:
    on_retry(purpose, answered, effects);
    break;
  case task_verb::remove:
    on_remove(purpose, answered, effects);
    break;
  case task_verb::release:
    on_release(purpose, answered, effects);
    break;
  case task_verb::signal:
    break; // no matter for the store
  }
  enter_line(answered.released, effects);
}

void queue_core::on_cancel(const action_context& purpose, const change_answer& answered, wall_time_ms now,
                           queue_effects& effects) {
  const auto& id = purpose.action.id;
  if (const auto found = running_.find(id); found != running_.end() && found->second.cancels_open > 0) {
    --found->second.cancels_open;
    found->second.changed = event_;
  }
  if (!answered.after) {
    answer(purpose.token, no_such_task(id, record_.name), effects);
    return;
  }
  const auto& value = *answered.after;
  if (value.state == task_state::running) {
    on_wish_noted(purpose, value, now, effects);
    return;
  }
  if (answered.applied && value.state == task_state::cancelled) {
    leave_waiting(value, answered.before, answered.was_held);
    ++totals_.cancelled;
    effects.transitions.push_back(
        {value.id, value.name, value.attempt, value.state, value.last_outcome, value.started_at_ms, now});
  }
  answer(purpose.token, value, effects);
  if (is_terminal(value.state))
    answer_waiters(value, effects);
}

void queue_core::on_wish_noted(const action_context& purpose, const task& value, wall_time_ms now,
                               queue_effects& effects) {
  if (purpose.token != 0) {
    if (purpose.action.wait)
      waiters_[value.id].push_back(purpose.token);
    else
      answer(purpose.token, value, effects);
  }
  const auto found = find_attempt({value.id, value.attempt});
  if (found == running_.end())
    return; // a lease that the queue does not know of; the next checks take it over, and find the wish
  auto& entry = found->second;
  entry.value.cancel_requested = true;
  entry.changed = event_;
  const auto grace_ms = purpose.action.grace_ms
                            ? *purpose.action.grace_ms
                            : effective_options(entry.value, defaults_)->grace_ms.value_or(grace_ms_default);
  entry.grace_ms = entry.grace_ms < 0 ? grace_ms : std::min(entry.grace_ms, grace_ms);
  if (entry.now != phase::running)
    return;
  if (entry.handed) {
    stop(entry, effects);
    return;
  }
  take_end_unstarted(entry, outcome_kind::cancelled, now);
}

void queue_core::on_retry(const action_context& purpose, const change_answer& answered,
                          queue_effects& effects) {
  const auto& id = purpose.action.id;
  if (!answered.after) {
    answer(purpose.token, no_such_task(id, record_.name), effects);
    return;
  }
  const auto& value = *answered.after;
  if (!answered.applied) {
    if (answered.holder_id.empty())
      answer(purpose.token, refusal_of(task_verb::retry, id, value.state), effects);
    else
      answer(purpose.token,
             error{error_code::conflict, "task " + id + " has the same distinct key as task " +
                                             answered.holder_id +
                                             ", which has not ended; wait for it, or cancel it"},
             effects);
    return;
  }
  effects.transitions.push_back({id, value.name, value.attempt, value.state, std::nullopt, 0, 0});
  forget_settled(id, effects);
  if (!join_lease(value)) {
    if (value.held) {
      swept_ = false;
      ++held_count_;
    } else {
      enter_line(value);
    }
  }
  answer(purpose.token, value, effects);
}

void queue_core::on_remove(const action_context& purpose, const change_answer& answered,
                           queue_effects& effects) {
  const auto& id = purpose.action.id;
  if (!answered.after) {
    answer(purpose.token, no_such_task(id, record_.name), effects);
    return;
  }
  if (!answered.applied) {
    answer(purpose.token, refusal_of(task_verb::remove, id, answered.after->state), effects);
    return;
  }
  const auto& value = *answered.after;
  for (uint32_t attempt = 1; attempt <= value.attempt; ++attempt)
    effects.removed.push_back({id, attempt});
  task_transition deletion{id, value.name, value.attempt, value.state, std::nullopt, 0, 0};
  deletion.deleted = true;
  effects.transitions.push_back(std::move(deletion));
  answer(purpose.token, value, effects);
}

void queue_core::on_release(const action_context& purpose, const change_answer& answered,
                            queue_effects& effects) {
  const auto& id = purpose.action.id;
  if (!answered.after) {
    answer(purpose.token, no_such_task(id, record_.name), effects);
    return;
  }
  const auto& value = *answered.after;
  if (!answered.applied) {
    answer(purpose.token, refusal_of(task_verb::release, id, value.state), effects);
    return;
  }
  const auto forget = [this](task& known) {
    leave_index(known);
    known.distinct_key.clear();
  };
  if (const auto found = running_.find(id); found != running_.end())
    forget(found->second.value);
  else if (auto* const waiting = window_.find(order_of(value)))
    forget(*waiting);
  answer(purpose.token, value, effects);
}

void queue_core::on_action_failure(action_context& purpose, const error& why, queue_effects& effects) {
  auto& id = purpose.action.id;
  if (purpose.token == 0) {
    uncancelled_.push_back(std::move(id)); // again when the pause is over
    return;
  }
  if (purpose.action.verb == task_verb::cancel) {
    const auto found = running_.find(id);
    if (found != running_.end() && found->second.cancels_open > 0) {
      auto& entry = found->second;
      --entry.cancels_open;
      entry.changed = event_;
      if (cancel_all_ && (!entry.ahead || closing_))
        want_cancelled(entry);
      else if (entry.now == phase::running && entry.placed && !entry.handed && entry.cancels_open == 0)
        hand_out(entry, effects);
    }
  }
  answer(purpose.token, why, effects);
}

void queue_core::take_sweep(const sweep_answer& answered, outcome_kind why, wall_time_ms now,
                            queue_effects& effects) {
  outcome how;
  how.kind = why;
  for (const auto& value : answered.cancelled) {
    leave_waiting(value, value.state, value.held);
    ++(why == outcome_kind::expired ? totals_.expired : totals_.cancelled);
    effects.transitions.push_back(
        {value.id, value.name, value.attempt, task_state::cancelled, how, value.started_at_ms, now});
  }
  enter_line(answered.released, effects);
}

void queue_core::on_expired(const sweep_answer& answered, wall_time_ms now, queue_effects& effects) {
  take_sweep(answered, outcome_kind::expired, now, effects);
  next_expiry_ms_ = answered.next_expiry_ms;
  if (answered.cancelled.size() >= limits_.promote_batch)
    return; // there may be more
  // What is left of them expires no more: it was retried in a commit that was reported as failed.
  for (auto at = window_.begin(); at != window_.end_of_tasks(); ++at)
    if (at->second.expires_at_ms <= expiring_until_ms_)
      at->second.expires_at_ms = 0;
}

void queue_core::on_swept(const sweep_answer& answered, wall_time_ms now, queue_effects& effects) {
  take_sweep(answered, outcome_kind::cancelled, now, effects);
  swept_ = answered.cancelled.size() < limits_.promote_batch && answered.released.empty();
  if (!swept_ || window_.count() + held_count_ + delayed_count_ == 0)
    return;
  repair("channel " + record_.name + " counted " + std::to_string(window_.count()) + " pending, " +
             std::to_string(held_count_) + " held and " + std::to_string(delayed_count_) +
             " delayed tasks, the store has none",
         effects);
  for (auto at = window_.begin(); at != window_.end_of_tasks(); ++at)
    leave_index(at->second);
  window_.reset(0);
  held_count_ = 0;
  delayed_count_ = 0;
}

// -- parts ------------------------------------------------------------------------

void queue_core::leave_waiting(const task& value, task_state before, bool was_held) {
  if (before == task_state::delayed) {
    delayed_count_ -= std::min<uint64_t>(delayed_count_, 1);
    return;
  }
  if (was_held) {
    held_count_ -= std::min<uint64_t>(held_count_, 1);
    return;
  }
  if (const auto found = running_.find(value.id);
      found != running_.end() &&
      (found->second.now == phase::leasing || found->second.now == phase::returning)) {
    leave_index(found->second.value);
    found->second.gone = true; // no longer counted as pending; neither lease nor return will be applied
    return;
  }
  leave_line(order_of(value));
}

void queue_core::stop(running_task& entry, queue_effects& effects) {
  if (entry.grace_ms < 0)
    entry.grace_ms = effective_options(entry.value, defaults_)->grace_ms.value_or(grace_ms_default);
  effects.stops.push_back({{entry.value.id, entry.value.attempt}, entry.grace_ms});
}

void queue_core::answer(action_token token, result<task> value, queue_effects& effects) {
  if (token == 0)
    return;
  --actions_open_;
  effects.action_answers.push_back({token, std::move(value)});
}

std::vector<action_token> queue_core::take_waiters(const std::string& id) {
  if (waiters_.empty())
    return {};
  auto node = waiters_.extract(id);
  return node.empty() ? std::vector<action_token>{} : std::move(node.mapped());
}

void queue_core::answer_waiters(const task& value, queue_effects& effects) {
  for (const auto token : take_waiters(value.id))
    answer(token, value, effects);
}

void queue_core::cancel_if_awaited(const std::string& id) {
  if (!waiters_.empty() && waiters_.count(id) > 0)
    uncancelled_.push_back(id);
}

} // namespace task_runner
