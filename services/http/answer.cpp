// Rendering of answer heads.
#include "services/http/answer.hpp"

#include "services/http/envelope.hpp"
#include "services/http/http_text.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>

namespace task_runner {

namespace {

struct status_row {
  int status;
  std::string_view reason;
};

constexpr std::array status_table{
    status_row{200, "OK"},
    status_row{201, "Created"},
    status_row{202, "Accepted"},
    status_row{204, "No Content"},
    status_row{206, "Partial Content"},
    status_row{301, "Moved Permanently"},
    status_row{302, "Found"},
    status_row{303, "See Other"},
    status_row{304, "Not Modified"},
    status_row{307, "Temporary Redirect"},
    status_row{308, "Permanent Redirect"},
    status_row{400, "Bad Request"},
    status_row{401, "Unauthorized"},
    status_row{403, "Forbidden"},
    status_row{404, "Not Found"},
    status_row{405, "Method Not Allowed"},
    status_row{406, "Not Acceptable"},
    status_row{408, "Request Timeout"},
    status_row{409, "Conflict"},
    status_row{410, "Gone"},
    status_row{412, "Precondition Failed"},
    status_row{413, "Content Too Large"},
    status_row{414, "URI Too Long"},
    status_row{415, "Unsupported Media Type"},
    status_row{416, "Range Not Satisfiable"},
    status_row{417, "Expectation Failed"},
    status_row{422, "Unprocessable Content"},
    status_row{428, "Precondition Required"},
    status_row{429, "Too Many Requests"},
    status_row{431, "Request Header Fields Too Large"},
    status_row{500, "Internal Server Error"},
    status_row{501, "Not Implemented"},
    status_row{502, "Bad Gateway"},
    status_row{503, "Service Unavailable"},
    status_row{504, "Gateway Timeout"},
    status_row{505, "HTTP Version Not Supported"},
};

/// The Date header's value, rendered once a second and thread. Not strftime: that one follows the locale.
const std::string& date_now() {
  thread_local std::time_t rendered_at = -1;
  thread_local std::string text;
  timespec now{};
  clock_gettime(CLOCK_REALTIME_COARSE, &now);
  if (now.tv_sec != rendered_at) {
    constexpr std::array days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    constexpr std::array months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    std::tm parts{};
    gmtime_r(&now.tv_sec, &parts);
    std::array<char, 64> buffer{};
    std::snprintf(buffer.data(), buffer.size(), "%s, %02d %s %04d %02d:%02d:%02d GMT",
                  days[static_cast<size_t>(parts.tm_wday)], parts.tm_mday,
                  months[static_cast<size_t>(parts.tm_mon)], parts.tm_year + 1900, parts.tm_hour,
                  parts.tm_min, parts.tm_sec);
    text = buffer.data();
    rendered_at = now.tv_sec;
  }
  return text;
}

bool is_set_here(std::string_view name) {
  constexpr std::array names{"date", "content-type", "content-length", "connection", "transfer-encoding"};
  return std::any_of(names.begin(), names.end(),
                     [&](std::string_view one) { return equals_ignoring_case(one, name); });
}

bool is_clean_value(std::string_view value) {
  return std::none_of(value.begin(), value.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\t') || byte == 0x7f;
  });
}

} // namespace

std::string_view reason_phrase(int status) noexcept {
  for (const auto& row : status_table)
    if (row.status == status)
      return row.reason;
  return "Unknown";
}

std::string render_answer_head(const answer_head& head, const std::vector<http_header>& extra_headers) {
  std::string text;
  text.reserve(256);
  text += "HTTP/1.1 ";
  text += std::to_string(head.status);
  text += ' ';
  text += reason_phrase(head.status);
  text += "\r\nDate: ";
  text += date_now();
  if (!head.content_type.empty() && is_clean_value(head.content_type)) {
    text += "\r\nContent-Type: ";
    text += head.content_type;
    text += "\r\nX-Content-Type-Options: nosniff";
  }
  if (head.content_length && !is_bodiless(head.status)) {
    text += "\r\nContent-Length: ";
    text += std::to_string(*head.content_length);
  }
  if (head.close)
    text += "\r\nConnection: close";
  else if (head.announce_keep_alive)
    text += "\r\nConnection: keep-alive";
  bool retry_after = head.status == 429 || head.status == 503;
  for (const auto& [name, value] : extra_headers) {
    if (!is_http_token(name) || is_set_here(name) || !is_clean_value(value))
      continue;
    retry_after = retry_after && !equals_ignoring_case(name, "Retry-After");
    text += "\r\n";
    text += name;
    text += ": ";
    text += value;
  }
  if (retry_after) {
    text += "\r\nRetry-After: ";
    text += std::to_string(retry_after_s);
  }
  text += "\r\n\r\n";
  return text;
}

} // namespace task_runner
