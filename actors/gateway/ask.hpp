// Requests from threads outside the actor system: HTTP handlers and sources ask, and a callback gets the
// reply. One small actor does the asking, because that is the fastest way in and gives every request a
// timeout.
#pragma once

#include "actors/gateway/request_deadlines.hpp"
#include "actors/interfaces.hpp"
#include "actors/lent_thread.hpp"
#include "actors/probed_actor.hpp"
#include "services/ports/push_sink.hpp"

#include <caf/all.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

namespace task_runner {

struct asker_state {
  static inline const char* name = "gateway";
  std::shared_ptr<actor_probe> probe;
  request_deadlines deadlines;
};

using asker_pointer = probed_actor<caf::stateful_actor<asker_state>>*;

/// Who has the asking actor ask. `counted`: the message is counted elsewhere, by the batch actor that sends
/// it, or when what it performs asks in its turn.
enum class ask_origin : uint8_t { http, redis, daemon, counted };

/// One request, as the asking actor performs it, once.
struct ask_request {
  std::function<void(asker_pointer)> perform;
  ask_origin from = ask_origin::http;
};

/// The asking actor's alarm: deadlines have passed.
struct deadline_passed {};

} // namespace task_runner

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::ask_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::deadline_passed)

namespace task_runner {

/// What the asking actor's probe counts. What the batch actor has asked is counted there.
enum class gateway_edge : size_t { from_http, from_redis, from_daemon, to_intake, to_router, to_batch };
const probe_shape& asker_shape();

/// The edge that a request to this actor takes; nothing for one that has no place in the daemon.
constexpr std::optional<gateway_edge> edge_to(const intake_actor*) {
  return gateway_edge::to_intake;
}
constexpr std::optional<gateway_edge> edge_to(const router_actor*) {
  return gateway_edge::to_router;
}
constexpr std::optional<gateway_edge> edge_to(const batch_actor*) {
  return gateway_edge::to_batch;
}
constexpr std::optional<gateway_edge> edge_to(const void*) {
  return std::nullopt;
}

/// The behaviour of the asking actor.
caf::behavior asker(asker_pointer self, std::shared_ptr<actor_probe> probe);

/// Why a request has no reply: `timeout`, or `unavailable` where whoever had it is gone.
error no_reply(const caf::error& why);

/// Sees to it that the request whose response has that id fails with a timeout when it is not answered by
/// then.
request_deadlines::place limit_request(asker_pointer self, std::chrono::milliseconds timeout,
                                       caf::message_id response);

/// Sends `request` to `target`, from within the asking actor, and calls exactly one of the two: `on_reply`
/// with a `Reply&`, or `on_error` with the error `timeout` or `unavailable`. Both run in that actor.
template <class Reply, class Target, class Request, class OnReply, class OnError>
void request_in_time(asker_pointer self, const Target& target, std::chrono::milliseconds timeout,
                     Request request, OnReply on_reply, OnError on_error) {
  if constexpr (constexpr auto edge = edge_to(static_cast<const Target*>(nullptr)); edge.has_value())
    self->state.probe->count(*edge);
  const auto answer = self->request(target, caf::infinite, std::move(request));
  const auto place = limit_request(self, timeout, answer.id());
  answer.then(
      [self, place, succeed = std::move(on_reply)](Reply& reply) mutable {
        self->state.deadlines.remove(place);
        succeed(reply);
      },
      [self, place, fail = std::move(on_error)](const caf::error& why) mutable {
        self->state.deadlines.remove(place);
        fail(no_reply(why));
      });
}

/// Sends `request` to `target` and calls exactly one of the two callbacks, from the actor system: `on_reply`
/// with the reply, or `on_error` with `timeout` or `unavailable`. Thread-safe, never blocks. `origin`: on
/// whose behalf.
template <class Reply, class Target, class Request>
void ask(const caf::actor& via, const Target& target, Request request, std::chrono::milliseconds timeout,
         std::function<void(Reply&)> on_reply, std::function<void(error)> on_error, ask_origin origin) {
  auto payload = std::make_shared<Request>(std::move(request));
  const lent_thread lent(via.home_system());
  caf::anon_send(via, ask_request{[target, timeout, payload = std::move(payload), fail = std::move(on_error),
                                   succeed = std::move(on_reply)](asker_pointer self) mutable {
                                    request_in_time<Reply>(self, target, timeout, std::move(*payload),
                                                           std::move(succeed), std::move(fail));
                                  },
                                  origin});
}

/// The way in for sources.
class actor_push_sink final : public push_sink {
public:
  actor_push_sink(caf::actor via, intake_actor intake, std::chrono::milliseconds timeout)
      : via_(std::move(via))
      , intake_(std::move(intake))
      , timeout_(timeout) {}

  void push(std::vector<push_item> items, push_completion done) override;

private:
  caf::actor via_;
  intake_actor intake_;
  std::chrono::milliseconds timeout_;
};

} // namespace task_runner
