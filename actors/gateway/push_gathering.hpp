// Pushes of single tasks that come together travel together: what the HTTP workers find on their sockets in
// one turn becomes one message for each channel, not one for each task.
#pragma once

#include "actors/gateway/ask.hpp"
#include "services/domain/push.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

namespace task_runner {

/// One push on its way, and who waits for its reply.
struct gathered_push {
  push_item item;
  /// Called once, from the actor system; must not block. Let go of uncalled when the actors are gone.
  std::function<void(push_reply&)> done;
};

/// Most pushes that travel in one message: a fraction of a millisecond of work for each actor.
constexpr size_t gathered_pushes_max = 128;

/// Where HTTP workers put pushes. Thread-safe, never blocks. No push waits for others: what is there when the
/// worker has handled what its sockets had for it is sent. So it holds no more than one push for each
/// connection, and `gathered_pushes_max` at most.
class push_gathering : public std::enable_shared_from_this<push_gathering> {
public:
  /// Sends the push to the intake by way of `via`, the asking actor, and calls `done` with the reply. When
  /// none comes in time, or the actors are gone, its failure is `timeout` or `unavailable`.
  void push(const caf::actor& via, const intake_actor& target, std::chrono::milliseconds timeout,
            gathered_push one);

private:
  void send(const caf::actor& via, const intake_actor& target, std::chrono::milliseconds timeout);

  std::mutex mutex_;
  std::vector<gathered_push> waiting_;
};

} // namespace task_runner
