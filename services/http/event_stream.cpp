// Writing of server-sent events.
#include "services/http/event_stream.hpp"

namespace task_runner {

namespace {

bool is_one_line(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
  out += name;
  out += ": ";
  out += value;
  out += '\n';
}

} // namespace

const std::vector<http_header>& event_stream_headers() {
  static const std::vector<http_header> headers{{"Cache-Control", "no-store"}, {"X-Accel-Buffering", "no"}};
  return headers;
}

std::string render_event(const stream_event& event) {
  std::string text;
  text.reserve(event.id.size() + event.name.size() + event.data.size() + 32);
  if (!event.id.empty() && is_one_line(event.id))
    append_field(text, "id", event.id);
  if (!event.name.empty() && is_one_line(event.name))
    append_field(text, "event", event.name);
  auto rest = event.data;
  for (;;) {
    const auto end = rest.find_first_of("\r\n");
    append_field(text, "data", rest.substr(0, end));
    if (end == std::string_view::npos)
      break;
    // CR, LF and both together end a line.
    rest.remove_prefix(rest.substr(end, 2) == "\r\n" ? end + 2 : end + 1);
  }
  text += '\n';
  return text;
}

std::string render_retry(std::chrono::milliseconds pause) {
  std::string text;
  append_field(text, "retry", std::to_string(pause.count()));
  text += '\n';
  return text;
}

std::string_view heartbeat_text() noexcept {
  return ": heartbeat\n\n";
}

std::string_view last_event_id(const http_request& request) {
  return request.header("last-event-id").value_or(std::string_view());
}

} // namespace task_runner
