// The environment that commands inherit: the daemon's own, less its secrets, plus the attempt's names.
// The daemon's side writes it into a memfd, the launcher's side takes it apart.
#pragma once

#include "services/launcher/user_identity.hpp"
#include "services/ports/process_runner.hpp"

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

  /// Null-terminated pointers for execve, the attempt's own entries included: its names, which nothing
  /// overrides, its variables, PWD for its directory, and for another user (null: the same one) HOME, USER,
  /// LOGNAME and SHELL. Valid until the next call; the attempt outlives that.
  char* const* for_attempt(const attempt_start& attempt, const user_identity* user = nullptr);

private:
  std::vector<std::string> entries_;
  std::optional<std::string> search_path_;
  std::optional<std::string> attempt_search_path_;
  std::vector<std::string> own_entries_;
  std::vector<char*> pointers_;
};

} // namespace task_runner::launcher
