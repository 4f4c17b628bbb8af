// What the core wants done, as messages, operations, answers and lines in the log.
#include "actors/queue_parts.hpp"
#include "services/observability/log.hpp"

#include <caf/all.hpp>

#include <algorithm>
#include <chrono>
#include <utility>

namespace task_runner {

namespace {

/// Alarms are set no farther ahead than this: a machine that slept is not late by more.
constexpr int64_t alarm_ms_max = 30'000;
/// Queue, store and launcher are compared this often, as long as there is something to compare.
constexpr std::chrono::seconds check_period{30};

void log_transition(const std::string& channel, const task_transition& change) {
  if (change.deleted) {
    log_event(log_level::debug, "task deleted", {{"channel", channel}, {"task_id", change.task_id}});
    return;
  }
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
  const auto how = describe(*change.how);
  if (!change.ended_attempt) {
    log_event(
        level, what,
        {{"channel", channel}, {"task_id", change.task_id}, {"attempt", change.attempt}, {"outcome", how}});
    return;
  }
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

void submit(queue_pointer self, store_submission submission) {
  const auto token = submission.token;
  const queue_actor me{self};
  auto done = [me, token](result<std::vector<store_answer>> answers) {
    caf::anon_send(me, store_committed{token, std::move(answers)});
  };
  auto& writer = ask_store(self);
  auto taken = submission.patient ? writer.submit_patiently(std::move(submission.operations), std::move(done))
                                  : writer.submit(std::move(submission.operations), std::move(done));
  if (!taken) // in a message of its own: the core is in the middle of nothing then
    self->send(self, store_committed{token, taken.failure()});
}

void load(queue_pointer self, const window_request& request) {
  auto& state = self->state;
  const queue_actor me{self};
  auto taken =
      ask_store(self).read([me, request, channel = state.dependencies.record.name](queue_store& store) {
        caf::anon_send(me, window_read{store.load_pending(channel, request.after, request.limits)});
      });
  if (!taken)
    self->send(self, window_read{taken.failure()});
}

void answer_batch(queue_pointer self, batch_answer finished) {
  if (auto node = self->state.open_batches.extract(finished.token); !node.empty())
    node.mapped().deliver(push_replies{std::move(finished.replies)});
}

} // namespace

void answer_action(queue_pointer self, action_token token, result<task> value) {
  auto node = self->state.open_actions.extract(token);
  if (node.empty())
    return; // answered when its patience was over
  task_reply reply;
  if (value)
    reply.value = std::move(*value);
  else
    reply.failure = value.failure();
  node.mapped().promise.deliver(std::move(reply));
}

namespace {

/// Sends a signal; what the core has answered beside it goes out when the launcher's client has taken it.
void send_signal(queue_pointer self, const attempt_signal& signal, std::vector<action_answer>& answers) {
  const auto beside = std::find_if(answers.begin(), answers.end(), [&](const action_answer& candidate) {
    return candidate.token == signal.token;
  });
  auto value = beside != answers.end()
                   ? std::move(beside->value)
                   : result<task>(error{error_code::internal, "defect: a signal without an answer"});
  if (beside != answers.end())
    answers.erase(beside);
  ask_executor(self, signal_attempt{signal.key, signal.number})
      .then(
          [self, token = signal.token, value = std::move(value)](const action_reply& sent) {
            answer_action(self, token, sent.failure ? result<task>(*sent.failure) : value);
          },
          [self, token = signal.token](const caf::error&) {
            answer_action(self, token,
                          error{error_code::unavailable, "the signal could not be sent; try again soon"});
          });
}

/// Tells the history what has ended and what was deleted.
void tell_history(queue_pointer self, queue_effects& effects) {
  auto* history = self->state.dependencies.history;
  if (history == nullptr)
    return;
  if (!effects.removed.empty())
    history->discard(std::move(effects.removed));
  if (std::any_of(effects.transitions.begin(), effects.transitions.end(),
                  [](const task_transition& change) { return is_terminal(change.state) && !change.deleted; }))
    history->task_ended();
}

/// Tells whoever watches, if anybody does, what has become of tasks.
void tell_observer(queue_pointer self, const queue_effects& effects) {
  auto* const observer = self->state.dependencies.observer;
  if (observer == nullptr || effects.transitions.empty() || !observer->is_interested())
    return;
  std::vector<task_event> events;
  events.reserve(effects.transitions.size());
  const auto now = self->state.dependencies.clock->now_ms();
  for (const auto& change : effects.transitions)
    events.push_back({change.task_id, self->state.dependencies.record.name, change.attempt, change.state,
                      change.how, now, change.deleted});
  observer->on_task_events(events);
}

constexpr auto relaxed = std::memory_order_relaxed;

/// Counts what the core does not: pushes that became a task now, how attempts ended and what they took.
void count_effects(channel_metrics& metrics, const queue_effects& effects) {
  for (const auto& finished : effects.answers)
    for (const auto& reply : finished.replies)
      if (reply.accepted && reply.state)
        metrics.pushed.fetch_add(1, relaxed);
  for (const auto& change : effects.transitions) {
    if (!change.ended_attempt || !change.how)
      continue;
    if (const auto end = find_attempt_end(*change.how))
      metrics.attempts_ended[static_cast<size_t>(*end)].fetch_add(1, relaxed);
    metrics.run.add(change.ended_at_ms - change.started_at_ms);
    if (change.ready_at_ms != 0)
      metrics.wait.add(change.started_at_ms - change.ready_at_ms);
  }
}

/// Adds what the core has counted since `before`; the metrics outlive it.
void count_since(channel_metrics& metrics, const queue_counts& before, const queue_counts& counts) {
  const auto add = [&](std::atomic<uint64_t>& to, uint64_t queue_counts::*counter) {
    if (const auto more = counts.*counter - before.*counter; more != 0)
      to.fetch_add(more, relaxed);
  };
  add(metrics.duplicates, &queue_counts::duplicates);
  add(metrics.finished, &queue_counts::finished);
  add(metrics.dead, &queue_counts::dead);
  add(metrics.cancelled, &queue_counts::cancelled);
  add(metrics.expired, &queue_counts::expired);
  add(metrics.retried, &queue_counts::retried);
  add(metrics.repairs, &queue_counts::repairs);
}

/// Shows how the channel stands now.
void show_counts(channel_metrics& metrics, const queue_counts& counts, const queue_core& core) {
  channel_counts now;
  now.pending = counts.pending;
  now.held = counts.held;
  now.delayed = counts.delayed;
  now.running = counts.running;
  now.paused = counts.paused;
  now.next_ready_at_ms = core.next_ready_at_ms();
  metrics.set(now);
}

} // namespace

void answer_waiting(queue_pointer self) {
  auto& state = self->state;
  if (!state.open_idles.empty() && state.core->is_idle())
    for (auto& [number, promise] : std::exchange(state.open_idles, {}))
      promise.deliver(action_reply{});
  if (!state.open_closings.empty() && state.core->is_closing() && state.core->is_empty())
    for (auto& promise : std::exchange(state.open_closings, {}))
      promise.deliver(action_reply{});
  if (state.draining && !state.quiet_told && state.core->is_quiet()) {
    state.quiet_told = true;
    tell_router(self, queue_quiet{state.dependencies.record.name});
  }
}

void arm_check(queue_pointer self) {
  auto& state = self->state;
  if (state.check_armed || !state.core->wants_check())
    return;
  state.check_armed = true;
  self->delayed_send(self, check_period, check_due{});
}

void apply_effects(queue_pointer self, queue_effects effects) {
  auto& state = self->state;
  const auto& channel = state.dependencies.record.name;
  for (auto& submission : effects.submissions)
    submit(self, std::move(submission));
  if (effects.load)
    load(self, *effects.load);
  if (!effects.runs.empty() || !effects.settled.empty())
    tell_executor(self, attempt_work{std::move(effects.runs), std::move(effects.settled)});
  for (const auto& stop : effects.stops)
    tell_executor(self, stop_attempt{stop.key, stop.grace_ms});
  for (const auto& signal : effects.signals)
    send_signal(self, signal, effects.action_answers);
  tell_history(self, effects);
  tell_observer(self, effects);
  if (auto* const metrics = state.dependencies.metrics.get()) {
    const auto counts = state.core->counts();
    count_effects(*metrics, effects);
    count_since(*metrics, std::exchange(state.counted, counts), counts);
    // Before that it knows of nothing, and what its predecessor has shown is nearer to the truth.
    if (state.core->is_recovered())
      show_counts(*metrics, counts, *state.core);
  }
  for (auto& finished : effects.answers)
    answer_batch(self, std::move(finished));
  for (auto& finished : effects.action_answers)
    answer_action(self, finished.token, std::move(finished.value));
  if (effects.slots)
    tell_router(self, slots_reported{channel, *effects.slots});
  for (const auto& change : effects.transitions)
    log_transition(channel, change);
  for (const auto& what : effects.repairs)
    log_event(log_level::warning, "queue repaired", {{"channel", channel}, {"what", what}});
  set_alarm(self);
  arm_check(self);
  answer_waiting(self);
}

} // namespace task_runner
