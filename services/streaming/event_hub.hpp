// What happens to tasks and channels, told to many clients at once: a thread, the last events for those who
// come back, and their streams. The queues hand over what they have to tell and go on.
#pragma once

#include "services/http/event_stream.hpp"
#include "services/http/http_responder.hpp"
#include "services/observability/channel_metrics.hpp"
#include "services/ports/dead_letter_counts.hpp"
#include "services/ports/task_observer.hpp"
#include "services/streaming/event_ring.hpp"

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace task_runner {

/// The bounds of an event_hub.
struct event_hub_limits {
  event_ring_limits kept;
  /// Clients are told of a task or a channel so often at most: what happened in between is told as it stands
  /// then.
  std::chrono::milliseconds period{250};
  std::chrono::milliseconds heartbeat = heartbeat_period;
  /// Events are kept on so long after the last client has left, for those who come back.
  std::chrono::milliseconds linger{60'000};
  /// Most events that wait for the thread; beyond it all of them are lost, and every client is told so. No
  /// more than are kept.
  size_t waiting_max = event_ring_limits().events_max;
  /// After such a loss clients are told of nothing for so long: each has to look at everything anew.
  std::chrono::milliseconds loss_pause{2'000};
  /// Most bytes that a client is sent before it is the turn of the next one. It must fit what may wait for a
  /// client.
  size_t bytes_per_turn = 32'768;
};

/// Owns the thread "tr-events". Thread-safe, but for start() and stop(), which belong to one thread. The
/// number of clients is bounded by that of the server's streams.
class event_hub final : public task_observer {
public:
  /// `epoch` tells this life of the daemon from others: letters and digits.
  event_hub(std::string epoch, std::shared_ptr<const channel_metrics_registry> channels,
            std::shared_ptr<const dead_letter_counts> dead_letters, event_hub_limits limits = {});
  /// Stops.
  ~event_hub() override;
  event_hub(const event_hub&) = delete;
  event_hub& operator=(const event_hub&) = delete;

  /// Starts the thread. `unavailable` when the system gives none.
  result<void> start();

  /// Ends all streams, and the thread. Idempotent.
  void stop();

  /// Answers a request with events from now on, behind a `ready`, or from behind the one that `since` names
  /// by its id; where that is not possible any more the stream begins with `reset`. `invalid_argument`, and
  /// nothing is answered, for what is no id.
  result<void> follow(const http_responder& responder, event_filter filter,
                      const std::optional<std::string>& since);

  bool is_interested() const noexcept override;
  void on_task_events(const std::vector<task_event>& events) override;

private:
  class implementation;
  const std::unique_ptr<implementation> implementation_;
};

/// The data of an event about a task.
std::string render_task_event(const task_event& event);

/// The data of an event about a channel; null: it is gone, and nothing else is told.
std::string render_channel_event(const std::string& name, const channel_metrics* counted,
                                 uint64_t dead_letters);

} // namespace task_runner
