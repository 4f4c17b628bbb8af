// Programs that a test starts: with its own arguments, environment and directory, output captured, ended by
// pid. Used for servers, clients, and the daemon itself.
#pragma once

#include "test/support/wait.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace task_runner::test {

/// What to start.
struct process_options {
  /// Program (looked up in PATH when it has no slash) and arguments.
  std::vector<std::string> argv;
  /// Set on top of the test's own environment.
  std::vector<std::pair<std::string, std::string>> environment;
  /// Start from an empty environment instead of the test's own.
  bool clear_environment = false;
  /// Empty means the test's own.
  std::string directory;
  /// What it reads on stdin; then end of file.
  std::string input;
  /// stderr goes where stdout goes.
  bool merge_output = false;
  /// A process group of its own, so that a signal to the test's group does not reach it.
  bool own_group = true;
  /// Killed by the kernel when the thread that started it ends, so that a test that crashes leaves nothing
  /// behind. Start such a process only from a thread that outlives it.
  bool dies_with_starter = true;
};

/// How a process ended.
struct process_end {
  bool exited = false;
  /// Exit code when `exited`, else the number of the signal.
  int code = 0;
  bool operator==(const process_end& other) const { return exited == other.exited && code == other.code; }
};

/// A running or ended child process. Its output goes into memory files, so that it is never blocked by a test
/// that does not read. Killed and waited for in the destructor. Not thread-safe.
class process {
public:
  /// Throws std::runtime_error when it cannot be started; a program that does not exist ends with code 127.
  explicit process(process_options options);
  ~process();
  process(const process&) = delete;
  process& operator=(const process&) = delete;

  int pid() const noexcept { return pid_; }
  /// What it has written so far.
  std::string output() const;
  std::string error_output() const;
  /// Waits until stdout (or stderr) holds `text`.
  [[nodiscard]] bool wait_output(const std::string& text,
                                 std::chrono::milliseconds deadline = default_deadline) const;

  bool running();
  /// Waits for its end; nothing at the deadline.
  std::optional<process_end> wait(std::chrono::milliseconds deadline = default_deadline);
  /// Sends a signal to it alone; false when it has ended.
  bool signal(int number);
  /// SIGKILL, and waits for the end.
  process_end kill();

private:
  void reap();

  int pid_ = -1;
  int pidfd_ = -1;
  int output_ = -1;
  int error_ = -1;
  std::optional<process_end> end_;
};

/// Runs a program to its end and gives how it ended and its output. Kills it at the deadline.
struct run_result {
  process_end end;
  std::string output;
  std::string error_output;
};
run_result run_process(process_options options, std::chrono::milliseconds deadline = default_deadline);

} // namespace task_runner::test
