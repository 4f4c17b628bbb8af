// Settings as text for people: the help of the flags, and the settings in force in INI form.
// Both are made of the option table, so neither can fall behind it.
#include "config/load.hpp"
#include "config/option_table.hpp"
#include "services/wire/task_options_json.hpp"

#include <algorithm>
#include <string_view>
#include <vector>

namespace task_runner {

namespace {

/// Appends words to lines of at most 100 columns, each indented.
void append_wrapped(std::string& into, std::string_view text) {
  constexpr size_t columns_max = 100;
  constexpr std::string_view indent = "      ";
  size_t column = 0;
  while (!text.empty()) {
    const size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (column == 0 || column + 1 + word.size() > columns_max) {
      into += column == 0 ? "" : "\n";
      into += indent;
      column = indent.size();
    } else {
      into += ' ';
      ++column;
    }
    into += word;
    column += word.size();
  }
  into += '\n';
}

std::string default_of(const option_row& row) {
  static const settings defaults;
  const std::string text = row.show != nullptr ? row.show(defaults) : "";
  return text.empty() ? "" : " (default " + text + ")";
}

void append_flag(std::string& into, const option_row& row) {
  into += "  -" + row.name + (row.placeholder.empty() ? "" : " " + row.placeholder) + "\n";
  append_wrapped(into, row.help + default_of(row));
}

/// An option's name as INI files have it; names of variables stay as they are.
std::string ini_key(std::string name) {
  if (name.compare(0, 4, "env.") != 0)
    std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

constexpr std::string_view help_head = R"(usage: task-runner [flags]
       task-runner VERB ...  the command line of a running daemon; task-runner help lists the verbs

Runs the commands that are handed to it over HTTP and through Redis, each in its channel.

A flag is written -name value or -name=value, with one dash or two; a flag without a value below
is true when it stands alone, and also takes =true or =false. Every flag that is not about one call
has an environment variable, TASK_RUNNER_ and its name in capitals with _ for -, and a key in the
INI file that -config names. Flags win over the environment, it over the INI file, that over the
defaults. A duration is a number of seconds or has a unit (500ms, 10s, 5m, 2h, 1d); a size is in
bytes or has k, M or G. Lists are separated by commas.
)";

struct help_section {
  std::string_view title;
  /// Of the INI file; empty for flags that have no key there.
  std::string_view section;
};

constexpr help_section help_sections[] = {{"The daemon, [daemon] in the INI file:", "daemon"},
                                          {"What is kept of ended tasks, [retention]:", "retention"},
                                          {"Output of commands, [output]:", "output"},
                                          {"Redis, [redis]:", "redis"},
                                          {"HTTP, [http]:", "http"},
                                          {"The log, [log]:", "log"},
                                          {"This call:", ""}};

} // namespace

std::string help_text() {
  std::string text(help_head);
  for (const auto& part : help_sections) {
    text += "\n" + std::string(part.title) + "\n";
    for (const auto& row : option_rows())
      if (row.section == part.section && (row.places & in_flags) != 0)
        append_flag(text, row);
  }
  text += "\nChannels have sections of their own in the INI file, [channel.NAME], with the keys worker\n"
          "(1 to 1024; 0 here follows concurrent, while in task-runner channel set and /api/v1/channels\n"
          "0 runs nothing), distinct (true, false or while-pending), weight, tasks-max, and every option\n"
          "of tasks, such as max-attempts, timeout or env.NAME, as the default of the channel's tasks;\n"
          "config/task-runner.ini lists them.\n";
  return text;
}

std::string describe_settings(const settings& values) {
  std::string text;
  std::string section;
  for (const auto& row : option_rows()) {
    if ((row.places & in_ini) == 0)
      continue;
    if (row.section != section) {
      section = row.section;
      text += (text.empty() ? "[" : "\n[") + section + "]\n";
    }
    if (row.secret)
      text += "# " + row.key + (row.show(values).empty() ? " is not set\n" : " is set (***)\n");
    else if (const std::string shown = row.show(values); !shown.empty())
      text += row.key + " = " + shown + "\n";
    else
      text += "# " + row.key + " is not set\n";
  }
  for (const auto& [name, channel] : values.channels) {
    text += "\n[channel." + name + "]\n";
    text += channel.worker ? "worker = " + std::to_string(*channel.worker) + "\n"
                           : "# worker follows concurrent\n";
    text += channel.distinct ? "distinct = " + std::string(to_string(*channel.distinct)) + "\n"
                             : "# distinct is not set\n";
    if (channel.weight)
      text += "weight = " + std::to_string(*channel.weight) + "\n";
    if (channel.tasks_max)
      text += "tasks-max = " + std::to_string(*channel.tasks_max) + "\n";
    for (auto& [option, value] : list_task_options(channel.defaults))
      text += ini_key(option) + " = " + value + "\n";
  }
  return text;
}

} // namespace task_runner
