// The head of a request, read strictly: whatever two servers could understand differently is refused.
// Pure; it works on the bytes received so far and remembers how far it has looked.
#pragma once

#include "services/http/http_message.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace task_runner {

/// Most header lines in one request.
constexpr size_t header_lines_max = 100;

/// Why a request is refused before any handler sees it.
struct http_refusal {
  /// 400 to 505.
  int status = 400;
  std::string message;
};

/// A head that is complete and unambiguous.
struct request_head {
  std::string method;
  std::string target;
  /// HTTP/1.0; otherwise HTTP/1.1.
  bool http_1_0 = false;
  std::vector<http_header> headers;
  /// Value of the Host header; empty when an HTTP/1.0 request has none.
  std::string host;
  /// Whether the client wants the connection to stay open.
  bool keep_alive = true;
  /// The body comes in chunks; exclusive with `content_length`.
  bool chunked = false;
  std::optional<uint64_t> content_length;
  /// The client waits for `100 Continue` before it sends the body.
  bool expects_continue = false;

  bool has_body() const noexcept { return chunked || content_length.value_or(0) > 0; }
};

/// What the bytes so far amount to.
struct head_reading {
  enum class kind : uint8_t { incomplete, complete, refused };
  kind what = kind::incomplete;
  /// Bytes of the head, when complete.
  size_t consumed = 0;
  request_head head;
  http_refusal refusal;
};

/// Finds the end of a head and parses it.
class head_reader {
public:
  /// `header_max` bounds request line and header lines together, in bytes.
  explicit head_reader(size_t header_max)
      : header_max_(header_max) {}

  /// Looks at `input`, which starts with the head and holds at least what it held at the last call. After
  /// `complete` or `refused`, call reset() before the next request.
  head_reading read(std::string_view input);

  void reset() noexcept {
    scanned_ = 0;
    line_start_ = 0;
  }

private:
  size_t header_max_;
  size_t scanned_ = 0;
  size_t line_start_ = 0;
};

} // namespace task_runner
