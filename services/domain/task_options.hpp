// How a task is to be run: attempts, time, order, limits and surroundings, each of them open or said.
// A task says what it needs, its channel what its tasks have in common; what both leave open has a default.
#pragma once

#include "services/domain/result.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace task_runner {

/// How the pause before the next attempt grows. The numbers are stored: never renumber.
enum class backoff_kind : uint8_t {
  /// The same pause every time.
  constant = 0,
  /// The pause times the number of failed attempts.
  linear = 1,
  /// The pause doubled with every failed attempt, less a random part (`jitter`).
  exponential = 2,
};

/// What follows when nobody can say how an attempt ended. The numbers are stored: never renumber.
enum class delivery_kind : uint8_t {
  /// Another attempt: the command may run more than once.
  at_least_once = 0,
  /// None: the task is dead, its command may not have run to its end.
  at_most_once = 1,
};

/// What a command may use; what is unset keeps the limit that the daemon was started with.
struct resource_limits {
  /// Address space, bytes (RLIMIT_AS).
  std::optional<uint64_t> memory_bytes;
  /// Processor time, seconds (RLIMIT_CPU: XCPU at the limit, KILL a second later).
  std::optional<uint64_t> cpu_s;
  /// Processes of the command's user (RLIMIT_NPROC).
  std::optional<uint64_t> processes;
  /// Largest file that may be written, bytes (RLIMIT_FSIZE).
  std::optional<uint64_t> file_size_bytes;

  bool empty() const noexcept { return !memory_bytes && !cpu_s && !processes && !file_size_bytes; }
};

/// What surrounds a command. What is left open is as the daemon has it.
struct execution_environment {
  /// Names and values added to the daemon's environment, in this order; a later one wins.
  std::vector<std::pair<std::string, std::string>> variables;
  /// An absolute directory.
  std::optional<std::string> directory;
  /// What the command reads from its standard input; without it the input is empty.
  std::optional<std::string> input;
  /// A user's name or number; needs a daemon that runs as root.
  std::optional<std::string> user;
  /// -20 to 19; below the daemon's own needs root.
  std::optional<int> nice;
  /// 0 to 0777.
  std::optional<uint32_t> file_mask;
  resource_limits limits;

  bool empty() const noexcept {
    return variables.empty() && !directory && !input && !user && !nice && !file_mask && limits.empty();
  }
};

/// What a task or a channel says; everything may be left open. Durations are milliseconds.
struct task_options {
  /// -1000 to 1000, higher first; default 0. Fixed when the task is pushed.
  std::optional<int32_t> priority;
  /// 1 to 1000; default 1. Attempts lost to a crash do not count.
  std::optional<uint32_t> max_attempts;
  std::optional<backoff_kind> backoff;
  /// The pause before the second attempt, 0 to a year; default 1 s.
  std::optional<int64_t> backoff_ms;
  /// The pause never grows beyond, 0 to a year; default 1 h.
  std::optional<int64_t> backoff_max_ms;
  /// The part of the pause that is left to chance, 0 to 1; default 0.5 for exponential, otherwise 0.
  std::optional<double> jitter;
  /// The exit codes (0 excluded) after which another attempt is made; unset: every failure. A failure that
  /// has no exit code is then not tried again.
  std::optional<std::vector<uint8_t>> retry_on;
  /// Longest run of one attempt, above 0; unset: no limit.
  std::optional<int64_t> timeout_ms;
  /// From TERM to KILL, 0 to an hour; default 10 s.
  std::optional<int64_t> grace_ms;
  /// A task that has not started its first attempt this long after its push is cancelled; unset: never.
  /// Fixed when the task is pushed.
  std::optional<int64_t> expires_ms;
  std::optional<delivery_kind> delivery;
  /// At most `concurrency_max` tasks of the channel with the same key run at once; empty: no key. Fixed when
  /// the task is pushed.
  std::optional<std::string> concurrency_key;
  /// 1 to 1024; default 1.
  std::optional<uint32_t> concurrency_max;
  execution_environment environment;

  bool empty() const noexcept;
};

bool operator==(const resource_limits& a, const resource_limits& b) noexcept;
bool operator==(const execution_environment& a, const execution_environment& b);
bool operator==(const task_options& a, const task_options& b);

/// `own` where it says something, else `common`. Variables are joined, `common` first; each limit for itself.
task_options merge(const task_options& own, const task_options& common);

constexpr uint32_t max_attempts_default = 1;
constexpr int64_t backoff_ms_default = 1'000;
constexpr int64_t backoff_max_ms_default = 3'600'000;
constexpr int64_t grace_ms_default = 10'000;
constexpr uint32_t concurrency_max_default = 1;

constexpr int32_t priority_max = 1'000;
constexpr uint32_t max_attempts_max = 1'000;
constexpr int64_t year_ms = int64_t{366} * 86'400'000;
constexpr int64_t grace_ms_max = 3'600'000;
constexpr uint32_t concurrency_max_max = 1'024;
/// Most bytes of a distinct key or concurrency key.
constexpr size_t key_length_max = 512;
/// Most bytes of a command's standard input.
constexpr size_t input_bytes_max = 1'048'576;
/// Most variables, and most bytes of all their names and values.
constexpr size_t variables_max = 256;
constexpr size_t variables_bytes_max = 262'144;

/// Checks every value against its range above, texts for UTF-8 and NUL, variable names for `=`; the message
/// names the option. `invalid_argument`, `out_of_range` or `too_large`.
result<void> check_task_options(const task_options& options);

/// The names on the wire: constant, linear, exponential; at-least-once, at-most-once.
std::string_view to_string(backoff_kind kind) noexcept;
std::string_view to_string(delivery_kind kind) noexcept;
std::optional<backoff_kind> parse_backoff_kind(std::string_view text) noexcept;
std::optional<delivery_kind> parse_delivery_kind(std::string_view text) noexcept;

/// The pause before the next attempt after `failures` failed ones (from 1), milliseconds. `salt` takes the
/// place of chance, so that the same history gives the same pause: see backoff_salt. Pure.
int64_t backoff_delay_ms(const task_options& effective, uint32_t failures, uint64_t salt) noexcept;

/// A number that differs between tasks and attempts.
uint64_t backoff_salt(std::string_view task_id, uint32_t attempt) noexcept;

} // namespace task_runner
