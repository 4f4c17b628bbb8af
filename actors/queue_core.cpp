// The events of one channel's queue, and how pushes are taken in; queue_core.hpp tells the life of a task.
// What the store answers is in queue_answers.cpp, what runs and what waits in queue_leases.cpp, actions of
// persons in queue_actions.cpp, recovery and checks in queue_check.cpp, why a task waits in queue_why.cpp.
#include "actors/queue_core.hpp"

#include <algorithm>
#include <cassert>
#include <iterator>
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
    unsure_since_ = event_;
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
  return attempts_progressed({event}, now);
}

queue_effects queue_core::attempts_progressed(const std::vector<attempt_event>& events, wall_time_ms now) {
  queue_effects effects;
  ++event_;
  if (!recovered_)
    return effects; // recovery reads the launcher's list, which has it
  bool taken = false;
  for (const auto& one : events) {
    const auto* ended = std::get_if<task_runner::attempt_ended>(&one);
    if (ended == nullptr) {
      attempt_started(std::get<task_runner::attempt_started>(one));
      continue;
    }
    const auto found = find_attempt(ended->key);
    if (found == running_.end()) {
      effects.settled.push_back(ended->key);
    } else if (found->second.now == phase::running) { // otherwise repeated: its settle is on the way
      turnover_.note_end(now);
      take_end(found->second, *ended, now);
      taken = true;
    }
  }
  if (taken)
    advance(now, effects);
  return effects;
}

void queue_core::attempt_started(const task_runner::attempt_started& event) {
  const auto found = find_attempt(event.key);
  if (found == running_.end())
    return;
  found->second.begun = true;
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
    return store_retry_at_ms_;
  return earlier(earlier(promoting_ ? 0 : next_due_ms_, expiring_ ? 0 : next_expiry_ms_), return_at());
}

queue_effects queue_core::stop_leasing(wall_time_ms now) {
  queue_effects effects;
  ++event_;
  leasing_stopped_ = true;
  if (recovered_)
    advance(now, effects);
  return effects;
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

queue_effects queue_core::clock_adjusted(int64_t shift_ms, wall_time_ms now) {
  queue_effects effects;
  ++event_;
  ask_due_ = true;
  const auto move = [shift_ms](wall_time_ms& moment) {
    if (moment != 0)
      moment = std::max<wall_time_ms>(1, moment + shift_ms);
  };
  for (auto at = window_.begin(); at != window_.end_of_tasks(); ++at)
    move(at->second.expires_at_ms);
  for (auto& [id, entry] : running_)
    if (!entry.placed)
      move(entry.value.expires_at_ms);
  move(next_expiry_ms_);
  if (recovered_)
    advance(now, effects);
  return effects;
}

queue_counts queue_core::counts() const noexcept {
  auto counts = totals_;
  counts.pending = window_.count() + ahead_;
  counts.held = held_count_;
  counts.delayed = delayed_count_;
  counts.running = running_.size() - ahead_;
  counts.credit = credit_;
  counts.paused = record_.paused;
  counts.closing = closing_;
  return counts;
}

bool queue_core::is_quiet() const noexcept {
  const auto never_begins = [this](const auto& item) {
    return leasing_stopped_ && item.second.now != phase::settling && !item.second.placed;
  };
  return recovered_ && in_flight_.empty() && std::all_of(running_.begin(), running_.end(), never_begins);
}

bool queue_core::is_idle() const noexcept {
  return recovered_ && std::all_of(running_.begin(), running_.end(), [](const auto& item) {
           return item.second.now != phase::settling && !item.second.placed;
         });
}

bool queue_core::is_empty() const noexcept {
  return recovered_ && running_.empty() && in_flight_.empty() && uncommitted_ == 0 && window_.count() == 0 &&
         held_count_ == 0 && delayed_count_ == 0 && (!closing_ || swept_);
}

bool queue_core::wants_check() const noexcept {
  return recovered_ && (unsure_since_ != 0 || !running_.empty() || window_.count() > 0 || held_count_ > 0 ||
                        delayed_count_ > 0);
}

std::vector<task> queue_core::running_tasks(size_t limit) const {
  std::vector<const task*> order;
  order.reserve(running_.size());
  for (const auto& [id, entry] : running_)
    if (!entry.ahead)
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

wall_time_ms queue_core::next_ready_at_ms() const noexcept {
  const auto* const next = window_.front();
  return next == nullptr ? 0 : ready_at(*next);
}

std::vector<task> queue_core::waiting_tasks(size_t limit) const {
  std::vector<task> tasks;
  if (ahead_ > 0) {
    for (const auto& [id, entry] : running_)
      if (entry.ahead)
        tasks.push_back(unleased(entry.value));
    std::sort(tasks.begin(), tasks.end(),
              [](const task& a, const task& b) { return order_of(a) < order_of(b); });
    tasks.resize(std::min(limit, tasks.size()));
  }
  auto in_line = window_.first(limit - tasks.size());
  std::move(in_line.begin(), in_line.end(), std::back_inserter(tasks));
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
  const auto waiting = window_.count() + ahead_ + held_count_ + delayed_count_;
  if (waiting + uncommitted_ >= tasks_max())
    return error{error_code::queue_full, "channel " + name + " holds " +
                                             std::to_string(waiting + uncommitted_) +
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
    // What may have been carried out already only the store can tell.
    if (!value.distinct_key.empty() && !(item.origin && is_of_request(*item.origin))) {
      const auto holder = distinct_index_.find(value.distinct_key);
      if (holder != distinct_index_.end()) {
        push_reply duplicate{value.name, holder->second, false, std::nullopt};
        if (item.origin)
          add_operation(mark_origin{*item.origin}, mark_context{token, i, std::move(duplicate)});
        else
          reply_duplicate(token, i, std::move(duplicate), effects);
        continue;
      }
    }
    const bool delayed = value.not_before_ms > now;
    // Straight to a worker, in one commit, when one is free and nobody stands before it. Where the store is
    // to decide more than that (room under a concurrency key, a record that ends with the start), it is
    // leased in a second step.
    const bool direct = !delayed && may_lease() && has_place() && window_.count() == 0 && ahead_ == 0 &&
                        uncommitted_waiting_ == 0 && value.concurrency_key.empty() &&
                        !(value.expires_at_ms != 0 && value.expires_at_ms <= now);
    if (direct) {
      value.state = task_state::running;
      value.attempt = 1;
      value.started_at_ms = now;
      value.launcher_id = launcher_id_;
      take_place();
      ++uncommitted_leases_;
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

void queue_core::reply_duplicate(batch_token token, size_t index, push_reply value, queue_effects& effects) {
  ++totals_.duplicates;
  reply(token, index, std::move(value), effects);
}

void queue_core::refuse(batch_token token, size_t index, const std::string& name, error why,
                        queue_effects& effects) {
  reply(token, index, push_reply{name, {}, false, std::move(why)}, effects);
}

} // namespace task_runner
