// Requests from threads outside the actor system: HTTP handlers and sources ask, and a callback gets the
// reply. One small actor does the asking, because that is the fastest way in and gives every request a
// timeout.
#pragma once

#include "actors/interfaces.hpp"
#include "actors/probe.hpp"
#include "services/ports/push_sink.hpp"

#include <caf/all.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <utility>

namespace task_runner {

/// One request, as the asking actor performs it.
struct ask_request {
  std::function<void(caf::event_based_actor*)> perform;
};

} // namespace task_runner

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::ask_request)

namespace task_runner {

struct asker_state {
  static inline const char* name = "gateway";
  std::shared_ptr<actor_probe> probe;
};

inline std::vector<std::string_view> asker_message_kinds() {
  return {"ask"};
}

/// The behaviour of the asking actor.
caf::behavior asker(caf::stateful_actor<asker_state>* self, std::shared_ptr<actor_probe> probe);

/// Why a request has no reply: `timeout`, or `unavailable` where whoever had it is gone.
error no_reply(const caf::error& why);

/// Sends `request` to `target` and calls exactly one of the two callbacks, from the actor system: `on_reply`
/// with the reply, or `on_error` with `timeout` or `unavailable`. Thread-safe, never blocks.
template <class Reply, class Target, class Request>
void ask(const caf::actor& via, const Target& target, Request request, std::chrono::milliseconds timeout,
         std::function<void(Reply&)> on_reply, std::function<void(error)> on_error) {
  auto payload = std::make_shared<Request>(std::move(request));
  caf::anon_send(via, ask_request{[=, fail = std::move(on_error),
                                   succeed = std::move(on_reply)](caf::event_based_actor* self) {
                   self->request(target, timeout, std::move(*payload))
                       .then([succeed](Reply& reply) { succeed(reply); },
                             [fail](const caf::error& why) { fail(no_reply(why)); });
                 }});
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
