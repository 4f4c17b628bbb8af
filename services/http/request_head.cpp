// Strict parsing of request lines and headers (RFC 9112), made for refusing rather than for guessing.
// Every refusal says what was expected, and none repeats more than a name of what the client sent.
#include "services/http/request_head.hpp"

#include "services/http/http_text.hpp"

#include <cstring>

namespace task_runner {

namespace {

/// Digits of the largest Content-Length taken apart; more than this is too large for any limit.
constexpr size_t length_digits_max = 18;

head_reading refuse(int status, std::string message) {
  head_reading reading;
  reading.what = head_reading::kind::refused;
  reading.refusal = {status, std::move(message)};
  return reading;
}

head_reading refuse_long_line(size_t header_max) {
  return refuse(414, "the request line is longer than " + std::to_string(header_max) + " bytes");
}

bool has_control_character(std::string_view text) noexcept {
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\t') || byte == 0x7f)
      return true;
  }
  return false;
}

/// Host and optional port, without anything that could be taken for more than that.
bool is_well_formed_host(std::string_view host) noexcept {
  for (char c : host)
    if (static_cast<unsigned char>(c) <= 0x20 ||
        std::string_view("/?#@\\,\"<>").find(c) != std::string_view::npos)
      return false;
  return true;
}

std::optional<http_refusal> parse_request_line(std::string_view line, request_head& head) {
  const auto first = line.find(' ');
  const auto last = line.rfind(' ');
  if (first == std::string_view::npos || first == last || first == 0)
    return http_refusal{400, "malformed request line; expected METHOD SP TARGET SP HTTP/1.1"};
  const auto method = line.substr(0, first);
  const auto target = line.substr(first + 1, last - first - 1);
  const auto version = line.substr(last + 1);
  if (!is_http_token(method))
    return http_refusal{400, "malformed method in the request line"};
  for (char c : target)
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f)
      return http_refusal{400, "blank or control character in the request target; encode it, as in %20"};
  if (version.size() != 8 || version.substr(0, 5) != "HTTP/" || version[6] != '.' || version[5] < '0' ||
      version[5] > '9' || version[7] < '0' || version[7] > '9')
    return http_refusal{400, "malformed protocol version in the request line; expected HTTP/1.1"};
  if (version[5] != '1')
    return http_refusal{505, "only HTTP/1.1 and HTTP/1.0 are spoken here"};
  head.method = method;
  head.target = target;
  head.http_1_0 = version[7] == '0';
  return std::nullopt;
}

std::optional<http_refusal> parse_header_line(std::string_view line, request_head& head) {
  if (line.front() == ' ' || line.front() == '\t')
    return http_refusal{400, "a header line begins with a blank; folded headers are not accepted"};
  const auto colon = line.find(':');
  if (colon == std::string_view::npos || !is_http_token(line.substr(0, colon)))
    return http_refusal{400, "malformed header line; expected NAME: VALUE"};
  if (has_control_character(line))
    return http_refusal{400, "control character in a header"};
  if (head.headers.size() == header_lines_max)
    return http_refusal{431, "more than " + std::to_string(header_lines_max) + " header lines"};
  head.headers.push_back(
      {to_lower_case(line.substr(0, colon)), std::string(trim_blanks(line.substr(colon + 1)))});
  return std::nullopt;
}

std::optional<http_refusal> parse_content_length(std::string_view value, request_head& head) {
  if (head.content_length)
    return http_refusal{400, "more than one Content-Length"};
  if (value.empty() || value.find_first_not_of("0123456789") != std::string_view::npos)
    return http_refusal{400, "malformed Content-Length; expected digits only"};
  if (value.size() > length_digits_max)
    return http_refusal{413, "the body is larger than any limit"};
  uint64_t length = 0;
  for (char c : value)
    length = length * 10 + static_cast<uint64_t>(c - '0');
  head.content_length = length;
  return std::nullopt;
}

/// Reads the headers that decide where the request ends and what becomes of the connection.
std::optional<http_refusal> interpret(request_head& head) {
  bool host_seen = false;
  bool close = false;
  bool keep_alive = false;
  for (const auto& [name, value] : head.headers) {
    if (name == "host") {
      if (host_seen)
        return http_refusal{400, "more than one Host header"};
      if (!is_well_formed_host(value))
        return http_refusal{400, "malformed Host header; expected NAME or NAME:PORT"};
      host_seen = true;
      head.host = value;
    } else if (name == "content-length") {
      if (auto refusal = parse_content_length(value, head))
        return refusal;
    } else if (name == "transfer-encoding") {
      if (head.http_1_0 || head.chunked)
        return http_refusal{400, "Transfer-Encoding twice, or in an HTTP/1.0 request"};
      if (!equals_ignoring_case(value, "chunked"))
        return http_refusal{501, "the only Transfer-Encoding understood is \"chunked\""};
      head.chunked = true;
    } else if (name == "connection") {
      close = close || list_contains(value, "close");
      keep_alive = keep_alive || list_contains(value, "keep-alive");
    } else if (name == "expect") {
      if (!equals_ignoring_case(value, "100-continue"))
        return http_refusal{417, "the only Expect understood is \"100-continue\""};
      head.expects_continue = !head.http_1_0;
    } else if (name == "content-encoding" && !value.empty() && !equals_ignoring_case(value, "identity")) {
      return http_refusal{415, "compressed request bodies are not accepted; leave out Content-Encoding"};
    }
  }
  if (!host_seen && !head.http_1_0)
    return http_refusal{400, "missing Host header"};
  if (head.chunked && head.content_length)
    return http_refusal{400, "both Transfer-Encoding and Content-Length; expected one of them"};
  head.keep_alive = !close && (!head.http_1_0 || keep_alive);
  return std::nullopt;
}

head_reading parse(std::string_view text) {
  head_reading reading;
  bool request_line = true;
  while (!text.empty()) {
    const auto end = text.find("\r\n");
    const auto line = text.substr(0, end);
    text.remove_prefix(end + 2);
    auto refusal =
        request_line ? parse_request_line(line, reading.head) : parse_header_line(line, reading.head);
    if (refusal)
      return refuse(refusal->status, std::move(refusal->message));
    request_line = false;
  }
  if (request_line)
    return refuse(400, "missing request line; expected METHOD SP TARGET SP HTTP/1.1");
  if (auto refusal = interpret(reading.head))
    return refuse(refusal->status, std::move(refusal->message));
  reading.what = head_reading::kind::complete;
  return reading;
}

} // namespace

head_reading head_reader::read(std::string_view input) {
  while (scanned_ < input.size()) {
    const void* found = std::memchr(input.data() + scanned_, '\n', input.size() - scanned_);
    if (found == nullptr) {
      scanned_ = input.size();
      break;
    }
    const auto feed = static_cast<size_t>(static_cast<const char*>(found) - input.data());
    scanned_ = feed + 1;
    if (feed == line_start_ || input[feed - 1] != '\r')
      return refuse(400, "a line ends with LF alone; expected CR LF");
    if (line_start_ == 0 && feed + 1 > header_max_)
      return refuse_long_line(header_max_);
    const bool empty_line = feed == line_start_ + 1;
    if (empty_line) {
      if (feed + 1 > header_max_)
        break;
      const size_t text_length = line_start_;
      auto reading = parse(input.substr(0, text_length));
      reading.consumed = feed + 1;
      return reading;
    }
    line_start_ = feed + 1;
  }
  if (scanned_ > header_max_) {
    if (line_start_ == 0)
      return refuse_long_line(header_max_);
    return refuse(431, "the headers are larger than " + std::to_string(header_max_) + " bytes");
  }
  return {};
}

} // namespace task_runner
