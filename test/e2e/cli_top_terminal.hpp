// A terminal whose screen can be read as a person sees it: tmux, with a server of the test's own.
// Whatever ends the test, the server ends with it, and the programs in it with the server.
#pragma once

#include "test/support/process.hpp"
#include "test/support/temp_dir.hpp"

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace task_runner::test {

/// Not thread-safe. Throws std::runtime_error where tmux does not do as it is told.
class tmux_terminal {
public:
  /// Runs a program in a UTF-8 terminal of that size. It is called by a shell, which says before it what
  /// `mark_before` says, and behind it `ended with CODE`, and whether the terminal's settings are as before.
  tmux_terminal(size_t columns, size_t rows, const std::vector<std::string>& argv,
                const std::vector<std::pair<std::string, std::string>>& environment = {});
  ~tmux_terminal();
  tmux_terminal(const tmux_terminal&) = delete;
  tmux_terminal& operator=(const tmux_terminal&) = delete;

  static constexpr const char* mark_before = "this was here before";
  static constexpr const char* mark_restored = "all settings as before";

  /// Presses keys, by the names that tmux has for them: "j", "Enter", "C-c".
  void press(const std::vector<std::string>& keys);
  void resize(size_t columns, size_t rows);
  /// The lines of the screen; with `with_looks` colours as escape sequences.
  std::string screen(bool with_looks = false);
  /// Waits until the screen shows (or no longer shows) a text.
  [[nodiscard]] bool shows(const std::string& text,
                           std::chrono::milliseconds deadline = std::chrono::seconds(30));
  [[nodiscard]] bool stops_showing(const std::string& text,
                                   std::chrono::milliseconds deadline = std::chrono::seconds(30));
  /// The process that the shell has started; waits for it.
  int program_pid();
  /// A value of tmux, such as `#{alternate_on}`.
  std::string value(const std::string& format);

private:
  std::string tmux(const std::vector<std::string>& words);

  temp_dir home_{"tr-tmux"};
  std::unique_ptr<process> server_;
};

} // namespace task_runner::test
