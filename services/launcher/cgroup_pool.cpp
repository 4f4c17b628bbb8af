// Finding a writable cgroup hierarchy, and keeping a stock of cgroups in it.
//
// Measured on 2 cores, `/bin/true`, 16 at a time, medians of 7: with the pool 96 to 98 % of the starts per
// second without (585 to 572, 1,265 to 1,213); the test tagged [measure] repeats it.
#include "services/launcher/cgroup_pool.hpp"

#include "services/launcher/child_clone.hpp"
#include "services/launcher/process_table.hpp"
#include "services/launcher/spawn.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <fstream>
#include <optional>
#include <poll.h>
#include <sstream>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace task_runner::launcher {
namespace {

constexpr std::string_view pool_prefix = "task-runner.";
constexpr std::string_view slot_prefix = "slot-";
/// What `cgroup.events` says of a cgroup with processes in it or below it, and more than it ever says.
constexpr std::string_view populated = "populated 1";
constexpr size_t events_bytes_max = 256;
/// How long the lock of a pool is waited for.
constexpr int lock_tries = 20;
constexpr int lock_pause_ms = 10;
/// Most pools of others that are looked at in one start.
constexpr size_t abandoned_max = 1'024;
/// Slots looked at in one search for one that has become empty.
constexpr size_t looks_per_search = 16;
/// How deep below a slot cgroups are looked into: commands may make some of their own.
constexpr int depth_max = 16;

/// Reads to the end; nothing on an error.
std::optional<std::string> read_all(int directory, const std::string& name) {
  const owned_descriptor file(::openat(directory, name.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file)
    return std::nullopt;
  std::string text;
  std::array<char, 16'384> buffer{};
  for (;;) {
    const ssize_t n = ::read(file.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return std::nullopt;
    if (n == 0)
      return text;
    text.append(buffer.data(), static_cast<size_t>(n));
  }
}

owned_descriptor open_directory_at(int directory, const std::string& name) {
  return owned_descriptor(::openat(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
}

/// The names of the directories in a directory.
std::vector<std::string> directories_in(const owned_descriptor& directory) {
  std::vector<std::string> names;
  const int copy = ::openat(directory.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* listing = copy >= 0 ? ::fdopendir(copy) : nullptr;
  if (listing == nullptr) {
    if (copy >= 0)
      ::close(copy);
    return names;
  }
  while (const dirent* entry = ::readdir(listing))
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
      names.emplace_back(entry->d_name);
  ::closedir(listing);
  return names;
}

void collect_processes(const owned_descriptor& directory, int depth, std::vector<int>& pids) {
  if (const std::optional<std::string> text = read_all(directory.get(), "cgroup.procs")) {
    std::istringstream lines(*text);
    for (int pid = 0; lines >> pid;)
      // 0 stands for a process of another pid namespace.
      if (pid > 0)
        pids.push_back(pid);
  }
  if (depth >= depth_max)
    return;
  for (const std::string& name : directories_in(directory))
    if (const owned_descriptor below = open_directory_at(directory.get(), name))
      collect_processes(below, depth + 1, pids);
}

/// Removes a cgroup with all that are below it, as far as they are empty.
bool remove_tree(int directory, const std::string& name, int depth = 0) {
  if (::unlinkat(directory, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT)
    return true;
  if (depth >= depth_max)
    return false;
  if (const owned_descriptor inside = open_directory_at(directory, name))
    for (const std::string& below : directories_in(inside))
      remove_tree(inside.get(), below, depth + 1);
  return ::unlinkat(directory, name.c_str(), AT_REMOVEDIR) == 0;
}

/// A mounted hierarchy and which part of it the mount shows.
struct mounted_hierarchy {
  std::string mount_point;
  std::string root_path;
};

std::vector<mounted_hierarchy> find_mounted() {
  std::vector<mounted_hierarchy> found;
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    // id parent device root mount-point options [optional...] - type source options
    const size_t dash = line.find(" - ");
    if (dash == std::string::npos || line.compare(dash + 3, 8, "cgroup2 ") != 0)
      continue;
    std::istringstream fields(line);
    std::string skipped;
    mounted_hierarchy one;
    fields >> skipped >> skipped >> skipped >> one.root_path >> one.mount_point;
    if (one.root_path == "/")
      one.root_path.clear();
    found.push_back(std::move(one));
  }
  return found;
}

/// A mount that is attached nowhere: it exists for whoever has the descriptor, and nobody else sees it.
owned_descriptor mount_detached() {
  constexpr unsigned close_on_exec = 1;
  constexpr unsigned create_command = 6;
  constexpr unsigned no_suid_dev_exec = 2 | 4 | 8;
  const owned_descriptor context(static_cast<int>(::syscall(SYS_fsopen, "cgroup2", close_on_exec)));
  if (!context || ::syscall(SYS_fsconfig, context.get(), create_command, nullptr, nullptr, 0) != 0)
    return {};
  return owned_descriptor(
      static_cast<int>(::syscall(SYS_fsmount, context.get(), close_on_exec, no_suid_dev_exec)));
}

} // namespace

std::unique_ptr<cgroup_pool> cgroup_pool::open(const std::string& name, std::string& why_not) {
  const std::string own = cgroup_of(::getpid());
  if (own.empty() || own.compare(0, 3, "/..") == 0) {
    why_not = "this process is in no cgroup of version 2";
    return nullptr;
  }
  why_not = "no cgroup hierarchy of version 2 is mounted or can be mounted";
  std::unique_ptr<cgroup_pool> pool(new cgroup_pool());
  for (const mounted_hierarchy& one : find_mounted()) {
    owned_descriptor root(::open(one.mount_point.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (root && pool->prepare(std::move(root), one.root_path, name, why_not))
      return pool;
  }
  if (owned_descriptor root = mount_detached(); root && pool->prepare(std::move(root), {}, name, why_not))
    return pool;
  // Nothing of a failed attempt may be cleaned up twice.
  pool->path_.clear();
  return nullptr;
}

bool cgroup_pool::prepare(owned_descriptor root, const std::string& root_path, const std::string& name,
                          std::string& why_not) {
  root_ = std::move(root);
  root_path_ = root_path;
  const std::string own = cgroup_of(::getpid());
  path_ = (own == "/" ? std::string() : own) + "/" + std::string(pool_prefix) + name;
  const std::string below = below_root(path_);
  if (below.empty() || !take_directory(why_not))
    return false;
  remove_abandoned();
  in_use_.clear();
  last_use_.clear();
  empty_.clear();
  spent_.clear();
  kept_.clear();
  next_slot_ = 0;
  for (const std::string& slot : directories_in(directory_)) {
    if (slot.compare(0, slot_prefix.size(), slot_prefix) != 0)
      continue;
    const size_t number = std::strtoull(slot.c_str() + slot_prefix.size(), nullptr, 10);
    next_slot_ = std::max(next_slot_, number + 1);
    spent_.push_back(path_ + "/" + slot);
  }
  remove_spent();
  if (probe(why_not))
    return true;
  remove_tree(root_.get(), below);
  return false;
}

bool cgroup_pool::take_directory(std::string& why_not) {
  const std::string below = below_root(path_);
  for (int round = 0; round < lock_tries; ++round) {
    if (::mkdirat(root_.get(), below.c_str(), 0755) != 0 && errno != EEXIST) {
      why_not = "cannot make the cgroup " + path_ + ": " + std::strerror(errno);
      return false;
    }
    directory_ = open_directory_at(root_.get(), below);
    if (directory_ && ::flock(directory_.get(), LOCK_EX | LOCK_NB) == 0) {
      // Another launcher may have taken it for abandoned in between: ours must be the one in place.
      struct stat locked {};
      struct stat in_place {};
      if (::fstat(directory_.get(), &locked) == 0 &&
          ::fstatat(root_.get(), below.c_str(), &in_place, AT_SYMLINK_NOFOLLOW) == 0 &&
          locked.st_ino == in_place.st_ino)
        return true;
      continue;
    }
    // A launcher that is just leaving, or a child of one that has died in the middle of a spawn.
    ::poll(nullptr, 0, lock_pause_ms);
  }
  why_not = "the cgroup " + path_ + " is held by another process";
  return false;
}

void cgroup_pool::remove_abandoned() const {
  const std::string parent = path_.substr(0, path_.rfind('/'));
  const std::string below = below_root(parent);
  const owned_descriptor directory = open_directory_at(root_.get(), below.empty() ? "." : below);
  if (!directory)
    return;
  size_t looked_at = 0;
  for (const std::string& name : directories_in(directory)) {
    if (name.compare(0, pool_prefix.size(), pool_prefix) != 0 || parent + "/" + name == path_)
      continue;
    if (++looked_at > abandoned_max)
      return;
    const owned_descriptor other = open_directory_at(directory.get(), name);
    // What still lives there stays, and with it the cgroups that it lives in.
    if (other && ::flock(other.get(), LOCK_EX | LOCK_NB) == 0)
      remove_tree(directory.get(), name);
  }
}

bool cgroup_pool::probe(std::string& why_not) {
  const std::string slot = acquire();
  if (slot.empty()) {
    why_not = "cannot make a cgroup below " + path_ + ": " + std::strerror(errno);
    return false;
  }
  clones_into_ = true;
  bool works = try_child(slot);
  if (!works) {
    clones_into_ = false;
    works = try_child(slot);
  }
  release(slot);
  if (!works)
    why_not = "no process can be put into a cgroup below " + path_ + ": " + std::strerror(errno);
  return works;
}

bool cgroup_pool::try_child(const std::string& slot) const {
  const owned_descriptor into = open_for_child(slot);
  if (!into)
    return false;
  int process = -1;
  const int pid = fork_child(clones_into_ ? into.get() : -1, process);
  if (pid == 0) {
    if (!clones_into_ && !enter_cgroup(into.get()))
      ::_exit(errno);
    ::_exit(0);
  }
  if (pid < 0)
    return false;
  const owned_descriptor ended(process);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  errno = WIFEXITED(status) ? WEXITSTATUS(status) : ECHILD;
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

cgroup_pool::~cgroup_pool() {
  if (path_.empty() || !root_)
    return;
  for (const auto* list : {&empty_, &occupied_, &spent_})
    for (const std::string& slot : *list)
      remove_tree(root_.get(), below_root(slot));
  for (const std::string& slot : in_use_)
    remove_tree(root_.get(), below_root(slot));
  // Stays while something lives in it: the next launcher of the same state directory finds it again.
  ::unlinkat(root_.get(), below_root(path_).c_str(), AT_REMOVEDIR);
}

std::string cgroup_pool::below_root(std::string_view slot) const {
  if (slot.size() <= root_path_.size() + 1 || slot.compare(0, root_path_.size(), root_path_) != 0 ||
      slot[root_path_.size()] != '/' || slot.find("/../") != std::string_view::npos)
    return {};
  return std::string(slot.substr(root_path_.size() + 1));
}

bool cgroup_pool::is_ours(const std::string& slot) const {
  return slot.size() > path_.size() && slot.compare(0, path_.size(), path_) == 0 && slot[path_.size()] == '/';
}

std::string cgroup_pool::acquire() {
  while (!empty_.empty()) {
    std::string slot = std::move(empty_.front());
    empty_.pop_front();
    in_use_.insert(slot);
    return slot;
  }
  for (size_t i = std::min(occupied_.size(), looks_per_search); i > 0; --i) {
    std::string slot = std::move(occupied_.front());
    occupied_.pop_front();
    if (!is_populated(slot)) {
      in_use_.insert(slot);
      return slot;
    }
    occupied_.push_back(std::move(slot));
  }
  if (size() >= cgroup_slots_max)
    return {};
  std::string slot = path_ + "/" + std::string(slot_prefix) + std::to_string(next_slot_++);
  const std::string below = below_root(slot);
  bool made = ::mkdirat(root_.get(), below.c_str(), 0755) == 0 || errno == EEXIST;
  if (!made && errno == ENOENT) {
    // Somebody has removed the pool's own cgroup.
    std::string why_not;
    made = take_directory(why_not) && ::mkdirat(root_.get(), below.c_str(), 0755) == 0;
  }
  if (!made)
    return {};
  in_use_.insert(slot);
  return slot;
}

void cgroup_pool::remove_spent() {
  for (size_t i = std::min(spent_.size(), looks_per_search); i > 0; --i) {
    std::string slot = std::move(spent_.front());
    spent_.pop_front();
    if (!remove_tree(root_.get(), below_root(slot)))
      spent_.push_back(std::move(slot));
  }
}

void cgroup_pool::claim(const std::string& slot) {
  if (!is_ours(slot))
    return;
  for (auto* list : {&empty_, &occupied_, &spent_})
    list->erase(std::remove(list->begin(), list->end(), slot), list->end());
  in_use_.insert(slot);
  last_use_.insert(slot);
}

void cgroup_pool::release(const std::string& slot) {
  if (in_use_.erase(slot) == 0)
    return;
  if (last_use_.erase(slot) != 0) {
    kept_.erase(slot);
    spent_.push_back(slot);
    remove_spent();
  } else if (is_populated(slot)) {
    kept_.erase(slot);
    occupied_.push_back(slot);
  } else if (kept_max_ == 0 || kept_.count(slot) != 0) {
    empty_.push_front(slot);
  } else {
    // Behind those that are open.
    empty_.push_back(slot);
  }
}

void cgroup_pool::discard(const std::string& slot) {
  if (in_use_.count(slot) == 0)
    return;
  last_use_.insert(slot);
  release(slot);
}

void cgroup_pool::discard_idle() {
  for (auto* list : {&empty_, &occupied_}) {
    for (const std::string& slot : *list)
      kept_.erase(slot);
    spent_.insert(spent_.end(), list->begin(), list->end());
    list->clear();
  }
  remove_spent();
}

owned_descriptor cgroup_pool::open_for_child(const std::string& slot) const {
  const std::string below = below_root(slot);
  if (below.empty())
    return {};
  if (clones_into_)
    return open_directory_at(root_.get(), below);
  return owned_descriptor(::openat(root_.get(), (below + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
}

cgroup_entrance cgroup_pool::enter(const std::string& slot) {
  auto kept = kept_.find(slot);
  if (kept == kept_.end() && clones_into_ && kept_.size() < kept_max_) {
    kept_slot fresh;
    fresh.directory = open_for_child(slot);
    if (fresh.directory)
      fresh.events.reset(::openat(fresh.directory.get(), "cgroup.events", O_RDONLY | O_CLOEXEC));
    if (fresh.events)
      kept = kept_.emplace(slot, std::move(fresh)).first;
  }
  cgroup_entrance entrance;
  if (kept != kept_.end()) {
    entrance.descriptor = kept->second.directory.get();
  } else {
    entrance.own = open_for_child(slot);
    entrance.descriptor = entrance.own.get();
  }
  return entrance;
}

bool cgroup_pool::is_populated(const std::string& slot) const {
  if (const auto kept = kept_.find(slot); kept != kept_.end()) {
    std::array<char, events_bytes_max> events{};
    const ssize_t n = ::pread(kept->second.events.get(), events.data(), events.size(), 0);
    if (n > 0)
      return std::string_view(events.data(), static_cast<size_t>(n)).find(populated) !=
             std::string_view::npos;
  }
  const std::string below = below_root(slot);
  if (below.empty())
    return false;
  const std::optional<std::string> events = read_all(root_.get(), below + "/cgroup.events");
  if (!events)
    return errno != ENOENT && errno != ENODEV;
  return events->find(populated) != std::string::npos;
}

std::vector<int> cgroup_pool::processes(const std::string& slot) const {
  std::vector<int> pids;
  const std::string below = below_root(slot);
  if (below.empty())
    return pids;
  if (const owned_descriptor directory = open_directory_at(root_.get(), below))
    collect_processes(directory, 0, pids);
  return pids;
}

bool cgroup_pool::kill(const std::string& slot) {
  const std::string below = below_root(slot);
  if (below.empty())
    return false;
  if (in_use_.count(slot) != 0)
    last_use_.insert(slot);
  // One that an earlier launcher had may have been removed, and made anew under its name.
  for (auto* list : {&empty_, &occupied_}) {
    const auto at = std::find(list->begin(), list->end(), slot);
    if (at != list->end()) {
      kept_.erase(slot);
      spent_.push_back(slot);
      list->erase(at);
    }
  }
  const owned_descriptor file(::openat(root_.get(), (below + "/cgroup.kill").c_str(), O_WRONLY | O_CLOEXEC));
  return file && ::write(file.get(), "1", 1) == 1;
}

void cgroup_pool::remove_elsewhere(const std::string& slot) const {
  const std::string below = below_root(slot);
  if (below.empty() || is_ours(slot))
    return;
  const std::string pool = below.substr(0, below.rfind('/'));
  if (const owned_descriptor directory = open_directory_at(root_.get(), pool))
    for (const std::string& name : directories_in(directory))
      remove_tree(directory.get(), name);
  ::unlinkat(root_.get(), pool.c_str(), AT_REMOVEDIR);
}

} // namespace task_runner::launcher
