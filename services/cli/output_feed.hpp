// Where the output of a running task comes from: the daemon's stream of it, read by a thread of its own.
// What shows it takes piece after piece, and is never held up by the daemon.
#pragma once

#include "services/cli/daemon_api.hpp"
#include "services/cli/event_reader.hpp"

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace task_runner::cli {

/// As much of an output waits to be taken, bytes, and so many news; beyond it the stream is not read, and the
/// daemon waits, or cuts it off: then it is gone on with where it ended.
constexpr size_t feed_bytes_max = 262'144;
constexpr size_t feed_news_max = 64;

/// What has become of a task.
struct feed_news {
  enum class kind : uint8_t {
    /// The daemon has answered, and has nothing to tell.
    nothing,
    /// `bytes` were printed.
    output,
    /// The same, but something before them was dropped before it could be seen.
    output_after_gap,
    /// The place where reading was to begin does not exist: the attempt's output follows from its beginning.
    from_beginning,
    /// The task is tried again; what comes next is output of that attempt.
    next_attempt,
    /// Nothing more will come; `task` is how it stands.
    ended,
    /// `failure` says why nothing can be said at present. It is tried again, until the feed is destroyed.
    failed,
  };
  kind what = kind::nothing;
  std::string bytes;
  json_value task;
  api_reply failure;
  /// The attempt that this is about, and the place in its output behind it; 0: none has begun.
  uint64_t attempt = 0;
  uint64_t offset = 0;
};

/// Where in a task's output to begin.
struct follow_start {
  uint64_t offset = 0;
  /// 0: the attempt that runs, or the last one; of a task that has not started, the first.
  uint64_t attempt = 0;
};

/// One task's output, from one attempt to the next, until the task has ended. A connection that is lost is
/// made anew, and the stream goes on behind what has come. For one thread, besides its own.
class output_feed {
public:
  /// Begins, with the bounds of `daemon` for its own calls. `wake` is called by its thread when there is
  /// news, must not throw, and may be empty.
  output_feed(const daemon_api& daemon, std::string id, const follow_start& start,
              std::function<void()> wake = {});
  /// Breaks what is on its way, and waits for its thread, at most as long as a connection takes to be made.
  ~output_feed();
  output_feed(const output_feed&) = delete;
  output_feed& operator=(const output_feed&) = delete;

  /// The next news; nothing when there is none yet.
  std::optional<feed_news> take();

  /// The attempt that the last news was about; 0: none has begun.
  uint64_t attempt() const noexcept { return taken_attempt_; }
  /// How much of its output has been taken.
  uint64_t offset() const noexcept { return taken_offset_; }

private:
  void run();
  /// One call to the daemon, and what follows from it; what went wrong, if anything.
  std::optional<api_reply> go_on();
  std::optional<api_reply> look();
  std::optional<api_reply> read_stream();
  bool take_event(const server_event& event, std::optional<api_reply>& failure);
  /// Which attempt is to be read, as the task stands.
  void choose();
  /// Behind an attempt whose output is over; `last` is the task's last one so far.
  void go_to_next(uint64_t last, bool has_ended, bool is_running);
  void tell_attempt();
  void post(feed_news::kind what, std::string bytes = {});
  void post(feed_news news);
  bool is_left() const;
  void pause_for(std::chrono::milliseconds time);

  const std::string id_;
  const std::function<void()> wake_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<feed_news> waiting_;
  size_t waiting_bytes_ = 0;
  bool leaves_ = false;
  bool has_left_ = false;

  /// Of whoever takes.
  uint64_t taken_attempt_ = 0;
  uint64_t taken_offset_ = 0;

  /// Of the thread.
  daemon_api daemon_;
  uint64_t attempt_;
  uint64_t offset_;
  std::string last_id_;
  /// The task as it was found; nothing: it is to be looked at.
  std::optional<json_value> task_;
  /// The attempt is one after the first, and that has not been told.
  bool is_untold_ = false;
  /// The attempt's output is over.
  bool is_read_ = false;
  bool is_over_ = false;
  /// The stream has come to bytes.
  bool has_come_ = false;
  /// The last that a stream has said is that the output cannot be read: that another one begins is no news.
  bool last_failed_ = false;

  std::thread thread_;
};

} // namespace task_runner::cli
