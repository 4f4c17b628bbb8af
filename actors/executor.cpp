// The executor of one channel.
#include "actors/executor.hpp"

#include "services/observability/log.hpp"

#include <caf/all.hpp>

namespace task_runner {

std::vector<std::string_view> executor_message_kinds() {
  return {"run", "started", "ended", "settled", "workers", "known"};
}

executor_actor::behavior_type executor(executor_actor::stateful_pointer<executor_state> self,
                                       executor_dependencies dependencies) {
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
      [=](const run_attempt& message) {
        const auto guard = note(executor_message::run);
        auto& d = self->state.dependencies;
        const auto& value = message.value;
        attempt_start request{{value.id, value.attempt},
                              d.channel,
                              value.command.argv.empty() ? value.line() : "",
                              value.command.argv};
        if (auto handed = d.runner->start(std::move(request)); !handed) {
          // It never ran, so another attempt is safe: that is what `lost` leads to.
          log_event(log_level::warning, "attempt could not be handed to the launcher",
                    {{"channel", d.channel}, {"task_id", value.id}, {"error", handed.failure().message}});
          attempt_ended end;
          end.key = {value.id, value.attempt};
          end.channel = d.channel;
          end.how.kind = outcome_kind::lost;
          end.ended_at_ms = d.clock->now_ms();
          self->send(d.queue, process_ended{std::move(end)});
        }
      },
      [=](const process_started& message) {
        const auto guard = note(executor_message::started);
        self->send(self->state.dependencies.queue, message);
      },
      [=](const process_ended& message) {
        const auto guard = note(executor_message::ended);
        self->send(self->state.dependencies.queue, message);
      },
      [=](const settled_attempts& message) {
        const auto guard = note(executor_message::settled);
        for (const auto& key : message.keys)
          self->state.dependencies.runner->settled(key);
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
        const auto& d = self->state.dependencies;
        return known_attempts_reply{d.runner->known_attempts(d.channel)};
      },
  };
}

} // namespace task_runner
