// Hostile processes that are in a state of their own: threads without a head, traced, in other namespaces, of
// other users, or without the marks by which they are found.
#include "test/service/launcher_hostile_acts.hpp"

#include <array>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace launcher_test {

namespace {

void* wait_for_ever(void*) {
  idle();
}

} // namespace

[[noreturn]] void headless_threads() {
  // The first thread ends, the process lives on and looks like a zombie.
  ignore(SIGTERM);
  for (int i = 0; i < 8; ++i) {
    pthread_t thread{};
    ::pthread_create(&thread, nullptr, wait_for_ever, nullptr);
  }
  enter();
  ::pthread_exit(nullptr);
}

[[noreturn]] void threads_fork() {
  ignore(SIGTERM);
  pthread_t thread{};
  ::pthread_create(
      &thread, nullptr,
      [](void*) -> void* {
        for (int i = 0; i < 10; ++i)
          in_child([] {
            ::setsid();
            enter();
            idle();
          });
        idle();
      },
      nullptr);
  sleep_on();
}

[[noreturn]] void in_vfork() {
  ignore(SIGTERM);
  enter();
  // The parent hangs in the kernel until its child executes or ends, and the child does neither.
  const long child = ::syscall(SYS_clone, CLONE_VFORK | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
  if (child == 0) {
    enter();
    idle();
  }
  ::_exit(0);
}

[[noreturn]] void traced_child() {
  ignore(SIGTERM);
  in_child([] {
    ignore(SIGTERM);
    ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    enter();
    ::raise(SIGSTOP);
    idle();
  });
  enter();
  // Never continues what it traces.
  idle();
}

[[noreturn]] void traced_leader() {
  ignore(SIGTERM);
  // Allows the child to trace it where the system asks for that.
  ::prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
  // Before it can be stopped.
  enter();
  const pid_t self = ::getpid();
  in_child([self] {
    ignore(SIGTERM);
    ::ptrace(PTRACE_SEIZE, self, nullptr, nullptr);
    ::ptrace(PTRACE_INTERRUPT, self, nullptr, nullptr);
    enter();
    idle();
  });
  idle();
}

[[noreturn]] void tag_taken_off() {
  ignore(SIGTERM);
  in_child([] {
    const rlimit other{4'242, 4'242};
    ::setrlimit(RLIMIT_RTTIME, &other);
    ::setsid();
    in_child([] { ignore_term(); });
    ignore_term();
  });
  sleep_on();
}

[[noreturn]] void leader_without_tag() {
  const rlimit other{4'242, 4'242};
  ::setrlimit(RLIMIT_RTTIME, &other);
  for (int i = 0; i < 3; ++i)
    in_child([] { ignore_term(); });
  ignore_term();
}

[[noreturn]] void out_of_cgroup() {
  // Moves itself to the root of whatever hierarchy it can see.
  for (const char* procs : {"/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/unified/cgroup.procs"}) {
    const int file = ::open(procs, O_WRONLY | O_CLOEXEC);
    if (file >= 0 && ::write(file, "0", 1) == 1)
      break;
  }
  daemonize([] { ignore_term(); });
  ignore_term();
}

[[noreturn]] void other_user() {
  daemonize([] {
    ::alarm(hostile_lifetime_s);
    ignore(SIGTERM);
    enter();
    if (::setuid(65'534) != 0)
      ::_exit(94);
    idle();
  });
  ignore_term();
}

[[noreturn]] void own_pid_namespace() {
  if (::unshare(CLONE_NEWPID) != 0)
    ::_exit(93);
  const pid_t first = in_child([] {
    // Number 1 of its own world: only KILL from outside ends it.
    in_child([] {
      ::alarm(hostile_lifetime_s);
      ::setsid();
      idle();
    });
    ::alarm(hostile_lifetime_s);
    idle();
  });
  enter(first);
  ignore_term();
}

[[noreturn]] void own_mounts() {
  if (::unshare(CLONE_NEWNS) != 0)
    ::_exit(93);
  daemonize([] { ignore_term(); });
  ignore_term();
}

[[noreturn]] void real_time() {
  daemonize([] {
    const sched_param first{1};
    ::sched_setscheduler(0, SCHED_FIFO, &first);
    ignore_term();
  });
  ignore_term();
}

[[noreturn]] void passes_output_on() {
  // The output's descriptor waits in a socket that nobody reads; every end of it is closed but one.
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_DGRAM, 0, ends.data()) != 0)
    ::_exit(92);
  char byte = 0;
  iovec part{&byte, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  const int output = STDOUT_FILENO;
  std::memcpy(CMSG_DATA(header), &output, sizeof(output));
  if (::sendmsg(ends[0], &message, 0) != 1)
    ::_exit(92);
  const int receiver = ends[1];
  in_child([receiver] {
    for (int other = 0; other < 1'024; ++other)
      if (other != receiver)
        ::close(other);
    ::setsid();
    ignore_term();
  });
  ::close(ends[0]);
  ::close(ends[1]);
  for (int i = 0; i < 2; ++i)
    in_child([] { ignore_term(); });
  ignore_term();
}

} // namespace launcher_test
