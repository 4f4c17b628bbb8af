// The environment that commands inherit: the daemon's own, less its secrets, plus the attempt's names.
// The daemon's side writes it into a memfd, the launcher's side takes it apart.
#pragma once

#include "services/launcher/user_identity.hpp"
#include "services/ports/process_runner.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace task_runner::launcher {

/// Whether an entry `NAME=value` must not reach commands or the launcher: every TASK_RUNNER_REDIS_PASSWORD*.
bool is_secret_entry(std::string_view entry) noexcept;

/// The given environment as NUL-terminated entries, less secrets and less what the launcher sets itself.
/// `entries` is a null-terminated list as `environ` is. Not safe beside a thread that calls setenv.
std::string encode_environment(const char* const* entries);

/// The environment of one attempt: owns its own entries and shares the inherited ones, so that it stays valid
/// whatever becomes of the command_environment. Moves keep the pointers.
class attempt_environment {
public:
  attempt_environment() = default;
  attempt_environment(attempt_environment&&) = default;
  attempt_environment& operator=(attempt_environment&&) = default;
  attempt_environment(const attempt_environment&) = delete;
  attempt_environment& operator=(const attempt_environment&) = delete;
  ~attempt_environment() = default;

  /// Null-terminated, for execve; null when there is no environment at all.
  char* const* pointers() const noexcept { return pointers_.empty() ? nullptr : pointers_.data(); }
  /// Bytes of the entries that are the attempt's own.
  size_t own_bytes() const noexcept;

private:
  friend class command_environment;
  std::shared_ptr<const std::vector<std::string>> inherited_;
  std::vector<std::string> own_;
  std::vector<char*> pointers_;
};

/// What commands inherit. Copies are independent. Not thread-safe.
class command_environment {
public:
  command_environment() = default;

  /// From bytes of encode_environment(), and the working directory (empty: unknown). PWD is made to name that
  /// directory, as every shell would do.
  command_environment(std::string_view bytes, const std::string& working_directory);

  /// The value of PATH, when there is one.
  const std::optional<std::string>& search_path() const noexcept { return search_path_; }
  /// The one that the attempt will see, which may bring its own. Valid until the next call.
  const std::optional<std::string>& search_path_for(const attempt_start& attempt);

  /// The attempt's own entries included: its names, which nothing overrides, its variables, PWD for its
  /// directory, and for another user (null: the same one) HOME, USER, LOGNAME and SHELL.
  attempt_environment for_attempt(const attempt_start& attempt, const user_identity* user = nullptr) const;

private:
  std::shared_ptr<const std::vector<std::string>> entries_ =
      std::make_shared<const std::vector<std::string>>();
  std::optional<std::string> search_path_;
  std::optional<std::string> attempt_search_path_;
};

} // namespace task_runner::launcher
