// The asking actor, and the push sink on top of it.
#include "actors/gateway/ask.hpp"

namespace task_runner {

caf::behavior asker(caf::stateful_actor<asker_state>* self, std::shared_ptr<actor_probe> probe) {
  self->state.probe = std::move(probe);
  return {
      [self](ask_request& request) {
        const handling guard(*self->state.probe, 0, self->mailbox().size());
        request.perform(self);
      },
  };
}

error no_reply(const caf::error& why) {
  if (why == caf::sec::request_timeout)
    return {error_code::timeout, "the daemon did not answer in time; look at /status"};
  return {error_code::unavailable, "the daemon is stopping or restarting this part; try again soon"};
}

void actor_push_sink::push(std::vector<push_item> items, push_completion done) {
  const auto count = items.size();
  auto complete = std::make_shared<push_completion>(std::move(done));
  ask<push_replies>(
      via_, intake_, push_batch{std::move(items)}, timeout_,
      [complete](push_replies& answer) { (*complete)(std::move(answer.replies)); },
      [complete, count](const error& why) {
        std::vector<push_reply> replies(count);
        for (auto& reply : replies)
          reply.failure = why;
        (*complete)(std::move(replies));
      });
}

} // namespace task_runner
