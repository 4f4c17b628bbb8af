// Cuts the stream into lines, and gathers lines until an empty one ends the event.
#include "services/cli/event_reader.hpp"

#include <utility>

namespace task_runner::cli {

result<void> event_reader::read(std::string_view bytes, const receiver& take) {
  while (!bytes.empty()) {
    if (std::exchange(skips_line_feed_, false) && bytes.front() == '\n') {
      bytes.remove_prefix(1);
      continue;
    }
    const auto end = bytes.find_first_of("\r\n");
    const auto part = bytes.substr(0, end);
    if (line_.size() + part.size() + data_.size() > event_bytes_max)
      return error{error_code::too_large,
                   "an event of the stream has more than " + std::to_string(event_bytes_max) + " bytes"};
    line_ += part;
    if (end == std::string_view::npos)
      break;
    skips_line_feed_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    if (!take_line(std::exchange(line_, {}), take))
      break;
  }
  return {};
}

bool event_reader::take_line(std::string_view line, const receiver& take) {
  constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
  if (std::exchange(is_at_start_, false) && line.substr(0, byte_order_mark.size()) == byte_order_mark)
    line.remove_prefix(byte_order_mark.size());
  if (line.empty())
    return hand_over(take);
  const auto colon = line.find(':');
  const auto field = line.substr(0, colon);
  auto value = colon == std::string_view::npos ? std::string_view() : line.substr(colon + 1);
  if (!value.empty() && value.front() == ' ')
    value.remove_prefix(1);
  if (field == "data") {
    if (std::exchange(has_data_, true))
      data_ += '\n';
    data_ += value;
  } else if (field == "event") {
    name_ = value;
  } else if (field == "id" && value.find('\0') == std::string_view::npos) {
    last_id_ = value;
  }
  // A comment has no field, and what is unknown is passed over.
  return true;
}

bool event_reader::hand_over(const receiver& take) {
  auto name = std::exchange(name_, {});
  auto data = std::exchange(data_, {});
  if (!std::exchange(has_data_, false))
    return true;
  return take({last_id_, name.empty() ? "message" : std::move(name), std::move(data)});
}

} // namespace task_runner::cli
