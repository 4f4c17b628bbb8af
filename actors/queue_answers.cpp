// What the store made of pushes, leases, ends and promotions, and what follows when a commit failed.
// A failed commit may have happened all the same: what is submitted again finds out.
#include "actors/queue_core.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace task_runner {

void queue_core::on_answer(context& purpose, const store_answer& answer, wall_time_ms now,
                           queue_effects& effects) {
  if (auto* insert = std::get_if<insert_context>(&purpose)) {
    on_insert(*insert, std::get<insert_answer>(answer), effects);
  } else if (auto* lease = std::get_if<lease_context>(&purpose)) {
    on_lease(*lease, std::get<change_answer>(answer), now, effects);
  } else if (auto* settle = std::get_if<settle_context>(&purpose)) {
    on_settle(*settle, std::get<change_answer>(answer), effects);
  } else if (auto* returned = std::get_if<return_context>(&purpose)) {
    on_return(*returned, std::get<change_answer>(answer), now, effects);
  } else if (std::get_if<promote_context>(&purpose)) {
    on_promote(std::get<promote_answer>(answer), effects);
  } else if (auto* mark = std::get_if<mark_context>(&purpose)) {
    reply_duplicate(mark->token, mark->index, std::move(mark->reply), effects);
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
  else if (state == task_state::running)
    --uncommitted_leases_;
  if (answer.what != insert_answer::kind::inserted) {
    if (state == task_state::running)
      free_place();
    if (answer.what == insert_answer::kind::inserted_before) {
      // The request is repeated: it gets the answer that it would have got then, but for the state.
      reply(purpose.token, purpose.index, push_reply{value.name, value.id, true, std::nullopt}, effects);
      return;
    }
    if (answer.what == insert_answer::kind::duplicate_id && !answer.same_definition) {
      refuse(purpose.token, purpose.index, value.name,
             {error_code::conflict, "the id " + value.id +
                                        " belongs to another task; an id is good for one task, give a "
                                        "new one"},
             effects);
      return;
    }
    reply_duplicate(purpose.token, purpose.index,
                    push_reply{value.name, answer.holder_id, false, std::nullopt}, effects);
    return;
  }
  value.sequence = answer.sequence;
  const auto committed_as = answer.held ? task_state::pending : state;
  reply(purpose.token, purpose.index, push_reply{value.name, value.id, true, std::nullopt, committed_as},
        effects);
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
  --(purpose.ahead ? uncommitted_ahead_ : uncommitted_leases_);
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
    entry.value.launcher_id = after->launcher_id;
  }
  entry.now = phase::running;
  entry.changed = event_;
  if (entry.value.distinct_while_pending) {
    leave_index(entry.value);
    entry.value.distinct_key.clear();
  }
  if (entry.value.cancel_requested) {
    take_end_unstarted(entry, outcome_kind::cancelled, now);
    return;
  }
  if (!entry.placed)
    return; // leased ahead, it waits for a worker
  effects.transitions.push_back({entry.value.id, entry.value.name, entry.value.attempt, task_state::running,
                                 std::nullopt, entry.value.started_at_ms, 0});
  if (entry.cancels_open == 0)
    hand_out(entry, effects);
}

void queue_core::on_return(const return_context& purpose, const change_answer& answer, wall_time_ms now,
                           queue_effects& effects) {
  const auto found = find_attempt(purpose.key);
  if (found == running_.end() || found->second.now != phase::returning)
    return;
  auto& entry = found->second;
  const auto& after = answer.after;
  if (after && after->state == task_state::running && after->attempt == purpose.key.attempt) {
    --returning_;
    entry.now = phase::running;
    entry.changed = event_;
    entry.value.cancel_requested = after->cancel_requested;
    if (after->cancel_requested) {
      take_end_unstarted(entry, outcome_kind::cancelled, now);
      return;
    }
    repair("task " + purpose.key.task_id + " was leased ahead and could not be put back into line", effects);
    leave_place(entry); // so that this is not tried for ever; it keeps its lease until a worker is free
    unplaced_.push_back(purpose.key);
    return;
  }
  // Applied, or an earlier commit of it was reported as failed, and had happened.
  if (!answer.applied && (!after || after->state != task_state::pending)) {
    drop_superseded(found, after, effects);
    return;
  }
  leave_place(entry);
  const auto node = running_.extract(found);
  enter_line(unleased(node.mapped().value));
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

void queue_core::remember_unsure(const attempt_key& key) {
  if (unsure_.size() < limits_.unsure_max)
    unsure_.insert(key);
}

void queue_core::on_lease_failure(const lease_context& purpose) {
  --(purpose.ahead ? uncommitted_ahead_ : uncommitted_leases_);
  const auto found = find_attempt(purpose.key);
  if (found == running_.end() || found->second.now != phase::leasing)
    return;
  remember_unsure(purpose.key);
  if (purpose.ahead)
    unplaced_.erase(std::remove(unplaced_.begin(), unplaced_.end(), purpose.key), unplaced_.end());
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
}

void queue_core::on_failure(context& purpose, const error& why, queue_effects& effects) {
  swept_ = false; // it may have happened
  if (auto* insert = std::get_if<insert_context>(&purpose)) {
    --uncommitted_;
    if (insert->value.state == task_state::pending) {
      --uncommitted_waiting_;
    } else if (insert->value.state == task_state::running) {
      --uncommitted_leases_;
      remember_unsure({insert->value.id, insert->value.attempt});
      free_place();
    }
    refuse(insert->token, insert->index, insert->value.name, why, effects);
  } else if (auto* lease = std::get_if<lease_context>(&purpose)) {
    on_lease_failure(*lease);
  } else if (auto* returned = std::get_if<return_context>(&purpose)) {
    const auto found = find_attempt(returned->key);
    if (found != running_.end() && found->second.now == phase::returning)
      unreturned_.push_back(std::move(returned->key)); // again when the pause is over
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
