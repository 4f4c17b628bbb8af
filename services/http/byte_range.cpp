// Parsing of one range of bytes.
#include "services/http/byte_range.hpp"

#include "services/http/http_text.hpp"

#include <charconv>

namespace task_runner {

namespace {

/// A number that is digits and nothing else.
std::optional<uint64_t> read_number(std::string_view text) {
  uint64_t number = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (fault != std::errc{} || end != text.data() + text.size() || number > INT64_MAX)
    return std::nullopt;
  return number;
}

} // namespace

std::optional<byte_range> parse_byte_range(std::string_view header) {
  constexpr std::string_view unit = "bytes=";
  if (!equals_ignoring_case(header.substr(0, unit.size()), unit))
    return std::nullopt;
  const auto range = trim_blanks(header.substr(unit.size()));
  const auto dash = range.find('-');
  if (dash == std::string_view::npos)
    return std::nullopt;
  const auto from = range.substr(0, dash);
  const auto to = range.substr(dash + 1);
  byte_range parsed;
  if (from.empty()) {
    const auto count = read_number(to);
    if (!count)
      return std::nullopt;
    parsed.first = *count;
    parsed.from_end = true;
    return parsed;
  }
  const auto first = read_number(from);
  if (!first)
    return std::nullopt;
  parsed.first = *first;
  if (to.empty())
    return parsed;
  const auto last = read_number(to);
  if (!last || *last < *first)
    return std::nullopt;
  parsed.length = *last - *first + 1;
  return parsed;
}

} // namespace task_runner
