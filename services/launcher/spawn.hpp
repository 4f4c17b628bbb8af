// Starts one command as a child in a session of its own, with clean signals and descriptors, its output on a
// pipe. The only place where the launcher makes processes.
#pragma once

#include "services/launcher/command_line.hpp"
#include "services/launcher/owned_descriptor.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <sys/resource.h>
#include <vector>

namespace task_runner::launcher {

/// Numbers in memory that is shared with children: where a child that cannot execute leaves its errno. It
/// costs no descriptor and no event, unlike a pipe. Not thread-safe.
class failure_slots {
public:
  /// `count` is how many children may live at once.
  explicit failure_slots(size_t count);
  ~failure_slots();
  failure_slots(const failure_slots&) = delete;
  failure_slots& operator=(const failure_slots&) = delete;

  /// A free slot, set to 0; null when there is none.
  volatile int* acquire();
  /// Gives a slot back; its child must have been reaped.
  void release(volatile int* slot);

private:
  size_t count_;
  volatile int* slots_;
  size_t used_ = 0;
  std::vector<volatile int*> free_;
};

/// What a child needs besides its command.
struct spawn_setting {
  /// Null-terminated entries.
  char* const* environment = nullptr;
  /// A descriptor of /dev/null: the child's stdin.
  int null_input = -1;
  /// The limit of descriptors that the command is given back.
  rlimit descriptors{};
  /// Where the child leaves its errno when it cannot execute: look when it has been reaped.
  volatile int* failure = nullptr;
};

/// A child, or why there is none.
struct spawned_child {
  /// 0 when nothing was started.
  int pid = 0;
  owned_descriptor process;
  /// The end of the pipe that stdout and stderr share; non-blocking.
  owned_descriptor output;
  /// A sentence for a person, when nothing was started.
  std::string error;
  /// Nothing is wrong with the command: processes, memory or descriptors have run out for the moment.
  bool out_of_resources = false;
};

/// Why no program of an explicit argv can be executed, as far as the file system shows it; nothing for a
/// line.
std::optional<std::string> find_obstacle(const command_plan& plan);

/// Forks a child that executes the command. Whether that succeeds is told by `failure` once the child has
/// ended. The caller must have one thread, its signals blocked and not caught. Not thread-safe.
spawned_child spawn(const command_plan& plan, const spawn_setting& setting);

/// The sentence for a person when the program (or, empty, /bin/sh) could not be executed for this errno.
std::string explain_failure(const std::string& program, int reason);

} // namespace task_runner::launcher
