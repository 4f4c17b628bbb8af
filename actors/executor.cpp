// The executor of one channel.
#include "actors/executor.hpp"

#include "services/observability/log.hpp"

#include <caf/all.hpp>

#include <algorithm>
#include <chrono>
#include <utility>

namespace task_runner {

namespace {

using executor_pointer = probed_pointer<executor_actor, executor_state>;

/// Pause before the launcher's client is asked again for room.
constexpr std::chrono::milliseconds again_pause{200};

attempt_start start_of(attempt_order& order, const std::string& channel) {
  auto& value = order.value;
  const auto& options = *order.effective;
  attempt_start start;
  start.channel = channel;
  if (value.command.argv.empty())
    start.line = value.line();
  start.argv = std::move(value.command.argv);
  start.key = {std::move(value.id), value.attempt};
  start.environment = options.environment;
  start.timeout_ms = options.timeout_ms.value_or(0);
  start.grace_ms = options.grace_ms.value_or(grace_ms_default);
  return start;
}

template <class Message>
void tell_queue(executor_pointer self, Message message) {
  const auto& d = self->state.dependencies;
  d.probe->count(executor_edge::to_queue);
  self->send(d.queue, std::move(message));
}

/// Tells of outcomes, and hands over what waits, in order, as far as there is room.
void hand_over(executor_pointer self, const std::vector<attempt_key>& settled) {
  auto& state = self->state;
  state.dependencies.probe->count(executor_edge::to_launcher);
  const auto handed = state.dependencies.runner->hand_over(settled, state.waiting);
  if (handed || std::exchange(state.trying_again, true))
    return;
  log_event(log_level::warning, "the launcher cannot be given an attempt now; it is tried again",
            {{"channel", state.dependencies.channel},
             {"task_id", state.waiting.front().key.task_id},
             {"error", handed.failure().message}});
  self->delayed_send(self, again_pause, hand_over_again{});
}

void stop(executor_pointer self, const stop_attempt& request) {
  auto& state = self->state;
  const auto& d = state.dependencies;
  const auto found = std::find_if(state.waiting.begin(), state.waiting.end(),
                                  [&](const attempt_start& start) { return start.key == request.key; });
  if (found == state.waiting.end()) {
    d.probe->count(executor_edge::to_launcher);
    // What is not found has ended, and says so itself; the queue repeats what was refused for want of room.
    if (auto stopped = d.runner->stop(request.key, request.grace_ms);
        !stopped && stopped.failure().code != error_code::not_found)
      log_event(
          log_level::warning, "an attempt could not be told to end; it is tried again",
          {{"channel", d.channel}, {"task_id", request.key.task_id}, {"error", stopped.failure().message}});
    return;
  }
  state.waiting.erase(found);
  attempt_ended end;
  end.key = request.key;
  end.channel = d.channel;
  end.how.kind = outcome_kind::cancelled;
  end.ended_at_ms = d.clock->now_ms();
  attempts_progressed progress;
  progress.events.emplace_back(std::move(end));
  tell_queue(self, std::move(progress));
}

known_attempts_reply known(const executor_state& state) {
  const auto& d = state.dependencies;
  known_attempts_reply reply;
  // The name first: what is leased under a later one is known to the later launcher, or to nobody.
  reply.known.launcher_id = d.runner->launcher_id();
  reply.known.attempts = d.runner->known_attempts(d.channel);
  for (const auto& start : state.waiting) {
    known_attempt attempt;
    attempt.key = start.key;
    attempt.channel = d.channel;
    reply.known.attempts.push_back(std::move(attempt));
  }
  return reply;
}

} // namespace

void executor_state::measure(actor_probe& probe, size_t asked) const {
  probe.set_in_flight(asked + waiting.size());
  probe.set_credits({workers});
}

std::vector<std::string_view> executor_message_kinds() {
  return {"work", "again", "stop", "signal", "progress", "workers", "known"};
}

const probe_shape& executor_shape() {
  static const probe_shape shape = [] {
    probe_shape made("executor", executor_message_kinds());
    made.edges = {{"router", "executor:*"},
                  {"executor:*", "queue:*"},
                  {"executor:*", "launcher"},
                  {"launcher", "executor:*"}};
    made.credits = {"workers"};
    made.watched_by = "router";
    return made;
  }();
  return shape;
}

executor_actor::behavior_type executor(executor_pointer self, executor_dependencies dependencies) {
  auto& state = self->state;
  state.dependencies = std::move(dependencies);
  state.workers = state.dependencies.workers;
  self->watch(*state.dependencies.probe);
  tell_queue(self, grant_credit{state.workers});
  // Without a queue there is nothing to run; the router starts both again.
  self->monitor(state.dependencies.queue);
  self->set_down_handler([self](const caf::down_msg& message) { self->quit(message.reason); });
  const auto note = [self](executor_message kind) {
    return handling(*self->state.dependencies.probe, static_cast<size_t>(kind));
  };
  return {
      [=](attempt_work& message) {
        const auto guard = note(executor_message::work);
        auto& current = self->state;
        for (auto& order : message.runs)
          current.waiting.push_back(start_of(order, current.dependencies.channel));
        hand_over(self, message.settled);
      },
      [=](const hand_over_again&) {
        const auto guard = note(executor_message::again);
        self->state.trying_again = false;
        hand_over(self, {});
      },
      [=](const stop_attempt& message) {
        const auto guard = note(executor_message::stop);
        stop(self, message);
      },
      [=](const signal_attempt& message) {
        const auto guard = note(executor_message::signal);
        action_reply reply;
        self->state.dependencies.probe->count(executor_edge::to_launcher);
        if (auto sent = self->state.dependencies.runner->signal(message.key, message.number); !sent)
          reply.failure = sent.failure();
        return reply;
      },
      [=](attempts_progressed& message) {
        const auto guard = note(executor_message::progress);
        self->state.dependencies.probe->count(executor_edge::from_launcher);
        tell_queue(self, std::move(message));
      },
      [=](const set_workers& message) {
        const auto guard = note(executor_message::workers);
        auto& workers = self->state.workers;
        tell_queue(self, grant_credit{static_cast<int64_t>(message.count) - static_cast<int64_t>(workers)});
        workers = message.count;
      },
      [=](const get_known_attempts&) {
        const auto guard = note(executor_message::known);
        return known(self->state);
      },
  };
}

} // namespace task_runner
