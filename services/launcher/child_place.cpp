// The making of a child on a stack of its own inside of our memory (clone with CLONE_VM and without
// CLONE_VFORK), and the word by which the kernel tells that it has left it.
#include "services/launcher/child_place.hpp"

#include "services/launcher/child_clone.hpp"
#include "services/launcher/owned_descriptor.hpp"
#include "services/launcher/system_call.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <utility>

namespace task_runner::launcher {
namespace {

constexpr size_t page_size = 4'096;
/// The child's way needs a few hundred bytes; below lies a page that nothing may touch.
constexpr size_t stack_size = 4 * page_size;
constexpr size_t memory_size = page_size + stack_size;
/// How long the end of this process waits for children in its memory: one may hang in a file system that does
/// not answer.
constexpr std::chrono::seconds leave_wait_max{1};

/// Before Linux 5.16 a child that dumped core took everybody along who shared its memory ("signal: Limit
/// coredumps to a single thread group").
bool cores_are_private() noexcept {
  utsname system{};
  int version = 0;
  int patch_level = 0;
  if (::uname(&system) != 0 || std::sscanf(system.release, "%d.%d", &version, &patch_level) != 2)
    return false;
  return version > 5 || (version == 5 && patch_level >= 16);
}

/// With vm.oom_kill_allocating_task a child that finds no memory on its way to its command is killed together
/// with everybody who shares its memory.
bool dies_for_others() noexcept {
  const owned_descriptor setting(::open("/proc/sys/vm/oom_kill_allocating_task", O_RDONLY | O_CLOEXEC));
  char value = '0';
  return setting && ::read(setting.get(), &value, 1) == 1 && value != '0';
}

} // namespace

std::unique_ptr<child_place> child_place::make() {
  void* const memory = ::mmap(nullptr, memory_size, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED)
    return nullptr;
  if (::mprotect(memory, page_size, PROT_NONE) != 0) {
    ::munmap(memory, memory_size);
    return nullptr;
  }
  return std::unique_ptr<child_place>(new child_place(memory));
}

child_place::~child_place() {
  ::munmap(memory_, memory_size);
}

int child_place::start(child_matter& matter, int cgroup, int& process) {
  matter_ = std::move(matter);
  __atomic_store_n(&busy_, 1, __ATOMIC_RELEASE);
  child_stack stack;
  stack.lowest = static_cast<char*>(memory_) + page_size;
  stack.size = stack_size;
  stack.left = &busy_;
  const int pid = clone_child(cgroup, process, stack, matter_.order());
  if (pid < 0) {
    const int reason = errno;
    __atomic_store_n(&busy_, 0, __ATOMIC_RELEASE);
    matter = std::move(matter_);
    errno = reason;
  }
  return pid;
}

bool child_place::wait_free(std::chrono::steady_clock::time_point until) const noexcept {
  while (!is_free()) {
    const auto left = until - std::chrono::steady_clock::now();
    if (left <= left.zero())
      return false;
    const auto whole = std::chrono::duration_cast<std::chrono::seconds>(left);
    const timespec patience{static_cast<time_t>(whole.count()),
                            static_cast<long>(std::chrono::nanoseconds(left - whole).count())};
    // The kernel wakes one waiter when it clears the word.
    system_call(SYS_futex, reinterpret_cast<long>(&busy_), FUTEX_WAIT, 1, reinterpret_cast<long>(&patience));
  }
  return true;
}

child_places::child_places()
    : usable_(calls_leave_no_trace && cores_are_private() && !dies_for_others()) {}

child_places::~child_places() {
  const auto until = std::chrono::steady_clock::now() + leave_wait_max;
  for (auto& place : places_)
    if (!place->wait_free(until))
      // What the child stands on goes with the process.
      (void)place.release();
}

child_place* child_places::find() {
  if (!usable_)
    return nullptr;
  auto found = std::find_if(places_.begin(), places_.end(), [](const auto& one) { return one->is_free(); });
  if (found == places_.end()) {
    if (places_.size() >= child_places_max)
      return nullptr;
    auto made = child_place::make();
    if (!made)
      return nullptr;
    places_.push_back(std::move(made));
    return places_.back().get();
  }
  // The one used last goes behind, so that the first look mostly finds one that is free.
  std::rotate(found, found + 1, places_.end());
  return places_.back().get();
}

} // namespace task_runner::launcher
