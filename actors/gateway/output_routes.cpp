// The route of what tasks wrote: by byte offset or HTTP range, a piece at a time; following.cpp has it as it
// is written. The files are read by a thread of their own, so that a slow disk holds up nobody else.
#include "actors/gateway/following.hpp"
#include "actors/gateway/handlers.hpp"
#include "actors/gateway/requests.hpp"
#include "services/http/byte_range.hpp"

#include <algorithm>
#include <optional>
#include <string>

namespace task_runner {

namespace {

/// Largest piece of output in one answer; a client that reads slowly must not hold more than this.
constexpr uint64_t output_piece_max = 262'144;

/// What of a task's output is asked for.
struct output_request {
  output_range range;
  /// 0: the last one.
  uint64_t attempt = 0;
  /// Whether it is an HTTP range: then the answer is 206 or 416.
  bool is_partial = false;
};

result<output_request> decode_output(const http_request& request) {
  auto offset = decode_number(request, "offset", 0);
  auto attempt = decode_number(request, "attempt", 0);
  auto length = decode_number(request, "length", output_piece_max);
  for (const auto* number : {&offset, &attempt, &length})
    if (!*number)
      return number->failure();
  output_request wanted;
  wanted.attempt = *attempt;
  wanted.range.offset = *offset;
  auto length_max = *length;
  // A range holds for GET alone, and only where nothing asks to check first what it is a range of.
  const auto header = request.header("range");
  const bool may_be_partial = header && request.method == "GET" && !request.header("if-range") &&
                              !request.query("offset") && !request.query("length");
  if (const auto range = may_be_partial ? parse_byte_range(*header) : std::nullopt) {
    wanted.is_partial = true;
    wanted.range.offset = range->first;
    wanted.range.from_end = range->from_end;
    length_max = range->length.value_or(output_piece_max);
  }
  wanted.range.length_max = static_cast<size_t>(std::min(length_max, output_piece_max));
  return wanted;
}

void answer_output(const output_piece& piece, bool is_partial, task_state state,
                   const http_responder& responder) {
  const auto size = std::to_string(piece.size);
  std::vector<http_header> headers{
      {"X-Output-Size", size}, {"X-Task-State", std::string(to_string(state))}, {"Accept-Ranges", "bytes"}};
  if (is_partial && piece.bytes.empty()) {
    headers.push_back({"Content-Range", "bytes */" + size});
    responder.fail({416, std::nullopt, "the output has " + size + " bytes; ask for a range within them"}, {},
                   std::move(headers));
    return;
  }
  if (is_partial)
    headers.push_back({"Content-Range", "bytes " + std::to_string(piece.offset) + "-" +
                                            std::to_string(piece.offset + piece.bytes.size() - 1) + "/" +
                                            size});
  // Shown as text whatever it is (the server adds nosniff): output must never run as a page of ours.
  responder.send(is_partial ? 206 : 200, "text/plain; charset=utf-8", piece.bytes, headers);
}

void read_output_of(const gateway_pointer& shared, const task& value, const output_request& wanted,
                    const http_responder& responder) {
  if (wanted.attempt > value.attempt) {
    responder.fail({error_code::not_found, "the task has had " + std::to_string(value.attempt) +
                                               " attempts; there is no attempt " +
                                               std::to_string(wanted.attempt)});
    return;
  }
  const attempt_key key{value.id,
                        wanted.attempt == 0 ? value.attempt : static_cast<uint32_t>(wanted.attempt)};
  const auto taken = shared->outputs->read(
      key, wanted.range,
      [responder, state = value.state, is_partial = wanted.is_partial](const result<output_piece>& piece) {
        if (piece)
          answer_output(*piece, is_partial, state, responder);
        else
          responder.fail(piece.failure());
      });
  if (!taken)
    responder.fail(taken.failure());
}

void show_output(const gateway_pointer& shared, const http_request& request,
                 const http_responder& responder) {
  const auto follows = decode_follow(request);
  if (!follows) {
    responder.fail(follows.failure());
    return;
  }
  if (*follows) {
    follow_output(shared, request, responder);
    return;
  }
  auto wanted = decode_output(request);
  if (!wanted) {
    responder.fail(wanted.failure());
    return;
  }
  ask_actor<task_reply>(shared, shared->router, get_task{std::string(request.path_parameter("id"))},
                        responder, [responder, shared, wanted = *wanted](const task_reply& answer) {
                          read_output_of(shared, *answer.value, wanted, responder);
                        });
}

} // namespace

void add_output_routes(route_table& routes, const gateway_pointer& shared) {
  routes.push_back({"GET", "/api/v1/tasks/:id/output", when_open(shared, show_output)});
}

} // namespace task_runner
