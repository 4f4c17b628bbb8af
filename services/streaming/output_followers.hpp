// Those who follow the output of attempts while it is written: a thread that reads what is new, and streams
// that it is written to. A disk that is slow, or hangs, holds up this thread and the followers; actors and
// other requests go on.
#pragma once

#include "services/http/event_stream.hpp"
#include "services/http/http_responder.hpp"
#include "services/ports/attempt_output.hpp"
#include "services/ports/task_observer.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace task_runner {

/// The bounds of an output_followers.
struct output_followers_limits {
  /// An output that grows is looked at so often; one that does not, more and more rarely, down to
  /// `pause_max`. This is also how soon after one event the next one comes.
  std::chrono::milliseconds pause_min{50};
  std::chrono::milliseconds pause_max{200};
  /// How often a stream shows that it lives, and what is known of its task is looked up again.
  std::chrono::milliseconds heartbeat = heartbeat_period;
  /// Most events that a follower is sent before it is the turn of the next one.
  size_t events_per_turn = 16;
  /// Most news of tasks that wait for the thread; what is beyond it is looked up instead.
  size_t news_max = 4'096;
  /// Most new followers that wait for the thread; the stream of one more ends, and its client comes back.
  size_t arrivals_max = 4'096;
};

/// A task as it was found.
struct task_sighting {
  std::string task_id;
  /// Unset: the task is gone.
  std::optional<task> value;
  /// Its earlier attempts.
  std::vector<attempt_record> attempts;
};

/// Owns the thread "tr-follow". Thread-safe, but for start() and stop(), which belong to one thread. The
/// number of followers is bounded by that of the server's streams. A client sets the pace of its own stream:
/// what it has no room for is not read.
class output_followers final : public task_observer {
public:
  /// Asks for a task; the answer goes to task_seen(), from any thread. Where none can be had nothing does,
  /// and it is asked for again with the next heartbeat. Must not block.
  using task_look_up = std::function<void(const std::string& task_id)>;

  /// `outputs` must outlive it.
  output_followers(attempt_output& outputs, task_look_up look_up, output_followers_limits limits = {});
  /// Stops.
  ~output_followers() override;
  output_followers(const output_followers&) = delete;
  output_followers& operator=(const output_followers&) = delete;

  /// Starts the thread. `unavailable` when the system gives none.
  result<void> start();

  /// Ends all streams, and the thread after what it is reading. Idempotent.
  void stop();

  /// Answers a request with the output of attempt `attempt` from `offset` on, until the attempt is over.
  /// `seen` has the task as it was found just now.
  void follow(const http_responder& responder, uint32_t attempt, uint64_t offset, task_sighting seen);

  /// What a look-up has found.
  void task_seen(task_sighting seen);

  bool is_interested() const noexcept override;
  void on_task_events(const std::vector<task_event>& events) override;

private:
  class implementation;
  const std::unique_ptr<implementation> implementation_;
};

} // namespace task_runner
