// What a child does between its making and the command: it takes its surroundings and executes.
// It works on plain data and raw system calls alone, because it may share the launcher's memory meanwhile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <sys/resource.h>
#include <sys/types.h>

namespace task_runner::launcher {

/// What a child was about when it failed; above the errno in its failure slot.
enum class child_stage : int {
  execute = 0,
  streams,
  cgroup,
  tag,
  memory_limit,
  cpu_limit,
  process_limit,
  file_size_limit,
  nice,
  user,
  directory,
};

/// The two parts of what a failed child leaves in its failure slot.
child_stage failed_stage(int failure) noexcept;
int failed_reason(int failure) noexcept;

/// A limit to set, and what is told when that fails.
struct child_limit {
  int resource = 0;
  rlimit value{};
  child_stage stage = child_stage::execute;
};

/// Everything that the child uses. Pointers stay valid until it has executed or ended.
struct child_order {
  const char* const* programs = nullptr;
  size_t program_count = 0;
  char* const* words = nullptr;
  /// `/bin/sh -c LINE`; null for an explicit argv.
  char* const* shell_words = nullptr;
  /// `/bin/sh PROGRAM ARGUMENTS…` for a script without `#!`, the second word open; null for a line.
  const char** script_words = nullptr;
  char* const* environment = nullptr;
  int input = -1;
  int output = -1;
  /// Set to 0 when the child begins, and where it leaves the reason when it cannot execute.
  volatile int* failure = nullptr;
  /// Null to stay.
  const char* directory = nullptr;
  /// `cgroup.procs` of a cgroup to enter; -1: the child was made in it, or there is none.
  int cgroup_to_enter = -1;
  /// The hard limit RLIMIT_RTTIME that marks the tree; 0 for none.
  uint64_t tag = 0;
  bool becomes_user = false;
  uid_t user = 0;
  gid_t group = 0;
  const gid_t* groups = nullptr;
  size_t group_count = 0;
  bool changes_nice = false;
  int nice = 0;
  bool changes_file_mask = false;
  mode_t file_mask = 0;
  rlimit descriptors{};
  const child_limit* limits = nullptr;
  size_t limit_count = 0;
  /// Set last, as it may leave no room for what stands before it.
  bool limits_memory = false;
  child_limit memory{};
};

/// The child's whole way. To be called in a child with all signals blocked and none caught, with memory of
/// its own or with ours.
[[noreturn]] void run_child(const child_order* order) noexcept;

} // namespace task_runner::launcher
