// The launcher's own log: a few lines in `launcher.log` of the state directory, bounded in size.
// The launcher has no other place to speak to once it has left the daemon's terminal.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace task_runner::launcher {

/// Appends lines to `launcher.log`. Past `log_bytes_max` the file becomes `launcher.log.1` and a new one
/// begins. Never fails: a log that cannot be written is not written. Not thread-safe.
class launcher_log {
public:
  /// Most bytes of one file; two are kept.
  static constexpr uint64_t log_bytes_max = 262'144;

  /// `state_dir` is a descriptor that outlives the log.
  explicit launcher_log(int state_dir) noexcept
      : state_dir_(state_dir) {}

  /// One line: time, pid, text.
  void write(std::string_view text) noexcept;

  /// Like write(), but silent while the same text comes again and again.
  void write_once(std::string_view text) noexcept;

private:
  int state_dir_;
  std::string last_;
};

} // namespace task_runner::launcher
