// Finding of lines.
// A line feed never stands within a JSON value on one line: in strings it is escaped.
#include "services/wire/json_lines.hpp"

#include <algorithm>

namespace task_runner {

std::optional<json_line> json_line_reader::next() noexcept {
  while (!rest_.empty()) {
    const auto end = rest_.find('\n');
    const auto line = rest_.substr(0, end);
    rest_.remove_prefix(std::min(line.size() + 1, rest_.size()));
    ++number_;
    if (line.find_first_not_of(" \t\r") != std::string_view::npos)
      return json_line{number_, line};
  }
  return std::nullopt;
}

uint64_t count_json_lines(std::string_view text) noexcept {
  json_line_reader reader(text);
  uint64_t count = 0;
  while (reader.next())
    ++count;
  return count;
}

} // namespace task_runner
