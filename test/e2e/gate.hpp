// A file that commands wait for, so that a test decides when they end, however slow the machine is.
// A file rather than a signal or a pipe: it works across restarts of the daemon.
#pragma once

#include "test/support/daemon.hpp"

#include <string>

namespace task_runner::test {

/// Closed until open() is called.
class gate {
public:
  explicit gate(std::string path)
      : path_(std::move(path)) {}

  /// Shell text that returns when the gate is open.
  std::string wait_line() const { return "while [ ! -e " + path_ + " ]; do sleep 0.05; done"; }
  void open() const { write_file(path_, "open"); }

private:
  std::string path_;
};

/// Shell text that appends one line to a file in one write.
inline std::string append_line(const std::string& text, const std::string& path) {
  return "echo " + text + " >> " + path;
}

/// Waits until `path` has at least `count` lines.
inline bool wait_lines(const std::string& path, size_t count,
                       std::chrono::milliseconds deadline = std::chrono::seconds(30)) {
  return wait_until([&] { return lines_of(read_file(path)).size() >= count; }, deadline);
}

} // namespace task_runner::test
