// The spawn itself. A child is made inside of the launcher's memory wherever that is safe (child_place.hpp).
//
// Measured with 16 commands at a time on 2 cores, interleaved, as a multiple of posix_spawn from a process of
// a few pages: fork 0.5 to 0.9, the less the more memory there is to copy; vfork about 1 on a quiet machine
// and far less on a busy one, as it keeps its caller waiting until the child has had its turn; a child in our
// memory that nobody waits for 1.2 to 1.3.
#include "services/launcher/spawn.hpp"

#include "services/launcher/child_clone.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace task_runner::launcher {
namespace {

/// Text of a start beyond which its child gets memory of its own: what a place keeps stays until its next
/// use.
constexpr size_t place_text_bytes_max = 32'768;

} // namespace

bool is_shortage(int reason) noexcept {
  return reason == EAGAIN || reason == ENOMEM || reason == EMFILE || reason == ENFILE;
}

bool enter_cgroup(int procs) noexcept {
  return ::write(procs, "0", 1) == 1;
}

failure_slots::failure_slots(size_t count, owned_descriptor memory)
    : count_(count)
    , memory_(std::move(memory)) {
  map();
}

void failure_slots::map() {
  if (!memory_)
    memory_.reset(::memfd_create("task-runner-failures", MFD_CLOEXEC));
  const size_t size = count_ * sizeof(int);
  if (!memory_ || ::ftruncate(memory_.get(), static_cast<off_t>(size)) != 0)
    return;
  void* mapped = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, memory_.get(), 0);
  if (mapped != MAP_FAILED)
    slots_ = static_cast<volatile int*>(mapped);
}

failure_slots::~failure_slots() {
  if (slots_ != nullptr)
    ::munmap(const_cast<int*>(slots_), count_ * sizeof(int));
}

volatile int* failure_slots::take_back(size_t place) {
  if (slots_ == nullptr || place >= count_)
    return nullptr;
  volatile int* const slot = slots_ + place;
  for (; used_ <= place; ++used_)
    free_.push_back(slots_ + used_);
  free_.erase(std::remove(free_.begin(), free_.end(), slot), free_.end());
  return slot;
}

volatile int* failure_slots::acquire() {
  if (slots_ == nullptr)
    map(); // there may be memory by now
  volatile int* slot = nullptr;
  if (!free_.empty()) {
    slot = free_.back();
    free_.pop_back();
  } else if (slots_ != nullptr && used_ < count_) {
    slot = slots_ + used_++;
  }
  if (slot != nullptr)
    *slot = child_not_begun;
  return slot;
}

void failure_slots::release(volatile int* slot) {
  free_.push_back(slot);
}

namespace {

std::string explain_execute(const std::string& program, int reason) {
  if (reason == E2BIG)
    return "the command and the environment together are longer than the system allows";
  if (reason == EAGAIN)
    return "cannot start " + (program.empty() ? std::string("/bin/sh") : program) +
           ": its user has as many processes as the limit allows";
  if (program.empty())
    return std::string("cannot execute /bin/sh: ") + std::strerror(reason);
  if (reason == ENOENT && program.find('/') != std::string::npos && ::access(program.c_str(), F_OK) == 0)
    return "cannot start " + program + ": the interpreter it names does not exist";
  if (reason == ENOENT)
    return "no such program: " + program;
  return "cannot start " + program + ": " + std::strerror(reason);
}

} // namespace

std::string explain_failure(const failure_context& context, int failure) {
  const child_stage stage = failed_stage(failure);
  const int reason = failed_reason(failure);
  const std::string why = std::string(": ") + std::strerror(reason);
  const std::string hint =
      reason == EPERM || reason == EACCES ? " (above what the daemon may; that needs root)" : "";
  switch (stage) {
  case child_stage::execute:
    return explain_execute(context.program, reason);
  case child_stage::streams:
    return "cannot set up stdin, stdout and stderr" + why;
  case child_stage::cgroup:
    return "cannot enter the cgroup of the command" + why;
  case child_stage::tag:
    return "cannot mark the processes of the command" + why;
  case child_stage::memory_limit:
    return "cannot set the limit of memory" + why + hint;
  case child_stage::cpu_limit:
    return "cannot set the limit of processor time" + why + hint;
  case child_stage::process_limit:
    return "cannot set the limit of processes" + why + hint;
  case child_stage::file_size_limit:
    return "cannot set the limit of file sizes" + why + hint;
  case child_stage::nice:
    return "cannot set the nice value" + why + hint;
  case child_stage::user:
    return "cannot become user " + context.user + why;
  case child_stage::directory:
    return "cannot enter the directory " + context.directory + why;
  }
  return "the command could not be started" + why;
}

std::optional<std::string> find_obstacle(const command_plan& plan) {
  if (plan.shell_line)
    return std::nullopt;
  int reason = ENOENT;
  for (const std::string& program : plan.programs) {
    struct stat facts {};
    if (::stat(program.c_str(), &facts) != 0) {
      if (errno != ENOENT && errno != ENOTDIR)
        reason = errno;
      continue;
    }
    if (S_ISREG(facts.st_mode) && ::faccessat(AT_FDCWD, program.c_str(), X_OK, AT_EACCESS) == 0)
      return std::nullopt;
    reason = EACCES;
  }
  return explain_execute(plan.words.front(), reason);
}

spawned_child spawner::spawn(command_plan plan, spawn_setting setting) {
  spawned_child child;
  std::array<int, 2> ends{-1, -1};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    child.out_of_resources = is_shortage(errno);
    child.error = std::string("cannot make a pipe for the output: ") + std::strerror(errno);
    return child;
  }
  owned_descriptor read_end(ends[0]);
  const owned_descriptor write_end(ends[1]);
  // Only our end: the command's own must block like any other.
  ::fcntl(read_end.get(), F_SETFL, O_NONBLOCK);
  // So that the command's user may open /dev/stdout by its name.
  if (setting.user != nullptr && ::fchown(write_end.get(), setting.user->user, setting.user->group) != 0) {
    child.error = "cannot give the output to user " + setting.user->name + ": " + std::strerror(errno);
    return child;
  }

  const int into = setting.enters_cgroup ? -1 : setting.cgroup;
  const bool changes_user = setting.user != nullptr;
  child_matter matter(std::move(plan), std::move(setting), write_end.get());
  int process = -1;
  const int pid = make_child(std::move(matter), changes_user, into, process);
  if (pid < 0) {
    child.out_of_resources = is_shortage(errno);
    child.cgroup_refused = into >= 0 && !child.out_of_resources;
    child.error = std::string("cannot make a process: ") + std::strerror(errno);
    return child;
  }
  child.pid = pid;
  child.process.reset(process);
  child.output = std::move(read_end);
  return child;
}

int spawner::make_child(child_matter matter, bool changes_user, int cgroup, int& process) {
  // One that becomes another user has memory of its own: that user's processes have rights over it at once,
  // and the kernel would mark our memory as one that has changed its user.
  child_place* const place =
      changes_user || matter.text_bytes() > place_text_bytes_max ? nullptr : places_.find();
  if (place != nullptr) {
    const int pid = place->start(matter, cgroup, process);
    if (pid >= 0 || is_shortage(errno))
      return pid;
  }
  const int pid = fork_child(cgroup, process);
  if (pid == 0)
    run_child(&matter.order());
  // Some emulators and sandboxes know copies only.
  if (pid > 0 && place != nullptr)
    places_.give_up();
  return pid;
}

} // namespace task_runner::launcher
