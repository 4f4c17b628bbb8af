// A small strict reader of words: the launcher is started by its own kind, never by hand, so it knows one
// spelling of each and neither environment nor files.
#include "services/launcher/launcher_arguments.hpp"

#include <charconv>

namespace task_runner::launcher {
namespace {

constexpr int idle_grace_ms_max = 3'600'000;

error refusal(const std::string& what) {
  return {error_code::invalid_argument, what};
}

template <class Number>
result<void> take_number(const std::string& name, const std::string& text, Number max, Number& into) {
  Number value{};
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || end != text.data() + text.size() || value < 0 || value > max)
    return refusal(name + " takes a number from 0 to " + std::to_string(max) + ", not " + text);
  into = value;
  return {};
}

result<void> take(launcher_command& into, const std::string& name, const std::string& value) {
  constexpr int descriptor_max = 1'048'576;
  constexpr uint64_t output_bytes_max = uint64_t{1} << 40U;
  if (name == "--state-dir") {
    if (value.empty())
      return refusal("--state-dir needs a directory");
    into.options.state_dir = value;
    return {};
  }
  if (name == "--containment") {
    if (value != "auto" && value != "cgroup" && value != "tag")
      return refusal("--containment is auto, cgroup or tag, not " + value);
    into.options.containment = value;
    return {};
  }
  if (name == "--idle-grace-ms")
    return take_number(name, value, idle_grace_ms_max, into.options.idle_grace_ms);
  if (name == "--head-bytes")
    return take_number(name, value, output_bytes_max, into.options.output.head_bytes);
  if (name == "--tail-bytes")
    return take_number(name, value, output_bytes_max, into.options.output.tail_bytes);
  if (name == "--command-descriptors")
    return take_number(name, value, uint64_t{1} << 32U, into.options.command_descriptors);
  if (name == "--resume")
    return take_number(name, value, descriptor_max, into.resume);
  if (name == "--fallback")
    return take_number(name, value, descriptor_max, into.fallback);
  if (name == "--check-handover")
    return take_number(name, value, descriptor_max, into.check);
  return refusal("unknown word " + name + " behind --launcher");
}

} // namespace

result<launcher_command> parse_launcher_words(const std::vector<std::string>& words) {
  if (words.empty() || words.front() != "--launcher")
    return refusal("--launcher is missing");
  launcher_command command;
  for (size_t i = 1; i < words.size(); i += 2) {
    if (i + 1 == words.size())
      return refusal("the value behind " + words[i] + " is missing");
    if (const result<void> taken = take(command, words[i], words[i + 1]); !taken)
      return taken.failure();
  }
  if (command.options.state_dir.empty() && command.check < 0)
    return refusal("the state directory is missing; give --launcher --state-dir DIR");
  return command;
}

std::vector<std::string> launcher_words(const launcher_options& options) {
  return {"--launcher",
          "--state-dir",
          options.state_dir,
          "--containment",
          options.containment,
          "--idle-grace-ms",
          std::to_string(options.idle_grace_ms),
          "--head-bytes",
          std::to_string(options.output.head_bytes),
          "--tail-bytes",
          std::to_string(options.output.tail_bytes)};
}

} // namespace task_runner::launcher
