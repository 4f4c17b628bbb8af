// The two ways in which the launcher makes a process: as a copy of itself, and inside of its own memory.
#pragma once

#include "services/launcher/child_start.hpp"

namespace task_runner::launcher {

/// A fork that yields a pidfd, with the child inside of a cgroup (the descriptor of its directory; -1: where
/// we are). As fork(): 0 in the child, -1 and errno on an error. The caller must have one thread.
int fork_child(int cgroup, int& process) noexcept;

/// The memory below which a child begins, and the word that the kernel sets to 0 when it has left ours.
struct child_stack {
  void* lowest = nullptr;
  size_t size = 0;
  int* left = nullptr;
};

/// Makes a child that shares our memory and goes the way of run_child(); otherwise as fork_child(), but it
/// returns in the caller alone. `order` and the stack stay as they are until `left` is 0. ENOSYS where that
/// cannot be done.
int clone_child(int cgroup, int& process, const child_stack& stack, const child_order& order) noexcept;

} // namespace task_runner::launcher
