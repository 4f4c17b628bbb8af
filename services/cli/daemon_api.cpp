// Envelopes are opened here; verbs see a status, a sentence and data.
#include "services/cli/daemon_api.hpp"

#include "services/domain/quantities.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace task_runner::cli {

namespace {

constexpr std::string_view task_root = "/api/v1/tasks/";
constexpr std::string_view channel_root = "/api/v1/channels/";
constexpr uint64_t retry_after_s_max = 3'600;
/// Most of a foreign server's words that are repeated.
constexpr size_t foreign_words_max = 200;

uint64_t number_of(std::string_view text) {
  return parse_digits(text, INT64_MAX).value_or(0);
}

/// The answer of something that is no daemon of ours: a proxy, or another program on its port.
std::string foreign_answer(const http_reply& reply, const daemon_place& place) {
  auto words = reply.body.substr(0, foreign_words_max);
  std::replace_if(
      words.begin(), words.end(), [](unsigned char byte) { return byte < 0x20 || byte >= 0x7f; }, ' ');
  return "what answers at " + place.host + ":" + std::to_string(place.port) +
         " does not speak as a TaskRunner does (HTTP status " + std::to_string(reply.status) + "): " + words;
}

} // namespace

std::string url_encoded(std::string_view text) {
  constexpr std::string_view plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string encoded;
  for (const char one : text) {
    if (plain.find(one) != std::string_view::npos) {
      encoded += one;
      continue;
    }
    const auto byte = static_cast<unsigned char>(one);
    encoded += '%';
    encoded += digits[byte >> 4U];
    encoded += digits[byte & 15U];
  }
  return encoded;
}

std::string task_path(std::string_view id, std::string_view rest) {
  return std::string(task_root) + url_encoded(id) + std::string(rest);
}

std::string channel_path(std::string_view name, std::string_view rest) {
  return std::string(channel_root) + url_encoded(name) + std::string(rest);
}

daemon_api::daemon_api(daemon_place place)
    : place_(std::move(place))
    , http_(place_.host, place_.port, place_.token) {
  // nop
}

api_reply daemon_api::get(const std::string& target) {
  http_call what;
  what.target = target;
  return call(what);
}

api_reply daemon_api::post(const std::string& target, const std::string& json) {
  http_call what;
  what.method = "POST";
  what.target = target;
  what.body = json;
  what.content_type = json.empty() ? "" : "application/json";
  what.is_repeatable = false;
  return call(what);
}

api_reply daemon_api::patch(const std::string& target, const std::string& json) {
  http_call what;
  what.method = "PATCH";
  what.target = target;
  what.body = json;
  what.content_type = "application/json";
  return call(what);
}

api_reply daemon_api::remove(const std::string& target) {
  http_call what;
  what.method = "DELETE";
  what.target = target;
  what.is_repeatable = false;
  return call(what);
}

api_reply daemon_api::unreached(const error& why) const {
  api_reply reply;
  reply.is_late = why.code == error_code::timeout;
  const bool is_default = place_.said_by == "the default";
  reply.message = why.message + "; is the daemon running? The address " +
                  (is_default ? "is the default, --address names another" : "comes from " + place_.said_by);
  return reply;
}

void daemon_api::hurry(std::chrono::milliseconds connect_within,
                       std::chrono::milliseconds answer_within) noexcept {
  connect_max_ = connect_within;
  answer_max_ = answer_within;
}

result<http_reply> daemon_api::send(http_call what) {
  what.connect_within = std::min(what.connect_within, connect_max_);
  what.answer_within = std::min(what.answer_within, answer_max_);
  return http_.send(what);
}

api_reply daemon_api::call(const http_call& what) {
  auto answer = send(what);
  return answer ? understood(*answer) : unreached(answer.failure());
}

api_reply daemon_api::understood(const http_reply& answer) const {
  api_reply reply;
  auto envelope = parse_json(answer.body);
  if (!envelope || (*envelope)["status_code"].whole() == 0) {
    reply.is_foreign = true;
    reply.message = foreign_answer(answer, place_);
    return reply;
  }
  reply.status = answer.status;
  reply.message = (*envelope)["message"].text();
  const auto wait_s = std::min(number_of(answer.header("retry-after")), retry_after_s_max);
  reply.retry_after = std::chrono::seconds(wait_s);
  reply.envelope = std::move(*envelope);
  return reply;
}

api_reply daemon_api::stream(http_call what, const byte_receiver& take) {
  constexpr std::string_view content_type = "text/event-stream";
  what.connect_within = std::min(what.connect_within, connect_max_);
  what.answer_within = stream_silence_max;
  auto answer = http_.receive(what, take);
  if (!answer)
    return unreached(answer.failure());
  api_reply reply;
  if (answer->header("content-type").substr(0, content_type.size()) != content_type)
    return understood(*answer);
  reply.status = answer->status;
  reply.message = "ok";
  return reply;
}

output_reply daemon_api::output(std::string_view id, uint64_t attempt, uint64_t offset) {
  http_call what;
  what.target = task_path(id, "/output?offset=") + std::to_string(offset);
  if (attempt != 0)
    what.target += "&attempt=" + std::to_string(attempt);
  output_reply piece;
  auto answer = send(what);
  if (!answer) {
    piece.how = unreached(answer.failure());
    return piece;
  }
  piece.size = number_of(answer->header("x-output-size"));
  piece.state = answer->header("x-task-state");
  piece.how.status = answer->status;
  if (piece.how.is_ok() && !piece.state.empty()) {
    piece.bytes = std::move(answer->body);
    return piece;
  }
  const auto envelope = parse_json(answer->body);
  if (envelope && !(*envelope)["message"].text().empty()) {
    piece.how.message = (*envelope)["message"].text();
  } else {
    piece.how.status = 0;
    piece.how.message = foreign_answer(*answer, place_);
  }
  return piece;
}

} // namespace task_runner::cli
