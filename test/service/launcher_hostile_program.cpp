// The hostile commands themselves. Each process enters itself into the register once it is as hostile as it
// gets, and has an alarm clock, so that a test that fails leaves nothing behind for long.
#include "test/service/launcher_hostile_program.hpp"

#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace launcher_test {
namespace {

/// The longest life of a hostile process, seconds.
constexpr unsigned lifetime_s = 90;

std::string register_file;

void enter(int pid = 0) {
  ::alarm(lifetime_s);
  const int file = ::open(register_file.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  char line[32];
  const int length = std::snprintf(line, sizeof(line), "%d\n", pid == 0 ? static_cast<int>(::getpid()) : pid);
  if (file < 0 || ::write(file, line, static_cast<size_t>(length)) != length)
    ::_exit(99);
  ::close(file);
}

void ignore(int number) {
  ::signal(number, SIG_IGN);
}

[[noreturn]] void idle() {
  for (;;)
    ::pause();
}

/// Forks a child that does this and never returns.
template <class Action>
pid_t in_child(Action action) {
  const pid_t child = ::fork();
  if (child == 0) {
    action();
    ::_exit(0);
  }
  return child;
}

void ignore_everything() {
  for (int number = 1; number <= SIGRTMAX; ++number)
    if (number != SIGALRM)
      ::signal(number, SIG_IGN);
}

void close_everything() {
  ::syscall(SYS_close_range, 0U, ~0U, 0U);
}

/// A daemon as old books teach it.
template <class Action>
void daemonize(Action action) {
  const pid_t first = in_child([&] {
    ::setsid();
    in_child([&] {
      if (::chdir("/") != 0)
        ::_exit(98);
      action();
    });
  });
  ::waitpid(first, nullptr, 0);
}

[[noreturn]] void sleep_on() {
  enter();
  idle();
}

[[noreturn]] void ignore_term() {
  ignore(SIGTERM);
  sleep_on();
}

// --- single processes

[[noreturn]] void ignores_everything() {
  ignore_everything();
  sigset_t all;
  ::sigfillset(&all);
  ::sigdelset(&all, SIGALRM);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  sleep_on();
}

[[noreturn]] void stops_itself() {
  enter();
  for (;;)
    ::raise(SIGSTOP);
}

[[noreturn]] void executes_itself() {
  ignore(SIGTERM);
  // An own group and an environment of one word, again and again.
  ::setpgid(0, 0);
  ::alarm(lifetime_s);
  if (std::getenv("AGAIN") == nullptr)
    enter();
  const std::string self = "/proc/self/exe";
  char* words[] = {const_cast<char*>("hostile"), const_cast<char*>("--hostile"),
                   const_cast<char*>("executes itself"), const_cast<char*>(register_file.c_str()), nullptr};
  char* entries[] = {const_cast<char*>("AGAIN=yes"), nullptr};
  ::usleep(2'000);
  ::execve(self.c_str(), words, entries);
  ::_exit(97);
}

[[noreturn]] void clears_environment() {
  ignore(SIGTERM);
  enter();
  char* words[] = {const_cast<char*>("perl"), const_cast<char*>("-e"), const_cast<char*>("sleep 1 while 1"),
                   nullptr};
  char* entries[] = {nullptr};
  ::execve("/usr/bin/perl", words, entries);
  ::_exit(97);
}

[[noreturn]] void hides_name() {
  ignore(SIGTERM);
  ::prctl(PR_SET_NAME, "kworker/0:1)");
  ::prctl(PR_SET_DUMPABLE, 0);
  sleep_on();
}

[[noreturn]] void burns() {
  for (int i = 0; i < 5; ++i)
    in_child([] {
      ignore(SIGTERM);
      enter();
      for (volatile unsigned n = 0;; n = n + 1) {
      }
    });
  ignore_term();
}

[[noreturn]] void holds_memory() {
  constexpr size_t size = 128U << 20U;
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory != MAP_FAILED)
    std::memset(memory, 1, size);
  ignore_term();
}

// --- families

[[noreturn]] void forks_many(int count, void (*each)()) {
  for (int i = 0; i < count; ++i)
    if (in_child(each) < 0)
      ::_exit(96);
  ignore(SIGTERM);
  sleep_on();
}

[[noreturn]] void five_hundred() {
  forks_many(500, [] { ignore_term(); });
}

[[noreturn]] void own_sessions() {
  forks_many(100, [] {
    ::setsid();
    ignore_term();
  });
}

[[noreturn]] void own_groups() {
  forks_many(20, [] {
    ::setpgid(0, 0);
    ignore_term();
  });
}

void nest(int depth) {
  if (depth > 0)
    in_child([depth] { nest(depth - 1); });
  ignore_term();
}

[[noreturn]] void deep() {
  nest(100);
  ::_exit(0);
}

[[noreturn]] void daemon_beside() {
  daemonize([] { ignore_term(); });
  sleep_on();
}

[[noreturn]] void daemon_closed() {
  daemonize([] {
    close_everything();
    ignore_everything();
    enter();
    idle();
  });
  ignore_term();
}

[[noreturn]] void many_daemons() {
  for (int i = 0; i < 30; ++i)
    daemonize([] { ignore_term(); });
  sleep_on();
}

[[noreturn]] void orphans_of_orphans() {
  // Each generation dies at once; only the last one stays, far from everybody.
  in_child([] {
    for (int i = 0; i < 40; ++i) {
      const pid_t child = ::fork();
      if (child != 0)
        ::_exit(0);
      ::setsid();
    }
    ignore_term();
  });
  sleep_on();
}

[[noreturn]] void leaves_at_term() {
  // The leader goes when asked; the children hold the output and stay.
  for (int i = 0; i < 3; ++i)
    in_child([] { ignore_term(); });
  sleep_on();
}

[[noreturn]] void forks_at_term() {
  struct sigaction act {};
  act.sa_handler = [](int) {
    for (int i = 0; i < 20; ++i)
      if (::fork() == 0) {
        ::alarm(lifetime_s);
        ::setsid();
        for (;;)
          ::pause();
      }
  };
  ::sigaction(SIGTERM, &act, nullptr);
  sleep_on();
}

[[noreturn]] void exits_well_at_term() {
  daemonize([] { ignore_term(); });
  struct sigaction act {};
  act.sa_handler = [](int) { ::_exit(0); };
  ::sigaction(SIGTERM, &act, nullptr);
  sleep_on();
}

[[noreturn]] void stopped_family() {
  for (int i = 0; i < 5; ++i)
    in_child([] {
      ignore(SIGTERM);
      enter();
      ::raise(SIGSTOP);
      idle();
    });
  ignore(SIGTERM);
  enter();
  ::raise(SIGSTOP);
  idle();
}

[[noreturn]] void zombies() {
  for (int i = 0; i < 50; ++i)
    in_child([] { enter(); });
  ignore_term();
}

[[noreturn]] void own_subreaper() {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  for (int i = 0; i < 5; ++i)
    daemonize([] { ignore_term(); });
  ignore_term();
}

[[noreturn]] void asks_to_survive() {
  // Continues its whole family as fast as it can, against being stopped.
  for (int i = 0; i < 3; ++i)
    in_child([] {
      ignore(SIGTERM);
      enter();
      for (;;)
        ::kill(0, SIGCONT);
    });
  ignore(SIGTERM);
  enter();
  for (;;) {
    const pid_t child = in_child([] { ::usleep(1'000); });
    ::kill(0, SIGCONT);
    if (child > 0)
      ::waitpid(child, nullptr, 0);
  }
}

// --- what keeps forking

/// A chain in which each process forks its successor and ends at once.
[[noreturn]] void hop() {
  timespec began{};
  ::clock_gettime(CLOCK_MONOTONIC, &began);
  for (;;) {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec - began.tv_sec > static_cast<time_t>(lifetime_s))
      ::_exit(0);
    const pid_t child = ::fork();
    if (child > 0)
      ::_exit(0);
  }
}

[[noreturn]] void one_hopper() {
  in_child([] {
    ignore(SIGTERM);
    ::setsid();
    hop();
  });
  ignore_term();
}

[[noreturn]] void left_hopper() {
  // The leader goes when asked, and what stays is never the same process twice.
  in_child([] {
    ignore(SIGTERM);
    ::setsid();
    hop();
  });
  sleep_on();
}

[[noreturn]] void eight_hoppers() {
  for (int i = 0; i < 8; ++i)
    in_child([] {
      ignore(SIGTERM);
      ::setsid();
      hop();
    });
  ignore_term();
}

[[noreturn]] void bomb() {
  ignore(SIGTERM);
  enter();
  for (;;)
    if (::fork() == 0)
      ::alarm(lifetime_s);
}

[[noreturn]] void session_bomb() {
  ignore(SIGTERM);
  enter();
  for (;;)
    if (::fork() == 0) {
      ::alarm(lifetime_s);
      ::setsid();
      close_everything();
    }
}

/// Two that bring each other back to life.
[[noreturn]] void guard_each_other() {
  ignore(SIGTERM);
  enter();
  for (;;) {
    std::array<int, 2> life{};
    if (::pipe(life.data()) != 0)
      ::_exit(95);
    const pid_t other = ::fork();
    ::alarm(lifetime_s);
    if (other == 0) {
      // Waits for the death of the one before, then takes its place.
      ::setsid();
      ::close(life[1]);
      char byte = 0;
      while (::read(life[0], &byte, 1) < 0 && errno == EINTR) {
      }
      ::close(life[0]);
      continue;
    }
    ::close(life[0]);
    ::waitpid(other, nullptr, 0);
    ::close(life[1]);
  }
}

// --- peculiar processes

void* wait_for_ever(void*) {
  idle();
}

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
    ::alarm(lifetime_s);
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
      ::alarm(lifetime_s);
      ::setsid();
      idle();
    });
    ::alarm(lifetime_s);
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

constexpr const char* no_line = nullptr;

std::vector<hostile_tree> make_trees() {
  return {
      // name, processes, behaviour, line, root, limit
      {"sleeps", 1, [] { sleep_on(); }, no_line, false, 0},
      {"ignores TERM", 1, [] { ignore_term(); }, no_line, false, 0},
      {"ignores and blocks everything", 1, [] { ignores_everything(); }, no_line, false, 0},
      {"stops itself", 1, [] { stops_itself(); }, no_line, false, 0},
      {"executes itself", 1, [] { executes_itself(); }, no_line, false, 0},
      {"clears its environment", 1, [] { clears_environment(); }, no_line, false, 0},
      {"hides behind another name", 1, [] { hides_name(); }, no_line, false, 0},
      {"burns the processors", 6, [] { burns(); }, no_line, false, 0},
      {"holds much memory", 1, [] { holds_memory(); }, no_line, false, 0},
      {"five hundred children", 501, [] { five_hundred(); }, no_line, false, 0},
      {"a hundred sessions", 101, [] { own_sessions(); }, no_line, false, 0},
      {"groups of their own", 21, [] { own_groups(); }, no_line, false, 0},
      {"a hundred generations", 101, [] { deep(); }, no_line, false, 0},
      {"a daemon by double fork", 2, [] { daemon_beside(); }, no_line, false, 0},
      {"a daemon with closed descriptors", 2, [] { daemon_closed(); }, no_line, false, 0},
      {"thirty daemons", 31, [] { many_daemons(); }, no_line, false, 0},
      {"an orphan of forty orphans", 2, [] { orphans_of_orphans(); }, no_line, false, 0},
      {"a leader that leaves its children", 4, [] { leaves_at_term(); }, no_line, false, 0},
      {"a leader that forks at TERM", 1, [] { forks_at_term(); }, no_line, false, 0},
      {"a leader that ends well at TERM", 2, [] { exits_well_at_term(); }, no_line, false, 0},
      {"a stopped family", 6, [] { stopped_family(); }, no_line, false, 0},
      {"fifty zombies", 51, [] { zombies(); }, no_line, false, 0},
      {"a subreaper of its own", 6, [] { own_subreaper(); }, no_line, false, 0},
      {"continues itself", 4, [] { asks_to_survive(); }, no_line, false, 0},
      {"a hopper", 1, [] { one_hopper(); }, no_line, false, 0},
      {"a hopper that was left alone", 1, [] { left_hopper(); }, no_line, false, 0},
      {"eight hoppers", 1, [] { eight_hoppers(); }, no_line, false, 0},
      {"a fork bomb", 1, [] { bomb(); }, no_line, true, 150},
      {"a fork bomb of sessions", 1, [] { session_bomb(); }, no_line, true, 150},
      {"guards that replace each other", 1, [] { guard_each_other(); }, no_line, false, 0},
      {"threads without a head", 1, [] { headless_threads(); }, no_line, false, 0},
      {"threads that fork", 11, [] { threads_fork(); }, no_line, false, 0},
      {"a parent inside vfork", 2, [] { in_vfork(); }, no_line, false, 0},
      {"a traced child", 2, [] { traced_child(); }, no_line, false, 0},
      {"a traced leader", 2, [] { traced_leader(); }, no_line, false, 0},
      {"children without a tag", 3, [] { tag_taken_off(); }, no_line, false, 0},
      {"a leader without a tag", 4, [] { leader_without_tag(); }, no_line, false, 0},
      {"out of its cgroup", 2, [] { out_of_cgroup(); }, no_line, true, 0},
      {"another user", 2, [] { other_user(); }, no_line, true, 0},
      {"a pid namespace", 2, [] { own_pid_namespace(); }, no_line, true, 0},
      {"mounts of its own", 2, [] { own_mounts(); }, no_line, true, 0},
      {"real-time scheduling", 2, [] { real_time(); }, no_line, true, 0},
      {"holders of the output", 4, [] { passes_output_on(); }, no_line, false, 0},
      {"a shell with a trap", 1, nullptr, "trap '' TERM; REG $$; while :; do sleep 0.05; done", false, 0},
      {"a shell that starts more at TERM", 1, nullptr,
       "trap 'sleep 60 & setsid sleep 60 &' TERM; REG $$; while :; do sleep 0.05; done", false, 0},
      {"a shell with background jobs", 2, nullptr,
       "nohup setsid sh -c 'trap \"\" TERM HUP; REG $$; while :; do sleep 0.05; done' >/dev/null 2>&1 & REG "
       "$$; wait",
       false, 0},
      {"a flood of output", 1, nullptr, "trap '' TERM; REG $$; (trap '' TERM; exec yes) & yes; wait", false,
       0},
      {"a pipeline", 1, nullptr, "REG $$; yes | cat | tr y n | cat >/dev/null", false, 0},
      {"a perl daemon", 1, nullptr,
       "perl -MPOSIX -e 'exit if fork; setsid(); exit if fork; $SIG{TERM}=\"IGNORE\"; alarm 90; "
       "open(F, \">>\", $ENV{REGISTER}); print F \"$$\\n\"; close F; POSIX::close($_) for 0..2; sleep 1 "
       "while 1'; "
       "sleep 60",
       false, 0},
  };
}

} // namespace

const std::vector<hostile_tree>& hostile_trees() {
  static const std::vector<hostile_tree> trees = make_trees();
  return trees;
}

int be_hostile(const std::string& name, const std::string& register_path) {
  register_file = register_path;
  for (const hostile_tree& one : hostile_trees())
    if (name == one.name && one.behave != nullptr)
      one.behave();
  std::fprintf(stderr, "no such hostile tree: %s\n", name.c_str());
  return 91;
}

} // namespace launcher_test
