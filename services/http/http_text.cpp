// Tokens, blanks, case, percent codes and JSON strings.
// Byte by byte and independent of the locale, unlike the functions of <cctype>.
#include "services/http/http_text.hpp"

#include "services/domain/names.hpp"

namespace task_runner {

namespace {

constexpr char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

constexpr int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  if (c >= 'A' && c <= 'F')
    return c - 'A' + 10;
  return -1;
}

/// Length of the well-formed UTF-8 sequence at the front of `text`, or 0.
size_t sequence_length(std::string_view text) {
  for (size_t length = 1; length <= 4 && length <= text.size(); ++length)
    if (is_valid_utf8(text.substr(0, length)))
      return length;
  return 0;
}

} // namespace

bool equals_ignoring_case(std::string_view left, std::string_view right) noexcept {
  if (left.size() != right.size())
    return false;
  for (size_t i = 0; i < left.size(); ++i)
    if (lower(left[i]) != lower(right[i]))
      return false;
  return true;
}

std::string to_lower_case(std::string_view text) {
  std::string lowered(text);
  for (char& c : lowered)
    c = lower(c);
  return lowered;
}

std::string_view trim_blanks(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
    text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
    text.remove_suffix(1);
  return text;
}

bool is_http_token(std::string_view text) noexcept {
  for (char c : text) {
    const bool alphanumeric = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    // NUL would be found in the literal's terminator, hence the explicit test.
    if (!alphanumeric && (c == '\0' || std::string_view("!#$%&'*+-.^_`|~").find(c) == std::string_view::npos))
      return false;
  }
  return !text.empty();
}

bool list_contains(std::string_view list, std::string_view element) noexcept {
  while (!list.empty()) {
    const auto comma = list.find(',');
    if (equals_ignoring_case(trim_blanks(list.substr(0, comma)), element))
      return true;
    if (comma == std::string_view::npos)
      break;
    list.remove_prefix(comma + 1);
  }
  return false;
}

result<std::string> percent_decode(std::string_view text, plus_sign plus, std::string_view what) {
  std::string decoded;
  decoded.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '+' && plus == plus_sign::is_space) {
      decoded += ' ';
    } else if (c == '%') {
      const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
      if (high < 0 || low < 0)
        return error{error_code::invalid_argument,
                     "bad percent code \"" + std::string(text.substr(i, 3)) + "\" at byte " +
                         std::to_string(i) + " of " + std::string(what) +
                         "; expected % and two hexadecimal digits (a plain percent sign is %25)"};
      decoded += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      decoded += c;
    }
  }
  return decoded;
}

std::string json_quote(std::string_view text) {
  constexpr char digits[] = "0123456789abcdef";
  std::string quoted;
  quoted.reserve(text.size() + 2);
  quoted += '"';
  for (size_t i = 0; i < text.size();) {
    const char c = text[i];
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x80) {
      const size_t length = sequence_length(text.substr(i));
      if (length == 0)
        quoted += "\xef\xbf\xbd";
      else
        quoted += text.substr(i, length);
      i += length == 0 ? 1 : length;
      continue;
    }
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (c == '\n') {
      quoted += "\\n";
    } else if (c == '\r') {
      quoted += "\\r";
    } else if (c == '\t') {
      quoted += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      quoted += "\\u00";
      quoted += digits[byte >> 4];
      quoted += digits[byte & 0xf];
    } else {
      quoted += c;
    }
    ++i;
  }
  quoted += '"';
  return quoted;
}

} // namespace task_runner
