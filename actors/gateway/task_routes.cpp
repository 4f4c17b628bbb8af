// The routes of tasks as resources: push, list, show, output, and what can be done to one or to many.
#include "actors/gateway/handlers.hpp"
#include "actors/gateway/render.hpp"
#include "actors/gateway/requests.hpp"
#include "services/launcher/output_file.hpp"

#include <algorithm>

namespace task_runner {

namespace {

/// Largest piece of output in one answer; a client that reads slowly must not hold more than this.
constexpr uint64_t output_piece_max = 262'144;

void push_task(const gateway_pointer& shared, const http_request& request, const http_responder& responder) {
  auto item = decode_push(request);
  if (!item)
    responder.fail(item.failure());
  else
    answer_push(shared, std::move(*item), responder);
}

void list(const gateway_pointer& shared, const http_request& request, const http_responder& responder) {
  auto listing = decode_list(request);
  if (!listing) {
    responder.fail(listing.failure());
    return;
  }
  ask_actor<task_page_reply>(shared, shared->router, std::move(*listing), responder,
                             [responder](const task_page_reply& answer) {
                               responder.send_envelope(200, "ok", render_page(answer.page));
                             });
}

get_task the_task(const http_request& request) {
  return get_task{std::string(request.path_parameter("id"))};
}

void show_task(const gateway_pointer& shared, const http_request& request, const http_responder& responder) {
  ask_actor<task_reply>(shared, shared->router, the_task(request), responder,
                        [responder](const task_reply& answer) {
                          responder.send_envelope(200, "ok", render_task(*answer.value, answer.attempts));
                        });
}

/// What of an attempt's output is asked for.
struct output_request {
  uint64_t offset = 0;
  /// 0: the last one.
  uint64_t attempt = 0;
  uint64_t length = 0;
};

void send_output(const gateway_pointer& shared, const task& value, const output_request& wanted,
                 const http_responder& responder) {
  if (wanted.attempt > value.attempt) {
    responder.fail({error_code::not_found, "the task has had " + std::to_string(value.attempt) +
                                               " attempts; there is no attempt " +
                                               std::to_string(wanted.attempt)});
    return;
  }
  const attempt_key key{value.id,
                        wanted.attempt == 0 ? value.attempt : static_cast<uint32_t>(wanted.attempt)};
  const auto size = output_size(shared->state_dir, key);
  auto bytes = read_output(shared->state_dir, key, wanted.offset, wanted.length);
  if (!size || !bytes) {
    responder.fail(!size ? size.failure() : bytes.failure());
    return;
  }
  // Shown as text whatever it is (the server adds nosniff): output must never run as a page of ours.
  responder.send(
      200, "text/plain; charset=utf-8", *bytes,
      {{"X-Output-Size", std::to_string(*size)}, {"X-Task-State", std::string(to_string(value.state))}});
}

void show_output(const gateway_pointer& shared, const http_request& request,
                 const http_responder& responder) {
  auto offset = decode_number(request, "offset", 0);
  auto attempt = decode_number(request, "attempt", 0);
  auto length = decode_number(request, "length", output_piece_max);
  for (const auto* number : {&offset, &attempt, &length}) {
    if (!*number) {
      responder.fail(number->failure());
      return;
    }
  }
  const output_request wanted{*offset, *attempt, std::min(*length, output_piece_max)};
  ask_actor<task_reply>(shared, shared->router, the_task(request), responder,
                        [responder, shared, wanted](const task_reply& answer) {
                          send_output(shared, *answer.value, wanted, responder);
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
                          responder.send_envelope(200, "ok", render_task(*answer.value, answer.attempts));
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
  add("DELETE", "/api/v1/tasks/:id", act<task_verb::remove>);
  add("GET", "/api/v1/tasks/:id/output", show_output);
  add("POST", "/api/v1/tasks/:id/cancel", act<task_verb::cancel>);
  add("POST", "/api/v1/tasks/:id/signal", act<task_verb::signal>);
  add("POST", "/api/v1/tasks/:id/retry", act<task_verb::retry>);
  add("POST", "/api/v1/tasks/:id/release", act<task_verb::release>);
}

} // namespace task_runner
