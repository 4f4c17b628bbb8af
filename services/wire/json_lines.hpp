// Text with one JSON value per line (NDJSON, JSON Lines), taken apart without a copy.
// What a line holds is for others to judge; here only the lines are found and numbered.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace task_runner {

/// Longest line that is looked into, bytes. A longer one is for its reader to refuse, and never blank.
constexpr size_t json_line_bytes_max = 1'048'576;

/// One line.
struct json_line {
  /// Its place in the whole text, from 1: as editors and error messages number lines.
  uint64_t number = 0;
  /// Without the line feed; a carriage return before it stays, as JSON takes it for a space.
  std::string_view text;

  /// Whether it is nothing but spaces, tabs and carriage returns, or empty.
  bool is_blank() const noexcept;
};

/// Goes through the lines of a text. Lines end with a line feed, the last one with the text. A plain value
/// that refers to the text; not thread-safe.
class json_line_reader {
public:
  explicit json_line_reader(std::string_view text) noexcept
      : rest_(text) {}

  /// The next line, be it blank or not; nothing at the end.
  std::optional<json_line> next() noexcept;

private:
  std::string_view rest_;
  uint64_t number_ = 0;
};

struct json_line_counts {
  uint64_t all = 0;
  uint64_t not_blank = 0;
};

/// How many lines a text has. Where these are more than `lines_max`, the rest is not looked at.
json_line_counts count_json_lines(std::string_view text, uint64_t lines_max) noexcept;

} // namespace task_runner
