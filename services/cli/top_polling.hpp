// The output of the task that is shown, piece by piece, by asking for what lies behind an offset.
// The full-screen view asks in its own rhythm, so that a command that prints fast cannot set another one.
#pragma once

#include "services/cli/daemon_api.hpp"

#include <cstdint>
#include <string>

namespace task_runner::cli {

/// What has become of a task's output since the last look.
struct output_piece {
  enum class kind : uint8_t {
    nothing,
    /// `bytes` were printed.
    output,
    /// The same, but something before them was dropped before it could be seen.
    output_after_gap,
    /// The task is tried again; what comes next is output of that attempt.
    next_attempt,
    /// Nothing more will come; `task` is how it stands.
    ended,
    /// `failure` says why nothing can be said.
    failed,
  };
  kind what = kind::nothing;
  std::string bytes;
  json_value task;
  api_reply failure;
};

/// One task's output, from its attempt at the first look on. Not thread-safe.
class polled_output {
public:
  /// Begins behind `offset` bytes.
  polled_output(daemon_api& daemon, std::string id, uint64_t offset);

  /// What is new; waits for answers, but not for news. A task that has ended is looked at all the same: it
  /// may be run again.
  output_piece next();
  /// The attempt that is shown; 0: none has begun.
  uint64_t attempt() const noexcept { return attempt_; }

private:
  /// What is new of the attempt's output.
  output_piece read();
  output_piece read_end();
  output_piece give(std::string bytes, output_piece::kind what);
  output_piece fail(api_reply why) const;

  daemon_api& daemon_;
  const std::string id_;
  uint64_t attempt_ = 0;
  uint64_t offset_;
  /// The last bytes that were given, to find the place again by.
  std::string last_;
  json_value task_;
  bool looked_ = false;
  /// The output has grown beyond what is kept, so that places in it move.
  bool has_slid_ = false;
};

} // namespace task_runner::cli
