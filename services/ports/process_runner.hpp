// The process port: start an attempt, signal it, hear of its end.
// The real one talks to the launcher process; tests put a fake in its place.
#pragma once

#include "services/domain/result.hpp"
#include "services/domain/task.hpp"

#include <cstdint>
#include <deque>
#include <string>
#include <variant>
#include <vector>

namespace task_runner {

/// One attempt to start.
struct attempt_start {
  attempt_key key;
  std::string channel;
  /// The command line, when `argv` is empty.
  std::string line;
  std::vector<std::string> argv;
  execution_environment environment;
  /// After this long the command and all its descendants are ended, outcome timed_out; 0: never.
  int64_t timeout_ms = 0;
  /// From TERM to KILL when the time is over.
  int64_t grace_ms = grace_ms_default;
};

/// The command of an attempt has been started.
struct attempt_started {
  attempt_key key;
  std::string channel;
  int pid = 0;
  wall_time_ms started_at_ms = 0;
};

/// An attempt has ended, or could not be started, or was lost with the launcher.
struct attempt_ended {
  attempt_key key;
  std::string channel;
  outcome how;
  /// 0 when the command never started.
  wall_time_ms started_at_ms = 0;
  wall_time_ms ended_at_ms = 0;
  /// All bytes the command wrote, kept or not.
  uint64_t output_bytes = 0;
  /// Processes of the tree that were still there when it was given up to kill them; 0 when all are gone or
  /// nobody wanted them gone.
  uint32_t survivors = 0;
};

using attempt_event = std::variant<attempt_started, attempt_ended>;

/// One attempt that the launcher knows of.
struct known_attempt {
  attempt_key key;
  std::string channel;
  /// 0 while it waits to be started.
  int pid = 0;
  wall_time_ms started_at_ms = 0;
  /// Whether `end` is set: it ended and has not been settled.
  bool ended = false;
  attempt_ended end;
};

/// Who is told. Called on the runner's own thread, one call at a time; must not block.
class process_events {
public:
  virtual ~process_events() = default;
  virtual void on_started(const attempt_started& event) = 0;
  /// Exactly once per attempt and connection; repeated after a restart of the daemon until settled() is
  /// called.
  virtual void on_ended(const attempt_ended& event) = 0;
  /// Several of them, in order: what was found at one look.
  // NOLINTNEXTLINE(performance-unnecessary-value-param): implementations take it apart
  virtual void on_events(std::vector<attempt_event> events) {
    for (const auto& one : events) {
      if (const auto* started = std::get_if<attempt_started>(&one))
        on_started(*started);
      else if (const auto* ended = std::get_if<attempt_ended>(&one))
        on_ended(*ended);
    }
  }
};

/// Starts, signals and reports attempts. Thread-safe; no call blocks.
class process_runner {
public:
  virtual ~process_runner() = default;

  /// Hands an attempt over. Its fate comes through process_events, a failed start as `spawn_failed`.
  /// Starting a key that is known already changes nothing. `overloaded` when the bounded queue is full.
  virtual result<void> start(attempt_start request) = 0;

  /// Sends a signal to the attempt's process group. `not_found` when no such attempt runs.
  virtual result<void> signal(const attempt_key& key, int signal_number) = 0;

  /// Ends the attempt's whole process tree: TERM, after `grace_ms` KILL (0: at once). The outcome that
  /// follows is `cancelled`, unless the command had ended before. One that waits for its start never starts.
  /// A repeated call may only shorten the grace. `not_found` when no such attempt runs.
  virtual result<void> stop(const attempt_key& key, int64_t grace_ms) = 0;

  /// The attempt's outcome stands durably in the store; the journal may forget it.
  virtual void settled(const attempt_key& key) = 0;

  /// Tells of outcomes as settled(), then hands attempts over as start(), from the front, until one is
  /// refused: that one and those behind it stay in `requests`, and the answer says why.
  virtual result<void> hand_over(const std::vector<attempt_key>& outcomes,
                                 std::deque<attempt_start>& requests) {
    for (const auto& key : outcomes)
      settled(key);
    while (!requests.empty()) {
      if (auto taken = start(requests.front()); !taken)
        return taken;
      requests.pop_front();
    }
    return {};
  }

  /// All attempts of a channel that run, wait to start, or ended without having been settled.
  virtual std::vector<known_attempt> known_attempts(const std::string& channel) const = 0;

  /// Names the launcher that attempts are handed to, below 2^63; no other one ever has the same name. 0: not
  /// known. A launcher knows every attempt it was given until that is settled: an attempt that was leased
  /// under this name and is not among known_attempts(), asked for afterwards, was never handed to anybody.
  virtual uint64_t launcher_id() const = 0;
};

} // namespace task_runner
