// A task: one command to run, where it stands, and how its attempts ended.
// Plain values without behaviour; queue_core decides, stores keep, the launcher runs.
#pragma once

#include "services/domain/task_options.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace task_runner {

/// Milliseconds since the Unix epoch, UTC. Zero means "not set".
using wall_time_ms = int64_t;

/// The states of a task. The numbers are stored: never renumber.
/// pending -> running -> finished | dead | cancelled; delayed -> pending; pending and delayed -> cancelled. A
/// failed attempt with attempts left goes to delayed, a lost one back to pending. finished, dead and
/// cancelled are terminal; a person may turn dead and cancelled into pending again.
enum class task_state : uint8_t {
  pending = 0,
  delayed = 1,
  running = 2,
  finished = 3,
  dead = 4,
  cancelled = 5
};

/// The state's name on the wire and in logs.
std::string_view to_string(task_state state) noexcept;

/// Whether no further transition can follow.
constexpr bool is_terminal(task_state state) noexcept {
  return state >= task_state::finished;
}

/// What is to be run: a command line as a shell would read it, or an argument vector taken as it is.
struct task_command {
  /// Given as text. Empty when `argv` is set, and when the task's name itself is the command line.
  std::string line;
  /// Given as words, never parsed. Empty when a line is meant.
  std::vector<std::string> argv;

  bool operator==(const task_command& other) const { return line == other.line && argv == other.argv; }
};

/// How an attempt ended. The numbers are stored: never renumber.
enum class outcome_kind : uint8_t {
  exited = 0,
  signalled = 1,
  timed_out = 2,
  spawn_failed = 3,
  cancelled = 4,
  expired = 5,
  /// Nobody can say: the launcher died with it.
  lost = 6,
};

/// The kind's name on the wire and in logs.
std::string_view to_string(outcome_kind kind) noexcept;

/// How an attempt ended.
struct outcome {
  outcome_kind kind = outcome_kind::exited;
  /// Exit code for `exited` (0 to 255), signal number for `signalled`, otherwise 0.
  int code = 0;
  /// Why it could not be started, for `spawn_failed`; otherwise empty.
  std::string error;

  bool succeeded() const noexcept { return kind == outcome_kind::exited && code == 0; }
  bool operator==(const outcome& other) const {
    return kind == other.kind && code == other.code && error == other.error;
  }
};

/// In a few words: "exited 3", "spawn_failed: no such program: echo hi".
std::string describe(const outcome& how);

/// A task as the queue and the store know it.
struct task {
  std::string id;
  std::string channel;
  /// What the task is called; the command line as well when `command` is empty.
  std::string name;
  task_command command;
  /// What makes two tasks of a distinct channel the same; empty when nothing does, or when the record has
  /// been released before the task's end.
  std::string distinct_key;
  /// Whether the record is released when the task's first attempt starts, instead of at its end.
  bool distinct_while_pending = false;
  /// What the task itself says; null: nothing. Its channel's defaults are joined when an attempt starts or
  /// ends.
  std::shared_ptr<const task_options> options;
  /// Higher first; resolved from task and channel when it was pushed, as are the next three.
  int32_t priority = 0;
  /// Tasks of a channel with the same key share a limit; empty: none.
  std::string concurrency_key;
  /// How many of them may be pending in line or running at once; 1 or more where there is a key.
  uint32_t concurrency_max = 0;
  /// Cancelled when its first attempt has not started by then; 0: never.
  wall_time_ms expires_at_ms = 0;
  task_state state = task_state::pending;
  /// Pending, but out of line until a task with the same concurrency key has ended. Kept by the store.
  bool held = false;
  /// Somebody asked for its end while it was running: it is not run again, however the attempt ends.
  bool cancel_requested = false;
  /// The running or last attempt, counted from 1; 0 before the first.
  uint32_t attempt = 0;
  /// How many of the attempts since the last retry by a person were lost to a crash.
  uint32_t recoveries = 0;
  /// The attempts before the last retry by a person; they do not count against `max_attempts`.
  uint32_t attempts_before = 0;
  /// Names the launcher that was there when the running or last attempt was leased (process_runner); 0:
  /// nobody knows which.
  uint64_t launcher_id = 0;
  /// Place in the order of acceptance, given by the store when the task is inserted; 0 before.
  uint64_t sequence = 0;
  wall_time_ms created_at_ms = 0;
  /// Not to be started before this moment; 0 means at once.
  wall_time_ms not_before_ms = 0;
  /// Whether `not_before_ms` came of a pause (a delay, a backoff) and moves along when the clock is set.
  bool delay_is_relative = false;
  /// Start of the running or last attempt.
  wall_time_ms started_at_ms = 0;
  wall_time_ms ended_at_ms = 0;
  std::optional<outcome> last_outcome;
  /// All bytes that the last attempt wrote, kept or not.
  uint64_t output_bytes = 0;

  /// The command line to run when `command.argv` is empty.
  const std::string& line() const noexcept { return command.line.empty() ? name : command.line; }
};

/// One attempt that has ended, as the history keeps it.
struct attempt_record {
  uint32_t attempt = 0;
  wall_time_ms started_at_ms = 0;
  wall_time_ms ended_at_ms = 0;
  outcome how;
  uint64_t output_bytes = 0;
};

/// Names one run of a task; `attempt` fences whoever still speaks for an earlier run.
struct attempt_key {
  std::string task_id;
  uint32_t attempt = 0;

  bool operator==(const attempt_key& other) const {
    return attempt == other.attempt && task_id == other.task_id;
  }
  bool operator<(const attempt_key& other) const {
    return task_id != other.task_id ? task_id < other.task_id : attempt < other.attempt;
  }
};

} // namespace task_runner
