// The JSON writer. Plain stretches of text are appended in one piece; only what needs escaping is touched.
#include "services/wire/json_text.hpp"

#include <charconv>
#include <cmath>
#include <cstddef>

namespace task_runner {

namespace {

/// Length of the well-formed UTF-8 sequence at `at`, or 0 when there is none (RFC 3629, section 4).
size_t sequence_length(std::string_view text, size_t at) noexcept {
  const auto byte = [&](size_t index) { return static_cast<unsigned char>(text[index]); };
  const unsigned char lead = byte(at);
  size_t length = 0;
  unsigned char low = 0x80;
  unsigned char high = 0xbf;
  if (lead >= 0xc2 && lead <= 0xdf) {
    length = 2;
  } else if (lead >= 0xe0 && lead <= 0xef) {
    length = 3;
    low = lead == 0xe0 ? 0xa0 : low;
    high = lead == 0xed ? 0x9f : high;
  } else if (lead >= 0xf0 && lead <= 0xf4) {
    length = 4;
    low = lead == 0xf0 ? 0x90 : low;
    high = lead == 0xf4 ? 0x8f : high;
  }
  if (length == 0 || text.size() - at < length || byte(at + 1) < low || byte(at + 1) > high)
    return 0;
  for (size_t i = 2; i < length; ++i)
    if (byte(at + i) < 0x80 || byte(at + i) > 0xbf)
      return 0;
  return length;
}

void append_escaped(std::string& out, unsigned char c) {
  constexpr char digits[] = "0123456789abcdef";
  switch (c) {
  case '"':
    out += "\\\"";
    break;
  case '\\':
    out += "\\\\";
    break;
  case '\n':
    out += "\\n";
    break;
  case '\r':
    out += "\\r";
    break;
  case '\t':
    out += "\\t";
    break;
  default:
    out += "\\u00";
    out += digits[c >> 4];
    out += digits[c & 0xf];
  }
}

template <class Number>
void append_number(std::string& out, Number value) {
  char text[40];
  const auto written = std::to_chars(text, text + sizeof text, value);
  out.append(text, written.ptr);
}

} // namespace

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  size_t plain_from = 0;
  size_t at = 0;
  const auto flush = [&](size_t resume_at) {
    out.append(text.data() + plain_from, at - plain_from);
    plain_from = resume_at;
  };
  while (at < text.size()) {
    const auto c = static_cast<unsigned char>(text[at]);
    if (c >= 0x80) {
      if (const size_t length = sequence_length(text, at); length != 0) {
        at += length;
        continue;
      }
      flush(at + 1);
      out += "\xef\xbf\xbd"; // U+FFFD
    } else if (c < 0x20 || c == '"' || c == '\\' || c == 0x7f) {
      flush(at + 1);
      append_escaped(out, c);
    }
    ++at;
  }
  flush(at);
  out += '"';
}

void append_json_number(std::string& out, int64_t value) {
  append_number(out, value);
}

void append_json_number(std::string& out, uint64_t value) {
  append_number(out, value);
}

void append_json_number(std::string& out, double value) {
  if (std::isfinite(value))
    append_number(out, value);
  else
    out += "null";
}

void json_writer::separate() {
  if (comma_)
    out_ += ',';
  comma_ = false;
}

json_writer& json_writer::begin_object() {
  separate();
  out_ += '{';
  return *this;
}

json_writer& json_writer::end_object() {
  out_ += '}';
  comma_ = true;
  return *this;
}

json_writer& json_writer::begin_array() {
  separate();
  out_ += '[';
  return *this;
}

json_writer& json_writer::end_array() {
  out_ += ']';
  comma_ = true;
  return *this;
}

json_writer& json_writer::key(std::string_view name) {
  separate();
  append_json_string(out_, name);
  out_ += ':';
  return *this;
}

json_writer& json_writer::value(std::string_view text) {
  separate();
  append_json_string(out_, text);
  comma_ = true;
  return *this;
}

json_writer& json_writer::null() {
  separate();
  out_ += "null";
  comma_ = true;
  return *this;
}

json_writer& json_writer::raw(std::string_view json) {
  separate();
  out_ += json;
  comma_ = true;
  return *this;
}

} // namespace task_runner
