// The launcher: the small single-threaded process that owns running commands and outlives the daemon.
// This is its entry; services/launcher/launcher_client.hpp is the daemon's side of it.
#pragma once

#include "services/launcher/output_file.hpp"

#include <cstdint>
#include <optional>
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
  /// How whole process trees are held together: `auto` (cgroups where they can be had, else the inheritable
  /// tag), `cgroup` or `tag`.
  std::string containment = "auto";
  /// The soft limit on open files that commands get, where the daemon has raised its own; 0: the one that the
  /// launcher finds.
  uint64_t command_descriptors = 0;
};

/// What main() does for `--launcher --state-dir DIR`. It must be called before any thread is started. The
/// calling process forks the launcher, waits until that is ready, and gets 0; or, with a sentence on stderr,
/// 2 when another launcher holds the state directory and 1 when it cannot start. The launcher itself gets its
/// own exit code from the same call when it leaves, minutes or months later; main() returns it either way.
int run_launcher(const launcher_options& options);

/// What main() does first: nothing unless the first argument is `--launcher`. Otherwise the process is a
/// launcher, or the child of one, and main() returns this code: as run_launcher(), and 2 with a sentence on
/// stderr when the words behind it make no sense. It must be called before any thread is started.
std::optional<int> run_launcher_command(int count, const char* const* words);

} // namespace task_runner
