// Boost.PropertyTree reads the values. A scan of the same text tells the lines they stand in, and sees what
// PropertyTree forgets: sections without keys, and what stands behind a closing bracket.
#include "config/ini_file.hpp"

#include "config/values.hpp"
#include "services/domain/names.hpp"
#include "services/wire/task_options_json.hpp"

#include <boost/property_tree/ini_parser.hpp>
#include <boost/property_tree/ptree.hpp>

#include <algorithm>
#include <cstdint>
#include <locale>
#include <optional>
#include <set>
#include <sstream>
#include <utility>

namespace task_runner {

namespace {

constexpr std::string_view channel_prefix = "channel.";

/// One section header or key with its place; blanks, comments and values are left out.
struct ini_line {
  size_t number = 0;
  std::string section;
  /// Empty for the header itself.
  std::string key;
};

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blanks = " \t\r\n\v\f";
  const size_t first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos)
    return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

/// Names a line of the file, and what of it is meant, in messages.
class place_namer {
public:
  explicit place_namer(const std::string& path)
      : path_(quote_for_message(path).substr(1)) {
    path_.pop_back(); // quoted for its escapes, not for its quotes
  }

  std::string line(size_t number) const { return path_ + ":" + std::to_string(number); }

  std::string of(const ini_line& at) const {
    std::string text = line(at.number) + " [" + bare(at.section) + "]";
    return at.key.empty() ? text : text + " " + bare(at.key);
  }

private:
  static std::string bare(const std::string& text) {
    const std::string shown = quote_for_message(text);
    return shown.substr(1, shown.size() - 2);
  }

  std::string path_;
};

error refusal(const std::string& place, const std::string& what) {
  return error{error_code::invalid_argument, place + ": " + what};
}

/// What the file's lines are, in order. Refuses what PropertyTree would let pass.
result<std::vector<ini_line>> scan_lines(const std::string& text, const place_namer& places) {
  std::vector<ini_line> lines;
  std::set<std::string> sections;
  std::string section;
  bool in_section = false;
  size_t number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = trimmed(std::string_view(text).substr(begin, end - begin));
    begin = end + 1;
    ++number;
    if (line.empty() || line[0] == '#' || line[0] == ';')
      continue;
    if (line[0] == '[') {
      const size_t close = line.find(']');
      if (close == std::string_view::npos)
        return refusal(places.line(number), "the closing ] of the section is missing; write [NAME]");
      if (close + 1 != line.size())
        return refusal(places.line(number), "text behind the closing ]; a comment needs a line of its own");
      section = std::string(trimmed(line.substr(1, close - 1)));
      in_section = true;
      const ini_line header{number, section, ""};
      if (!sections.insert(section).second)
        return refusal(places.of(header), "the section stands here again; give each section once");
      lines.push_back(header);
      continue;
    }
    const size_t equals = line.find('=');
    // The line itself is not shown: it may be the rest of a password.
    if (equals == std::string_view::npos || equals == 0)
      return refusal(places.line(number),
                     "neither a [section], a key = value, nor a comment that begins with # or ;");
    const ini_line key{number, section, std::string(trimmed(line.substr(0, equals)))};
    if (!in_section)
      return refusal(places.line(number),
                     "the key stands before the first section; put a line such as [daemon] "
                     "above it");
    lines.push_back(key);
  }
  return lines;
}

std::string allowed_sections() {
  std::vector<std::string> sections;
  std::string text;
  for (const auto& row : option_rows()) {
    if (row.section.empty() || std::find(sections.begin(), sections.end(), row.section) != sections.end())
      continue;
    sections.push_back(row.section);
    text += "[" + row.section + "], ";
  }
  return text + "[channel.NAME]";
}

/// Empty when there is no such section.
std::string allowed_keys(const std::string& section) {
  std::string text;
  for (const auto& row : option_rows())
    if ((row.places & in_ini) != 0 && row.section == section)
      text += (text.empty() ? "" : ", ") + row.key;
  return text;
}

/// The channel's name, or nothing for a section of another kind.
std::optional<std::string> channel_of(const std::string& section) {
  if (section.compare(0, channel_prefix.size(), channel_prefix) != 0)
    return std::nullopt;
  return section.substr(channel_prefix.size());
}

/// The line of every key, by section and key.
using key_lines = std::map<std::pair<std::string, std::string>, size_t>;

/// Every section known, every channel's name valid, no key twice.
result<key_lines> check_structure(const std::vector<ini_line>& lines, const place_namer& places) {
  key_lines first_lines;
  for (const auto& line : lines) {
    if (!line.key.empty()) {
      const auto [earlier, fresh] = first_lines.emplace(std::pair(line.section, line.key), line.number);
      if (!fresh)
        return refusal(places.of(line), "the key stands in line " + std::to_string(earlier->second) +
                                            " already; give each key once");
      continue;
    }
    if (const auto channel = channel_of(line.section)) {
      if (!is_valid_name(*channel))
        return refusal(places.of(line),
                       "not a channel name; give [channel.NAME] with 1 to 128 of A-Z a-z 0-9 . _ : -");
    } else if (allowed_keys(line.section).empty()) {
      return refusal(places.of(line), "there is no such section; allowed are " + allowed_sections());
    }
  }
  return first_lines;
}

/// Reads `value` by `parse` into `into`; where it is refused, the place and the value stand before the
/// reason.
template <class T, class Parse>
result<void> read_value(const std::string& place, const std::string& value, Parse parse,
                        std::optional<T>& into) {
  auto parsed = parse(value);
  if (!parsed)
    return refusal(place, quote_for_message(value) + " is not accepted; " + parsed.failure().message);
  into = *parsed;
  return {};
}

result<void> read_channel_key(const ini_line& line, const std::string& value, const place_namer& places,
                              channel_settings& into) {
  const std::string place = places.of(line);
  if (line.key == "worker") {
    const auto worker = parse_worker(value);
    if (!worker)
      return refusal(place, quote_for_message(value) + " is not accepted; " + worker.failure().message +
                                "; 0 follows concurrent in this file");
    if (*worker != 0)
      into.worker = *worker;
    return {};
  }
  if (line.key == "distinct")
    return read_value(place, value, parse_distinct, into.distinct);
  if (line.key == "weight")
    return read_value(place, value, parse_weight, into.weight);
  if (line.key == "tasks-max")
    return read_value(place, value, parse_tasks_max, into.tasks_max);
  constexpr std::string_view variable_prefix = "env.";
  constexpr std::string_view limits_prefix = "limits.";
  if (line.key.compare(0, variable_prefix.size(), variable_prefix) == 0) {
    // The value may be a secret: it is not shown.
    if (auto set =
            set_task_option(into.defaults, "env", line.key.substr(variable_prefix.size()) + "=" + value);
        !set)
      return refusal(place, set.failure().message);
    return {};
  }
  std::string option = line.key;
  std::replace(option.begin(), option.end(), '-', '_');
  if (!is_task_option(option) && option.compare(0, limits_prefix.size(), limits_prefix) != 0)
    return refusal(place,
                   "there is no such key; allowed in a channel's section are worker, distinct, weight, "
                   "tasks-max and the options of tasks, such as max-attempts, timeout, env.NAME, "
                   "limits.memory");
  if (auto set = set_task_option(into.defaults, option, value); !set)
    return refusal(place, quote_for_message(value) + " is not accepted; " + set.failure().message);
  return {};
}

} // namespace

result<ini_content> parse_ini(const std::string& text, const std::string& path) {
  const place_namer places(path);
  if (text.find('\0') != std::string::npos)
    return refusal(places.line(1), "the file holds a NUL byte; it is not an INI file");
  // Some editors put a byte order mark in front; it is no part of the first line.
  const std::string byte_order_mark = "\xef\xbb\xbf";
  const bool marked = text.compare(0, byte_order_mark.size(), byte_order_mark) == 0;
  const std::string body = marked ? text.substr(byte_order_mark.size()) : text;

  const auto lines = scan_lines(body, places);
  if (!lines)
    return lines.failure();
  const auto numbers = check_structure(*lines, places);
  if (!numbers)
    return numbers.failure();

  boost::property_tree::ptree tree;
  try {
    std::istringstream stream(body);
    stream.imbue(std::locale::classic());
    boost::property_tree::ini_parser::read_ini(stream, tree);
  } catch (const boost::property_tree::ini_parser_error& failure) {
    return refusal(places.line(failure.line()), failure.message());
  }

  ini_content content;
  // A section without keys still names its channel.
  for (const auto& line : *lines)
    if (const auto channel = channel_of(line.section))
      content.channels.emplace(*channel, channel_settings{});
  // Children are walked one by one: a path such as "channel.a.b" would be split at its dots.
  for (const auto& [section, keys] : tree) {
    const auto channel = channel_of(section);
    for (const auto& [key, node] : keys) {
      const auto number = numbers->find({section, key});
      const ini_line line{number == numbers->end() ? 0 : number->second, section, key};
      if (channel) {
        if (auto ok = read_channel_key(line, node.data(), places, content.channels[*channel]); !ok)
          return ok.failure();
        continue;
      }
      const option_row* row = find_option(section, key);
      if (row == nullptr)
        return refusal(places.of(line),
                       "there is no such key; allowed in [" + section + "] are " + allowed_keys(section));
      content.values.push_back({row, node.data(), places.of(line)});
    }
  }
  return content;
}

} // namespace task_runner
