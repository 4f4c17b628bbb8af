// The routes about the daemon itself: is it alive, has it started, can it work, what do its actors do, shall
// it stop.
#include "actors/gateway/handlers.hpp"
#include "actors/gateway/render.hpp"
#include "actors/gateway/requests.hpp"
#include "services/observability/metrics_page.hpp"
#include "services/wire/json_text.hpp"

#include <algorithm>
#include <memory>
#include <utility>

namespace task_runner {

namespace {

std::string render_checks(const readiness& state) {
  std::string text = "\"checks\":";
  json_writer json(text);
  json.begin_array();
  for (const auto& check : state.checks)
    json.begin_object()
        .member("name", check.name)
        .member("healthy", check.healthy)
        .member("reason", check.reason)
        .end_object();
  json.end_array();
  return text;
}

void answer_readiness(const gateway_pointer& shared, const http_request& request,
                      const http_responder& responder) {
  readiness state;
  if (!shared->open.load(std::memory_order_acquire))
    state.checks.push_back({"daemon", false, "the daemon is starting or stopping"});
  else if (shared->describe_readiness)
    state = shared->describe_readiness();
  std::string reasons;
  for (const auto& check : state.checks)
    if (!check.healthy)
      reasons += (reasons.empty() ? "not ready: " : "; ") + check.name + ": " + check.reason;
  const auto verbose = request.query("verbose");
  const bool in_full = verbose && *verbose != "false" && *verbose != "0";
  const auto members = in_full ? render_checks(state) : std::string();
  if (reasons.empty())
    responder.send_envelope(200, "ok", R"({"ready":true})", members);
  else
    responder.fail({503, error_code::unavailable, reasons}, members);
}

/// What an error code means, for whoever follows the `type` of a problem.
void render_problem(json_writer& json, error_code code) {
  json.begin_object()
      .member("code", to_string(code))
      .member("title", title_of(code))
      .member("status", http_status(code))
      .member("advice", advice_on(code))
      .end_object();
}

void list_problems(const http_request&, const http_responder& responder) {
  std::string data = "{\"items\":";
  json_writer json(data);
  json.begin_array();
  for (const auto code : all_error_codes())
    render_problem(json, code);
  json.end_array();
  data += ",\"next\":null}";
  responder.send_envelope(200, "ok", data);
}

void show_problem(const http_request& request, const http_responder& responder) {
  const auto code = find_error_code(request.path_parameter("code"));
  if (!code) {
    responder.fail(
        {error_code::not_found, "there is no such error code; GET /api/v1/problems lists them all"});
    return;
  }
  std::string data;
  json_writer json(data);
  render_problem(json, *code);
  responder.send_envelope(200, "ok", data);
}

/// Answered on the thread that asks, from what the actors have noted: it needs none of them.
void list_actors_now(const gateway_pointer& shared, const http_request& request,
                     const http_responder& responder) {
  const auto listing = decode_actor_list(request);
  if (!listing) {
    responder.fail(listing.failure());
    return;
  }
  const auto& filter = listing->filter;
  if (!filter.channel.empty() && shared->probes->list({filter.channel, {}}, {}, 1).empty()) {
    responder.fail({error_code::not_found,
                    "there is no channel " + filter.channel + "; GET /api/v1/channels lists them all"});
    return;
  }
  // One more than is wanted, to know whether there are more.
  const auto found = shared->probes->list(filter, listing->after, listing->limit + 1);
  responder.send_envelope(200, "ok", render_actor_page(found, listing->limit));
}

void stop(const gateway_pointer& shared, const http_request& request, const http_responder& responder) {
  auto now = decode_stop(request);
  if (!now) {
    responder.fail(now.failure());
    return;
  }
  if (!shared->request_stop) {
    responder.fail({error_code::unavailable, "this daemon cannot be stopped over HTTP; send it TERM"});
    return;
  }
  // Answered first: afterwards nobody may be there to do it. With a key the answer has to be kept before
  // that.
  auto when_sent =
      std::shared_ptr<void>(nullptr, [stop = shared->request_stop, at_once = *now](void*) { stop(at_once); });
  responder.send_envelope(200, "ok",
                          *now ? R"({"stopping":true,"now":true})" : R"({"stopping":true,"now":false})", {},
                          {}, std::move(when_sent));
}

} // namespace

void add_daemon_routes(route_table& routes, const gateway_pointer& shared) {
  routes.push_back({"GET", "/livez", [](const http_request&, const http_responder& responder) {
                      responder.send_envelope(200, "ok", R"({"alive":true})");
                    }});
  routes.push_back({"GET", "/startupz", [shared](const http_request&, const http_responder& responder) {
                      if (shared->started.load(std::memory_order_acquire))
                        responder.send_envelope(200, "ok", R"({"started":true})");
                      else
                        responder.fail({error_code::unavailable, "the daemon is starting; ask again soon"});
                    }});
  routes.push_back({"GET", "/api/v1/daemon", [shared](const http_request&, const http_responder& responder) {
                      if (shared->open.load(std::memory_order_acquire) && shared->describe_daemon)
                        responder.send_envelope(200, "ok", shared->describe_daemon());
                      else
                        responder.fail({error_code::unavailable, "the daemon is starting or stopping"});
                    }});
  // Also while the daemon starts and stops: that is when one wants to know.
  routes.push_back(
      {"GET", "/api/v1/actors", [shared](const http_request& request, const http_responder& responder) {
         list_actors_now(shared, request, responder);
       }});
  routes.push_back({"GET", "/metrics", [shared](const http_request&, const http_responder& responder) {
                      if (shared->open.load(std::memory_order_acquire) && shared->describe_metrics)
                        responder.send(200, metrics_media_type, shared->describe_metrics());
                      else
                        responder.fail({error_code::unavailable, "the daemon is starting or stopping"});
                    }});
  routes.push_back({"GET", "/api/v1/problems", list_problems});
  routes.push_back({"GET", "/api/v1/problems/:code", show_problem});
  routes.push_back({"GET", "/readyz", [shared](const http_request& request, const http_responder& responder) {
                      answer_readiness(shared, request, responder);
                    }});
  // Also while the daemon is closed to others: whoever drains may lose patience.
  routes.push_back(
      {"POST", "/api/v1/stop", [shared](const http_request& request, const http_responder& responder) {
         stop(shared, request, responder);
       }});
}

} // namespace task_runner
