// Looks at process trees through /proc, as the launcher itself does, but on behalf of the tests.
#include "test/service/launcher_trees.hpp"

#include "services/launcher/cgroup_pool.hpp"
#include "services/launcher/process_tag.hpp"
#include "test/support/wait.hpp"

#include <fstream>
#include <iostream>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace launcher_test {

using namespace task_runner::launcher;

tree_register::tree_register()
    : path_(directory_.path() + "/register") {
  ::chmod(directory_.path().c_str(), 0755);
  write_file(path_, "", 0666);
}

std::vector<int> tree_register::pids() const {
  std::vector<int> found;
  std::ifstream lines(path_);
  for (std::string line; std::getline(lines, line) && !lines.eof();)
    found.push_back(std::stoi(line));
  return found;
}

bool tree_register::wait_for(int count) const {
  return task_runner::test::wait_until([&] { return pids().size() >= static_cast<size_t>(count); },
                                       std::chrono::milliseconds(patience_ms));
}

std::vector<process_facts> tree_register::living() const {
  std::vector<process_facts> found;
  for (const int pid : pids())
    if (const std::optional<process_facts> facts = look_at_process(pid); facts && !facts->is_dead())
      found.push_back(*facts);
  return found;
}

bool still_lives(const process_facts& process) {
  const std::optional<process_facts> now = look_at_process(process.pid);
  return now && now->began == process.began && !now->is_dead();
}

uint64_t tag_of(int pid) {
  const std::optional<uint64_t> limit = hard_realtime_limit(pid);
  return limit && *limit != RLIM_INFINITY ? *limit : 0;
}

std::vector<int> living_with_tag(uint64_t tag) {
  std::vector<int> found;
  if (tag == 0)
    return found;
  for (const int pid : list_processes()) {
    const std::optional<uint64_t> limit = hard_realtime_limit(pid);
    if (!limit || !tag_holds(tag, *limit))
      continue;
    const std::optional<process_facts> facts = look_at_process(pid);
    if (facts && !facts->is_dead())
      found.push_back(pid);
  }
  return found;
}

bool uses_cgroups(const launcher_fixture& fixture, int command_pid) {
  const std::string own = cgroup_of(fixture.launcher_pid());
  const std::string command = cgroup_of(command_pid);
  return command != own && command.find("/task-runner.") != std::string::npos;
}

bool cgroups_available() {
  static const bool available = [] {
    std::string why_not;
    if (cgroup_pool::open("probe-" + std::to_string(::getpid()), why_not))
      return true;
    std::cerr << "\n*** SKIPPED: every check of containment by cgroups: " << why_not << " ***\n\n";
    return false;
  }();
  return available;
}

} // namespace launcher_test
