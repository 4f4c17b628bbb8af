// The pid file: one line with the daemon's process id, locked for as long as the daemon lives.
// It stands in /tmp by default, so everything about it distrusts what it finds there.
#pragma once

#include "services/domain/result.hpp"
#include "services/os/descriptor.hpp"

#include <cstdint>
#include <string>
#include <sys/types.h>

namespace task_runner {

/// Holds the pid file until it is destroyed, then removes it if it is still ours. Move-only.
class pid_file {
public:
  /// Creates the file with this process's id, or takes over a stale one: one that nobody has locked and whose
  /// process is gone or is no task-runner.
  /// `conflict` when a live task-runner holds it. `invalid_argument` when it cannot be created, is a symbolic
  /// link, has another owner or several names, or holds anything but a pid: such a file is never touched.
  static result<pid_file> acquire(const std::string& path);

  pid_file(pid_file&& other) noexcept;
  pid_file& operator=(pid_file&& other) noexcept;
  pid_file(const pid_file&) = delete;
  pid_file& operator=(const pid_file&) = delete;
  /// A forked child that destroys its copy removes nothing.
  ~pid_file();

  const std::string& path() const noexcept { return path_; }

private:
  pid_file(std::string path, descriptor file, pid_t owner);
  void release() noexcept;

  std::string path_;
  descriptor file_;
  /// The process that acquired it.
  pid_t owner_ = 0;
};

} // namespace task_runner
