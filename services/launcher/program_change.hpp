// Going over to another program within the same process: first a child tries whether that program
// understands the handover, then the process executes it.
#pragma once

#include "services/domain/result.hpp"
#include "services/launcher/owned_descriptor.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace task_runner::launcher {

/// A child that executes a program to ask it whether it understands a handover. Not thread-safe. While it
/// lives nobody else may reap children at random.
class program_probe {
public:
  /// `program` is open for reading or as a path; `handover` are the bytes that it is shown. `unavailable`
  /// when there is no memory, descriptor or process for it.
  static result<std::unique_ptr<program_probe>> start(owned_descriptor program, std::string_view handover);
  /// Ends and reaps the child, if that has not happened.
  ~program_probe();
  program_probe(const program_probe&) = delete;
  program_probe& operator=(const program_probe&) = delete;

  /// Readable once the child has ended.
  int process() const noexcept { return process_.get(); }
  int pid() const noexcept { return pid_; }
  /// It takes too long: verdict() will say so.
  void give_up() noexcept;
  /// Once process() is readable: success, or in a sentence why the program will not do. Call once.
  result<void> verdict();
  int program() const noexcept { return program_.get(); }

private:
  program_probe() = default;

  owned_descriptor program_;
  owned_descriptor process_;
  /// Where the child leaves its errno when it cannot execute the program.
  owned_descriptor failure_;
  int pid_ = 0;
  bool given_up_ = false;
  bool reaped_ = false;
};

/// Executes a program in place of this one, with `kept` left open besides stdin, stdout and stderr. Returns
/// only when that fails; then this program goes on, and `kept` closes on execution again.
error execute_program(int program, const std::vector<std::string>& words, const std::vector<int>& kept);

/// Whether a descriptor closes when a program is executed.
void set_close_on_exec(int descriptor, bool closes) noexcept;

} // namespace task_runner::launcher
