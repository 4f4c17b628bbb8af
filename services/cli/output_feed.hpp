// Where the output of a running task comes from, piece by piece.
// What shows it does not know whether it is asked for again and again, or told.
#pragma once

#include "services/cli/daemon_api.hpp"

#include <cstdint>
#include <string>

namespace task_runner::cli {

/// What has become of a task since the last look.
struct feed_news {
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

/// One task's output. Not thread-safe.
class output_feed {
public:
  virtual ~output_feed() = default;

  /// What is new; does not wait for news.
  virtual feed_news next() = 0;

  /// The attempt that is shown; 0: none has begun.
  virtual uint64_t attempt() const noexcept = 0;
  /// How much of its output has been given, as far as that helps to go on there; 0 where it does not.
  virtual uint64_t offset() const noexcept = 0;
};

/// Asks the daemon each time.
class polled_feed final : public output_feed {
public:
  polled_feed(daemon_api& daemon, std::string id, uint64_t attempt, uint64_t offset);

  feed_news next() override;
  uint64_t attempt() const noexcept override { return attempt_; }
  uint64_t offset() const noexcept override { return has_slid_ ? 0 : offset_; }

private:
  /// What is new of the attempt's output.
  feed_news read();
  feed_news read_end();
  feed_news give(std::string bytes, feed_news::kind what);
  feed_news fail(api_reply why) const;

  daemon_api& daemon_;
  const std::string id_;
  uint64_t attempt_;
  uint64_t offset_;
  /// The last bytes that were given, to find the place again by.
  std::string last_;
  json_value task_;
  bool looked_ = false;
  /// The output has grown beyond what is kept, so that places in it move.
  bool has_slid_ = false;
};

} // namespace task_runner::cli
