// The supervisor: watches the actors that must not die, and leads drain and shutdown in order.
// It tells the main thread through two callbacks: all is quiet, or something essential died.
#pragma once

#include "actors/interfaces.hpp"
#include "actors/probed_actor.hpp"

#include <caf/actor.hpp>

#include <functional>
#include <memory>
#include <set>
#include <string>

namespace task_runner {

struct supervisor_dependencies {
  intake_actor intake;
  router_actor router;
  /// The actor that asks on behalf of HTTP and sources.
  caf::actor asker;
  /// Called from the actor system, must not block: nothing runs any more after a drain.
  std::function<void()> on_quiet;
  /// Called from the actor system, must not block: an essential actor died; the daemon has to end.
  std::function<void(const std::string& who)> on_fatal;
  std::shared_ptr<actor_probe> probe;
};

struct supervisor_state {
  static inline const char* name = "supervisor";
  supervisor_dependencies dependencies;
  bool ending = false;
  std::set<caf::actor_addr> alive;
};

enum class supervisor_message : size_t { drain, stop_now, quiet, end };
std::vector<std::string_view> supervisor_message_kinds();

/// What a supervisor's probe counts.
enum class supervisor_edge : size_t { from_daemon, to_router, to_intake };
const probe_shape& supervisor_shape();

supervisor_actor::behavior_type supervisor(probed_pointer<supervisor_actor, supervisor_state> self,
                                           supervisor_dependencies dependencies);

} // namespace task_runner
