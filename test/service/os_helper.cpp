// Plays the parts before Catch2's main begins. That main is not ours, and would refuse the arguments.
#include "test/service/os_helper.hpp"

#include "services/os/pid_file.hpp"
#include "services/os/secret_args.hpp"
#include "services/os/signals.hpp"
#include "services/os/state_dir.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <poll.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace task_runner::test {

namespace {

/// Says one line, which the test waits for.
void say(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

[[noreturn]] void stay() {
  for (;;)
    pause(); // until the test ends it
}

/// Wipes its own arguments, then shows what is left in reach of the program.
[[noreturn]] void play_scrub(int argc, char** argv) {
  scrub_secrets(argc, argv);
  for (const char* name : {"TASK_RUNNER_REDIS_PASSWORD", "TASK_RUNNER_PASSWORD"})
    if (std::getenv(name) != nullptr)
      say(std::string("still set: ") + name);
  say(std::string("kept: ") + (std::getenv("TR_KEPT") != nullptr ? std::getenv("TR_KEPT") : ""));
  say("ready");
  stay();
}

[[noreturn]] void play_pid_file(const char* path) {
  auto file = pid_file::acquire(path);
  say(file ? "held" : file.failure().message);
  if (!file)
    _exit(2);
  stay();
}

/// A daemon that writes its pid file without a lock, as the predecessor does.
[[noreturn]] void play_unlocked_daemon(const char* path, const char* name) {
  prctl(PR_SET_NAME, name);
  std::ofstream(path) << getpid() << "\n";
  say("written");
  stay();
}

[[noreturn]] void play_state_dir(const char* path) {
  auto directory = state_dir::open(path);
  say(directory ? "held" : directory.failure().message);
  if (!directory)
    _exit(2);
  stay();
}

/// Holds state directory and pid file, and has a child that shares the locks for a moment longer than it
/// lives, as the child of a daemon does that dies while it starts its launcher.
[[noreturn]] void play_outlived(const char* state, const char* pid) {
  auto directory = state_dir::open(state);
  auto file = pid_file::acquire(pid);
  if (!directory || !file)
    _exit(2);
  std::array<int, 2> ends{};
  if (pipe(ends.data()) != 0)
    _exit(3);
  const pid_t child = fork();
  if (child == 0) {
    close(ends[1]);
    char byte = 0;
    if (read(ends[0], &byte, 1) == 0) // the daemon is gone
      poll(nullptr, 0, 100);
    _exit(0);
  }
  say(child > 0 ? "held" : "no child");
  stay();
}

/// Says each signal that comes; ends on the one named, by its default once it is given back.
[[noreturn]] void play_signals() {
  block_signals();
  auto waiter = signal_waiter::create();
  if (!waiter)
    _exit(3);
  say("ready");
  for (int count = 0; count < 4; ++count) {
    const auto signal = waiter->wait();
    if (!signal)
      _exit(4);
    say(std::to_string(signal->number) + " from " + std::to_string(signal->sender));
  }
  reset_signals();
  say("reset");
  stay();
}

[[gnu::constructor]] void play_part(int argc, char** argv, char**) {
  const char* const part = std::getenv(part_variable);
  if (part == nullptr)
    return;
  const std::string name = part;
  if (name == "scrub")
    play_scrub(argc, argv);
  if (name == "pid-file" && argc == 2)
    play_pid_file(argv[1]);
  if (name == "unlocked-daemon" && argc == 3)
    play_unlocked_daemon(argv[1], argv[2]);
  if (name == "state-dir" && argc == 2)
    play_state_dir(argv[1]);
  if (name == "outlived" && argc == 3)
    play_outlived(argv[1], argv[2]);
  if (name == "signals")
    play_signals();
  say("no such part: " + name);
  _exit(99);
}

} // namespace

process_options part_of_helper(const std::string& part, std::vector<std::string> arguments) {
  process_options options;
  options.argv = {"/proc/self/exe"};
  options.argv.insert(options.argv.end(), arguments.begin(), arguments.end());
  options.environment = {{part_variable, part}};
  return options;
}

std::string read_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

} // namespace task_runner::test
