// A program in a terminal of its own: what it draws is read, and keys are typed.
// It is the terminal's foreground job, so Ctrl-C reaches it as it would from a person.
#pragma once

#include "test/support/process.hpp"

#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace task_runner::test {

/// 100 columns by 30 rows, TERM=xterm, UTF-8. Killed in the destructor. Not thread-safe. Throws
/// std::runtime_error when it cannot be started.
class terminal_process {
public:
  explicit terminal_process(const std::vector<std::string>& argv,
                            const std::vector<std::pair<std::string, std::string>>& environment = {});
  ~terminal_process();
  terminal_process(const terminal_process&) = delete;
  terminal_process& operator=(const terminal_process&) = delete;

  /// Waits until the screen has got `text`; false when it ends or the deadline comes before.
  [[nodiscard]] bool wait_text(const std::string& text,
                               std::chrono::milliseconds deadline = std::chrono::seconds(30));
  /// Waits until it hears of Ctrl-C by a handler of its own.
  [[nodiscard]] bool wait_handler(std::chrono::milliseconds deadline = std::chrono::seconds(30)) const;
  /// Types.
  void type(const std::string& keys);
  /// Waits for its end; throws when it does not come.
  process_end wait(std::chrono::milliseconds deadline = std::chrono::seconds(30));
  /// All that it has drawn, with `\r\n` as `\n`.
  std::string drawn() const;

private:
  /// Reads what is there, waiting at most so long; false at the end.
  bool read_some(std::chrono::milliseconds wait);

  int pid_ = -1;
  int terminal_ = -1;
  std::string drawn_;
  bool ended_ = false;
};

} // namespace task_runner::test
