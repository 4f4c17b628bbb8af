// What hostile processes are made of, and the acts that the catalogue lists, each in a file with its kind.
// An act runs in the process that the launcher starts and never comes back.
#pragma once

#include <string>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

namespace launcher_test {

/// The longest life of a hostile process, seconds.
constexpr unsigned hostile_lifetime_s = 90;

/// The file that processes enter themselves into, as be_hostile() was told.
extern std::string hostile_register;

/// Enters a process (0: this one) into the register, and sets this one's alarm clock.
void enter(int pid = 0);
void ignore(int number);
void ignore_everything();
void close_everything();
[[noreturn]] void idle();
/// Enters and idles; the second one ignores TERM.
[[noreturn]] void sleep_on();
[[noreturn]] void ignore_term();

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

// Single processes.
[[noreturn]] void ignores_everything();
[[noreturn]] void stops_itself();
[[noreturn]] void executes_itself();
[[noreturn]] void clears_environment();
[[noreturn]] void hides_name();
[[noreturn]] void burns();
[[noreturn]] void holds_memory();

// Families.
[[noreturn]] void five_hundred();
[[noreturn]] void own_sessions();
[[noreturn]] void own_groups();
[[noreturn]] void deep();
[[noreturn]] void daemon_beside();
[[noreturn]] void daemon_closed();
[[noreturn]] void many_daemons();
[[noreturn]] void orphans_of_orphans();
[[noreturn]] void leaves_at_term();
[[noreturn]] void forks_at_term();
[[noreturn]] void exits_well_at_term();
[[noreturn]] void stopped_family();
[[noreturn]] void zombies();
[[noreturn]] void own_subreaper();
[[noreturn]] void asks_to_survive();

// What keeps forking.
[[noreturn]] void one_hopper();
[[noreturn]] void left_hopper();
[[noreturn]] void eight_hoppers();
[[noreturn]] void bomb();
[[noreturn]] void session_bomb();
[[noreturn]] void guard_each_other();

// Peculiar processes.
[[noreturn]] void headless_threads();
[[noreturn]] void threads_fork();
[[noreturn]] void in_vfork();
[[noreturn]] void traced_child();
[[noreturn]] void traced_leader();
[[noreturn]] void tag_taken_off();
[[noreturn]] void leader_without_tag();
[[noreturn]] void out_of_cgroup();
[[noreturn]] void other_user();
[[noreturn]] void own_pid_namespace();
[[noreturn]] void own_mounts();
[[noreturn]] void real_time();
[[noreturn]] void passes_output_on();

} // namespace launcher_test
