// Numbers that come as text, where a person or a form wrote them.
// Stricter than the standard library: "inf", "nan", hexadecimal, blanks and leftovers are no numbers.
#pragma once

#include <charconv>
#include <cmath>
#include <cstdint>
#include <string_view>
#include <system_error>

namespace task_runner {

enum class decimal_text : uint8_t { not_a_number, out_of_range, ok };

/// Reads a plain decimal number that fills `text` whole into `value`.
inline decimal_text parse_decimal(std::string_view text, double& value) noexcept {
  if (text.empty() || text.find_first_not_of("0123456789.+-eE") != std::string_view::npos)
    return decimal_text::not_a_number;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec == std::errc::invalid_argument || read.ptr != text.data() + text.size())
    return decimal_text::not_a_number;
  return read.ec == std::errc() && std::isfinite(value) ? decimal_text::ok : decimal_text::out_of_range;
}

} // namespace task_runner
