// Hostile processes that stand alone, and families of them: whatever they do, their number stays what it is
// once they are complete.
#include "test/service/launcher_hostile_acts.hpp"

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace launcher_test {

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
  ::alarm(hostile_lifetime_s);
  if (std::getenv("AGAIN") == nullptr)
    enter();
  const std::string self = "/proc/self/exe";
  char* words[] = {const_cast<char*>("hostile"), const_cast<char*>("--hostile"),
                   const_cast<char*>("executes itself"), const_cast<char*>(hostile_register.c_str()),
                   nullptr};
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

namespace {

[[noreturn]] void forks_many(int count, void (*each)()) {
  for (int i = 0; i < count; ++i)
    if (in_child(each) < 0)
      ::_exit(96);
  ignore(SIGTERM);
  sleep_on();
}

} // namespace

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

namespace {

void nest(int depth) {
  if (depth > 0)
    in_child([depth] { nest(depth - 1); });
  ignore_term();
}

} // namespace

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
        ::alarm(hostile_lifetime_s);
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

} // namespace launcher_test
