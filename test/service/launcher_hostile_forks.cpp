// Hostile processes that never stop forking, so that whoever looks for them finds others than there are.
// Each ends by itself after a while.
#include "test/service/launcher_hostile_acts.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <sys/wait.h>
#include <unistd.h>

namespace launcher_test {

namespace {

/// A chain in which each process forks its successor and ends at once.
[[noreturn]] void hop() {
  timespec began{};
  ::clock_gettime(CLOCK_MONOTONIC, &began);
  for (;;) {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec - began.tv_sec > static_cast<time_t>(hostile_lifetime_s))
      ::_exit(0);
    const pid_t child = ::fork();
    if (child > 0)
      ::_exit(0);
  }
}

} // namespace

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
      ::alarm(hostile_lifetime_s);
}

[[noreturn]] void session_bomb() {
  ignore(SIGTERM);
  enter();
  for (;;)
    if (::fork() == 0) {
      ::alarm(hostile_lifetime_s);
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
    ::alarm(hostile_lifetime_s);
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

} // namespace launcher_test
