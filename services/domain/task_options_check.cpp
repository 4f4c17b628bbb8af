// The ranges of task options, in the words of the wire: whoever reads the message has written those names.
#include "services/domain/names.hpp"
#include "services/domain/quantities.hpp"
#include "services/domain/task_options.hpp"

#include <limits>
#include <type_traits>

namespace task_runner {

namespace {

/// Longest path or user name, bytes.
constexpr size_t path_length_max = 4'095;
constexpr size_t user_length_max = 256;
/// What the kernel takes as a limit; beyond it stands "no limit".
constexpr uint64_t limit_max = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());

/// Walks from check to check; the first failure stays.
class options_checker {
public:
  template <class Number, class Bound>
  options_checker& range(std::string_view name, const std::optional<Number>& value, Bound low, Bound high,
                         std::string_view allowed) {
    if (ok() && value && !(*value >= static_cast<Number>(low) && *value <= static_cast<Number>(high)))
      fail(error_code::out_of_range, std::string(name) + " is out of range; give " + std::string(allowed));
    return *this;
  }

  options_checker& text(std::string_view name, const std::string& value, size_t length_max) {
    if (ok() && value.size() > length_max)
      fail(error_code::too_large, std::string(name) + " has " + std::to_string(value.size()) +
                                      " bytes; at most " + std::to_string(length_max) + " are accepted");
    if (ok())
      take(check_text(name, value));
    return *this;
  }

  options_checker& demand(bool holds, error_code code, std::string_view message) {
    if (ok() && !holds)
      fail(code, std::string(message));
    return *this;
  }

  bool ok() const noexcept { return static_cast<bool>(outcome_); }
  result<void> done() const { return outcome_; }

private:
  void fail(error_code code, std::string message) { outcome_ = error{code, std::move(message)}; }
  void take(result<void> found) { outcome_ = std::move(found); }

  result<void> outcome_;
};

void check_variables(options_checker& check, const execution_environment& environment) {
  size_t bytes = 0;
  for (const auto& [name, value] : environment.variables) {
    bytes += name.size() + value.size() + 2;
    check.demand(!name.empty() && name.find('=') == std::string::npos, error_code::invalid_argument,
                 "env has a variable whose name is empty or holds \"=\"; give a name such as LANG");
    check.text("a variable's name in env", name, variables_bytes_max);
    check.text("a variable in env", value, command_length_max);
  }
  check.demand(environment.variables.size() <= variables_max, error_code::too_large,
               "env has more than 256 variables; give fewer");
  check.demand(bytes <= variables_bytes_max, error_code::too_large,
               "env has more than 262144 bytes of names and values; give less, or put them into a file");
}

void check_environment(options_checker& check, const execution_environment& environment) {
  check_variables(check, environment);
  if (const auto& directory = environment.directory) {
    check.demand(!directory->empty() && directory->front() == '/', error_code::invalid_argument,
                 "cwd is not an absolute path; give one that begins with /");
    check.text("cwd", *directory, path_length_max);
  }
  if (const auto& input = environment.input) {
    check.demand(input->size() <= input_bytes_max, error_code::too_large,
                 "stdin has more than 1048576 bytes; put the data into a file");
    check.demand(is_valid_utf8(*input), error_code::invalid_argument,
                 "stdin is not valid UTF-8; send it as UTF-8, or put the data into a file");
  }
  if (const auto& user = environment.user) {
    check.demand(!user->empty(), error_code::invalid_argument,
                 "user is empty; give a user's name or number, or leave it out");
    check.text("user", *user, user_length_max);
  }
  check.range("nice", environment.nice, -20, 19, "-20 to 19");
  check.range("umask", environment.file_mask, 0U, 0777U, "octal digits from 000 to 777");
  const auto& limits = environment.limits;
  check.range("limits.memory", limits.memory_bytes, uint64_t{1}, limit_max, "1 byte or more");
  check.range("limits.cpu_s", limits.cpu_s, uint64_t{1}, limit_max, "1 second or more");
  check.range("limits.processes", limits.processes, uint64_t{1}, limit_max, "1 or more");
  check.range("limits.file_size", limits.file_size_bytes, uint64_t{0}, limit_max, "0 bytes or more");
}

} // namespace

result<void> check_task_options(const task_options& options) {
  options_checker check;
  check.range("priority", options.priority, -priority_max, priority_max, "-1000 to 1000");
  check.range("max_attempts", options.max_attempts, 1U, max_attempts_max, "1 to 1000");
  check.range("backoff_s", options.backoff_ms, int64_t{0}, year_ms, "0 to 366 days");
  check.range("backoff_max_s", options.backoff_max_ms, int64_t{0}, year_ms, "0 to 366 days");
  check.range("jitter", options.jitter, 0.0, 1.0, "0 to 1");
  if (options.retry_on)
    for (const auto code : *options.retry_on)
      check.demand(code != 0, error_code::out_of_range,
                   "retry_on holds 0, which is success; give exit codes from 1 to 255");
  check.range("timeout_s", options.timeout_ms, int64_t{1}, duration_ms_max, "more than 0, up to ten years");
  check.range("grace_s", options.grace_ms, int64_t{0}, grace_ms_max, "0 to 3600 seconds");
  check.range("expires_s", options.expires_ms, int64_t{1}, duration_ms_max, "more than 0, up to ten years");
  if (options.concurrency_key)
    check.text("concurrency_key", *options.concurrency_key, key_length_max);
  check.range("concurrency_max", options.concurrency_max, 1U, concurrency_max_max, "1 to 1024");
  check_environment(check, options.environment);
  return check.done();
}

} // namespace task_runner
