// Where a child lives that shares this process's memory until it executes its command: a stack of its own and
// the matter that it reads. Such a child costs no copy of our memory, and nobody waits for it.
#pragma once

#include "services/launcher/child_matter.hpp"

#include <chrono>
#include <memory>
#include <vector>

namespace task_runner::launcher {

/// Takes one child at a time. Not thread-safe. It must not be destroyed while it is busy.
class child_place {
public:
  /// Null when there is no memory for it.
  static std::unique_ptr<child_place> make();
  ~child_place();
  child_place(const child_place&) = delete;
  child_place& operator=(const child_place&) = delete;

  /// Whether the last child has executed its command, or is gone.
  bool is_free() const noexcept { return __atomic_load_n(&busy_, __ATOMIC_ACQUIRE) == 0; }

  /// Waits for that; answers whether it is so.
  bool wait_free(std::chrono::steady_clock::time_point until) const noexcept;

  /// Makes a child that goes the way of run_child() with `matter`, which the place takes and keeps meanwhile,
  /// in a cgroup (the descriptor of its directory; -1: where we are). Returns its pid and in `process` its
  /// pidfd, or -1 and errno, as fork_child(); then `matter` is as it was.
  int start(child_matter& matter, int cgroup, int& process);

private:
  explicit child_place(void* memory)
      : memory_(memory) {}

  void* memory_;
  child_matter matter_;
  /// Set to 0 by the kernel when the child leaves our memory (CLONE_CHILD_CLEARTID).
  int busy_ = 0;
};

/// Children in our memory at once, on their way to their commands: there are never many, unless they wait for
/// something there, as a file system that does not answer. Further ones are forked.
constexpr size_t child_places_max = 64;

/// Places that are made as they are needed. Not thread-safe.
class child_places {
public:
  child_places();
  /// Waits up to a second for the children that are still in our memory: they are about to execute. One that
  /// is held up longer dies when it goes on.
  ~child_places();
  child_places(const child_places&) = delete;
  child_places& operator=(const child_places&) = delete;

  /// A place that is free; null when there is none: then the child gets memory of its own.
  child_place* find();

  /// Children cannot be made in our memory here, whatever the reason: find() finds nothing from now on.
  void give_up() noexcept { usable_ = false; }
  bool usable() const noexcept { return usable_; }

private:
  bool usable_;
  /// In the order of their last use, the longest ago first.
  std::vector<std::unique_ptr<child_place>> places_;
};

} // namespace task_runner::launcher
