// Parsing by hand where the standard library would be too lenient (signs, blanks, overflow).
// Every failure carries error_code::invalid_argument and a message that begins with "give".
#include "services/domain/quantities.hpp"

#include <array>
#include <limits>

namespace task_runner {

std::optional<uint64_t> parse_digits(std::string_view text, uint64_t high) noexcept {
  if (text.empty())
    return std::nullopt;
  uint64_t number = 0;
  for (char c : text) {
    if (c < '0' || c > '9')
      return std::nullopt;
    const auto digit = static_cast<uint64_t>(c - '0');
    if (number > (high - digit) / 10 || digit > high)
      return std::nullopt;
    number = number * 10 + digit;
  }
  return number;
}

result<int64_t> parse_duration_ms(std::string_view text) {
  const error refusal{error_code::invalid_argument,
                      "give a duration such as 500ms, 10s, 5m, 2h, 1d or a number of seconds, 0 to "
                      "3653d"};
  struct unit {
    std::string_view suffix;
    int64_t ms;
  };
  // "ms" stands before "m" and "s": the first suffix that fits is taken.
  constexpr std::array<unit, 5> units{
      {{"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};
  int64_t unit_ms = 1'000;
  for (const auto& candidate : units) {
    if (text.size() > candidate.suffix.size() &&
        text.substr(text.size() - candidate.suffix.size()) == candidate.suffix) {
      unit_ms = candidate.ms;
      text.remove_suffix(candidate.suffix.size());
      break;
    }
  }
  const size_t point = text.find('.');
  const auto whole = parse_digits(text.substr(0, point), static_cast<uint64_t>(duration_ms_max));
  if (!whole || *whole > static_cast<uint64_t>(duration_ms_max / unit_ms))
    return refusal;
  int64_t total_ms = static_cast<int64_t>(*whole) * unit_ms;
  if (point != std::string_view::npos) {
    const std::string_view digits = text.substr(point + 1);
    // Nine digits are exact in 64 bits even for days, and finer than any millisecond.
    constexpr size_t digits_max = 9;
    const auto fraction = parse_digits(digits, 999'999'999);
    if (digits.size() > digits_max || !fraction)
      return refusal;
    int64_t scale = 1;
    for (size_t i = 0; i < digits.size(); ++i)
      scale *= 10;
    total_ms += (static_cast<int64_t>(*fraction) * unit_ms + scale - 1) / scale;
  }
  if (total_ms > duration_ms_max)
    return refusal;
  return total_ms;
}

std::string format_duration(int64_t duration_ms) {
  constexpr int64_t day_ms = 86'400'000;
  constexpr int64_t hour_ms = 3'600'000;
  constexpr int64_t minute_ms = 60'000;
  constexpr int64_t second_ms = 1'000;
  if (duration_ms == 0)
    return "0";
  if (duration_ms % day_ms == 0)
    return std::to_string(duration_ms / day_ms) + "d";
  if (duration_ms % hour_ms == 0)
    return std::to_string(duration_ms / hour_ms) + "h";
  if (duration_ms % minute_ms == 0)
    return std::to_string(duration_ms / minute_ms) + "m";
  if (duration_ms % second_ms == 0)
    return std::to_string(duration_ms / second_ms) + "s";
  return std::to_string(duration_ms) + "ms";
}

std::string format_size(uint64_t bytes) {
  constexpr uint64_t giga = 1'073'741'824;
  constexpr uint64_t mega = 1'048'576;
  constexpr uint64_t kilo = 1'024;
  if (bytes != 0 && bytes % giga == 0)
    return std::to_string(bytes / giga) + "G";
  if (bytes != 0 && bytes % mega == 0)
    return std::to_string(bytes / mega) + "M";
  if (bytes != 0 && bytes % kilo == 0)
    return std::to_string(bytes / kilo) + "k";
  return std::to_string(bytes);
}

result<uint64_t> parse_size(std::string_view text) {
  constexpr auto high = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  uint64_t factor = 1;
  if (!text.empty() && (text.back() < '0' || text.back() > '9')) {
    switch (text.back()) {
    case 'k':
    case 'K':
      factor = 1'024;
      break;
    case 'M':
      factor = 1'048'576;
      break;
    case 'G':
      factor = 1'073'741'824;
      break;
    default:
      factor = 0;
    }
    text.remove_suffix(1);
  }
  const auto number = parse_digits(text, high);
  if (factor == 0 || !number || *number > high / factor)
    return error{error_code::invalid_argument,
                 "give a number of bytes, or one with k, M or G such as 512k or 1M"};
  return *number * factor;
}

} // namespace task_runner
