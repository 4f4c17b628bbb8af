// How the launcher's tests look at process trees: a register that trees enter themselves into, and searches
// for what is left of them.
#pragma once

#include "services/launcher/process_table.hpp"
#include "test/service/launcher_support.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace launcher_test {

/// A file that every user may append pids to.
class tree_register {
public:
  tree_register();
  const std::string& path() const noexcept { return path_; }
  /// The pids in it.
  std::vector<int> pids() const;
  /// Waits until so many pids are in it; false at the deadline.
  bool wait_for(int count) const;
  /// The processes that are in it and have not ended, with the moment they began.
  std::vector<task_runner::launcher::process_facts> living() const;

private:
  scratch_directory directory_;
  std::string path_;
};

/// Whether this very process is still there and has not ended.
bool still_lives(const task_runner::launcher::process_facts& process);

/// The hard limit that marks the tree of a process; 0 when it has none.
uint64_t tag_of(int pid);

/// Pids of the processes that belong to a tag and have not ended.
std::vector<int> living_with_tag(uint64_t tag);

/// Whether the launcher of this fixture holds trees in cgroups.
bool uses_cgroups(const launcher_fixture& fixture, int command_pid);

/// Whether a launcher could have cgroups here at all; says so loudly, once, when it could not.
bool cgroups_available();

} // namespace launcher_test
