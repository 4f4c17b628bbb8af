// The catalogue of hostile commands, and what all of them do first: enter themselves into the register once
// they are as hostile as they get, with an alarm clock, so that a test that fails leaves nothing behind for
// long.
#include "test/service/launcher_hostile_program.hpp"

#include "test/service/launcher_hostile_acts.hpp"

#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace launcher_test {

std::string hostile_register;

void enter(int pid) {
  ::alarm(hostile_lifetime_s);
  const int file = ::open(hostile_register.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
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

void ignore_everything() {
  for (int number = 1; number <= SIGRTMAX; ++number)
    if (number != SIGALRM)
      ::signal(number, SIG_IGN);
}

void close_everything() {
  ::syscall(SYS_close_range, 0U, ~0U, 0U);
}

[[noreturn]] void sleep_on() {
  enter();
  idle();
}

[[noreturn]] void ignore_term() {
  ignore(SIGTERM);
  sleep_on();
}

namespace {

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
  hostile_register = register_path;
  for (const hostile_tree& one : hostile_trees())
    if (name == one.name && one.behave != nullptr)
      one.behave();
  std::fprintf(stderr, "no such hostile tree: %s\n", name.c_str());
  return 91;
}

} // namespace launcher_test
