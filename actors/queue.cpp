// The queue actor around queue_core: its behaviour, recovery and check.
#include "actors/queue.hpp"

#include "actors/queue_parts.hpp"
#include "services/observability/log.hpp"

#include <caf/all.hpp>

#include <algorithm>
#include <chrono>
#include <utility>

namespace task_runner {

namespace {

/// Pause before a failed recovery is tried again.
constexpr std::chrono::seconds recovery_pause{1};
/// Failures after which the other channels wait no longer for this one's share of the common limit.
constexpr uint32_t recovery_failures_waited = 5;

void read_channel(queue_pointer self, bool is_check) {
  auto& state = self->state;
  const queue_actor me{self};
  auto taken =
      ask_store(self).read([me, is_check, channel = state.dependencies.record.name](queue_store& store) {
        caf::anon_send(me, recovery_read{is_check, store.recover_channel(channel)});
      });
  if (!taken)
    self->send(self, recovery_read{is_check, taken.failure()});
}

void finish_check(queue_pointer self, const recovery_read& message) {
  auto& state = self->state;
  const auto again = [self] {
    self->state.check_armed = false;
    arm_check(self);
  };
  if (!message.found) { // the store says why elsewhere; the next check finds it well, or not
    again();
    return;
  }
  state.core->store_checked(*message.found);
  ask_executor(self, get_known_attempts{})
      .then(
          [=](const known_attempts_reply& reply) {
            auto& current = self->state;
            current.check_armed = false;
            apply_effects(self, current.core->check(reply.known, current.dependencies.clock->now_ms()));
          },
          [=](const caf::error&) { again(); });
}

/// The recovery did not work: nobody is kept waiting for it, and it is tried again.
void postpone_recovery(queue_pointer self, const error& why) {
  auto& state = self->state;
  if (!state.recovery_failure)
    log_event(log_level::error, "the queue cannot read its channel from the store; it tries again",
              {{"channel", state.dependencies.record.name}, {"error", why.message}});
  if (++state.recovery_failures == recovery_failures_waited && state.dependencies.slots_limited)
    tell_router(self, slots_reported{state.dependencies.record.name, {}});
  state.recovery_failure =
      error{error_code::unavailable,
            "channel " + state.dependencies.record.name + " cannot be read from the store: " + why.message};
  for (auto& early : std::exchange(state.early_statuses, {}))
    early.promise.deliver(failed_status(state, *state.recovery_failure));
  self->delayed_send(self, recovery_pause, recover_again{});
}

void finish_recovery(queue_pointer self, const recovery_read& message) {
  if (!message.found) {
    postpone_recovery(self, message.found.failure());
    return;
  }
  ask_executor(self, get_known_attempts{})
      .then(
          [=, found = *message.found](const known_attempts_reply& reply) {
            auto& state = self->state;
            const auto now = state.dependencies.clock->now_ms();
            if (std::exchange(state.recovery_failure, std::nullopt))
              log_event(log_level::info, "the queue has read its channel from the store",
                        {{"channel", state.dependencies.record.name}});
            apply_effects(self, state.core->recovered(found, reply.known, now));
            if (state.stopping_now)
              apply_effects(self, state.core->cancel_running(now));
            for (auto& early : std::exchange(state.early_statuses, {}))
              report_status(self, std::move(early.promise), early.limit);
          },
          [=](const caf::error&) { self->quit(caf::exit_reason::unhandled_exception); });
}

} // namespace

queue_state::~queue_state() {
  const auto gone = caf::make_error(caf::sec::request_receiver_down);
  for (auto& [token, promise] : open_batches)
    promise.deliver(gone);
  for (auto& [token, open] : open_actions)
    open.promise.deliver(gone);
  for (auto& [number, open] : open_statuses)
    open.promise.deliver(gone);
  for (auto& early : early_statuses)
    early.promise.deliver(gone);
  for (auto& promise : open_closings)
    promise.deliver(gone);
  for (auto& [number, promise] : open_idles)
    promise.deliver(gone);
}

void queue_state::measure(actor_probe& probe, size_t asked) const {
  probe.set_in_flight(asked + open_batches.size() + open_actions.size() + open_statuses.size() +
                      early_statuses.size() + open_closings.size() + open_idles.size());
  const auto free = core->free_workers();
  const auto occupied = static_cast<int64_t>(core->occupied_workers());
  probe.set_credits({free + occupied, occupied, free});
  probe.set_facts({static_cast<int64_t>(core->window_size()), static_cast<int64_t>(core->open_submissions()),
                   static_cast<int64_t>(core->leased_ahead())});
}

std::vector<std::string_view> queue_message_kinds() {
  return {"push",    "action",    "close",  "idle",        "status", "attach", "recovered",
          "check",   "committed", "window", "status_read", "credit", "slots",  "progress",
          "wake_up", "patience",  "clock",  "configure",   "drain",  "explain"};
}

const probe_shape& queue_shape() {
  static const probe_shape shape = [] {
    probe_shape made("queue", queue_message_kinds());
    made.edges = {{"router", "queue:*"},
                  {"queue:*", "router"},
                  {"queue:*", "executor:*"},
                  {"queue:*", "store"},
                  {"store", "queue:*"}};
    made.credits = {"workers", "occupied", "free"};
    made.facts = {"window", "submissions", "leased_ahead"};
    made.watched_by = "router";
    return made;
  }();
  return shape;
}

queue_actor::behavior_type queue(queue_pointer self, queue_dependencies dependencies) {
  auto& state = self->state;
  state.dependencies = std::move(dependencies);
  state.core.emplace(state.dependencies.record, state.dependencies.limits);
  self->watch(*state.dependencies.probe);
  // Without a router nobody would ever end this actor.
  self->monitor(state.dependencies.router);
  self->set_down_handler([self](const caf::down_msg& message) { self->quit(message.reason); });
  const auto note = [self](queue_message kind) {
    return handling(*self->state.dependencies.probe, static_cast<size_t>(kind));
  };
  const auto note_of_store = [self, note](queue_message kind) {
    self->state.dependencies.probe->count(queue_edge::from_store);
    return note(kind);
  };
  const auto now = [self] { return self->state.dependencies.clock->now_ms(); };
  return {
      [=](admitted_batch& batch) -> caf::result<push_replies> {
        const auto guard = note(queue_message::push);
        auto& open = self->state;
        if (open.recovery_failure)
          return refuse_batch(batch, *open.recovery_failure);
        const auto token = open.next_batch++;
        auto promise = self->make_response_promise<push_replies>();
        open.open_batches.emplace(token, promise);
        apply_effects(self, open.core->push(token, std::move(batch.items), now()));
        return promise;
      },
      [=](const get_channel_status& request) -> caf::result<channel_status> {
        const auto guard = note(queue_message::status);
        auto promise = self->make_response_promise<channel_status>();
        report_status(self, promise, request.limit);
        return promise;
      },
      [=](explain_waiting& request) -> caf::result<explanation_reply> {
        const auto guard = note(queue_message::explain);
        return explain(self->state, std::move(request));
      },
      [=](const attach_executor& message) {
        const auto guard = note(queue_message::attach);
        auto& current = self->state;
        current.executor = message.executor;
        if (current.dependencies.slots_limited)
          apply_effects(self, current.core->limit_slots(true, now()));
        read_channel(self, false);
      },
      [=](const queue_action& request) -> caf::result<task_reply> {
        const auto guard = note(queue_message::action);
        auto promise = self->make_response_promise<task_reply>();
        begin_action(self, promise, request.action);
        return promise;
      },
      [=](const close_queue& request) -> caf::result<action_reply> {
        const auto guard = note(queue_message::close);
        auto promise = self->make_response_promise<action_reply>();
        begin_close(self, promise, request.force);
        return promise;
      },
      [=](const await_idle& request) -> caf::result<action_reply> {
        const auto guard = note(queue_message::idle);
        auto promise = self->make_response_promise<action_reply>();
        begin_await(self, promise, request.wait_ms);
        return promise;
      },
      [=](const recovery_read& message) {
        const auto guard = note_of_store(message.is_check ? queue_message::check : queue_message::recovered);
        if (message.is_check)
          finish_check(self, message);
        else
          finish_recovery(self, message);
      },
      [=](const recover_again&) {
        const auto guard = note(queue_message::recovered);
        read_channel(self, false);
      },
      [=](const check_due&) {
        const auto guard = note(queue_message::check);
        read_channel(self, true);
      },
      [=](store_committed& message) {
        const auto guard = note_of_store(queue_message::committed);
        auto& current = self->state;
        if (!message.answers && !current.store_failure_told)
          log_event(
              log_level::error, "the store refuses",
              {{"channel", current.dependencies.record.name}, {"error", message.answers.failure().message}});
        current.store_failure_told = !message.answers;
        apply_effects(self, current.core->committed(message.token, std::move(message.answers), now()));
      },
      [=](window_read& message) {
        const auto guard = note_of_store(queue_message::window);
        apply_effects(self, self->state.core->window_loaded(std::move(message.tasks), now()));
      },
      [=](status_read& message) {
        const auto guard = note_of_store(queue_message::status_read);
        finish_status(self, message);
      },
      [=](const grant_credit& message) {
        const auto guard = note(queue_message::credit);
        apply_effects(self, self->state.core->credit(message.slots, now()));
      },
      [=](const slots_given& message) {
        const auto guard = note(queue_message::slots);
        apply_effects(self, self->state.core->slots_granted(message.count, now()));
      },
      [=](const attempts_progressed& message) {
        const auto guard = note(queue_message::progress);
        apply_effects(self, self->state.core->attempts_progressed(message.events, now()));
      },
      [=](const wake_up& message) {
        const auto guard = note(queue_message::wake_up);
        auto& current = self->state;
        if (message.number != current.alarm)
          return;
        current.alarm = 0;
        apply_effects(self, current.core->tick(now()));
      },
      [=](const patience_over& message) {
        const auto guard = note(queue_message::patience);
        end_patience(self, message.number);
      },
      [=](const clock_adjusted& message) {
        const auto guard = note(queue_message::clock);
        self->state.alarm = 0; // it was set for a moment of the old clock
        apply_effects(self, self->state.core->clock_adjusted(message.shift_ms, now()));
      },
      [=](const configure_queue& message) {
        const auto guard = note(queue_message::configure);
        auto& current = self->state;
        current.dependencies.record = message.record;
        apply_effects(self, current.core->configure(message.record, now()));
      },
      [=](const drain&) {
        const auto guard = note(queue_message::drain);
        self->state.draining = true;
        apply_effects(self, self->state.core->stop_leasing(now()));
      },
      [=](const stop_now&) {
        const auto guard = note(queue_message::drain);
        auto& current = self->state;
        current.draining = current.stopping_now = true;
        apply_effects(self, current.core->stop_leasing(now()));
        if (current.core->is_recovered())
          apply_effects(self, current.core->cancel_running(now()));
      },
  };
}

} // namespace task_runner