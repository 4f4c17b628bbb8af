// The routes of the first version (/status, /push, /queue), and the sum of all groups.
#include "actors/gateway/routes.hpp"

#include "actors/gateway/handlers.hpp"
#include "actors/gateway/render.hpp"
#include "actors/gateway/requests.hpp"

namespace task_runner {

namespace {

constexpr uint32_t status_limit_default = 100;
constexpr uint32_t status_limit_max = 1'000;

void push(const gateway_pointer& shared, const http_request& request, const http_responder& responder) {
  auto item = decode_push(request);
  if (!item)
    responder.fail(item.failure());
  else
    answer_push(shared, std::move(*item), responder);
}

void create(const gateway_pointer& shared, const http_request& request, const http_responder& responder) {
  auto decoded = decode_queue(request);
  if (!decoded) {
    responder.fail(decoded.failure());
    return;
  }
  ask_actor<action_reply>(shared, shared->router, std::move(*decoded), responder,
                          [responder](const action_reply&) { responder.send_envelope(200, "ok"); });
}

void status(const gateway_pointer& shared, const http_request& request, const http_responder& responder) {
  auto limit = decode_limit(request, status_limit_default, status_limit_max);
  if (!limit) {
    responder.fail(limit.failure());
    return;
  }
  const std::string channel(request.query("channel").value_or(""));
  if (channel.empty() && request.query("channel")) {
    responder.fail({error_code::invalid_argument, "channel is empty; name one, or leave it out for all"});
    return;
  }
  ask_actor<status_reply>(shared, shared->router, get_status{channel, *limit}, responder,
                          [responder, shared, channel](const status_reply& answer) {
                            const auto members =
                                "\"actors\":" + render_actors(shared->probes->list({channel, {}})) +
                                ",\"daemon\":" + shared->describe_daemon();
                            responder.send_envelope(200, "ok",
                                                    channel.empty() ? render_channels(answer.channels)
                                                                    : render_channel(answer.channels.front()),
                                                    members);
                          });
}

/// Answers a push with the state, too. A new task's is that in which it was committed; a duplicate's, and
/// that of a push which was carried out before, is that of the task which is there, and null where that
/// cannot be told any more.
void answer_with_state(const gateway_pointer& shared, const push_reply& reply,
                       const http_responder& responder) {
  if (reply.accepted && reply.state) {
    responder.send_envelope(200, "ok", render_pushed_task(reply));
    return;
  }
  ask<task_reply>(
      shared->via, shared->router, get_task{reply.task_id}, ask_timeout,
      [responder, known = reply](const task_reply& holder) mutable {
        if (holder.value)
          known.state = holder.value->state;
        responder.send_envelope(200, "ok", render_pushed_task(known));
      },
      [responder, reply](const error&) { responder.send_envelope(200, "ok", render_pushed_task(reply)); },
      ask_origin::http);
}

/// With an Idempotency-Key a POST is carried out once. Nothing but a look at the headers without one; while
/// the daemon is not open the handler itself says so.
http_handler once_for_each_key(const gateway_pointer& shared, http_handler handler) {
  return
      [shared, handler = std::move(handler)](const http_request& request, const http_responder& responder) {
        if (request.header(key_header) && shared->open.load(std::memory_order_acquire))
          shared->keyed->handle(request, responder, handler);
        else
          handler(request, responder);
      };
}

/// What is said of a POST or PATCH stands in its body. A query that nobody reads would be worse than an
/// error: with `?dry_run=true` it would delete.
http_handler without_query(http_handler handler) {
  return [handler = std::move(handler)](const http_request& request, const http_responder& responder) {
    if (request.query_parameters.empty())
      handler(request, responder);
    else
      responder.fail({error_code::invalid_argument, "the query has " + request.query_parameters.front().name +
                                                        ", but " + request.method +
                                                        " is told everything in its body; put it there"});
  };
}

} // namespace

http_handler when_open(const gateway_pointer& shared, gateway_handler handler) {
  return [shared, handler](const http_request& request, const http_responder& responder) {
    if (shared->open.load(std::memory_order_acquire))
      handler(shared, request, responder);
    else
      responder.fail({error_code::draining, "the daemon is starting or stopping; try again in a second"});
  };
}

void answer_push(const gateway_pointer& shared, push_item item, const http_responder& responder,
                 push_answer what) {
  const auto answer = [shared, responder, what](const push_reply& reply) {
    if (reply.failure)
      responder.fail(*reply.failure);
    else if (what == push_answer::resource)
      answer_with_state(shared, reply, responder);
    else
      responder.send_envelope(200, "ok", render_push(reply));
  };
  shared->pushes->push(shared->via, shared->intake, ask_timeout, {std::move(item), answer});
}

std::vector<std::string> predecessor_paths() {
  return {"/", "/status", "/push", "/queue", "/channels", "/delay-tasks"};
}

route_table make_routes(const gateway_pointer& shared) {
  route_table routes{
      {"GET", "/status", when_open(shared, status)},
      {"POST", "/push", when_open(shared, push)},
      {"POST", "/queue", when_open(shared, create)},
  };
  add_daemon_routes(routes, shared);
  add_document_routes(routes);
  add_dashboard_routes(routes);
  add_task_routes(routes, shared);
  add_group_routes(routes, shared);
  add_batch_routes(routes, shared);
  add_output_routes(routes, shared);
  add_event_routes(routes, shared);
  add_statistics_routes(routes, shared);
  add_channel_routes(routes, shared);
  add_alias_routes(routes, shared);
  for (auto& one : routes)
    if (one.method == "POST")
      one.handler = once_for_each_key(shared, std::move(one.handler));
  for (auto& one : routes)
    if (one.method == "POST" || one.method == "PATCH")
      one.handler = without_query(std::move(one.handler));
  return routes;
}

} // namespace task_runner
