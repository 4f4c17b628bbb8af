// The asking actor, and the push sink on top of it.
#include "actors/gateway/ask.hpp"

namespace task_runner {

namespace {

void set_alarm(asker_pointer self, request_deadlines::time_point now) {
  if (const auto at = self->state.deadlines.next_alarm())
    self->delayed_send(self, std::chrono::ceil<std::chrono::milliseconds>(*at - now), deadline_passed{});
}

void fail_overdue(asker_pointer self) {
  const auto now = self->clock().now();
  auto& deadlines = self->state.deadlines;
  deadlines.alarm_rang(now);
  // As CAF's own timeouts do it: what comes first, the reply or this, counts, and the other is dropped.
  for (const auto response : deadlines.take_due(now))
    self->eq_impl(response, self->ctrl(), self->context(), caf::make_error(caf::sec::request_timeout));
  set_alarm(self, now);
}

void count_origin(actor_probe& probe, ask_origin origin) {
  switch (origin) {
  case ask_origin::http:
    probe.count(gateway_edge::from_http);
    break;
  case ask_origin::redis:
    probe.count(gateway_edge::from_redis);
    break;
  case ask_origin::daemon:
    probe.count(gateway_edge::from_daemon);
    break;
  case ask_origin::counted:
    break;
  }
}

} // namespace

const probe_shape& asker_shape() {
  static const probe_shape shape = [] {
    probe_shape made("gateway", {"ask", "deadline"});
    made.edges = {{"http", "gateway"},   {"redis", "gateway"},  {"daemon", "gateway"},
                  {"gateway", "intake"}, {"gateway", "router"}, {"gateway", "batch"}};
    made.watched_by = "supervisor";
    return made;
  }();
  return shape;
}

caf::behavior asker(asker_pointer self, std::shared_ptr<actor_probe> probe) {
  self->state.probe = std::move(probe);
  self->watch(*self->state.probe);
  return {
      [self](ask_request& request) {
        const handling guard(*self->state.probe, 0);
        count_origin(*self->state.probe, request.from);
        request.perform(self);
      },
      [self](const deadline_passed&) {
        const handling guard(*self->state.probe, 1);
        fail_overdue(self);
      },
  };
}

request_deadlines::place limit_request(asker_pointer self, std::chrono::milliseconds timeout,
                                       caf::message_id response) {
  const auto now = self->clock().now();
  const auto place = self->state.deadlines.add(now, timeout, response);
  set_alarm(self, now);
  return place;
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
      },
      ask_origin::redis);
}

} // namespace task_runner
