// The routes of channels as resources: list, make, show, change, remove, pause, resume, drain.
#include "actors/gateway/handlers.hpp"
#include "actors/gateway/render.hpp"
#include "actors/gateway/requests.hpp"

namespace task_runner {

namespace {

/// Answers with one channel as it stands.
void answer_channel(const gateway_pointer& shared, const std::string& name, const http_responder& responder) {
  ask_actor<status_reply>(
      shared, shared->router, get_status{name, 0}, responder, [responder](const status_reply& answer) {
        responder.send_envelope(200, "ok", render_channel_resource(answer.channels.front()));
      });
}

void list(const gateway_pointer& shared, const http_request& request, const http_responder& responder) {
  // All of them, unless less is asked for: there are no more.
  auto page = decode_name_page(request, channels_max, channels_max);
  if (!page) {
    responder.fail(page.failure());
    return;
  }
  ask_actor<status_reply>(shared, shared->router, get_status{"", 0}, responder,
                          [responder, page = *std::move(page)](const status_reply& answer) {
                            responder.send_envelope(
                                200, "ok", render_channel_list(answer.channels, page.after, page.limit));
                          });
}

void show(const gateway_pointer& shared, const http_request& request, const http_responder& responder) {
  answer_channel(shared, std::string(request.path_parameter("channel")), responder);
}

void create(const gateway_pointer& shared, const http_request& request, const http_responder& responder) {
  auto decoded = decode_create_channel(request);
  if (!decoded) {
    responder.fail(decoded.failure());
    return;
  }
  const std::string name = decoded->record.name;
  ask_actor<action_reply>(
      shared, shared->router, std::move(*decoded), responder,
      [shared, name, responder](const action_reply&) { answer_channel(shared, name, responder); });
}

void answer_reply(const http_responder& responder, const channel_reply& answer) {
  responder.send_envelope(200, "ok", render_channel_resource(*answer.status));
}

void change(const gateway_pointer& shared, const http_request& request, const http_responder& responder) {
  auto decoded = decode_change_channel(request);
  if (!decoded) {
    responder.fail(decoded.failure());
    return;
  }
  ask_actor<channel_reply>(shared, shared->router, std::move(*decoded), responder,
                           [responder](const channel_reply& answer) { answer_reply(responder, answer); });
}

template <channel_verb Verb>
void act(const gateway_pointer& shared, const http_request& request, const http_responder& responder) {
  auto action = decode_channel_action(request, Verb);
  if (!action) {
    responder.fail(action.failure());
    return;
  }
  ask_actor<channel_reply>(shared, shared->router, std::move(*action), responder,
                           [responder](const channel_reply& answer) { answer_reply(responder, answer); });
}

/// For the answer to a removal that the INI file will undo.
std::string removal_warning() {
  std::string text = "\"warning\":";
  json_writer(text).value("the INI file has a section for this channel: the next reload or start makes it "
                          "again, unless the section is removed, too");
  return text;
}

} // namespace

void remove_channel_by_path(const gateway_pointer& shared, const http_request& request,
                            const http_responder& responder) {
  auto force = decode_force(request);
  if (!force) {
    responder.fail(force.failure());
    return;
  }
  ask_actor<action_reply>(
      shared, shared->router, remove_channel_request{std::string(request.path_parameter("channel")), *force},
      responder, [responder](const action_reply& answer) {
        responder.send_envelope(200, "ok", "null", answer.stands_in_ini ? removal_warning() : std::string());
      });
}

void add_channel_routes(route_table& routes, const gateway_pointer& shared) {
  const auto add = [&](const char* method, const char* pattern, gateway_handler handler) {
    routes.push_back({method, pattern, when_open(shared, handler)});
  };
  add("GET", "/api/v1/channels", list);
  add("POST", "/api/v1/channels", create);
  add("GET", "/api/v1/channels/:channel", show);
  add("PATCH", "/api/v1/channels/:channel", change);
  add("DELETE", "/api/v1/channels/:channel", remove_channel_by_path);
  add("POST", "/api/v1/channels/:channel/pause", act<channel_verb::pause>);
  add("POST", "/api/v1/channels/:channel/resume", act<channel_verb::resume>);
  add("POST", "/api/v1/channels/:channel/drain", act<channel_verb::drain>);
}

} // namespace task_runner
