// The characters of UTF-8 one by one, and those that a terminal would obey instead of showing them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace task_runner {

/// A character of well-formed UTF-8: its code point, and how many bytes it has.
struct text_point {
  char32_t point = 0;
  size_t length = 1;
};

/// The first character of text that is not empty.
text_point next_point(std::string_view text) noexcept;

/// Whether a terminal would do something else than show it: C0, DEL, C1, the ends of lines of Unicode, and
/// the marks that turn the direction of text around (Unicode, sections 23.1 and 23.2).
bool is_control(char32_t point) noexcept;

/// Whether well-formed UTF-8 has such a character.
bool has_control(std::string_view text) noexcept;

/// JSON (RFC 8259) whose strings have no control character: what `json` has of them is escaped, which changes
/// nothing for whoever parses it.
std::string escape_controls(std::string json);

} // namespace task_runner
