// The right to answer one request, once, from any thread, whenever the answer is known.
// Whoever drops it unanswered has answered 500: no client waits for an answer that nobody will give.
#pragma once

#include "services/domain/error.hpp"
#include "services/http/envelope.hpp"
#include "services/http/http_message.hpp"
#include "services/http/http_stream.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace task_runner {

class http_connection;

/// An answer that somebody else is to send.
struct held_answer {
  /// As the client sees it, and as it is meant: they differ where failures come with 200.
  int status = 200;
  int meant_status = 200;
  std::string content_type;
  std::string body;
  std::vector<http_header> extra_headers;
  std::shared_ptr<void> hold;
};

/// Hears of an answer, once, on whatever thread gives it. Must not block.
using answer_listener = std::function<void(held_answer)>;

/// A handle that can be copied and moved; all copies answer the same request. Thread-safe, never blocks, and
/// safe to keep after the client has left or the server has stopped. Only the first answer counts.
class http_responder {
public:
  /// Answers nothing; to be assigned to.
  http_responder() = default;
  /// `form`: how this request is told of failures.
  http_responder(std::shared_ptr<http_connection> connection, uint64_t request_number, failure_form form);

  /// A responder for the same request whose answer goes to `listener` and not to the client; streams are
  /// refused with 500. Where everybody lets go of it unanswered the listener hears of a 500.
  http_responder relayed_to(answer_listener listener) const;

  /// Sends what a listener has heard.
  bool send(const held_answer& answer) const;

  /// Sends an answer as it is. `status` is 200 to 599; `content_type` may be empty when `body` is.
  /// Content-Length, Date, Connection and, with 429 and 503, Retry-After are added; extra headers with line
  /// breaks are left out. False when it no longer counts: answered before, timed out, client gone, server
  /// stopped.
  bool send(int status, std::string_view content_type, std::string_view body,
            const std::vector<http_header>& extra_headers = {}) const;

  /// Sends the envelope of a success (see make_envelope); `status_code` is below 400. `hold` is let go of
  /// when all of it is with the kernel, or nobody will get the rest any more, which must not block.
  bool send_envelope(int status_code, std::string_view message, std::string_view data_json = "null",
                     std::string_view members_json = {}, const std::vector<http_header>& extra_headers = {},
                     std::shared_ptr<void> hold = nullptr) const;

  /// Tells of an error, with the HTTP status of its code.
  bool fail(const error& failure, std::vector<http_header> extra_headers = {}) const;

  /// Tells of a failure in the form that the request asks for. On a path for which legacy-200 is set the HTTP
  /// status is 200. `members_json` as for make_envelope.
  bool fail(const failed_request& failed, std::string_view members_json,
            std::vector<http_header> extra_headers = {}) const;

  /// Answers 200 with a stream, after which the connection is closed; extra headers as for send(). Nothing
  /// when there is nobody to write to, and `listener` hears nothing then: the request was HEAD and has its
  /// answer, there are `streams_max` already, which was answered 503, or an answer counts no longer.
  std::optional<http_stream> stream(std::string_view content_type,
                                    const std::vector<http_header>& extra_headers,
                                    stream_listener listener) const;

  /// Whether an answer has been given. Says nothing of whether it arrived.
  bool answered() const;

private:
  class exchange;
  std::shared_ptr<exchange> exchange_;
};

} // namespace task_runner
