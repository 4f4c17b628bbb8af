// How CAF runs the daemon's actors: on how many threads, and how these wait for work.
// In one place, so that what is measured is what the daemon does.
#pragma once

#include "actors/one_thread_policy.hpp"

#include <caf/all.hpp>
#include <caf/scheduler/coordinator.hpp>

#include <cstddef>

namespace task_runner {

/// Threads that run actors. They never block; a second one would mostly wait for the lock of the one queue
/// that CAF has for all of them (more than five futex calls a task, measured).
constexpr size_t actor_threads = 1;

static_assert(actor_threads == 1, "one_thread_policy is for one thread");

/// To be called before the actor system is made.
inline void configure_scheduler(caf::actor_system_config& config) {
  // Of CAF's own policies, work stealing burns CPU while idle, and sharing wakes its thread too early.
  config.load<caf::scheduler::coordinator<one_thread_policy>>();
  config.set("scheduler.max-threads", actor_threads);
}

} // namespace task_runner
