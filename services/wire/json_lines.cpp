// Finding of lines.
// A line feed never stands within a JSON value on one line: in strings it is escaped.
#include "services/wire/json_lines.hpp"

#include <algorithm>

namespace task_runner {

bool json_line::is_blank() const noexcept {
  return text.size() <= json_line_bytes_max && std::all_of(text.begin(), text.end(), [](char one) {
           return one == ' ' || one == '\t' || one == '\r';
         });
}

std::optional<json_line> json_line_reader::next() noexcept {
  if (rest_.empty())
    return std::nullopt;
  const auto line = rest_.substr(0, rest_.find('\n'));
  rest_.remove_prefix(std::min(line.size() + 1, rest_.size()));
  return json_line{++number_, line};
}

json_line_counts count_json_lines(std::string_view text, uint64_t lines_max) noexcept {
  json_line_reader reader(text);
  json_line_counts counts;
  while (counts.all <= lines_max) {
    const auto line = reader.next();
    if (!line)
      break;
    ++counts.all;
    counts.not_blank += line->is_blank() ? 0 : 1;
  }
  return counts;
}

} // namespace task_runner
