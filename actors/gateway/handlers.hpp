// What the handlers have in common: asking an actor and answering, and the groups of routes.
// A new resource is one more group here and in make_routes.
#pragma once

#include "actors/gateway/gateway.hpp"
#include "services/http/route_table.hpp"

#include <functional>
#include <utility>

namespace task_runner {

/// A handler of the API; it may answer at once or when an actor has replied.
using gateway_handler = void (*)(const gateway_pointer&, const http_request&, const http_responder&);

/// The handler as the server calls it: it answers 503 itself while the daemon is not open.
http_handler when_open(const gateway_pointer& shared, gateway_handler handler);

/// Asks `target` and hands the reply to `show`; a failure, in the reply or on the way to it, is answered
/// here.
template <class Reply, class Target, class Request>
void ask_actor(const gateway_pointer& shared, const Target& target, Request request,
               const http_responder& responder, std::function<void(Reply&)> show) {
  ask<Reply>(
      shared->via, target, std::move(request), ask_timeout,
      [responder, show = std::move(show)](Reply& reply) {
        if (reply.failure)
          responder.fail(*reply.failure);
        else
          show(reply);
      },
      [responder](const error& why) { responder.fail(why); }, ask_origin::http);
}

/// What the answer to a push tells.
enum class push_answer : uint8_t {
  /// The predecessor's three members, on its own paths.
  predecessor,
  /// The task's state as well.
  resource,
};

/// Pushes one task and answers with what became of it.
void answer_push(const gateway_pointer& shared, push_item item, const http_responder& responder,
                 push_answer what = push_answer::predecessor);

/// DELETE of a channel, `?force=true`.
void remove_channel_by_path(const gateway_pointer& shared, const http_request& request,
                            const http_responder& responder);

void add_task_routes(route_table& routes, const gateway_pointer& shared);
/// Dead letters by what they died of.
void add_group_routes(route_table& routes, const gateway_pointer& shared);
/// Many pushes in one request.
void add_batch_routes(route_table& routes, const gateway_pointer& shared);
/// What happens to tasks and channels.
void add_event_routes(route_table& routes, const gateway_pointer& shared);
/// What tasks wrote.
void add_output_routes(route_table& routes, const gateway_pointer& shared);
/// What was measured, step by step.
void add_statistics_routes(route_table& routes, const gateway_pointer& shared);
void add_channel_routes(route_table& routes, const gateway_pointer& shared);
void add_daemon_routes(route_table& routes, const gateway_pointer& shared);
/// The description of this API.
void add_document_routes(route_table& routes);
/// The page at the root, and its files.
void add_dashboard_routes(route_table& routes);
/// The later paths of the predecessor.
void add_alias_routes(route_table& routes, const gateway_pointer& shared);

} // namespace task_runner
