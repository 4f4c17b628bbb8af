// The route that takes many pushes at once: one JSON object per line, one answer for all of them.
// What cannot be a batch at all is refused here; every line is judged by the batch actor and the intake.
#include "actors/gateway/batch.hpp"
#include "actors/gateway/handlers.hpp"
#include "services/http/form.hpp"
#include "services/wire/json_lines.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

namespace task_runner {

namespace {

/// None at all is good as well. Types that a form can be sent as are not: a page in a browser may send those
/// to anybody.
constexpr std::array<std::string_view, 5> line_types{"application/x-ndjson", "application/ndjson",
                                                     "application/json-lines", "application/jsonl",
                                                     "application/x-jsonlines"};

result<push_lines> decode_lines(const http_request& request) {
  const auto type = media_type_of(request.header("content-type").value_or(""));
  if (!type.empty() && std::find(line_types.begin(), line_types.end(), type) == line_types.end())
    return error{error_code::invalid_argument,
                 "the Content-Type is not that of a batch; send one JSON object per line as "
                 "application/x-ndjson, with curl: -H 'Content-Type: application/x-ndjson' "
                 "--data-binary @FILE"};
  const auto count = count_json_lines(request.body, batch_all_lines_max);
  if (count.all > batch_all_lines_max)
    return error{error_code::too_large,
                 "the body has more than " + std::to_string(batch_all_lines_max) +
                     " lines, blank ones counted; nothing was taken, send it in parts"};
  if (count.not_blank == 0)
    return error{error_code::invalid_argument,
                 R"(the body holds no task; send one JSON object per line, such as {"task":"date"})"};
  if (count.not_blank > batch_lines_max)
    return error{error_code::too_large, "the body has " + std::to_string(count.not_blank) + " tasks, " +
                                            std::to_string(batch_lines_max) +
                                            " are allowed at once; nothing was taken, send it in parts"};
  if (request.identity && count.not_blank > keyed_batch_lines_max)
    return error{
        error_code::too_large,
        "the body has " + std::to_string(count.not_blank) + " tasks; with an Idempotency-Key " +
            std::to_string(keyed_batch_lines_max) +
            " are allowed at once, for the answer is kept. Nothing was taken: send it in parts with a "
            "key each, or without one and with an id in every line"};
  return push_lines{std::make_shared<const std::string>(request.body), request.identity};
}

std::string render_lines(const push_lines_reply& reply) {
  std::string text = "{\"accepted\":" + std::to_string(reply.accepted) +
                     ",\"duplicates\":" + std::to_string(reply.duplicates) +
                     ",\"refused\":" + std::to_string(reply.refused) + ",\"results\":";
  text += reply.results;
  text += '}';
  return text;
}

void push_tasks(const gateway_pointer& shared, const http_request& request, const http_responder& responder) {
  auto lines = decode_lines(request);
  if (!lines) {
    responder.fail(lines.failure());
    return;
  }
  ask<push_lines_reply>(
      shared->via, shared->batch, std::move(*lines), batch_timeout,
      [responder](push_lines_reply& reply) {
        if (reply.failure) {
          responder.fail(*reply.failure);
          return;
        }
        const auto lines_told = reply.accepted + reply.duplicates + reply.refused;
        const auto message = reply.refused == 0
                                 ? std::string("ok")
                                 : std::to_string(reply.refused) + " of " + std::to_string(lines_told) +
                                       " tasks refused; the results say why";
        // What is decided is told with 200. What is not asks for another try, so this is no last word to be
        // kept.
        held_answer told;
        told.meant_status = reply.is_undecided ? http_status(error_code::unavailable) : told.status;
        told.content_type = envelope_content_type;
        told.body = make_envelope(told.status, message, render_lines(reply));
        told.hold = std::move(reply.unsent);
        responder.send(told);
      },
      [responder](const error& why) {
        responder.fail(why.code == error_code::timeout ? unanswered_batch() : why);
      },
      ask_origin::http);
}

} // namespace

void add_batch_routes(route_table& routes, const gateway_pointer& shared) {
  routes.push_back({"POST", "/api/v1/tasks:batch", when_open(shared, push_tasks)});
}

} // namespace task_runner
