// What runs and what waits in a queue: handing out, ends, the line, and the leases that lead from one to the
// other. advance() ends every event: it leases what may run, and asks the store for what the queue needs to
// go on.
#include "actors/queue_core.hpp"

#include <algorithm>
#include <utility>

namespace task_runner {

// -- running tasks ----------------------------------------------------------------

queue_core::running_tasks_map::iterator queue_core::find_attempt(const attempt_key& key) {
  const auto found = running_.find(key.task_id);
  return found != running_.end() && found->second.value.attempt == key.attempt ? found : running_.end();
}

queue_core::running_task& queue_core::begin_entry(task value) {
  auto id = value.id;
  auto& entry = running_[std::move(id)];
  leave_place(entry);
  entry = running_task{};
  entry.value = std::move(value);
  entry.changed = event_;
  return entry;
}

bool queue_core::join_lease(const task& value) {
  if (running_.empty())
    return false;
  const auto found = running_.find(value.id);
  if (found != running_.end() && found->second.now == phase::returning) {
    // It is back in line already: the commit that was reported as failed had happened.
    leave_place(found->second);
    leave_index(found->second.value);
    running_.erase(found);
    return false;
  }
  if (found == running_.end() || found->second.now != phase::leasing)
    return false;
  // Cancelled and pending anew, while its lease was on the way: the lease comes after both.
  found->second.gone = false;
  auto& leased = found->second.value;
  const auto attempt = leased.attempt;
  const auto started_at_ms = leased.started_at_ms;
  const auto launcher_id = leased.launcher_id;
  leave_index(leased);
  leased = value;
  leased.attempt = attempt;
  leased.started_at_ms = started_at_ms;
  leased.launcher_id = launcher_id;
  leased.state = task_state::running;
  if (!leased.distinct_key.empty())
    distinct_index_[leased.distinct_key] = leased.id;
  return true;
}

void queue_core::hand_out(running_task& entry, queue_effects& effects) {
  entry.handed = true;
  entry.changed = event_;
  if (!unsure_.empty())
    unsure_.erase({entry.value.id, entry.value.attempt});
  effects.runs.push_back({entry.value, effective_options(entry.value, defaults_)});
}

void queue_core::take_end(running_task& entry, const task_runner::attempt_ended& event, wall_time_ms now) {
  const bool cancel_wanted = entry.value.cancel_requested || entry.cancels_open > 0 || closing_;
  entry.settle = judge_end(entry.value, *effective_options(entry.value, defaults_), event, cancel_wanted,
                           limits_.recoveries_max, now);
  leave_place(entry);
  entry.now = phase::settling;
  entry.submitted = false;
  entry.changed = event_;
  if (event.how.kind == outcome_kind::lost)
    ++totals_.lost;
  unsettled_.push_back(entry.value.id);
}

void queue_core::take_end_unstarted(running_task& entry, outcome_kind kind, wall_time_ms now) {
  task_runner::attempt_ended end;
  end.key = {entry.value.id, entry.value.attempt};
  end.how.kind = kind;
  end.ended_at_ms = now;
  take_end(entry, end, now);
}

wall_time_ms queue_core::ready_at(const task& value) noexcept {
  return std::max(value.created_at_ms, value.not_before_ms);
}

void queue_core::settled_as(running_task& entry, const settle_task& settle, queue_effects& effects) {
  auto& value = entry.value;
  effects.transitions.push_back({settle.id, value.name, settle.attempt, settle.state, settle.how,
                                 settle.started_at_ms, settle.ended_at_ms,
                                 settle.attempt == 1 ? ready_at(value) : 0, entry.handed});
  value.state = settle.state;
  value.started_at_ms = settle.started_at_ms;
  value.ended_at_ms = settle.ended_at_ms;
  value.recoveries = settle.recoveries;
  value.not_before_ms = settle.not_before_ms != 0 ? settle.not_before_ms : value.not_before_ms;
  value.last_outcome = settle.how;
  value.output_bytes = settle.output_bytes;
  if (settle.state == task_state::finished)
    ++totals_.finished;
  else if (settle.state == task_state::dead)
    ++totals_.dead;
  else if (settle.state == task_state::cancelled)
    ++(settle.how.kind == outcome_kind::expired ? totals_.expired : totals_.cancelled);
  else if (settle.how.kind != outcome_kind::lost)
    ++totals_.retried;
}

void queue_core::forget_settled(const std::string& id, queue_effects& effects) {
  const auto found = running_.find(id);
  if (found == running_.end() || !found->second.settle)
    return;
  // The commit of its outcome was reported as failed, and had happened: it waits again already.
  effects.settled.push_back({id, found->second.value.attempt});
  settled_as(found->second, *found->second.settle, effects);
  const auto node = running_.extract(found);
  const auto& value = node.mapped().value;
  leave_index(value);
  if (is_terminal(value.state))
    answer_waiters(value, effects);
  else
    cancel_if_awaited(value.id);
}

void queue_core::drop_superseded(running_tasks_map::iterator position, const std::optional<task>& now_is,
                                 queue_effects& effects) {
  leave_place(position->second);
  const auto node = running_.extract(position);
  const auto& value = node.mapped().value;
  leave_index(value);
  if (!now_is) {
    for (const auto token : take_waiters(value.id))
      answer(token, no_such_task(value.id, record_.name), effects);
    return;
  }
  if (now_is->state == task_state::pending || now_is->state == task_state::delayed)
    cancel_if_awaited(value.id);
  switch (now_is->state) {
  case task_state::pending:
    if (now_is->held)
      ++held_count_;
    else
      enter_line(*now_is);
    break;
  case task_state::delayed:
    enter_delayed(now_is->not_before_ms);
    break;
  case task_state::running:
    break; // by another attempt: the next checks take it over
  default:
    answer_waiters(*now_is, effects);
  }
}

// -- waiting tasks and leasing ------------------------------------------------------

void queue_core::add_operation(store_operation operation, context purpose) {
  operations_.push_back(std::move(operation));
  contexts_.push_back(std::move(purpose));
}

void queue_core::enter_line(task value) {
  swept_ = false;
  if (!value.distinct_key.empty())
    distinct_index_[value.distinct_key] = value.id;
  window_.enter(std::move(value), [this](const task& left) { leave_index(left); });
}

void queue_core::enter_line(const std::vector<task>& values, queue_effects& effects) {
  for (const auto& value : values) {
    if (join_lease(value))
      continue;
    held_count_ -= std::min<uint64_t>(held_count_, 1);
    forget_settled(value.id, effects);
    enter_line(value);
  }
}

void queue_core::leave_line(order_key key) {
  // What the queue knows of it counts here: the store may have released its record unheard.
  if (const auto* const waiting = window_.find(key); waiting != nullptr)
    leave_index(*waiting);
  window_.remove(key);
}

void queue_core::enter_delayed(wall_time_ms not_before_ms) {
  swept_ = false;
  ++delayed_count_;
  next_due_ms_ = earlier(next_due_ms_, not_before_ms);
}

void queue_core::leave_index(const task& value) {
  if (value.distinct_key.empty())
    return;
  const auto found = distinct_index_.find(value.distinct_key);
  if (found != distinct_index_.end() && found->second == value.id)
    distinct_index_.erase(found);
}

bool queue_core::may_lease() const noexcept {
  return recovered_ && !leasing_stopped_ && !record_.paused && !closing_ && store_retry_at_ms_ == 0;
}

bool queue_core::has_place() const noexcept {
  return credit_ > 0 && (!slots_limited_ || slots_free_ > 0);
}

void queue_core::take_place() noexcept {
  --credit_;
  ++occupied_;
  if (!slots_limited_ || slots_unreported_)
    return;
  if (slots_free_ > 0)
    --slots_free_;
  else
    ++slotless_;
}

void queue_core::free_place() noexcept {
  ++credit_;
  --occupied_;
  if (!slots_limited_ || slots_unreported_)
    return;
  // Given back even when there is more to run: whose turn it is is for the allocator to say.
  if (slotless_ > 0)
    --slotless_;
  else
    ++slots_returned_;
}

void queue_core::leave_place(running_task& entry) noexcept {
  if (std::exchange(entry.placed, false))
    free_place();
  if (std::exchange(entry.ahead, false)) {
    --ahead_;
    returning_ -= entry.now == phase::returning ? 1 : 0;
  }
}

bool queue_core::may_lease_ahead(const task& value) const {
  return value.attempt == 0 && may_return(value);
}

bool queue_core::may_return(const task& value) const {
  if (value.attempts_before != 0 || value.attempt > 1 || value.expires_at_ms != 0 ||
      !value.concurrency_key.empty() || value.distinct_while_pending)
    return false;
  const auto own = value.options ? value.options->delivery : std::nullopt;
  return (own ? *own : defaults_->delivery.value_or(delivery_kind::at_least_once)) ==
         delivery_kind::at_least_once;
}

wall_time_ms queue_core::return_at() const noexcept {
  if (ahead_ == 0)
    return 0;
  for (const auto& key : unplaced_) {
    const auto found = running_.find(key.task_id);
    if (found != running_.end() && found->second.ahead && found->second.now != phase::returning)
      return found->second.value.started_at_ms + limits_.ahead_kept_ms; // it was leased first
  }
  return 0;
}

void queue_core::return_leases(wall_time_ms now) {
  const auto add_return = [this](attempt_key key) {
    return_lease operation{key.task_id, record_.name};
    add_operation(std::move(operation), return_context{std::move(key)});
  };
  for (auto& key : std::exchange(unreturned_, {}))
    if (const auto found = find_attempt(key);
        found != running_.end() && found->second.now == phase::returning)
      add_return(std::move(key));
  if (ahead_ == 0)
    return;
  const auto overdue_at = return_at();
  const bool overdue = overdue_at != 0 && is_over(overdue_at, now, limits_.ahead_kept_ms);
  if (!record_.paused && !leasing_stopped_ && !overdue)
    return;
  std::deque<attempt_key> kept;
  for (auto& key : unplaced_) {
    const auto found = find_attempt(key);
    if (found == running_.end() || found->second.placed ||
        (found->second.now != phase::running && found->second.now != phase::leasing))
      continue; // it has ended
    // What is on its way to the store goes back when it is there; what is being cancelled ends with that.
    if (!found->second.ahead || found->second.now == phase::leasing || found->second.cancels_open > 0) {
      kept.push_back(std::move(key));
      continue;
    }
    found->second.now = phase::returning;
    ++returning_;
    found->second.changed = event_;
    add_return(std::move(key));
  }
  unplaced_ = std::move(kept);
}

void queue_core::submit_ends(wall_time_ms now) {
  for (auto& id : std::exchange(unsettled_, {})) {
    const auto found = running_.find(id);
    if (found == running_.end() || !found->second.settle || found->second.submitted)
      continue;
    auto& entry = found->second;
    auto& settle = *entry.settle;
    const bool cancel_wanted = entry.value.cancel_requested || entry.cancels_open > 0 || closing_;
    if (cancel_wanted && settle.state != task_state::finished) {
      settle.state = task_state::cancelled; // it was wanted after the end was judged
      settle.not_before_ms = 0;
    }
    entry.submitted = true;
    add_operation(settle, settle_context{{std::move(id), settle.attempt}});
  }
  for (auto& id : std::exchange(uncancelled_, {})) {
    task_action action;
    action.id = std::move(id);
    cancel_task operation{action.id, now};
    add_operation(std::move(operation), action_context{0, std::move(action)});
  }
}

void queue_core::hand_out_unplaced(wall_time_ms now, queue_effects& effects) {
  while (!unplaced_.empty() && may_lease() && has_place()) {
    const auto found = find_attempt(unplaced_.front());
    unplaced_.pop_front();
    if (found == running_.end() || found->second.placed ||
        (found->second.now != phase::running && found->second.now != phase::leasing))
      continue;
    auto& entry = found->second;
    if (entry.now == phase::running && expires_unstarted(entry.value, now)) {
      take_end_unstarted(entry, outcome_kind::expired, now);
      continue;
    }
    const bool was_ahead = entry.ahead;
    leave_place(entry);
    take_place();
    entry.placed = true;
    entry.value.started_at_ms = now; // what the lease said may be long ago
    if (entry.now != phase::running)
      continue; // it is handed out when its lease is committed
    if (was_ahead)
      effects.transitions.push_back({entry.value.id, entry.value.name, entry.value.attempt,
                                     task_state::running, std::nullopt, entry.value.started_at_ms, 0});
    if (entry.cancels_open == 0)
      hand_out(entry, effects);
  }
}

void queue_core::lease_from_window(wall_time_ms now) {
  if (!may_lease() || returning_ > 0)
    return;
  const auto ahead_allowed = std::min(limits_.ahead_max, turnover_.expected_within(limits_.ahead_ms, now));
  for (auto at = window_.begin(); at != window_.end_of_tasks() && (has_place() || ahead_ < ahead_allowed);) {
    auto& waiting = at->second;
    const bool ahead = !has_place();
    if (ahead && !may_lease_ahead(waiting))
      return;
    if (expires_unstarted(waiting, now)) {
      next_expiry_ms_ = earlier(next_expiry_ms_, waiting.expires_at_ms);
      ++at; // too late for it; the store will say so
      continue;
    }
    auto value = window_.take(at++);
    if (running_.count(value.id) > 0) {
      leave_index(value);
      continue; // it runs already; whatever it did here is not counted any more
    }
    ++value.attempt;
    value.state = task_state::running;
    value.started_at_ms = now;
    value.launcher_id = launcher_id_;
    attempt_key key{value.id, value.attempt};
    if (ahead)
      unplaced_.push_back(key);
    else
      take_place();
    ++(ahead ? uncommitted_ahead_ : uncommitted_leases_);
    add_operation(lease_task{value.id, value.attempt, now, launcher_id_},
                  lease_context{std::move(key), ahead});
    auto& entry = begin_entry(std::move(value));
    entry.now = phase::leasing;
    entry.placed = !ahead;
    entry.ahead = ahead;
    ahead_ += ahead ? 1 : 0;
  }
}

void queue_core::ask_for_waiting(wall_time_ms now) {
  if (!promoting_ && (ask_due_ || (next_due_ms_ != 0 && now >= next_due_ms_))) {
    promoting_ = true;
    ask_due_ = false;
    add_operation(promote_due{record_.name, now, limits_.promote_batch}, promote_context{});
  }
  if (!expiring_ && next_expiry_ms_ != 0 && now >= next_expiry_ms_) {
    expiring_ = true;
    expiring_until_ms_ = now;
    add_operation(expire_due{record_.name, now, limits_.promote_batch}, expire_context{});
  }
  if (ask_release_ && !releasing_) {
    releasing_ = true;
    ask_release_ = false;
    add_operation(release_held{record_.name, limits_.promote_batch}, release_context{});
  }
  if (closing_ && !swept_ && !sweeping_) {
    sweeping_ = true;
    add_operation(cancel_channel_tasks{record_.name, now, limits_.promote_batch}, sweep_context{});
  }
}

void queue_core::read_backlog(queue_effects& effects) {
  if (loading_ || closing_ || window_.size() >= limits_.window_low_water || window_.is_complete())
    return;
  loading_ = true;
  requested_after_ = window_.end();
  requested_generation_ = window_.generation();
  effects.load = window_request{window_.end(), limits_.window};
}

void queue_core::report_slots(queue_effects& effects) {
  if (!slots_limited_)
    return;
  slot_report report;
  if (slots_unreported_)
    report.occupied = occupied_;
  const auto demand = may_lease()
                          ? std::min<uint64_t>(static_cast<uint64_t>(std::max<int64_t>(credit_, 0)),
                                               window_.size() + uncommitted_waiting_ + unplaced_.size())
                          : 0;
  if (slots_free_ > demand) {
    slots_returned_ += slots_free_ - demand;
    slots_free_ = demand;
  }
  report.returned = std::exchange(slots_returned_, 0);
  report.wanted = occupied_ - slotless_ + demand;
  if (!report.occupied && report.returned == 0 && report.wanted == slots_wanted_)
    return;
  slots_unreported_ = false;
  slots_wanted_ = report.wanted;
  effects.slots = report;
}

bool queue_core::may_wait() const noexcept {
  // Those that run keep the machine busy, or those that can follow at once do.
  const bool enough_run = occupied_ >= uncommitted_leases_ + limits_.running_enough;
  const bool enough_follow = ahead_ > uncommitted_ahead_ + limits_.ahead_max / 2;
  if (!enough_run && !enough_follow)
    return false;
  bool ends = false;
  for (const auto& purpose : contexts_) {
    if (std::holds_alternative<settle_context>(purpose))
      ends = true;
    else if (!std::holds_alternative<lease_context>(purpose))
      return false;
  }
  return ends;
}

void queue_core::advance(wall_time_ms now, queue_effects& effects) {
  hand_out_unplaced(now, effects);
  if (store_retry_at_ms_ == 0) {
    submit_ends(now);
    return_leases(now);
    lease_from_window(now);
    ask_for_waiting(now);
    read_backlog(effects);
  }
  report_slots(effects);
  if (operations_.empty())
    return;
  const auto token = next_token_++;
  effects.submissions.push_back({token, std::move(operations_), may_wait()});
  in_flight_.emplace(token, std::move(contexts_));
  operations_.clear();
  contexts_.clear();
}

} // namespace task_runner
