// Small text rules that HTTP needs in several places: tokens, blanks, case, percent codes, JSON strings.
// Pure functions, thread-safe, without allocation where none is needed.
#pragma once

#include "services/domain/result.hpp"

#include <string>
#include <string_view>

namespace task_runner {

/// ASCII only, as HTTP compares names.
bool equals_ignoring_case(std::string_view left, std::string_view right) noexcept;

/// Lower case of A-Z; other bytes stay.
std::string to_lower_case(std::string_view text);

/// Without spaces and tabs at both ends.
std::string_view trim_blanks(std::string_view text) noexcept;

/// Whether `text` is a token of RFC 9110: at least one character, all of them allowed in a method or header
/// name.
bool is_http_token(std::string_view text) noexcept;

/// Whether a comma-separated header value has this element, without regard to case.
bool list_contains(std::string_view list, std::string_view element) noexcept;

/// Whether `+` stands for a space: yes in forms and queries, no in paths.
enum class plus_sign { is_space, is_plus };

/// Replaces percent codes by their bytes. `invalid_argument` on a `%` without two hexadecimal digits; `what`
/// names the place in the message ("the query", "field 3 of the form").
result<std::string> percent_decode(std::string_view text, plus_sign plus, std::string_view what);

/// The text as a JSON string with its quotes. Bytes that are not valid UTF-8 become U+FFFD each.
std::string json_quote(std::string_view text);

} // namespace task_runner
