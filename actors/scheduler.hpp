// How CAF runs the daemon's actors: on how many threads, and how these wait for work.
// In one place, so that what is measured is what the daemon does.
#pragma once

#include <caf/all.hpp>

#include <cstddef>

namespace task_runner {

/// Threads that run actors. They never block; a second one would mostly wait for the lock of the one queue
/// that CAF has for all of them (more than five futex calls a task, measured).
constexpr size_t actor_threads = 1;

/// To be called before the actor system is made.
inline void configure_scheduler(caf::actor_system_config& config) {
  // Work stealing, the default, burns CPU while idle; sharing waits on a condition.
  config.set("scheduler.policy", caf::atom("sharing"));
  config.set("scheduler.max-threads", actor_threads);
}

} // namespace task_runner
