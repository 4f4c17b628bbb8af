// The historian actor.
#include "actors/historian.hpp"

#include <chrono>
#include <utility>

namespace task_runner {

namespace {

using historian_pointer = probed_pointer<historian_actor, historian_state>;

/// The alarm for the end of the step in progress. Steps do not wander with the time that samples take; one
/// that is over already is left out.
void set_alarm(historian_pointer self) {
  auto& state = self->state;
  const std::chrono::milliseconds step{state.dependencies.history->step_ms()};
  const auto now = self->clock().now();
  state.due += step;
  if (state.due <= now)
    state.due = now + step;
  self->delayed_send(self, std::chrono::ceil<std::chrono::milliseconds>(state.due - now), sample_due{});
}

} // namespace

const probe_shape& historian_shape() {
  static const probe_shape shape = [] {
    probe_shape made("historian", {"sample"});
    made.watched_by = "gateway";
    return made;
  }();
  return shape;
}

historian_actor::behavior_type historian(historian_pointer self, historian_dependencies dependencies) {
  auto& state = self->state;
  state.dependencies = std::move(dependencies);
  self->watch(*state.dependencies.probe);
  self->link_to(state.dependencies.asker);
  state.due = self->clock().now();
  set_alarm(self);
  return {
      [self](const sample_due&) {
        const handling guard(*self->state.dependencies.probe, static_cast<size_t>(historian_message::sample));
        self->state.dependencies.history->sample();
        set_alarm(self);
      },
  };
}

} // namespace task_runner
