// The handlers of the HTTP API.
#include "actors/gateway/routes.hpp"

#include "actors/gateway/render.hpp"
#include "actors/gateway/requests.hpp"
#include "services/http/envelope.hpp"
#include "services/launcher/output_file.hpp"

namespace task_runner {

namespace {

using gateway_pointer = std::shared_ptr<gateway>;

constexpr uint32_t status_limit_default = 100;
constexpr uint32_t status_limit_max = 1'000;
/// Largest piece of output in one answer; a client that reads slowly must not hold more than this.
constexpr uint64_t output_piece_max = 262'144;

void push(const gateway_pointer& shared, const http_request& request, const http_responder& responder) {
  auto item = decode_push(request);
  if (!item) {
    responder.fail(item.failure());
    return;
  }
  push_batch batch;
  batch.items.push_back(std::move(*item));
  ask<push_replies>(
      shared->via, shared->intake, std::move(batch), ask_timeout,
      [responder](push_replies& answer) {
        const auto& reply = answer.replies.front();
        if (reply.failure)
          responder.fail(*reply.failure);
        else
          responder.send_envelope(200, "ok", render_push(reply));
      },
      [responder](const error& why) { responder.fail(why); });
}

void create(const gateway_pointer& shared, const http_request& request, const http_responder& responder) {
  auto decoded = decode_create_channel(request);
  if (!decoded) {
    responder.fail(decoded.failure());
    return;
  }
  ask<action_reply>(
      shared->via, shared->router, std::move(*decoded), ask_timeout,
      [responder](const action_reply& answer) {
        if (answer.failure)
          responder.fail(*answer.failure);
        else
          responder.send_envelope(200, "ok");
      },
      [responder](const error& why) { responder.fail(why); });
}

void status(const gateway_pointer& shared, const http_request& request, const http_responder& responder) {
  auto limit = decode_limit(request, status_limit_default, status_limit_max);
  if (!limit) {
    responder.fail(limit.failure());
    return;
  }
  const auto channel = request.query("channel");
  if (channel && channel->empty()) {
    responder.fail({error_code::invalid_argument, "channel is empty; name one, or leave it out for all"});
    return;
  }
  ask<status_reply>(
      shared->via, shared->router, get_status{std::string(channel.value_or("")), *limit}, ask_timeout,
      [responder, shared, one = channel.has_value()](const status_reply& answer) {
        if (answer.failure) {
          responder.fail(*answer.failure);
          return;
        }
        const auto members = "\"actors\":" + render_actors(shared->probes->list()) +
                             ",\"daemon\":" + shared->describe_daemon();
        responder.send_envelope(
            200, "ok", one ? render_channel(answer.channels.front()) : render_channels(answer.channels),
            members);
      },
      [responder](const error& why) { responder.fail(why); });
}

/// Looks a task up and hands it to `show`; answers 404 itself.
void with_task(const gateway_pointer& shared, const http_request& request, const http_responder& responder,
               std::function<void(const task&)> show) {
  ask<task_reply>(
      shared->via, shared->router, get_task{std::string(request.path_parameter("id"))}, ask_timeout,
      [responder, show = std::move(show)](const task_reply& answer) {
        if (answer.failure)
          responder.fail(*answer.failure);
        else
          show(*answer.value);
      },
      [responder](const error& why) { responder.fail(why); });
}

void show_task(const gateway_pointer& shared, const http_request& request, const http_responder& responder) {
  with_task(shared, request, responder,
            [responder](const task& value) { responder.send_envelope(200, "ok", render_task(value)); });
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
  with_task(
      shared, request, responder,
      [=, from = *offset, wanted = *attempt, most = std::min(*length, output_piece_max)](const task& value) {
        if (wanted > value.attempt) {
          responder.fail({error_code::not_found, "the task has had " + std::to_string(value.attempt) +
                                                     " attempts; there is no attempt " +
                                                     std::to_string(wanted)});
          return;
        }
        const attempt_key key{value.id, wanted == 0 ? value.attempt : static_cast<uint32_t>(wanted)};
        const auto size = output_size(shared->state_dir, key);
        auto bytes = read_output(shared->state_dir, key, from, most);
        if (!size || !bytes) {
          responder.fail(!size ? size.failure() : bytes.failure());
          return;
        }
        // Shown as text whatever it is (the server adds nosniff): output must never run as a page of ours.
        responder.send(200, "text/plain; charset=utf-8", *bytes,
                       {{"X-Output-Size", std::to_string(*size)},
                        {"X-Task-State", std::string(to_string(value.state))}});
      });
}

} // namespace

route_table make_routes(std::shared_ptr<gateway> shared) {
  const auto when_open = [shared](auto handler) {
    return [shared, handler](const http_request& request, const http_responder& responder) {
      if (shared->open.load(std::memory_order_acquire))
        handler(shared, request, responder);
      else
        responder.fail({error_code::draining, "the daemon is starting or stopping; try again in a second"});
    };
  };
  return {
      {"GET", "/",
       [](const http_request&, const http_responder& responder) {
         responder.send(200, "text/plain; charset=utf-8", "TaskRunner Started.");
       }},
      {"GET", "/status", when_open(status)},
      {"POST", "/push", when_open(push)},
      {"POST", "/queue", when_open(create)},
      {"GET", "/api/v1/tasks/:id", when_open(show_task)},
      {"GET", "/api/v1/tasks/:id/output", when_open(show_output)},
  };
}

} // namespace task_runner
