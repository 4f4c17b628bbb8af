// Decoding of what is asked of channels.
#include "actors/gateway/gateway.hpp"
#include "actors/gateway/requests.hpp"

#include <memory>
#include <utility>

namespace task_runner {

namespace {

result<channel_patch> read_channel(const http_request& request, unknown_members policy) {
  auto body = read_body(request, true);
  if (!body)
    return body.failure();
  return decode_channel(std::move(*body), policy);
}

result<create_channel> creation(const channel_patch& patch) {
  if (!patch.name || patch.name->empty())
    return error{error_code::invalid_argument,
                 "name is missing; give the new channel's name, for example name=mail"};
  create_channel request;
  request.record.name = *patch.name;
  if (auto applied = apply_patch(patch, request.record); !applied)
    return applied.failure();
  return request;
}

} // namespace

result<create_channel> decode_queue(const http_request& request) {
  auto patch = read_channel(request, unknown_members::ignored);
  if (!patch)
    return patch.failure();
  if (patch->worker && *patch->worker == 0U)
    patch->worker->reset(); // 0 has always meant the daemon's default here
  return creation(*patch);
}

result<create_channel> decode_create_channel(const http_request& request) {
  auto patch = read_channel(request, unknown_members::refused);
  if (!patch)
    return patch.failure();
  return creation(*patch);
}

result<change_channel> decode_change_channel(const http_request& request) {
  auto decoded = read_channel(request, unknown_members::refused);
  if (!decoded)
    return decoded.failure();
  const std::string name(request.path_parameter("channel"));
  if (decoded->name && *decoded->name != name)
    return error{error_code::invalid_argument,
                 "a channel's name cannot be changed; leave name out, or make another channel"};
  auto patch = std::make_shared<const channel_patch>(std::move(*decoded));
  return change_channel{name, [patch](channel_record& record) { return apply_patch(*patch, record); }};
}

result<act_on_channel> decode_channel_action(const http_request& request, channel_verb verb) {
  auto body = read_body(request, false);
  if (!body)
    return body.failure();
  // A drain waits until nothing runs, as long as a request may take, unless it is told to wait less.
  act_on_channel action{std::string(request.path_parameter("channel")), verb,
                        verb == channel_verb::drain ? drain_wait_max_ms : 0};
  for (const auto& member : body->members) {
    if (verb != channel_verb::drain || (member.name != "wait_s" && member.name != "wait"))
      return unknown_member(member.name, verb == channel_verb::drain ? "wait_s" : "none");
    auto wait_ms = read_duration(member, drain_wait_max_ms);
    if (!wait_ms)
      return wait_ms.failure();
    action.wait_ms = *wait_ms;
  }
  return action;
}

result<bool> decode_force(const http_request& request) {
  bool force = false;
  for (const auto& member : read_query(request).members) {
    if (member.name != "force")
      return unknown_member(member.name, "force");
    auto given = read_switch(member);
    if (!given)
      return given.failure();
    force = *given;
  }
  return force;
}

} // namespace task_runner
