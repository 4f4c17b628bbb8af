// Judges how the members of a task definition go together.
// The same rules hold for whatever form they came in.
#include "services/wire/push_members.hpp"

#include "services/domain/names.hpp"

#include <utility>

namespace task_runner {

namespace {

/// The words with a space between, for people to read; not longer than a task's name may be.
std::string join_words(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) {
    if (!text.empty())
      text += ' ';
    text += word;
    if (text.size() > command_length_max)
      break;
  }
  if (text.size() > command_length_max) {
    size_t end = command_length_max;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80)
      --end; // never cut within a character
    text.resize(end);
  }
  return text;
}

error wrong(std::string message) {
  return error{error_code::invalid_argument, std::move(message)};
}

result<task_command> assemble_command(push_members& members) {
  task_command command;
  if (members.command_is_object) {
    if (members.args)
      return wrong("\"args\" stands both beside \"command\" and within it; give it once");
    if (!members.command_name)
      return wrong("the member \"command.name\" is missing; give the program to run");
    command.argv.push_back(std::move(*members.command_name));
    if (members.command_args)
      for (auto& word : *members.command_args)
        command.argv.push_back(std::move(word));
  } else if (members.args) {
    if (!members.command)
      return wrong("\"args\" is given without \"command\"; give the program to run in \"command\"");
    command.argv.push_back(std::move(*members.command));
    for (auto& word : *members.args)
      command.argv.push_back(std::move(word));
  } else if (members.command) {
    if (members.command->empty())
      return wrong("the member \"command\" is empty; give the command line, or leave it out");
    command.line = std::move(*members.command);
  }
  return command;
}

} // namespace

result<push_item> assemble_push(push_members&& members) {
  push_item item;
  if (members.chan && members.channel && *members.chan != *members.channel)
    return wrong("\"chan\" and \"channel\" name different channels; give one of them");
  if (members.delay_s && members.execute_at_ms)
    return wrong("\"delay\" and \"execute_at\" are both given; give one of them");
  auto command = assemble_command(members);
  if (!command)
    return command.failure();
  item.command = std::move(*command);
  item.id = std::move(members.id).value_or(std::string());
  item.channel = std::move(members.chan ? members.chan : members.channel).value_or(std::string());
  item.name = std::move(members.task).value_or(std::string());
  if (item.name.empty())
    item.name = item.command.argv.empty() ? item.command.line : join_words(item.command.argv);
  item.delay_s = members.delay_s.value_or(0);
  item.not_before_ms = members.execute_at_ms.value_or(0);
  item.distinct_key = std::move(members.distinct_key).value_or(std::string());
  if (!members.options.empty()) // most say nothing, and it is the largest part of an item
    item.options = std::move(members.options);
  return item;
}

} // namespace task_runner
