// The daemon as a whole: starts the services and actors in order, waits for signals, and stops them in
// reverse. The composition root: the one place where ports meet their implementations.
#pragma once

#include "config/load.hpp"
#include "services/os/service_notifier.hpp"

namespace task_runner {

/// Runs the daemon until it is told to stop. Requires blocked signals (block_signals). Answers with the exit
/// code of the process: 0 stopped as asked, 1 a failure while running, 2 something it was given cannot be
/// used.
int run_daemon(const loaded_settings& loaded, const service_notifier& notifier);

} // namespace task_runner
