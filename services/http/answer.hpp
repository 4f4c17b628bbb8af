// The bytes of an answer's head: status line, Date, length, connection, and what the handler adds.
// Rendered here and not by Pistache, which drops headers and answers keep-alive wrongly.
#pragma once

#include "services/http/http_message.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace task_runner {

/// What is sent besides the body.
struct answer_head {
  /// 200 to 599.
  int status = 200;
  /// Empty: no Content-Type (answers without a body).
  std::string_view content_type;
  /// Length of the body, also when it is not sent because the request was HEAD. Unset: the body ends with the
  /// connection, which `close` must announce.
  std::optional<uint64_t> content_length = 0;
  /// The connection ends after this answer.
  bool close = false;
  /// An HTTP/1.0 client has to be told that it may go on.
  bool announce_keep_alive = false;
};

/// The reason phrase of a status; "Unknown" for one that is not registered.
std::string_view reason_phrase(int status) noexcept;

/// Whether an answer of this status has no body by definition (1xx, 204, 304).
constexpr bool is_bodiless(int status) noexcept {
  return status < 200 || status == 204 || status == 304;
}

/// The head with its final empty line. Extra headers whose name is not a token or whose value contains
/// control characters are left out, so that no value can smuggle in a line; so are those that this function
/// sets itself. With 429 and 503 it adds Retry-After unless the extra headers have it. Thread-safe.
std::string render_answer_head(const answer_head& head, const std::vector<http_header>& extra_headers);

} // namespace task_runner
