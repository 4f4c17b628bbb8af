// Starts one command as a child in a session of its own, with clean signals and descriptors, its output on a
// pipe, in the surroundings that it asks for. The only place where the launcher makes processes.
#pragma once

#include "services/domain/task_options.hpp"
#include "services/launcher/child_place.hpp"
#include "services/launcher/command_environment.hpp"
#include "services/launcher/command_line.hpp"
#include "services/launcher/owned_descriptor.hpp"
#include "services/launcher/user_identity.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <sys/resource.h>
#include <vector>

namespace task_runner::launcher {

/// What a failure slot holds until its child has done its first step. A child that was killed with this in it
/// has done nothing at all.
constexpr int child_not_begun = 0x4000'0000;

/// Numbers in memory that is shared with children: where a child that cannot execute leaves the reason. It
/// costs no event and one descriptor for all of them, which lets the memory be taken along through an exec of
/// this process. Not thread-safe.
class failure_slots {
public:
  /// `count` is how many children may live at once. `memory` is the descriptor() of an earlier one.
  explicit failure_slots(size_t count, owned_descriptor memory = {});
  ~failure_slots();
  failure_slots(const failure_slots&) = delete;
  failure_slots& operator=(const failure_slots&) = delete;

  /// A free slot, set to child_not_begun; null when there is none.
  volatile int* acquire();
  /// Gives a slot back; its child must have been reaped.
  void release(volatile int* slot);

  int descriptor() const noexcept { return memory_.get(); }
  /// The place of a slot in the memory, and back; a slot that is taken back counts as acquired.
  size_t place_of(const volatile int* slot) const noexcept { return static_cast<size_t>(slot - slots_); }
  /// Null when there is no such place. To be called for all slots in use before the first acquire().
  volatile int* take_back(size_t place);

private:
  void map();

  size_t count_;
  owned_descriptor memory_;
  volatile int* slots_ = nullptr;
  /// Slots from here on have never been used.
  size_t used_ = 0;
  std::vector<volatile int*> free_;
};

/// What a child needs besides its command. Pointers outlive the call, `failure` the child.
struct spawn_setting {
  attempt_environment environment;
  /// The child's stdin.
  int input = -1;
  /// The limit of descriptors that the command is given back.
  rlimit descriptors{};
  /// Set to 0 when the child begins, and where it leaves the reason when it cannot execute: look when it has
  /// been reaped.
  volatile int* failure = nullptr;
  /// A directory to enter as the command's user; null to stay.
  const char* directory = nullptr;
  /// Null to stay the same user.
  const user_identity* user = nullptr;
  std::optional<int> nice;
  std::optional<uint32_t> file_mask;
  resource_limits limits;
  /// The hard limit RLIMIT_RTTIME that marks the tree; 0 for none.
  uint64_t tag = 0;
  /// A cgroup's directory, in which the child is made, or, if `enters_cgroup`, its `cgroup.procs`, open for
  /// writing; -1 for none.
  int cgroup = -1;
  bool enters_cgroup = false;
};

/// Whether an error means that processes, memory or descriptors have run out for the moment.
bool is_shortage(int reason) noexcept;

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
  /// It was the cgroup that would not have the child.
  bool cgroup_refused = false;
};

/// Why no program of an explicit argv can be executed, as far as the file system shows it; nothing for a
/// line.
std::optional<std::string> find_obstacle(const command_plan& plan);

/// Makes children. Not thread-safe; the caller must have one thread, its signals blocked and not caught. It
/// must not outlive the failure slots that its children use.
class spawner {
public:
  /// Makes a child that executes the command. Whether that succeeds is told by `failure` once the child has
  /// ended.
  spawned_child spawn(command_plan plan, spawn_setting setting);

  /// Whether children are made in our memory where they can be.
  bool shares_memory() const noexcept { return places_.usable(); }

private:
  int make_child(child_matter matter, bool changes_user, int cgroup, int& process);

  child_places places_;
};

/// What a message about a failed start may name.
struct failure_context {
  /// The name of the program of an explicit argv; empty for a line.
  std::string program;
  std::string directory;
  std::string user;
};

/// The sentence for a person for what a child left in its failure slot.
std::string explain_failure(const failure_context& context, int failure);

/// Puts the calling process into a cgroup, through its `cgroup.procs`. Safe after a fork.
bool enter_cgroup(int procs) noexcept;

} // namespace task_runner::launcher
