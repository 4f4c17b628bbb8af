// Starting a launcher from the daemon, without becoming its parent.
// The process started here forks the launcher proper and ends once that is ready, so success means: connect
// now.
#pragma once

#include "services/domain/result.hpp"

#include <string>
#include <vector>

namespace task_runner::launcher {

/// How long the start of a launcher may take before it counts as failed, milliseconds.
constexpr int launcher_start_wait_ms = 5'000;

/// Executes `BINARY --launcher --state-dir DIR ARGUMENTS…` in a session of its own, with this process's
/// environment less its secrets, and waits until the launcher is ready. `conflict` when another launcher
/// holds the directory, `unavailable` with the launcher's own words otherwise, or when `cancel` becomes
/// readable.
result<void> start_launcher(const std::string& binary, const std::string& state_dir,
                            const std::vector<std::string>& arguments, int cancel);

} // namespace task_runner::launcher
