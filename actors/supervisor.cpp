// The supervisor actor.
#include "actors/supervisor.hpp"

#include "services/observability/log.hpp"

#include <caf/all.hpp>

namespace task_runner {

namespace {

using supervisor_pointer = probed_pointer<supervisor_actor, supervisor_state>;

std::string name_of(const supervisor_state& state, const caf::actor_addr& address) {
  const auto& d = state.dependencies;
  if (address == d.intake.address())
    return "intake";
  return address == d.router.address() ? "router" : "gateway";
}

void on_down(supervisor_pointer self, const caf::down_msg& message) {
  auto& state = self->state;
  if (state.alive.erase(message.source) == 0)
    return;
  if (!state.ending) {
    const auto who = name_of(state, message.source);
    log_event(log_level::error, "an essential actor died; the daemon stops", {{"actor", who}});
    state.dependencies.on_fatal(who);
    return;
  }
  if (state.alive.empty())
    self->quit(caf::exit_reason::user_shutdown);
}

} // namespace

std::vector<std::string_view> supervisor_message_kinds() {
  return {"drain", "stop_now", "quiet", "end"};
}

const probe_shape& supervisor_shape() {
  static const probe_shape shape = [] {
    probe_shape made("supervisor", supervisor_message_kinds());
    made.edges = {{"daemon", "supervisor"}, {"supervisor", "router"}, {"supervisor", "intake"}};
    return made;
  }();
  return shape;
}

supervisor_actor::behavior_type supervisor(supervisor_pointer self, supervisor_dependencies dependencies) {
  auto& state = self->state;
  state.dependencies = std::move(dependencies);
  auto& d = state.dependencies;
  self->watch(*d.probe);
  self->set_down_handler([self](const caf::down_msg& message) { on_down(self, message); });
  state.alive = {d.intake.address(), d.router.address(), d.asker.address()};
  self->monitor(d.intake);
  self->monitor(d.router);
  self->monitor(d.asker);
  const auto tell_router = [self](auto message) {
    const auto& to = self->state.dependencies;
    to.probe->count(supervisor_edge::to_router);
    self->send(to.router, std::move(message));
  };
  const auto drain_intake = [self] {
    const auto& to = self->state.dependencies;
    to.probe->count(supervisor_edge::to_intake);
    self->send(to.intake, drain{});
  };
  tell_router(attach_supervisor{supervisor_actor{self}});
  const auto note = [self](supervisor_message kind) {
    auto& probe = *self->state.dependencies.probe;
    if (kind != supervisor_message::quiet)
      probe.count(supervisor_edge::from_daemon);
    return handling(probe, static_cast<size_t>(kind));
  };
  return {
      [=](const drain&) {
        const auto guard = note(supervisor_message::drain);
        drain_intake();
        tell_router(drain{});
      },
      [=](const stop_now&) {
        const auto guard = note(supervisor_message::stop_now);
        drain_intake();
        tell_router(stop_now{});
      },
      [=](const all_quiet&) {
        const auto guard = note(supervisor_message::quiet);
        self->state.dependencies.on_quiet();
      },
      [=](const shut_down&) {
        const auto guard = note(supervisor_message::end);
        auto& current = self->state;
        if (current.ending)
          return;
        current.ending = true;
        tell_router(shut_down{});
        self->send_exit(current.dependencies.intake, caf::exit_reason::user_shutdown);
        self->send_exit(current.dependencies.asker, caf::exit_reason::user_shutdown);
        if (current.alive.empty())
          self->quit(caf::exit_reason::user_shutdown);
      },
  };
}

} // namespace task_runner
