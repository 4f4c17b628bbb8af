// A pool of cgroups (version 2), one for each command that runs, from which no process gets away by forking.
// A cgroup is made once and used again as soon as it is empty: making one for every command would cost 7 to
// 22 % of the rate of starts.
#pragma once

#include "services/launcher/owned_descriptor.hpp"

#include <cstddef>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace task_runner::launcher {

/// Most cgroups of one pool; at the bound attempts do without.
constexpr size_t cgroup_slots_max = 32'768;

/// The way into a slot: a descriptor that the pool keeps, valid until the slot is released, or one that
/// belongs to whoever asked.
struct cgroup_entrance {
  int descriptor = -1;
  owned_descriptor own;
  explicit operator bool() const noexcept { return descriptor >= 0; }
};

/// The cgroups below `task-runner.NAME`, itself below the launcher's own cgroup. A slot is named by its path
/// in the hierarchy, as /proc/PID/cgroup has it. All state but what is in use can be read back from the
/// hierarchy. Not thread-safe.
class cgroup_pool {
public:
  /// Finds a hierarchy that may be written: a mounted one, or a mount of our own that nobody else sees. Tries
  /// with a real child. Null, and the reason in a sentence, where none can be had. Slots that an earlier
  /// launcher left under the same name are used again.
  static std::unique_ptr<cgroup_pool> open(const std::string& name, std::string& why_not);

  /// Removes what is empty.
  ~cgroup_pool();
  cgroup_pool(const cgroup_pool&) = delete;
  cgroup_pool& operator=(const cgroup_pool&) = delete;

  /// So many slots, the first to be used, stay open, each with two descriptors: to open one for each command
  /// would cost 10 microseconds. None until it is said.
  void keep_open(size_t slots) noexcept { kept_max_ = slots; }

  /// An empty slot, which is now in use; an empty name when none can be had.
  std::string acquire();
  /// The slot is in use by an attempt that another program of this process had handed it to. It is not handed
  /// out again.
  void claim(const std::string& slot);
  /// The attempt has ended. What it left running keeps the slot from being used until it has gone.
  void release(const std::string& slot);
  /// The slot turned out to be unusable; it is not handed out again.
  void discard(const std::string& slot);
  /// None of the slots that are not in use is handed out again.
  void discard_idle();

  /// Whether children are made inside of a cgroup (CLONE_INTO_CGROUP); else they enter it by themselves.
  bool clones_into() const noexcept { return clones_into_; }
  /// What `clone3` (the directory) or the child (`cgroup.procs`, for writing) needs; none when the slot is
  /// gone.
  owned_descriptor open_for_child(const std::string& slot) const;
  /// The same, through what is kept open. One that somebody has removed may be refused only by `clone3`.
  cgroup_entrance enter(const std::string& slot);

  /// Whether processes live in the slot or below it. False when it is gone; true when nobody can say.
  bool is_populated(const std::string& slot) const;
  /// Every process in the slot and below it; those that have ended are not among them.
  std::vector<int> processes(const std::string& slot) const;
  /// Kills everything in it at once. False where the kernel cannot (before 5.14). The slot is not handed out
  /// again: some kernels (6.18 is one) kill whatever is later made in a cgroup that was once killed.
  bool kill(const std::string& slot);
  /// Removes an empty slot of an earlier launcher that lived elsewhere in the hierarchy, with its empty
  /// neighbours.
  void remove_elsewhere(const std::string& slot) const;

  /// Slots that exist, in use or not.
  size_t size() const noexcept { return in_use_.size() + empty_.size() + occupied_.size() + spent_.size(); }

private:
  struct kept_slot {
    owned_descriptor directory;
    /// `cgroup.events`.
    owned_descriptor events;
  };

  cgroup_pool() = default;
  /// The slot's path below the descriptor of the hierarchy; empty when it is not below it.
  std::string below_root(std::string_view slot) const;
  bool prepare(owned_descriptor root, const std::string& root_path, const std::string& name,
               std::string& why_not);
  bool probe(std::string& why_not);
  /// Makes the pool's own cgroup and locks it, so that others see that it is in use.
  bool take_directory(std::string& why_not);
  /// Removes what launchers that are no more have left beside it.
  void remove_abandoned() const;
  bool try_child(const std::string& slot) const;
  bool is_ours(const std::string& slot) const;
  void remove_spent();

  owned_descriptor root_;
  /// What `root_` shows, as a path in the hierarchy, without a slash at the end.
  std::string root_path_;
  /// The pool's own cgroup, and its directory, locked.
  std::string path_;
  owned_descriptor directory_;
  bool clones_into_ = true;
  size_t next_slot_ = 0;
  std::set<std::string> in_use_;
  /// In use, and not to be handed out again.
  std::set<std::string> last_use_;
  /// Seen empty when they were put here.
  std::deque<std::string> empty_;
  /// Something lived in them when they were last looked at.
  std::deque<std::string> occupied_;
  /// Not to be handed out again, and removed as soon as nothing lives in them.
  std::deque<std::string> spent_;
  /// Slots that are kept open; at most `kept_max_`.
  std::unordered_map<std::string, kept_slot> kept_;
  size_t kept_max_ = 0;
};

} // namespace task_runner::launcher
