// The executor of one channel.
#include "actors/executor.hpp"

#include "services/observability/log.hpp"

#include <caf/all.hpp>

#include <algorithm>
#include <chrono>
#include <utility>

namespace task_runner {

namespace {

using executor_pointer = executor_actor::stateful_pointer<executor_state>;

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

/// Tells of outcomes, and hands over what waits, in order, as far as there is room.
void hand_over(executor_pointer self, const std::vector<attempt_key>& settled) {
  auto& state = self->state;
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
  self->send(d.queue, std::move(progress));
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

std::vector<std::string_view> executor_message_kinds() {
  return {"work", "again", "stop", "signal", "progress", "workers", "known"};
}

executor_actor::behavior_type executor(executor_pointer self, executor_dependencies dependencies) {
  auto& state = self->state;
  state.dependencies = std::move(dependencies);
  state.workers = state.dependencies.workers;
  self->send(state.dependencies.queue, grant_credit{state.workers});
  // Without a queue there is nothing to run; the router starts both again.
  self->monitor(state.dependencies.queue);
  self->set_down_handler([self](const caf::down_msg& message) { self->quit(message.reason); });
  const auto note = [self](executor_message kind) {
    return handling(*self->state.dependencies.probe, static_cast<size_t>(kind), self->mailbox().size());
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
        if (auto sent = self->state.dependencies.runner->signal(message.key, message.number); !sent)
          reply.failure = sent.failure();
        return reply;
      },
      [=](attempts_progressed& message) {
        const auto guard = note(executor_message::progress);
        self->send(self->state.dependencies.queue, std::move(message));
      },
      [=](const set_workers& message) {
        const auto guard = note(executor_message::workers);
        auto& workers = self->state.workers;
        self->send(self->state.dependencies.queue,
                   grant_credit{static_cast<int64_t>(message.count) - static_cast<int64_t>(workers)});
        workers = message.count;
      },
      [=](const get_known_attempts&) {
        const auto guard = note(executor_message::known);
        return known(self->state);
      },
  };
}

} // namespace task_runner
