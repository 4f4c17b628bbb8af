// Names of taken lists, made and read.
// Reading is strict: a name that would not have been made here is somebody else's.
#include "services/source/taken_lists.hpp"

#include <charconv>

namespace task_runner {

std::string taken_list_name(std::string_view intake_key, std::string_view node_id, uint64_t batch) {
  std::string name = "{";
  name += intake_key;
  name += "}:taken:";
  name += node_id;
  name += ':';
  name += std::to_string(batch);
  return name;
}

std::string taken_list_pattern(std::string_view node_id) {
  std::string pattern = "{*}:taken:";
  for (char c : node_id) {
    // A node id is a UUID and needs no escaping, yet nothing here depends on that.
    if (std::string_view("*?[]^-\\").find(c) != std::string_view::npos)
      pattern += '\\';
    pattern += c;
  }
  pattern += ":*";
  return pattern;
}

std::optional<taken_list> parse_taken_list(std::string_view name, std::string_view node_id) {
  const std::string middle = "}:taken:" + std::string(node_id) + ":";
  // The last one: an intake key may itself hold such a text.
  const auto at = name.rfind(middle);
  if (name.empty() || name.front() != '{' || at == std::string_view::npos || at < 2)
    return std::nullopt;
  const auto number = name.substr(at + middle.size());
  taken_list found{std::string(name.substr(1, at - 1)), 0};
  const auto read = std::from_chars(number.data(), number.data() + number.size(), found.batch);
  if (read.ec != std::errc() || read.ptr != number.data() + number.size() || found.batch == 0 ||
      found.batch > batch_number_max)
    return std::nullopt;
  // Written in any other way (leading zeros) it is not one of ours.
  if (name != taken_list_name(found.intake_key, node_id, found.batch))
    return std::nullopt;
  return found;
}

} // namespace task_runner
