// The making of a child on a stack of its own inside of our memory (clone with CLONE_VM and without
// CLONE_VFORK), and the word by which the kernel tells that it has left it.
#include "services/launcher/child_place.hpp"

#include "services/launcher/child_clone.hpp"
#include "services/launcher/system_call.hpp"

#include <cerrno>
#include <cstdio>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <utility>

namespace task_runner::launcher {
namespace {

constexpr size_t page_size = 4'096;
/// The child's way needs a few hundred bytes; below lies a page that nothing may touch.
constexpr size_t stack_size = 4 * page_size;
constexpr size_t memory_size = page_size + stack_size;
/// How long the end of this process waits for children in its memory: one may hang in a file system that does
/// not answer.
constexpr time_t leave_wait_max_s = 1;

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

} // namespace

std::unique_ptr<child_place> child_place::make() {
  void* const memory = ::mmap(nullptr, memory_size, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED)
    return nullptr;
  ::mprotect(memory, page_size, PROT_NONE);
  return std::unique_ptr<child_place>(new child_place(memory));
}

child_place::~child_place() {
  ::munmap(memory_, memory_size);
}

int child_place::start(child_matter matter, int cgroup, int& process) {
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
    errno = reason;
  }
  return pid;
}

bool child_place::wait_free() const noexcept {
  const timespec patience{leave_wait_max_s, 0};
  // The kernel wakes one waiter when it clears the word.
  if (!is_free())
    system_call(SYS_futex, reinterpret_cast<long>(&busy_), FUTEX_WAIT, 1, reinterpret_cast<long>(&patience));
  return is_free();
}

child_places::~child_places() {
  for (auto& place : places_)
    if (!place->wait_free())
      // What the child stands on goes with the process.
      (void)place.release();
}

child_place* child_places::find() {
  static const bool safe = calls_leave_no_trace && cores_are_private();
  if (!safe)
    return nullptr;
  if (places_.empty() || !places_.front()->is_free()) {
    if (places_.size() >= child_places_max)
      return nullptr;
    auto made = child_place::make();
    if (!made)
      return nullptr;
    places_.push_front(std::move(made));
  }
  places_.push_back(std::move(places_.front()));
  places_.pop_front();
  return places_.back().get();
}

} // namespace task_runner::launcher
