// The promises that the simulation holds the queues to.
// Some are checked whenever something starts or ends, the others when everything has settled.
#include "test/property/queue_simulation.hpp"

#include <algorithm>
#include <deque>

namespace task_runner::test {

std::set<std::string> queue_simulation::ids_in_line(const channel& of) {
  std::set<std::string> ids;
  const auto waiting = store_.load_pending(of.record.name, order_front, {64, 1U << 30U});
  demand(static_cast<bool>(waiting), "the store reads");
  for (const auto& value : *waiting)
    ids.insert(value.id);
  return ids;
}

void queue_simulation::check_order(const channel& of, const store_submission& submission,
                                   const std::set<std::string>& seen) {
  auto waiting = store_.load_pending(of.record.name, order_front, {64, 1U << 30U});
  demand(static_cast<bool>(waiting), "the store reads");
  const auto leases = std::any_of(
      submission.operations.begin(), submission.operations.end(),
      [](const store_operation& operation) { return std::holds_alternative<lease_task>(operation); });
  std::deque<const task*> line;
  for (const auto& value : *waiting)
    if (seen.count(value.id) > 0 &&
        (value.expires_at_ms == 0 || value.attempt > 0 || value.expires_at_ms > now_))
      line.push_back(&value);
  for (const auto& operation : submission.operations) {
    // What is put back may come before what waits: nothing is leased beside it.
    demand(!std::holds_alternative<return_lease>(operation) || !leases,
           "nothing is leased while a lease is taken back");
    if (const auto* const lease = std::get_if<lease_task>(&operation)) {
      demand(!line.empty() && line.front()->id == lease->id,
             "what starts next has the highest priority, and of those the first", lease->id);
      line.pop_front();
    }
    const auto* const insert = std::get_if<insert_task>(&operation);
    if (insert != nullptr && insert->value.state == task_state::running)
      demand(line.empty() || line.front()->priority < insert->value.priority,
             "nothing that is pushed overtakes what waits");
  }
}

void queue_simulation::check_order_to_run(const channel& of, const attempt_order& order) {
  const auto& own = order.value.options;
  demand(order.effective != nullptr &&
             *order.effective == merge(own ? *own : task_options{}, of.record.defaults),
         "an attempt runs with what task and channel say", order.value.id);
}

void queue_simulation::check_ended(const task_transition& change) {
  const attempt_key key{change.task_id, change.attempt};
  demand(change.how.has_value(), "what has ended has an outcome", change.task_id);
  // Whether a lost one was handed out by the queue's predecessor, nobody knows.
  demand(change.how->kind == outcome_kind::lost || ordered_ever_.count(key) > 0,
         "only the end of what was handed out is counted", change.task_id);
  demand(ended_ever_.insert(key).second, "no end of an attempt is counted twice", change.task_id);
}

void queue_simulation::check_start(channel& of, const attempt_order& order) {
  const auto& value = order.value;
  const attempt_key key{value.id, value.attempt};
  const auto& past = tasks_[value.id];
  const auto& effective = *order.effective;
  demand(value.state == task_state::running, "what is run is leased", value.id);
  demand(started_ever_.insert(key).second, "no attempt is started twice", value.id);
  demand(!past.succeeded, "what has succeeded is never run again", value.id);
  demand(!past.cancel_answered, "no task runs after its cancelling was answered", value.id);
  demand(value.recoveries <= 3, "no task is recovered more often than three times", value.id);
  demand(value.attempt - value.attempts_before <=
             effective.max_attempts.value_or(max_attempts_default) + value.recoveries,
         "attempts never exceed what is allowed and what was lost", value.id);
  if (const auto last = past.ends.find(value.attempt - 1);
      last != past.ends.end() && value.attempt - 1 > value.attempts_before) {
    const auto& how = last->second;
    demand(how.kind != outcome_kind::cancelled, "what was cancelled is not run again", value.id);
    demand(how.kind != outcome_kind::lost || effective.delivery != delivery_kind::at_most_once,
           "what may run at most once is not run again when it was lost", value.id);
    demand(how.kind == outcome_kind::lost || !effective.retry_on ||
               (how.kind == outcome_kind::exited && how.code == 1),
           "another attempt follows only the failures it was asked for", value.id);
  }
  if (value.expires_at_ms != 0 && value.attempt == value.attempts_before + 1)
    demand(value.started_at_ms < value.expires_at_ms, "what has expired is not started", value.id);
  if (!clock_jumped_)
    demand(value.started_at_ms >= value.not_before_ms, "nothing starts before its moment", value.id);
  demand(!value.distinct_while_pending || value.distinct_key.empty(),
         "a record that lasts while the task waits ends with its start", value.id);
  uint32_t same_key = 0;
  for (const auto& [other, running] : of.processes) {
    demand(other.task_id != value.id, "never two live attempts of one task", value.id);
    same_key += !value.concurrency_key.empty() && running.concurrency_key == value.concurrency_key ? 1 : 0;
    if (value.distinct_key.empty() || running.distinct_key != value.distinct_key)
      continue;
    const auto holder = store_.find_task(other.task_id);
    demand(!holder || !*holder || (*holder)->distinct_key != value.distinct_key,
           "never two unfinished holders of a distinct key", value.id);
  }
  demand(value.concurrency_key.empty() || same_key < value.concurrency_max,
         "never more with the same concurrency key than allowed", value.id);
}

void queue_simulation::check_safety(const channel& of) {
  demand(static_cast<int64_t>(of.processes.size()) <= of.workers_peak, "never more running than workers");
  if (!slots_)
    return;
  size_t running = 0;
  for (const auto& one : channels_)
    running += one.processes.size();
  demand(running <= capacity_peak_, "never more running than the common limit");
}

void queue_simulation::check_settled() {
  for (const auto& of : channels_) {
    const auto counts = of.core->counts();
    const auto found = store_.recover_channel(of.record.name);
    demand(static_cast<bool>(found), "the store counts");
    demand(found->pending_count + found->held_count + found->delayed_count + found->running.size() == 0,
           "when faults stop, every task settles",
           std::to_string(found->pending_count) + " pending, " + std::to_string(found->held_count) +
               " held, " + std::to_string(found->delayed_count) + " delayed, " +
               std::to_string(found->running.size()) + " running");
    demand(counts.pending + counts.held + counts.delayed + counts.running == 0,
           "the counts are zero at the end");
    demand(of.ended.empty(), "every outcome is settled with the launcher");
    demand(of.processes.empty(), "every command has ended");
    demand(of.batches.empty(), "every push is answered");
    demand(of.actions.empty(), "every action is answered");
    demand(counts.credit == of.workers, "every credit came back");
    demand(of.core->is_empty(), "an empty queue says so");
    if (slots_)
      demand(slots_->granted_to(of.record.name) == 0, "every slot came back");
    for (const auto& id : of.ids)
      check_task(of, id);
  }
  for (const auto& [position, ids] : ids_of_message_) {
    size_t tasks = 0;
    bool excused = rejected_.count(position) > 0;
    for (const auto& id : ids) {
      const auto found = store_.find_task(id);
      tasks += found && *found ? 1 : 0;
      excused = excused || tasks_[id].remove_asked;
    }
    demand(tasks <= 1, "a message becomes one task, however often it is submitted");
    if (!excused &&
        std::none_of(channels_.begin(), channels_.end(), [](const channel& of) { return of.distinct_ever; }))
      demand(tasks == 1, "no message of a source is lost");
  }
}

void queue_simulation::check_task(const channel& of, const std::string& id) {
  const auto& past = tasks_[id];
  const auto found = store_.find_task(id);
  if (!found || !*found) {
    demand(!past.accepted || past.remove_asked, "no acknowledged task is lost", id);
    return;
  }
  const auto& value = **found;
  if (value.channel != of.record.name)
    return; // the id was given twice, to tasks of two channels
  demand(is_terminal(value.state), "every task has a final state", id);
  demand(value.last_outcome.has_value(), "every outcome is recorded", id);
  const auto& how = *value.last_outcome;
  if (how.kind != outcome_kind::expired && how.kind != outcome_kind::lost)
    if (const auto last = past.ends.find(value.attempt);
        last != past.ends.end() && value.ended_at_ms >= value.started_at_ms && !past.retry_asked &&
        value.state != task_state::cancelled)
      demand(last->second == how, "the recorded outcome is the true one", id);
  switch (value.state) {
  case task_state::finished:
    demand(past.succeeded && past.ends.count(value.attempt) == 1 && past.ends.at(value.attempt).succeeded(),
           "a finished task has run to a good end", id);
    break;
  case task_state::dead:
    demand(!past.succeeded, "what has succeeded is not dead", id);
    break;
  default:
    demand(!past.succeeded, "what has succeeded is not cancelled", id);
    if (how.kind == outcome_kind::expired)
      demand(value.expires_at_ms != 0 && (past.ends.empty() || value.attempts_before > 0),
             "only what has never run expires", id);
    else
      demand(past.cancel_asked || of.closed, "nothing is cancelled that nobody wants cancelled", id);
  }
}

void queue_simulation::check_no_record_is_left() {
  for (auto& of : channels_) {
    if (of.closed)
      continue;
    of.record = channel_record{};
    of.record.name = "channel-" + std::to_string(&of - channels_.data());
    of.record.distinct = distinct_mode::until_finished;
    apply(of, of.core->configure(of.record, now_));
    std::vector<admitted_push> items;
    std::vector<std::string> ids;
    for (uint64_t i = 0; i < 14; ++i) {
      admitted_push item;
      item.value.id = "last-" + of.record.name + "-" + std::to_string(i);
      item.value.channel = of.record.name;
      item.value.name = "command " + std::to_string(i);
      if (i >= 12)
        item.value.distinct_key = "given " + std::to_string(i - 12);
      ids.push_back(item.value.id);
      tasks_[item.value.id];
      of.ids.push_back(item.value.id);
      items.push_back(std::move(item));
    }
    const auto token = next_token_++;
    of.batches[token] = ids;
    apply(of, of.core->push(token, std::move(items), now_));
    settle_everything();
    for (const auto& id : ids)
      demand(tasks_[id].accepted, "no distinct record is left behind", id);
  }
  check_settled();
}

} // namespace task_runner::test
