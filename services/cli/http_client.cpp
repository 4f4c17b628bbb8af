// The one file that compiles cpp-httplib. Its errors become sentences here.
#include "services/cli/http_client.hpp"

#include <algorithm>
#include <exception>
#include <httplib.h>
#include <optional>
#include <strings.h>

namespace task_runner::cli {

namespace {

using std::chrono::milliseconds;
using steady = std::chrono::steady_clock;

std::string authority_of(const std::string& host, uint16_t port) {
  const bool is_ipv6 = host.find(':') != std::string::npos;
  return (is_ipv6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

std::string seconds_of(milliseconds time) {
  return std::to_string(time.count() / 1'000) + " s";
}

bool equals_ignoring_case(std::string_view one, std::string_view other) noexcept {
  return one.size() == other.size() && ::strncasecmp(one.data(), other.data(), one.size()) == 0;
}

} // namespace

std::string_view http_reply::header(std::string_view name) const noexcept {
  for (const auto& [key, value] : headers)
    if (equals_ignoring_case(key, name))
      return value;
  return {};
}

struct http_client::parts {
  parts(const std::string& host, uint16_t port, const std::string& bearer)
      : library(host, port)
      , authority(authority_of(host, port))
      , token(bearer) {
    library.set_keep_alive(true);
    library.set_tcp_nodelay(true);
    library.set_url_encode(false);
  }

  httplib::Client library;
  const std::string authority;
  const std::string token;
  /// Whether a connection may be open from an earlier call.
  bool was_used = false;

  httplib::Request request_of(const http_call& call) const {
    httplib::Request request;
    request.method = call.method;
    request.path = call.target;
    request.body = call.body;
    request.headers = {{"Host", authority},
                       {"Accept", "*/*"},
                       {"Connection", "keep-alive"},
                       {"User-Agent", "task-runner/" TASK_RUNNER_VERSION}};
    if (!call.content_type.empty())
      request.headers.emplace("Content-Type", call.content_type);
    if (!call.last_event_id.empty())
      request.headers.emplace("Last-Event-ID", call.last_event_id);
    if (!call.idempotency_key.empty())
      request.headers.emplace("Idempotency-Key", call.idempotency_key);
    if (!token.empty())
      request.headers.emplace("Authorization", "Bearer " + token);
    return request;
  }

  /// Nothing where the call is to be sent once more: the connection of an earlier call turned out to be
  /// closed, or it broke and the call has a key. `take` may be null.
  std::optional<result<http_reply>> try_once(const http_call& call, const byte_receiver* take) {
    const auto deadline = steady::now() + call.connect_within + call.answer_within;
    library.set_connection_timeout(call.connect_within);
    library.set_read_timeout(call.answer_within);
    library.set_write_timeout(call.answer_within);
    auto request = request_of(call);
    http_reply reply;
    bool too_large = false;
    bool too_late = false;
    bool streams = false;
    bool has_enough = false;
    request.response_handler = [&](const httplib::Response& head) {
      streams = take != nullptr && head.status >= 200 && head.status < 300 &&
                head.get_header_value("Content-Type").rfind("text/event-stream", 0) == 0;
      return true;
    };
    request.content_receiver = [&](const char* bytes, size_t count, uint64_t, uint64_t) {
      if (streams) {
        has_enough = !(*take)(std::string_view(bytes, count));
        return !has_enough;
      }
      too_large = reply.body.size() + count > answer_bytes_max;
      too_late = steady::now() > deadline;
      if (too_large || too_late)
        return false;
      reply.body.append(bytes, count);
      return true;
    };
    httplib::Response response;
    auto failure = httplib::Error::Success;
    const auto began = steady::now();
    const bool done = library.send(request, response, failure);
    const bool may_be_stale = std::exchange(was_used, true);
    if (done || has_enough) {
      if (has_enough)
        library.stop();
      reply.status = response.status;
      reply.headers.assign(response.headers.begin(), response.headers.end());
      return result<http_reply>(std::move(reply));
    }
    library.stop();
    if (too_large)
      return result<http_reply>(
          error{error_code::too_large, "the answer of " + authority + " is larger than " +
                                           std::to_string(answer_bytes_max) + " bytes"});
    if (failure == httplib::Error::ConnectionTimeout)
      return result<http_reply>(error{error_code::timeout, "nobody answers at " + authority + " within " +
                                                               seconds_of(call.connect_within)});
    if (failure == httplib::Error::Connection)
      return result<http_reply>(error{error_code::unavailable, "nobody answers at " + authority});
    if (too_late || steady::now() - began >= call.answer_within)
      return result<http_reply>(
          error{error_code::timeout, authority + " did not answer within " + seconds_of(call.answer_within)});
    const bool is_safe = call.is_repeatable && (may_be_stale || !call.idempotency_key.empty());
    if (is_safe && !streams && reply.body.empty())
      return std::nullopt;
    return result<http_reply>(
        error{error_code::unavailable, "the connection to " + authority + " broke before the answer came"});
  }
};

http_client::http_client(const std::string& host, uint16_t port, const std::string& token)
    : parts_(std::make_unique<parts>(host, port, token)) {
  // nop
}

http_client::~http_client() = default;

void http_client::stop() noexcept {
  try {
    parts_->library.stop();
  } catch (const std::exception&) {
    return; // its lock failed; the call ends by its timeout
  }
}

result<http_reply> http_client::call(const http_call& what, const byte_receiver* take) {
  try {
    if (auto reply = parts_->try_once(what, take))
      return std::move(*reply);
    parts_->was_used = false;
    if (auto reply = parts_->try_once(what, take))
      return std::move(*reply);
  } catch (const std::exception& failure) { // out of memory
    return error{error_code::internal, std::string("the request could not be made: ") + failure.what()};
  }
  return error{error_code::unavailable, "the connection to " + parts_->authority + " broke"};
}

result<http_reply> http_client::send(const http_call& what) {
  return call(what, nullptr);
}

result<http_reply> http_client::receive(const http_call& what, const byte_receiver& take) {
  return call(what, &take);
}

} // namespace task_runner::cli
