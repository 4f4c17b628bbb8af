// The historian: sees to it, step by step, that what is measured of the channels becomes a history.
// The history itself is a service's (services/observability/statistics_history.hpp) and outlives this actor.
#pragma once

#include "actors/interfaces.hpp"
#include "actors/probed_actor.hpp"
#include "services/observability/statistics_history.hpp"

#include <caf/all.hpp>

#include <memory>

namespace task_runner {

struct historian_dependencies {
  /// Must outlive the actor.
  statistics_history* history = nullptr;
  /// The asking actor: one ends with the other.
  caf::actor asker;
  std::shared_ptr<actor_probe> probe;
};

struct historian_state {
  static inline const char* name = "historian";
  historian_dependencies dependencies;
  /// When the step in progress is over, by the actors' clock.
  caf::actor_clock::time_point due;
};

enum class historian_message : size_t { sample };
const probe_shape& historian_shape();

historian_actor::behavior_type historian(probed_pointer<historian_actor, historian_state> self,
                                         historian_dependencies dependencies);

} // namespace task_runner
