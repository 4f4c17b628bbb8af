// Decoding of what is to be followed, and the choice of the attempt.
#include "actors/gateway/following.hpp"

#include "actors/gateway/handlers.hpp"
#include "actors/gateway/requests.hpp"
#include "services/http/event_stream.hpp"
#include "services/streaming/output_events.hpp"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

namespace task_runner {

namespace {

/// What a client wants to follow.
struct follow_request {
  uint64_t offset = 0;
  /// 0: the one that runs, else the next one to start, else the last one.
  uint32_t attempt = 0;
  /// The client has come back after the end.
  bool is_over = false;
};

result<follow_request> decode_follow_request(const http_request& request) {
  auto offset = decode_number(request, "offset", 0);
  auto attempt = decode_number(request, "attempt", 0);
  for (const auto* number : {&offset, &attempt})
    if (!*number)
      return number->failure();
  if (request.query("length"))
    return error{error_code::invalid_argument,
                 "length is for output that is not followed; leave it out, or leave follow out"};
  follow_request wanted;
  wanted.offset = *offset;
  // No task comes so far: it is answered as one that does not exist.
  wanted.attempt = static_cast<uint32_t>(std::min<uint64_t>(*attempt, std::numeric_limits<uint32_t>::max()));
  const auto last_id = last_event_id(request);
  if (last_id.empty())
    return wanted;
  // It counts more than the query, which a browser repeats as it was when it comes back.
  auto place = parse_output_place(last_id);
  if (!place)
    return place.failure();
  wanted.offset = place->offset;
  wanted.is_over = place->is_end;
  if (place->attempt) {
    if (wanted.attempt != 0 && wanted.attempt != *place->attempt)
      return error{error_code::invalid_argument,
                   "Last-Event-ID is of attempt " + std::to_string(*place->attempt) + ", but attempt is " +
                       std::to_string(wanted.attempt) + "; leave one of them out"};
    wanted.attempt = *place->attempt;
  }
  return wanted;
}

/// The attempt to be followed; `not_found` for one that there cannot be yet.
result<uint32_t> choose_attempt(const task& value, uint32_t wanted) {
  const bool ended = is_terminal(value.state);
  const auto next = value.attempt + (ended ? 0 : 1);
  if (wanted > std::max<uint32_t>(next, 1))
    return error{error_code::not_found, "the task has had " + std::to_string(value.attempt) +
                                            " attempts; there is no attempt " + std::to_string(wanted)};
  if (wanted != 0)
    return wanted;
  return value.state == task_state::running ? value.attempt : std::max<uint32_t>(next, 1);
}

} // namespace

result<bool> decode_follow(const http_request& request) {
  for (const auto& member : read_query(request).members)
    if (member.name == "follow")
      return read_switch(member);
  return false;
}

void follow_output(const gateway_pointer& shared, const http_request& request,
                   const http_responder& responder) {
  const auto wanted = decode_follow_request(request);
  if (!wanted) {
    responder.fail(wanted.failure());
    return;
  }
  if (wanted->is_over) {
    // What makes a browser stop coming back.
    responder.send(204, {}, {});
    return;
  }
  ask_actor<task_reply>(shared, shared->router, get_task{std::string(request.path_parameter("id"))},
                        responder, [responder, shared, wanted = *wanted](task_reply& found) {
                          const auto attempt = choose_attempt(*found.value, wanted.attempt);
                          if (!attempt) {
                            responder.fail(attempt.failure());
                            return;
                          }
                          auto id = found.value->id;
                          shared->followers->follow(
                              responder, *attempt, wanted.offset,
                              {std::move(id), std::move(found.value), std::move(found.attempts)});
                        });
}

void look_up_followed(const gateway_pointer& shared, const std::string& task_id) {
  ask<task_reply>(
      shared->via, shared->router, get_task{task_id}, ask_timeout,
      [shared, task_id](task_reply& found) {
        // Any other failure is no news.
        if (!found.failure || found.failure->code == error_code::not_found)
          shared->followers->task_seen({task_id, std::move(found.value), std::move(found.attempts)});
      },
      [](const error&) {}, ask_origin::daemon);
}

} // namespace task_runner
