// One pass from character to character; nothing is checked that is_valid_utf8() has not seen.
#include "services/domain/code_points.hpp"

#include <array>
#include <cstdio>
#include <utility>

namespace task_runner {

namespace {

bool is_between(char32_t point, char32_t low, char32_t high) noexcept {
  return point >= low && point <= high;
}

} // namespace

text_point next_point(std::string_view text) noexcept {
  const auto lead = static_cast<unsigned char>(text.front());
  const size_t length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  if (length == 1 || text.size() < length)
    return {lead, 1};
  char32_t point = lead & (0xffU >> (length + 1));
  for (size_t i = 1; i < length; ++i)
    point = (point << 6U) | (static_cast<unsigned char>(text[i]) & 0x3fU);
  return {point, length};
}

bool is_control(char32_t point) noexcept {
  return point < 0x20 || is_between(point, 0x7f, 0x9f) || is_between(point, 0x202a, 0x202e) ||
         is_between(point, 0x2066, 0x2069) || is_between(point, 0x2028, 0x2029);
}

bool has_control(std::string_view text) noexcept {
  while (!text.empty()) {
    const auto one = next_point(text);
    if (is_control(one.point))
      return true;
    text.remove_prefix(one.length);
  }
  return false;
}

std::string escape_controls(std::string json) {
  if (!has_control(json))
    return json;
  std::string escaped;
  escaped.reserve(json.size() + 64);
  std::string_view rest = json;
  while (!rest.empty()) {
    const auto one = next_point(rest);
    if (is_control(one.point)) {
      std::array<char, 12> text{};
      std::snprintf(text.data(), text.size(), "\\u%04x", static_cast<unsigned>(one.point));
      escaped += text.data();
    } else {
      escaped += rest.substr(0, one.length);
    }
    rest.remove_prefix(one.length);
  }
  return escaped;
}

} // namespace task_runner
