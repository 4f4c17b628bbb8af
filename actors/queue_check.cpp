// What the queue believes against what the store and the launcher say: at its beginning, and every now and
// then. One way of taking over serves both: a lease of the store finds its process, or its outcome, or is
// lost.
#include "actors/queue_core.hpp"

#include <algorithm>
#include <utility>

namespace task_runner {

namespace {

int64_t difference(uint64_t a, uint64_t b) {
  return static_cast<int64_t>(a) - static_cast<int64_t>(b);
}

uint64_t shifted(uint64_t count, int64_t by) {
  return by < 0 ? count - std::min(count, static_cast<uint64_t>(-by)) : count + static_cast<uint64_t>(by);
}

std::map<attempt_key, const known_attempt*> by_key_of(const launcher_knowledge& known) {
  std::map<attempt_key, const known_attempt*> by_key;
  for (const auto& attempt : known.attempts)
    by_key.emplace(attempt.key, &attempt);
  return by_key;
}

std::string stranger(const attempt_key& key) {
  return "attempt " + std::to_string(key.attempt) + " of task " + key.task_id +
         " runs without a lease; it is left alone and its outcome will be dropped";
}

} // namespace

// -- recovery -------------------------------------------------------------------

queue_effects queue_core::recovered(const channel_recovery& found, const launcher_knowledge& known,
                                    wall_time_ms now) {
  queue_effects effects;
  ++event_;
  if (recovered_)
    return effects;
  recovered_ = true;
  launcher_id_ = known.launcher_id;
  window_.reset(found.pending_count);
  held_count_ = found.held_count;
  delayed_count_ = found.delayed_count;
  next_due_ms_ = found.next_due_ms;
  next_expiry_ms_ = found.next_expiry_ms;
  auto by_key = by_key_of(known);
  for (const auto& value : found.running) {
    const auto match = by_key.find(attempt_key{value.id, value.attempt});
    const auto* const attempt = match == by_key.end() ? nullptr : match->second;
    const bool never_handed = attempt == nullptr && is_certain_of(value);
    if (match != by_key.end())
      by_key.erase(match);
    else
      repair("task " + value.id + " was leased, but no process of it is known: attempt " +
                 std::to_string(value.attempt) +
                 (never_handed ? " has not begun yet, and does so now" : " is lost"),
             effects);
    take_over(value, attempt, never_handed, now, effects);
  }
  for (const auto& [key, attempt] : by_key) {
    if (attempt->ended) {
      effects.settled.push_back(key); // settled before; only the launcher was not told
    } else {
      strangers_.insert(key);
      repair(stranger(key), effects);
    }
  }
  for (auto& waiting : std::exchange(early_, {}))
    admit(waiting.token, std::move(waiting.items), now, effects);
  for (auto& waiting : std::exchange(early_actions_, {}))
    begin(waiting.token, std::move(waiting.action), now, effects);
  advance(now, effects);
  return effects;
}

bool queue_core::is_certain_of(const task& value) const noexcept {
  return value.launcher_id != 0 && value.launcher_id == launcher_id_;
}

void queue_core::take_over(task value, const known_attempt* known, bool never_handed, wall_time_ms now,
                           queue_effects& effects) {
  auto& entry = begin_entry(std::move(value));
  entry.handed = known != nullptr || !never_handed;
  entry.begun = known != nullptr && known->pid != 0;
  if (!entry.value.distinct_key.empty())
    distinct_index_[entry.value.distinct_key] = entry.value.id;
  if (known != nullptr && known->ended) {
    take_end(entry, known->end, now);
    return;
  }
  if (known == nullptr && !never_handed) {
    take_end_unstarted(entry, outcome_kind::lost, now);
    return;
  }
  if (known == nullptr && entry.value.cancel_requested) {
    take_end_unstarted(entry, outcome_kind::cancelled, now);
    return;
  }
  // Until now the queue took it for waiting, and so did everybody: what waits is nobody's to cancel.
  const bool returns =
      known == nullptr && cancel_all_ && leasing_stopped_ && !closing_ && may_return(entry.value);
  if (cancel_all_ && !returns)
    want_cancelled(entry);
  if (known == nullptr) {
    entry.ahead = returns;
    ahead_ += returns ? 1 : 0;
    unplaced_.push_back({entry.value.id, entry.value.attempt});
    return;
  }
  take_place();
  entry.placed = true;
  if (entry.value.cancel_requested)
    stop(entry, effects);
}

// -- the periodic check -----------------------------------------------------------

void queue_core::store_checked(const channel_recovery& found) {
  if (!recovered_)
    return;
  checking_ = true;
  checked_at_ = event_;
  fresh_ = {};
  uint64_t leasing = 0;
  for (const auto& [id, entry] : running_)
    leasing += entry.now == phase::leasing && !entry.gone ? 1 : 0;
  // A task whose lease is under way still waits in the store.
  fresh_.pending_off = difference(found.pending_count, window_.count() + leasing);
  fresh_.held_off = difference(found.held_count, held_count_);
  fresh_.delayed_off = difference(found.delayed_count, delayed_count_);
  std::set<attempt_key> unsure;
  for (const auto& value : found.running) {
    attempt_key key{value.id, value.attempt};
    if (unsure_.count(key) > 0)
      unsure.insert(key);
    if (running_.count(value.id) == 0)
      fresh_.unknown_leases.emplace(std::move(key), value);
  }
  unsure_ = std::move(unsure); // of the others it is known now that they did not happen
  if (!promoting_)
    next_due_ms_ = found.next_due_ms;
  if (!expiring_)
    next_expiry_ms_ = found.next_expiry_ms;
}

queue_effects queue_core::check(const launcher_knowledge& known, wall_time_ms now) {
  queue_effects effects;
  if (!recovered_ || !checking_)
    return effects;
  checking_ = false;
  ++event_;
  launcher_id_ = known.launcher_id;
  compare_attempts(known, effects);
  const bool store_agrees = fresh_.pending_off == 0 && fresh_.held_off == 0 && fresh_.delayed_off == 0 &&
                            fresh_.unknown_leases.empty();
  if (!repair_attempts(known, now, effects))
    repair_counts(effects);
  // Of what has failed since the store was read this check knows nothing.
  if (unsure_since_ != 0 && unsure_since_ <= checked_at_ && store_agrees) {
    unsure_since_ = 0;
    forget_window(window_.count());
  }
  found_before_ = std::move(fresh_);
  fresh_ = {};
  ask_release_ = ask_release_ || held_count_ > 0;
  swept_ = false; // a closing channel is swept again
  advance(now, effects);
  return effects;
}

void queue_core::compare_attempts(const launcher_knowledge& known, queue_effects& effects) {
  const auto by_key = by_key_of(known);
  for (auto& [id, entry] : running_) {
    // What changed after the store was read is compared next time.
    if (entry.now != phase::running || !entry.handed || entry.changed > checked_at_)
      continue;
    const attempt_key key{id, entry.value.attempt};
    const auto match = by_key.find(key);
    entry.begun = entry.begun || (match != by_key.end() && match->second->pid != 0);
    if (match == by_key.end())
      fresh_.unattended.emplace(key, entry.changed);
    else if (match->second->ended)
      fresh_.unheard.emplace(key, entry.changed);
    else if (entry.value.cancel_requested)
      stop(entry, effects); // said again, should it have been lost on its way
  }
  std::set<attempt_key> told;
  for (const auto& [key, attempt] : by_key) {
    if (find_attempt(key) != running_.end() || fresh_.unknown_leases.count(key) > 0)
      continue;
    (attempt->ended ? fresh_.leftover : fresh_.strangers).insert(key);
    if (strangers_.count(key) > 0)
      told.insert(key);
  }
  strangers_ = std::move(told);
}

bool queue_core::repair_attempts(const launcher_knowledge& known, wall_time_ms now, queue_effects& effects) {
  const auto by_key = by_key_of(known);
  bool repaired = false;
  for (auto& [key, value] : fresh_.unknown_leases) {
    if (found_before_.unknown_leases.count(key) == 0 || running_.count(key.task_id) > 0)
      continue;
    const auto match = by_key.find(key);
    const auto* const attempt = match == by_key.end() ? nullptr : match->second;
    const bool never_handed = unsure_.erase(key) > 0 || is_certain_of(value);
    repair("task " + key.task_id + " was leased in the store, unknown to the queue: attempt " +
               std::to_string(key.attempt) +
               (attempt != nullptr ? " is taken over"
                : never_handed     ? " has not begun yet"
                                   : " is lost"),
           effects);
    if (window_.find(order_of(value)) != nullptr)
      leave_line(order_of(value));
    take_over(std::move(value), attempt, never_handed, now, effects);
    repaired = true;
  }
  for (const auto& [key, changed] : fresh_.unattended) {
    const auto before = found_before_.unattended.find(key);
    if (before == found_before_.unattended.end() || before->second != changed)
      continue;
    repair("attempt " + std::to_string(key.attempt) + " of task " + key.task_id +
               " is run by nobody: it is lost",
           effects);
    take_end_unstarted(running_.at(key.task_id), outcome_kind::lost, now);
    repaired = true;
  }
  for (const auto& [key, changed] : fresh_.unheard) {
    const auto before = found_before_.unheard.find(key);
    if (before == found_before_.unheard.end() || before->second != changed)
      continue;
    repair("attempt " + std::to_string(key.attempt) + " of task " + key.task_id +
               " ended, and the queue had not heard of it",
           effects);
    take_end(running_.at(key.task_id), by_key.at(key)->end, now);
    repaired = true;
  }
  for (const auto& key : fresh_.leftover)
    if (found_before_.leftover.count(key) > 0)
      effects.settled.push_back(key); // nobody's business any more; the launcher had not heard
  for (const auto& key : fresh_.strangers)
    if (found_before_.strangers.count(key) > 0 && strangers_.insert(key).second)
      repair(stranger(key), effects);
  if (repaired) { // what was counted may have been a part of it
    fresh_.pending_off = 0;
    fresh_.held_off = 0;
    fresh_.delayed_off = 0;
  }
  return repaired;
}

void queue_core::repair_counts(queue_effects& effects) {
  const auto told = [this, &effects](const char* what, uint64_t counted, int64_t off) {
    repair("channel " + record_.name + " counted " + std::to_string(counted) + " " + what +
               " tasks, the store has " + std::to_string(shifted(counted, off)),
           effects);
  };
  if (fresh_.pending_off != 0 && fresh_.pending_off == found_before_.pending_off) {
    told("pending", window_.count(), fresh_.pending_off);
    forget_window(shifted(window_.count(), fresh_.pending_off)); // nobody knows which
    fresh_.pending_off = 0;
  }
  if (fresh_.held_off != 0 && fresh_.held_off == found_before_.held_off) {
    told("held", held_count_, fresh_.held_off);
    held_count_ = shifted(held_count_, fresh_.held_off);
    fresh_.held_off = 0;
  }
  if (fresh_.delayed_off != 0 && fresh_.delayed_off == found_before_.delayed_off) {
    told("delayed", delayed_count_, fresh_.delayed_off);
    delayed_count_ = shifted(delayed_count_, fresh_.delayed_off);
    ask_due_ = true;
    fresh_.delayed_off = 0;
  }
}

/// What is in line is read anew; it is so many.
void queue_core::forget_window(uint64_t count) {
  for (auto at = window_.begin(); at != window_.end_of_tasks(); ++at)
    leave_index(at->second);
  window_.reset(count);
}

void queue_core::repair(std::string what, queue_effects& effects) {
  ++totals_.repairs;
  effects.repairs.push_back(std::move(what));
}

} // namespace task_runner
