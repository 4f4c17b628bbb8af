// The other side of the simulated queues: the store's thread, the launcher, the router with the common limit,
// and those who asked for something.
#include "test/property/queue_simulation.hpp"

#include <algorithm>

namespace task_runner::test {

void queue_simulation::apply(channel& of, queue_effects effects) {
  for (auto& submission : effects.submissions)
    submit(of, std::move(submission));
  if (effects.load)
    load(of, *effects.load);
  for (auto& order : effects.runs) {
    check_order_to_run(of, order);
    tally_.handed_again += ordered_ever_.insert({order.value.id, order.value.attempt}).second ? 0 : 1;
    of.waiting.push_back(std::move(order));
  }
  if (!of.waiting.empty() && (in_step_ || one_in(2)))
    hand_over(of);
  for (const auto& wish : effects.stops)
    stop(of, wish);
  for (const auto& wish : effects.signals) {
    demand(of.actions.count(wish.token) > 0, "a signal is for an action that is open");
    ++tally_.signals;
  }
  for (const auto& key : effects.settled)
    of.ended.erase(key);
  for (const auto& key : effects.removed) {
    const auto left = store_.find_task(key.task_id);
    demand(left && !*left, "output is deleted only of deleted tasks", key.task_id);
  }
  for (const auto& answer : effects.answers)
    take_answer(of, answer);
  for (const auto& answer : effects.action_answers)
    take_action_answer(of, answer);
  if (effects.slots)
    report_slots(of, *effects.slots);
  for (const auto& change : effects.transitions) {
    if (change.ended_attempt)
      check_ended(change);
    if (!change.how)
      continue;
    tally_.finished += change.state == task_state::finished ? 1 : 0;
    tally_.expired += change.how->kind == outcome_kind::expired ? 1 : 0;
    if (change.how->kind == outcome_kind::lost) {
      ++tally_.lost;
      const attempt_key key{change.task_id, change.attempt};
      demand(started_ever_.count(key) > 0 || leased_for_[key] != launcher_id_,
             "an attempt that the launcher was never given is not lost", change.task_id);
    }
    if (change.state == task_state::delayed)
      ++tally_.retried_by_queue;
    if (change.state == task_state::cancelled && change.how->kind != outcome_kind::expired) {
      const bool began = started_ever_.count({change.task_id, change.attempt}) > 0;
      ++(change.started_at_ms == 0 ? tally_.cancelled_waiting
         : began                   ? tally_.cancelled_running
                                   : tally_.cancelled_unstarted);
    }
  }
  tally_.repairs += effects.repairs.size();
  if (faults_.none())
    for (const auto& what : effects.repairs)
      demand(false, "where nothing goes wrong nothing is repaired", what);
}

void queue_simulation::submit(channel& of, store_submission submission) {
  demand(!submission.operations.empty(), "nothing is submitted for nothing");
  for (const auto& operation : submission.operations) {
    const auto* const insert = std::get_if<insert_task>(&operation);
    const bool leases = std::holds_alternative<lease_task>(operation) ||
                        (insert != nullptr && insert->value.state == task_state::running);
    demand(!leases || (!of.record.paused && !of.closed && !of.leasing_stopped),
           "nothing is leased while the channel is paused, draining or being removed");
  }
  auto seen = in_step_ ? ids_in_line(of) : std::set<std::string>();
  store_jobs_.push_back(
      [this, &of, epoch = of.epoch, submission = std::move(submission), seen = std::move(seen)] {
        result<std::vector<store_answer>> answers = error{error_code::unavailable, "simulated"};
        if (!chance(faults_.commit_fails)) {
          if (in_step_)
            check_order(of, submission, seen);
          answers = store_.apply(submission.operations);
          if (!answers)
            demand(false, "every operation is well-formed", answers.failure().message);
          note_leases(submission.operations, *answers);
          if (chance(faults_.commit_fails_yet_happens))
            answers = error{error_code::unavailable, "simulated, although it happened"};
        }
        if (epoch == of.epoch)
          answer_later(of, [this, &of, token = submission.token, answers = std::move(answers)]() mutable {
            for (const auto& answer : answers ? *answers : std::vector<store_answer>{})
              if (const auto* const inserted = std::get_if<insert_answer>(&answer))
                tally_.held += inserted->held ? 1 : 0;
            apply(of, of.core->committed(token, std::move(answers), now_));
          });
      });
}

void queue_simulation::note_leases(const std::vector<store_operation>& operations,
                                   const std::vector<store_answer>& answers) {
  for (size_t i = 0; i < operations.size(); ++i) {
    if (const auto* const returned = std::get_if<return_lease>(&operations[i])) {
      const bool applied = std::get<change_answer>(answers[i]).applied;
      tally_.returned += applied ? 1 : 0;
      demand(!applied || started_ever_.count({returned->id, 1}) == 0,
             "no lease of a started attempt is taken back", returned->id);
    } else if (const auto* const lease = std::get_if<lease_task>(&operations[i])) {
      if (std::get<change_answer>(answers[i]).applied)
        leased_for_[{lease->id, lease->attempt}] = lease->launcher_id;
    } else if (const auto* const insert = std::get_if<insert_task>(&operations[i])) {
      if (insert->value.attempt > 0 &&
          std::get<insert_answer>(answers[i]).what == insert_answer::kind::inserted)
        leased_for_[{insert->value.id, insert->value.attempt}] = insert->value.launcher_id;
    }
  }
}

void queue_simulation::load(channel& of, const window_request& request) {
  store_jobs_.push_back([this, &of, epoch = of.epoch, request] {
    auto tasks = store_.load_pending(of.record.name, request.after, request.limits);
    if (chance(faults_.commit_fails))
      tasks = error{error_code::unavailable, "simulated"};
    if (epoch == of.epoch)
      answer_later(of, [this, &of, tasks = std::move(tasks)]() mutable {
        apply(of, of.core->window_loaded(std::move(tasks), now_));
      });
  });
}

void queue_simulation::hand_over(channel& of) {
  // How far each of them has come when something dies is chance.
  const auto comes_on = [this] { return in_step_ || !faulty_ || !one_in(4); };
  for (; !of.waiting.empty() && comes_on(); of.waiting.pop_front())
    of.queued.push_back(std::move(of.waiting.front()));
  for (; !of.queued.empty() && comes_on(); of.queued.pop_front())
    launch(of, of.queued.front());
}

void queue_simulation::launch(channel& of, const attempt_order& order) {
  const attempt_key key{order.value.id, order.value.attempt};
  check_start(of, order);
  process running;
  running.concurrency_key = order.value.concurrency_key;
  running.concurrency_max = order.value.concurrency_max;
  running.distinct_key = order.value.distinct_key;
  running.stubborn = one_in(4);
  of.processes[key] = std::move(running);
  ++tally_.starts;
  if (one_in(2))
    post(of, [this, key, name = of.record.name](queue_core& core) {
      core.attempt_started({key, name, 1, now_});
      return queue_effects{};
    });
}

void queue_simulation::stop(channel& of, const attempt_stop& wish) {
  demand(wish.grace_ms >= 0, "a stop says how long its grace is");
  demand(tasks_[wish.key.task_id].cancel_asked || of.closed, "nothing is stopped that nobody wants stopped");
  const auto leaves = [&wish](std::deque<attempt_order>& line) {
    const auto at = std::find_if(line.begin(), line.end(), [&wish](const attempt_order& order) {
      return attempt_key{order.value.id, order.value.attempt} == wish.key;
    });
    if (at == line.end())
      return false;
    line.erase(at);
    return true;
  };
  if (leaves(of.waiting)) {
    end_unstarted(of, wish.key, false);
    return;
  }
  if (leaves(of.queued)) {
    end_unstarted(of, wish.key, true);
    return;
  }
  const auto found = of.processes.find(wish.key);
  if (found == of.processes.end() || chance(faults_.stop_unheard))
    return;
  auto& running = found->second;
  const auto kill_at_ms = now_ + wish.grace_ms;
  running.kill_at_ms = running.stopped ? std::min(running.kill_at_ms, kill_at_ms) : kill_at_ms;
  running.stopped = true;
}

void queue_simulation::take_answer(channel& of, const batch_answer& answer) {
  const auto found = of.batches.find(answer.token);
  demand(found != of.batches.end(), "a batch is answered once");
  demand(answer.replies.size() == found->second.size(), "a batch is answered item by item");
  for (size_t i = 0; i < answer.replies.size(); ++i) {
    const auto& reply = answer.replies[i];
    const auto& id = found->second[i];
    if (reply.accepted) {
      demand(reply.task_id == id, "replies are in the order of the items");
      tasks_[id].accepted = true;
      ++tally_.accepted;
    }
    auto message = submitted_.extract(id);
    if (message.empty() || !reply.failure)
      continue;
    if (reply.failure->code == error_code::not_found)
      rejected_.insert(message.mapped().origin.position);
    else
      undecided_.push_back(message.mapped()); // the source keeps the list and tries again
  }
  of.batches.erase(found);
}

void queue_simulation::take_action_answer(channel& of, const action_answer& answer) {
  const auto found = of.actions.find(answer.token);
  demand(found != of.actions.end(), "an action is answered once");
  const auto action = found->second;
  of.actions.erase(found);
  if (!answer.value) {
    demand(!answer.value.failure().message.empty(), "a refusal says why");
    return;
  }
  const auto& value = *answer.value;
  demand(value.id == action.id, "an action is answered with its task");
  switch (action.verb) {
  case task_verb::cancel: {
    demand(is_terminal(value.state) || (!action.wait && value.state == task_state::running),
           "cancelling is answered with the final state", value.id);
    if (!is_terminal(value.state))
      break;
    auto& past = tasks_[value.id];
    past.cancel_answered = !past.retry_asked;
    for (const auto& attempt : known(of).attempts)
      demand(attempt.ended || attempt.key.task_id != value.id || past.retry_asked,
             "what is answered as ended runs no more", value.id);
    break;
  }
  case task_verb::signal:
    demand(value.state == task_state::running, "only a running task takes signals");
    break;
  case task_verb::retry:
    demand(value.state == task_state::pending, "a retried task is pending");
    ++tally_.retried_by_person;
    break;
  case task_verb::remove:
    demand(is_terminal(value.state), "only ended tasks are deleted");
    ++tally_.removed;
    break;
  case task_verb::release:
    demand(value.distinct_key.empty(), "a released record is gone");
    ++tally_.released;
    break;
  }
}

void queue_simulation::report_slots(channel& of, const slot_report& report) {
  demand(slots_.has_value(), "without a limit no slots are exchanged");
  router_mailbox_.push_back([this, name = of.record.name, report] { grant(slots_->report(name, report)); });
}

void queue_simulation::grant(const std::vector<slot_grant>& grants) {
  for (const auto& one : grants)
    for (auto& of : channels_)
      if (of.record.name == one.channel && of.core) {
        tally_.slots_granted += one.slots;
        post(of, [this, slots = one.slots](queue_core& core) { return core.slots_granted(slots, now_); });
      }
}

void queue_simulation::answer_later(channel& of, delivery answer) {
  if (in_step_) // before anything else happens
    of.mailbox.push_front(std::move(answer));
  else
    of.mailbox.push_back(std::move(answer));
}

void queue_simulation::run_store_job() {
  if (store_jobs_.empty())
    return;
  auto job = std::move(store_jobs_.front());
  store_jobs_.pop_front();
  job();
}

void queue_simulation::work_store() {
  if (in_step_) {
    drain_all();
    return;
  }
  for (auto jobs = 1 + random(3); jobs > 0; --jobs)
    run_store_job();
  while (!router_mailbox_.empty()) {
    auto handle = std::move(router_mailbox_.front());
    router_mailbox_.pop_front();
    handle();
  }
}

void queue_simulation::post(channel& of, std::function<queue_effects(queue_core&)> event) {
  tell_ends(of);
  of.mailbox.push_back([this, &of, event = std::move(event)] { apply(of, event(*of.core)); });
}

void queue_simulation::post_end(channel& of, const attempt_ended& end) {
  of.untold.emplace_back(end);
  if (in_step_ || one_in(2))
    tell_ends(of);
}

void queue_simulation::tell_ends(channel& of) {
  if (of.untold.empty())
    return;
  of.mailbox.push_back([this, &of, events = std::exchange(of.untold, {})] {
    apply(of, of.core->attempts_progressed(events, now_));
  });
}

void queue_simulation::deliver(channel& of) {
  if (of.mailbox.empty())
    tell_ends(of);
  if (!of.core || of.mailbox.empty())
    return;
  auto handle = std::move(of.mailbox.front());
  of.mailbox.pop_front();
  handle();
}

void queue_simulation::drain_all() {
  const auto busy = [this] {
    return !store_jobs_.empty() || !router_mailbox_.empty() ||
           std::any_of(channels_.begin(), channels_.end(), [](const channel& of) {
             return of.core && !(of.mailbox.empty() && of.untold.empty());
           });
  };
  for (size_t i = 0; busy(); ++i) {
    demand(i < 100'000, "queues come to rest when nothing happens");
    if (in_step_)
      run_store_job();
    else
      work_store();
    for (auto& of : channels_)
      deliver(of);
  }
}

launcher_knowledge queue_simulation::known(const channel& of) const {
  launcher_knowledge all;
  all.launcher_id = launcher_id_;
  for (const auto* const line : {&of.waiting, &of.queued})
    for (const auto& order : *line)
      all.attempts.push_back({{order.value.id, order.value.attempt}, of.record.name, 0, 0, false, {}});
  for (const auto& [key, running] : of.processes)
    all.attempts.push_back({key, of.record.name, 1, now_, false, {}});
  for (const auto& [key, end] : of.ended)
    all.attempts.push_back({key, of.record.name, 1, now_, true, end});
  return all;
}

void queue_simulation::end_process(channel& of) {
  if (of.processes.empty())
    return;
  auto found = of.processes.begin();
  std::advance(found, static_cast<std::ptrdiff_t>(random(of.processes.size())));
  const auto& [key, running] = *found;
  outcome how;
  if (running.stopped && (running.stubborn || !one_in(5))) {
    if (running.stubborn && now_ < running.kill_at_ms)
      return; // it ignores TERM, and KILL is yet to come
    how.kind = outcome_kind::cancelled;
  } else if (one_in(3)) {
    how.kind = static_cast<outcome_kind>(random(4)); // exited, signalled, timed out, not started
    how.code = how.kind == outcome_kind::exited ? static_cast<int>(1 + random(2)) : 0;
  }
  end_attempt(of, attempt_key(key), how);
}

void queue_simulation::end_attempt(channel& of, const attempt_key& key, outcome how) {
  of.processes.erase(key);
  attempt_ended end;
  end.key = key;
  end.channel = of.record.name;
  end.how = std::move(how);
  end.started_at_ms = now_;
  end.ended_at_ms = now_;
  of.ended[key] = end;
  auto& past = tasks_[key.task_id];
  past.ends[key.attempt] = end.how;
  past.succeeded = past.succeeded || end.how.succeeded();
  if (!of.core || chance(faults_.end_unheard))
    return;
  for (auto repeats = one_in(10) ? 2 : 1; repeats > 0; --repeats)
    post_end(of, end);
}

void queue_simulation::end_unstarted(channel& of, const attempt_key& key, bool by_client) {
  attempt_ended end;
  end.key = key;
  end.channel = of.record.name;
  end.how.kind = outcome_kind::cancelled;
  end.ended_at_ms = now_;
  if (by_client) {
    of.ended[key] = end;
    if (chance(faults_.end_unheard))
      return;
  }
  if (of.core)
    post_end(of, end);
}

void queue_simulation::kill_launcher() {
  ++launcher_id_;
  for (auto& of : channels_)
    while (!of.processes.empty()) {
      outcome how;
      how.kind = outcome_kind::lost;
      end_attempt(of, attempt_key(of.processes.begin()->first), how);
    }
}

void queue_simulation::lose_journal() {
  // How the attempts ended that nobody had settled is known to nobody any more.
  const auto forget = [this](const attempt_key& key) {
    auto& past = tasks_[key.task_id];
    auto& how = past.ends[key.attempt];
    past.succeeded = past.succeeded && !how.succeeded();
    how = {};
    how.kind = outcome_kind::lost;
  };
  for (auto& of : channels_) {
    for (const auto& [key, running] : of.processes)
      forget(key);
    for (const auto& [key, end] : of.ended)
      if (const auto found = *store_.find_task(key.task_id);
          found && found->state == task_state::running && found->attempt == key.attempt)
        forget(key);
    of.processes.clear();
    of.ended.clear();
  }
}

} // namespace task_runner::test
