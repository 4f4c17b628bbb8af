// The routes of tasks as resources: push, list, show, and what can be done to one or to many.
// output_routes.cpp has what they wrote.
#include "actors/gateway/handlers.hpp"
#include "actors/gateway/render.hpp"
#include "actors/gateway/requests.hpp"

#include <string_view>

namespace task_runner {

namespace {

/// What a cancel says when it has waited long enough for the end of a task.
constexpr std::string_view still_ending =
    "the task is being ended, and its processes have until its grace is over; look at it again";

void push_task(const gateway_pointer& shared, const http_request& request, const http_responder& responder) {
  auto item = decode_push(request);
  if (!item)
    responder.fail(item.failure());
  else
    answer_push(shared, std::move(*item), responder, push_answer::resource);
}

void list(const gateway_pointer& shared, const http_request& request, const http_responder& responder) {
  auto listing = decode_list(request);
  if (!listing) {
    responder.fail(listing.failure());
    return;
  }
  const auto order = listing->after.order;
  ask_actor<task_page_reply>(shared, shared->router, std::move(*listing), responder,
                             [responder, order](const task_page_reply& answer) {
                               responder.send_envelope(200, "ok", render_page(answer.page, order));
                             });
}

get_task the_task(const http_request& request) {
  return get_task{std::string(request.path_parameter("id"))};
}

void show_task(const gateway_pointer& shared, const http_request& request, const http_responder& responder) {
  ask_actor<task_reply>(
      shared, shared->router, the_task(request), responder,
      [responder](const task_reply& answer) { responder.send_envelope(200, "ok", render_task(answer)); });
}

void show_why(const gateway_pointer& shared, const http_request& request, const http_responder& responder) {
  ask_actor<explanation_reply>(shared, shared->router,
                               explain_task{std::string(request.path_parameter("id"))}, responder,
                               [responder](const explanation_reply& answer) {
                                 responder.send_envelope(200, "ok", render_explanation(answer));
                               });
}

/// One verb on one task: answers with the task as it stands afterwards.
template <task_verb Verb>
void act(const gateway_pointer& shared, const http_request& request, const http_responder& responder) {
  auto action = decode_task_action(request, Verb);
  if (!action) {
    responder.fail(action.failure());
    return;
  }
  ask_actor<task_reply>(shared, shared->router, std::move(*action), responder,
                        [responder](const task_reply& answer) {
                          const bool unended = Verb == task_verb::cancel && !is_terminal(answer.value->state);
                          responder.send_envelope(200, unended ? still_ending : "ok", render_task(answer));
                        });
}

/// One verb on all tasks that match.
template <task_verb Verb>
void act_on_all(const gateway_pointer& shared, const http_request& request, const http_responder& responder) {
  auto action = decode_bulk_action(request, Verb);
  if (!action) {
    responder.fail(action.failure());
    return;
  }
  ask_actor<tasks_reply>(
      shared, shared->router, std::move(*action), responder,
      [responder](const tasks_reply& answer) { responder.send_envelope(200, "ok", render_bulk(answer)); });
}

} // namespace

void add_task_routes(route_table& routes, const gateway_pointer& shared) {
  const auto add = [&](const char* method, const char* pattern, gateway_handler handler) {
    routes.push_back({method, pattern, when_open(shared, handler)});
  };
  add("POST", "/api/v1/tasks", push_task);
  add("GET", "/api/v1/tasks", list);
  add("POST", "/api/v1/tasks:cancel", act_on_all<task_verb::cancel>);
  add("POST", "/api/v1/tasks:retry", act_on_all<task_verb::retry>);
  add("POST", "/api/v1/tasks:delete", act_on_all<task_verb::remove>);
  add("GET", "/api/v1/tasks/:id", show_task);
  add("GET", "/api/v1/tasks/:id/why", show_why);
  add("DELETE", "/api/v1/tasks/:id", act<task_verb::remove>);
  add("POST", "/api/v1/tasks/:id/cancel", act<task_verb::cancel>);
  add("POST", "/api/v1/tasks/:id/signal", act<task_verb::signal>);
  add("POST", "/api/v1/tasks/:id/retry", act<task_verb::retry>);
  add("POST", "/api/v1/tasks/:id/release", act<task_verb::release>);
}

} // namespace task_runner
