// What the simulation demands of explanations: at any moment each has its form, and when the queues have come
// to rest, with commands that run on and channels as they stand, each says what really is in the way.
// What is in the way is found here from the store, the launcher and the settings, not from the queues.
#include "test/property/queue_simulation.hpp"

#include <algorithm>
#include <iterator>
#include <limits>
#include <string_view>

namespace task_runner::test {

namespace {

bool is_ended(wait_reason why) {
  return why == wait_reason::finished || why == wait_reason::dead || why == wait_reason::cancelled;
}

/// Whether a task with this reason always is told what is in its way.
bool has_blockers(wait_reason why) {
  switch (why) {
  case wait_reason::delayed:
  case wait_reason::backoff:
  case wait_reason::concurrency_key:
  case wait_reason::behind_others:
  case wait_reason::running_limit:
  case wait_reason::no_workers:
  case wait_reason::paused:
  case wait_reason::channel_closing:
  case wait_reason::draining:
  case wait_reason::store_unavailable:
  case wait_reason::recovering:
    return true;
  default:
    return false;
  }
}

bool names(const explanation& told, blocker::kind what, std::string_view condition) {
  return std::any_of(told.blocked_by.begin(), told.blocked_by.end(),
                     [&](const blocker& one) { return one.what == what && one.condition == condition; });
}

std::string about(const task& value, const explanation& told) {
  return value.id + ", " + std::string(to_string(value.state)) + ", explained as " +
         std::string(to_string(told.reason));
}

} // namespace

wait_surroundings queue_simulation::surroundings() const {
  wait_surroundings around;
  if (slots_) {
    around.running_max = slots_->capacity();
    around.running_used = slots_->granted();
  }
  return around;
}

void queue_simulation::check_explained_now(const channel& of) {
  if (!of.core || of.ids.empty())
    return;
  const auto found = *store_.find_task(of.ids[random(of.ids.size())]);
  if (!found || found->channel != of.record.name)
    return;
  const auto& value = *found;
  const auto told = of.core->explain(value, surroundings(), now_);
  const auto what = about(value, told);
  tally_.reasons.insert(told.reason);
  demand(is_ended(told.reason) == is_terminal(value.state), "what has ended is explained as that", what);
  demand(!has_blockers(told.reason) || !told.blocked_by.empty(), "an explanation says what is in the way",
         what);
  demand(!(told.position && told.position_at_least), "an explanation tells one place in line", what);
  const bool in_line = told.reason == wait_reason::behind_others ||
                       told.reason == wait_reason::running_limit || told.reason == wait_reason::next;
  demand(!in_line || told.position || told.position_at_least, "what stands in line has a place there", what);
  demand(told.position.value_or(1) > 0 && told.position_at_least.value_or(1) > 0, "places begin with one",
         what);
  const auto started = started_ever_.lower_bound({value.id, 0});
  demand(told.reason != wait_reason::running ||
             (started != started_ever_.end() && started->task_id == value.id),
         "what is explained as running has been started", what);
}

void queue_simulation::come_to_rest() {
  // As at the end, but commands run on and no setting changes: three checks in a row that change nothing.
  constexpr int idle_checks_enough = 3;
  int idle_checks = 0;
  std::vector<standing> before;
  for (size_t i = 0; i < 1'000; ++i) {
    now_ += 1'000;
    drain_all();
    for (auto& of : channels_) {
      hand_over(of);
      if (of.core) // whatever the clock says: alarms are never set far ahead
        apply(of, of.core->tick(now_));
      check_when_wanted(of);
    }
    drain_all();
    for (auto& of : channels_)
      hand_over(of);
    drain_all();
    auto standing_now = how_channels_stand();
    if (standing_now != before)
      idle_checks = 0;
    else if (++idle_checks == idle_checks_enough)
      return;
    before = std::move(standing_now);
  }
  demand(false, "queues come to rest while commands run");
}

bool queue_simulation::is_running(const channel& of, const task& value) const {
  return value.state == task_state::running && of.processes.count({value.id, value.attempt}) > 0;
}

wait_reason queue_simulation::reason_in_line(const channel& of, uint64_t running) const {
  if (of.leasing_stopped)
    return wait_reason::draining;
  if (of.record.paused)
    return wait_reason::paused;
  if (of.workers <= 0)
    return wait_reason::no_workers;
  if (running >= static_cast<uint64_t>(of.workers))
    return wait_reason::behind_others;
  demand(slots_ && slots_->granted() >= slots_->capacity(),
         "at rest nothing waits that has nothing in its way");
  return wait_reason::running_limit;
}

void queue_simulation::check_explained() {
  for (const auto& of : channels_) {
    demand(of.core && of.core->is_recovered(), "at rest every queue has read its channel");
    const auto found = store_.recover_channel(of.record.name);
    demand(static_cast<bool>(found), "the store reads");
    std::vector<task> leased; // without a worker
    std::copy_if(found->running.begin(), found->running.end(), std::back_inserter(leased),
                 [&](const task& value) { return !is_running(of, value); });
    const auto running = found->running.size() - leased.size();
    const auto line =
        store_.load_pending(of.record.name, order_front,
                            {std::numeric_limits<uint32_t>::max(), std::numeric_limits<uint64_t>::max()});
    demand(static_cast<bool>(line), "the store reads");
    for (size_t i = 0; i < line->size(); ++i)
      check_in_line(of, (*line)[i], 1 + leased.size() + i, running);
    for (const auto& value : leased)
      check_leased(of, value, leased.size(), running);
    for (const auto& value : found->running)
      if (is_running(of, value))
        check_running(of, value);
    for (const auto& id : of.ids)
      if (const auto value = *store_.find_task(id); value && value->channel == of.record.name)
        check_out_of_line(of, *value);
  }
}

void queue_simulation::check_in_line(const channel& of, const task& value, uint64_t place, uint64_t running) {
  const auto told = of.core->explain(value, surroundings(), now_);
  const auto what = about(value, told);
  tally_.reasons.insert(told.reason);
  demand(!of.closed, "at rest nothing waits in a channel that is being removed", what);
  demand(told.reason == reason_in_line(of, running), "what waits in line is told what is in its way", what);
  demand(told.state == task_state::pending, "what waits in line is pending", what);
  demand(told.position ? *told.position == place : told.position_at_least.value_or(place + 1) <= place,
         "what waits in line is told its place", what);
  demand(told.may_start_at_ms == 0, "for what waits in line no moment is known", what);
  check_blockers(of, told, what);
}

void queue_simulation::check_leased(const channel& of, const task& value, uint64_t leased, uint64_t running) {
  const auto told = of.core->explain(value, surroundings(), now_);
  const auto what = about(value, told);
  tally_.reasons.insert(told.reason);
  demand(told.reason == reason_in_line(of, running), "a lease without a worker is told what is in its way",
         what);
  demand(told.position && *told.position >= 1 && *told.position <= leased,
         "a lease without a worker comes before what is in line", what);
  check_blockers(of, told, what);
}

void queue_simulation::check_running(const channel& of, const task& value) {
  const auto told = of.core->explain(value, surroundings(), now_);
  const auto what = about(value, told);
  tally_.reasons.insert(told.reason);
  // A wish whose commit was reported as failed, and had happened, is in the store alone.
  demand(told.reason == wait_reason::running ||
             (told.reason == wait_reason::cancelling && value.cancel_requested),
         "what runs is explained as that", what);
  demand(told.reason == wait_reason::cancelling || !of.processes.at({value.id, value.attempt}).stopped,
         "what was told to end is explained as that", what);
  demand(told.state == task_state::running && told.blocked_by.empty() && !told.position,
         "nothing is in the way of what runs", what);
}

void queue_simulation::check_out_of_line(const channel& of, const task& value) {
  if (value.state == task_state::running || (value.state == task_state::pending && !value.held))
    return;
  const auto told = of.core->explain(value, surroundings(), now_);
  const auto what = about(value, told);
  tally_.reasons.insert(told.reason);
  demand(told.state == value.state, "an explanation tells the state", what);
  demand(!told.position && !told.position_at_least, "what is out of line has no place in it", what);
  if (is_terminal(value.state)) {
    demand(to_string(told.reason) == to_string(value.state), "what has ended is explained as that", what);
    demand(told.blocked_by.empty(), "nothing is in the way of what has ended", what);
    return;
  }
  demand(!of.closed, "at rest nothing waits in a channel that is being removed", what);
  if (value.held) {
    demand(told.reason == wait_reason::concurrency_key, "what is held is told that", what);
    for (const auto& one : told.blocked_by)
      demand(one.what != blocker::kind::task ||
                 (*store_.find_task(one.name))->concurrency_key == value.concurrency_key,
             "what is held is told who has its key", what);
  } else {
    demand(value.not_before_ms > now_, "at rest no delay is over", what);
    const bool failed = value.attempt > value.attempts_before;
    demand(told.reason == (failed ? wait_reason::backoff : wait_reason::delayed),
           "what waits for its time is told that", what);
    demand(told.may_start_at_ms == value.not_before_ms, "what waits for its time is told until when", what);
  }
  demand(names(told, blocker::kind::channel, "paused") == of.record.paused,
         "what is out of line is told that its channel is paused", what);
  check_blockers(of, told, what);
}

void queue_simulation::check_blockers(const channel& of, const explanation& told, const std::string& what) {
  demand(!told.blocked_by.empty(), "an explanation says what is in the way", what);
  for (const auto& one : told.blocked_by) {
    demand(one.what != blocker::kind::channel || one.name == of.record.name,
           "a task is blocked by its own channel", what);
    if (one.what != blocker::kind::task)
      continue;
    const auto other = *store_.find_task(one.name);
    demand(other && !is_terminal(other->state) && to_string(other->state) == one.condition,
           "what is in the way is there, in the state that is told", what);
    demand(one.name != what.substr(0, what.find(',')), "no task is in its own way", what);
    demand(told.reason != wait_reason::behind_others || is_running(of, *other),
           "who is told to occupy a worker runs", what);
  }
}

} // namespace task_runner::test
