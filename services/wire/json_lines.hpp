// Text with one JSON value per line (NDJSON, JSON Lines), taken apart without a copy.
// What a line holds is for others to judge; here only the lines are found and numbered.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace task_runner {

/// One line that is not blank.
struct json_line {
  /// Its place in the whole text, blank lines counted, from 1: as editors and error messages number lines.
  uint64_t number = 0;
  /// Without the line feed; a carriage return before it stays, as JSON takes it for a space.
  std::string_view text;
};

/// Goes through the lines of a text. Lines end with a line feed, the last one with the text; lines of
/// nothing but spaces, tabs and carriage returns are passed over. A plain value that refers to the text;
/// not thread-safe.
class json_line_reader {
public:
  explicit json_line_reader(std::string_view text) noexcept
      : rest_(text) {}

  /// The next line that is not blank; nothing at the end.
  std::optional<json_line> next() noexcept;

private:
  std::string_view rest_;
  uint64_t number_ = 0;
};

/// How many lines are not blank.
uint64_t count_json_lines(std::string_view text) noexcept;

} // namespace task_runner
