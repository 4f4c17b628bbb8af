// What senders to many streams have in common: a thread that sends, a desk where other threads put aside what
// it is to know, and clients that rouse it when they have room again or have left.
#pragma once

#include "services/domain/result.hpp"
#include "services/http/event_stream.hpp"
#include "services/http/http_responder.hpp"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace task_runner {

/// What every client has. The sender's own, but for what is said otherwise.
struct stream_client {
  http_stream stream;
  /// Guarded by the desk: it lies there.
  bool roused = false;
  std::atomic<bool> closed{false};

  /// Shows that the stream lives. One that has not taken the last bytes has been told enough.
  void beat() const {
    if (stream.unsent() == 0)
      stream.write(heartbeat_text());
  }
};

/// Where news lies until the sender takes it. `Client` is a stream_client; `News` has at least a `roused`,
/// the clients that have room again or have left. Shared with the listeners of streams, which may outlive the
/// sender.
template <class Client, class News>
struct stream_desk {
  using client_pointer = std::shared_ptr<Client>;

  std::mutex mutex;
  std::condition_variable changed;
  News waiting;
  /// Whether anybody is there to be told of anything. Set under the mutex, read without.
  std::atomic<bool> interested{false};
  bool stopping = false;

  void rouse(const client_pointer& one) {
    {
      const std::lock_guard lock(mutex);
      if (std::exchange(one->roused, true))
        return;
      waiting.roused.push_back(one);
    }
    changed.notify_one();
  }

  /// For whoever has taken these from the desk. REQUIRES: the mutex is held.
  static void settle(const std::vector<client_pointer>& taken) {
    for (const auto& one : taken)
      one->roused = false;
  }

  /// From here on nothing is accepted; waits for the end of the sender. Idempotent.
  void end(std::thread& sender) {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
      interested.store(false, std::memory_order_relaxed);
    }
    changed.notify_one();
    if (sender.joinable())
      sender.join();
    // Streams end with their last handle.
    News dropped;
    const std::lock_guard lock(mutex);
    std::swap(dropped, waiting);
  }
};

/// Starts a sender; `purpose` says in an error what there is no thread for.
inline result<void> start_sender(std::thread& sender, std::function<void()> run, std::string_view purpose) {
  try {
    sender = std::thread(std::move(run));
  } catch (const std::system_error& failure) {
    return error{error_code::unavailable, "no thread for " + std::string(purpose) + ": " + failure.what()};
  }
  return {};
}

/// Answers a request with a stream of events for this client, which rouses the desk from then on. False where
/// there is none: then the request has been answered.
template <class Client, class News>
bool open_stream(const std::shared_ptr<stream_desk<Client, News>>& desk, const std::shared_ptr<Client>& one,
                 const http_responder& responder) {
  const auto rouse = [desk, weak = std::weak_ptr<Client>(one)](bool closed) {
    const auto roused = weak.lock();
    if (!roused)
      return;
    if (closed)
      roused->closed = true;
    desk->rouse(roused);
  };
  auto stream = responder.stream(event_stream_content_type, event_stream_headers(),
                                 {[rouse] { rouse(true); }, [rouse] { rouse(false); }});
  if (!stream)
    return false;
  one->stream = std::move(*stream);
  one->stream.write(render_retry(reconnect_pause));
  return true;
}

} // namespace task_runner
