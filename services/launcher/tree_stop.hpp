// Ends whole process trees: TERM to every process, after the grace KILL, until nothing is left. Works through
// many trees with one look at the machine, a step at a time, so that the launcher's loop goes on in between.
#pragma once

#include "services/launcher/steady_clock.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace task_runner::launcher {

class cgroup_pool;

/// How long a tree is tried to be killed before it is given up and its survivors are counted.
constexpr steady_ms kill_wait_max_ms = 2'000;

/// By what the processes of an attempt are known.
struct process_tree {
  /// The pid of the command itself as long as it certainly means that process (it has not been reaped); else
  /// 0.
  int leader = 0;
  /// 0 for none.
  uint64_t tag = 0;
  /// Its cgroup; empty for none.
  std::string slot;
};

/// A tree on its way to its end.
struct stopping_tree {
  process_tree tree;
  /// When the grace is over.
  steady_ms kill_at = 0;
  /// When it is given up; 0 before the first KILL.
  steady_ms give_up_at = 0;
  steady_ms next_look = 0;
  steady_ms look_pause_ms = 0;
  /// TERM has been sent.
  bool warned = false;
  /// Every process seen so far and when it began, in ticks: some are found only once, as children of others.
  std::map<int, uint64_t> members;
};

/// A tree that needs no more attention.
struct stopped_tree {
  uint64_t number = 0;
  /// Processes that could not be killed in time.
  uint32_t survivors = 0;
};

/// All trees that are being ended. Not thread-safe.
class tree_stopper {
public:
  /// `pool` may be null; it outlives the stopper.
  explicit tree_stopper(cgroup_pool* pool) noexcept
      : pool_(pool) {}

  /// Begins with step(). A grace of 0 means KILL at once.
  void add(uint64_t number, process_tree tree, steady_ms now, steady_ms grace_ms);
  /// Goes on with a tree as trees() gave it.
  void resume(uint64_t number, stopping_tree tree) { trees_[number] = std::move(tree); }
  /// The grace may only become shorter.
  void shorten(uint64_t number, steady_ms now, steady_ms grace_ms);
  /// The command itself has ended and has been reaped: its pid means nothing any more. Looks at the rest
  /// soon.
  void leader_gone(uint64_t number, steady_ms now);
  void forget(uint64_t number) { trees_.erase(number); }

  bool holds(uint64_t number) const { return trees_.count(number) != 0; }
  bool empty() const noexcept { return trees_.empty(); }
  const std::map<uint64_t, stopping_tree>& trees() const noexcept { return trees_; }

  /// Does what is due, for some tens of milliseconds at most, and gives those that have come to their end.
  std::vector<stopped_tree> step(steady_ms now);
  /// When step() has something to do; -1 for never.
  steady_ms next_step_at() const noexcept;

private:
  cgroup_pool* pool_;
  std::map<uint64_t, stopping_tree> trees_;
};

} // namespace task_runner::launcher
