// The queue actor around queue_core.
#include "actors/queue.hpp"

#include "services/observability/log.hpp"

#include <caf/all.hpp>

#include <algorithm>
#include <chrono>
#include <utility>

namespace task_runner {

namespace {

using queue_pointer = queue_actor::stateful_pointer<queue_state>;

/// Alarms are set no farther ahead than this, so that a jump of the wall clock is noticed.
constexpr int64_t alarm_ms_max = 30'000;
/// How long the executor may take to say what the launcher knows.
constexpr std::chrono::seconds known_timeout{10};
/// Most statuses that wait for the store at once; one more is answered from the window alone.
constexpr size_t open_statuses_max = 64;
/// Most statuses that wait for the recovery; one more is told to come again.
constexpr size_t early_statuses_max = 1'024;

void log_transition(const std::string& channel, const task_transition& change) {
  const auto level = change.state == task_state::dead       ? log_level::warning
                     : change.state == task_state::finished ? log_level::info
                                                            : log_level::debug;
  if (!log_enabled(level))
    return;
  const std::string what = "task " + std::string(to_string(change.state));
  // The name is the command line, which may carry secrets: it is shown at level debug only.
  if (!change.how) {
    log_event(level, what,
              {{"channel", channel},
               {"task_id", change.task_id},
               {"attempt", change.attempt},
               {"name", change.task_name}});
    return;
  }
  std::string how(to_string(change.how->kind));
  if (change.how->kind == outcome_kind::exited || change.how->kind == outcome_kind::signalled)
    how += " " + std::to_string(change.how->code);
  if (!change.how->error.empty())
    how += ": " + change.how->error;
  log_event(level, what,
            {{"channel", channel},
             {"task_id", change.task_id},
             {"attempt", change.attempt},
             {"outcome", how},
             {"duration_ms", change.ended_at_ms - change.started_at_ms}});
}

void set_alarm(queue_pointer self) {
  auto& state = self->state;
  const auto at = state.core->wake_at();
  if (at == 0 || (state.alarm != 0 && state.alarm_at_ms <= at))
    return;
  const auto now = state.dependencies.clock->now_ms();
  const auto wait_ms = std::clamp<int64_t>(at - now, 1, alarm_ms_max);
  state.alarm = state.next_alarm++;
  state.alarm_at_ms = now + wait_ms;
  self->delayed_send(self, std::chrono::milliseconds(wait_ms), wake_up{state.alarm});
}

void apply(queue_pointer self, queue_effects effects);

void submit(queue_pointer self, store_submission submission) {
  auto& state = self->state;
  const auto token = submission.token;
  const queue_actor me{self};
  auto taken = state.dependencies.writer->submit(
      std::move(submission.operations), [me, token](result<std::vector<store_answer>> answers) {
        caf::anon_send(me, store_committed{token, std::move(answers)});
      });
  if (!taken) // in a message of its own: the core is in the middle of nothing then
    self->send(self, store_committed{token, taken.failure()});
}

void load(queue_pointer self, const window_request& request) {
  auto& state = self->state;
  const queue_actor me{self};
  auto taken = state.dependencies.writer->read(
      [me, request, channel = state.dependencies.channel](queue_store& store) {
        caf::anon_send(me, window_read{store.load_pending(channel, request.after, request.limits)});
      });
  if (!taken)
    self->send(self, window_read{taken.failure()});
}

void answer(queue_pointer self, batch_answer finished) {
  auto& open = self->state.open_batches;
  const auto found = open.find(finished.token);
  if (found == open.end())
    return;
  found->second.deliver(push_replies{std::move(finished.replies)});
  open.erase(found);
}

void apply(queue_pointer self, queue_effects effects) {
  auto& state = self->state;
  const auto& channel = state.dependencies.channel;
  for (auto& submission : effects.submissions)
    submit(self, std::move(submission));
  if (effects.load)
    load(self, *effects.load);
  for (auto& value : effects.runs)
    self->send(state.executor, run_attempt{std::move(value)});
  if (!effects.settled.empty())
    self->send(state.executor, settled_attempts{std::move(effects.settled)});
  for (auto& finished : effects.answers)
    answer(self, std::move(finished));
  for (const auto& change : effects.transitions)
    log_transition(channel, change);
  for (const auto& what : effects.repairs)
    log_event(log_level::warning, "queue repaired", {{"channel", channel}, {"what", what}});
  set_alarm(self);
  if (state.draining && !state.quiet_told && state.core->is_quiet()) {
    state.quiet_told = true;
    self->send(state.dependencies.router, queue_quiet{channel});
  }
}

void start_recovery(queue_pointer self) {
  auto& state = self->state;
  const queue_actor me{self};
  auto taken =
      state.dependencies.writer->read([me, channel = state.dependencies.channel](queue_store& store) {
        caf::anon_send(me, recovery_read{store.recover_channel(channel)});
      });
  if (!taken)
    self->send(self, recovery_read{taken.failure()});
}

channel_status describe(const queue_state& state, uint32_t limit) {
  channel_status status;
  status.channel = state.dependencies.channel;
  status.distinct = state.distinct;
  status.counts = state.core->counts();
  status.tasks = state.core->running_tasks(limit);
  auto waiting = state.core->window_tasks(limit - std::min<size_t>(limit, status.tasks.size()));
  std::move(waiting.begin(), waiting.end(), std::back_inserter(status.tasks));
  return status;
}

/// Reads the first pending tasks and then delayed ones, as many as a status still lacks.
result<std::vector<task>> read_waiting(queue_store& store, const std::string& channel, uint32_t limit) {
  auto pending = store.load_pending(channel, 0, window_limits{limit, 4'194'304});
  if (!pending || pending->size() >= limit)
    return pending;
  auto delayed = store.load_delayed(channel, limit - static_cast<uint32_t>(pending->size()));
  if (!delayed)
    return delayed;
  std::move(delayed->begin(), delayed->end(), std::back_inserter(*pending));
  return pending;
}

void report(queue_pointer self, caf::typed_response_promise<channel_status> promise, uint32_t limit) {
  auto& state = self->state;
  if (!state.core->is_recovered()) {
    if (state.early_statuses.size() < early_statuses_max)
      state.early_statuses.push_back({std::move(promise), limit});
    else
      promise.deliver(caf::make_error(caf::sec::request_timeout));
    return;
  }
  auto status = describe(state, limit);
  const auto& counts = status.counts;
  const bool whole =
      status.tasks.size() >= std::min<uint64_t>(limit, counts.running + counts.pending + counts.delayed);
  if (whole || state.open_statuses.size() >= open_statuses_max) {
    promise.deliver(std::move(status));
    return;
  }
  const auto number = state.next_status++;
  const queue_actor me{self};
  auto taken = state.dependencies.writer->read(
      [me, number, limit, channel = state.dependencies.channel](queue_store& store) {
        caf::anon_send(me, status_read{number, read_waiting(store, channel, limit)});
      });
  if (!taken)
    promise.deliver(std::move(status));
  else
    state.open_statuses.emplace(number,
                                queue_state::open_status{std::move(promise), std::move(status), limit});
}

void answer_early_statuses(queue_pointer self) {
  for (auto& early : std::exchange(self->state.early_statuses, {}))
    report(self, std::move(early.promise), early.limit);
}

void finish_report(queue_pointer self, status_read& message) {
  auto node = self->state.open_statuses.extract(message.number);
  if (node.empty())
    return;
  auto& open = node.mapped();
  if (message.tasks) {
    auto& tasks = open.so_far.tasks;
    tasks.erase(std::remove_if(tasks.begin(), tasks.end(),
                               [](const task& value) { return value.state != task_state::running; }),
                tasks.end());
    for (auto& value : *message.tasks) {
      if (tasks.size() >= open.limit)
        break;
      tasks.push_back(std::move(value));
    }
  }
  open.promise.deliver(std::move(open.so_far));
}

} // namespace

std::vector<std::string_view> queue_message_kinds() {
  return {"push",   "status",  "attach", "recovered", "committed", "window", "status_read",
          "credit", "started", "ended",  "wake_up",   "configure", "drain"};
}

queue_actor::behavior_type queue(queue_pointer self, queue_dependencies dependencies) {
  auto& state = self->state;
  state.dependencies = std::move(dependencies);
  state.distinct = state.dependencies.distinct;
  state.core.emplace(state.dependencies.channel, state.dependencies.distinct, state.dependencies.limits);
  // Without a router nobody would ever end this actor.
  self->monitor(state.dependencies.router);
  self->set_down_handler([self](const caf::down_msg& message) { self->quit(message.reason); });
  const auto note = [self](queue_message kind) {
    return handling(*self->state.dependencies.probe, static_cast<size_t>(kind), self->mailbox().size());
  };
  const auto now = [self] { return self->state.dependencies.clock->now_ms(); };
  return {
      [=](admitted_batch& batch) -> caf::result<push_replies> {
        const auto guard = note(queue_message::push);
        auto& open = self->state;
        const auto token = open.next_batch++;
        auto promise = self->make_response_promise<push_replies>();
        open.open_batches.emplace(token, promise);
        apply(self, open.core->push(token, std::move(batch.items), now()));
        return promise;
      },
      [=](const get_channel_status& request) -> caf::result<channel_status> {
        const auto guard = note(queue_message::status);
        auto promise = self->make_response_promise<channel_status>();
        report(self, promise, request.limit);
        return promise;
      },
      [=](const attach_executor& message) {
        const auto guard = note(queue_message::attach);
        self->state.executor = message.executor;
        start_recovery(self);
      },
      [=](const recovery_read& message) {
        const auto guard = note(queue_message::recovered);
        if (!message.found) {
          log_event(
              log_level::error, "the queue cannot read its channel from the store",
              {{"channel", self->state.dependencies.channel}, {"error", message.found.failure().message}});
          self->quit(caf::exit_reason::unhandled_exception);
          return;
        }
        self->request(self->state.executor, known_timeout, get_known_attempts{})
            .then(
                [=, found = *message.found](const known_attempts_reply& known) {
                  apply(self, self->state.core->recovered(found, known.attempts, now()));
                  answer_early_statuses(self);
                },
                [=](const caf::error&) { self->quit(caf::exit_reason::unhandled_exception); });
      },
      [=](store_committed& message) {
        const auto guard = note(queue_message::committed);
        auto& current = self->state;
        if (!message.answers && !current.store_failure_told)
          log_event(
              log_level::error, "the store refuses",
              {{"channel", current.dependencies.channel}, {"error", message.answers.failure().message}});
        current.store_failure_told = !message.answers;
        apply(self, current.core->committed(message.token, std::move(message.answers), now()));
      },
      [=](window_read& message) {
        const auto guard = note(queue_message::window);
        apply(self, self->state.core->window_loaded(std::move(message.tasks), now()));
      },
      [=](status_read& message) {
        const auto guard = note(queue_message::status_read);
        finish_report(self, message);
      },
      [=](const grant_credit& message) {
        const auto guard = note(queue_message::credit);
        apply(self, self->state.core->credit(message.slots, now()));
      },
      [=](const process_started& message) {
        const auto guard = note(queue_message::started);
        self->state.core->attempt_started(message.event);
      },
      [=](const process_ended& message) {
        const auto guard = note(queue_message::ended);
        apply(self, self->state.core->attempt_ended(message.event, now()));
      },
      [=](const wake_up& message) {
        const auto guard = note(queue_message::wake_up);
        auto& current = self->state;
        if (message.number != current.alarm)
          return;
        current.alarm = 0;
        apply(self, current.core->tick(now()));
      },
      [=](const configure_queue& message) {
        const auto guard = note(queue_message::configure);
        self->state.distinct = message.distinct;
        self->state.core->set_distinct(message.distinct);
      },
      [=](const drain&) {
        const auto guard = note(queue_message::drain);
        self->state.draining = true;
        self->state.core->stop_leasing();
        apply(self, {});
      },
  };
}

} // namespace task_runner
