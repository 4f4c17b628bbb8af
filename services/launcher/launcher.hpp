// The launcher: the small single-threaded process that owns running commands and outlives the daemon.
// This is its entry; services/launcher/launcher_client.hpp is the daemon's side of it.
#pragma once

#include "services/launcher/output_file.hpp"

#include <string>

namespace task_runner {

struct launcher_options {
  /// The state directory; it must exist.
  std::string state_dir;
  /// How long the launcher stays when no daemon is connected and nothing runs, milliseconds: long enough for
  /// a daemon that restarts to find it again.
  int idle_grace_ms = 5'000;
  /// How much output is kept of each attempt.
  output_limits output;
};

/// What main() does for `--launcher --state-dir DIR`. It must be called before any thread is started. The
/// calling process forks the launcher, waits until that is ready, and gets 0; or, with a sentence on stderr,
/// 2 when another launcher holds the state directory and 1 when it cannot start. The launcher itself gets its
/// own exit code from the same call when it leaves, minutes or months later; main() returns it either way.
int run_launcher(const launcher_options& options);

} // namespace task_runner
