// The rules that hold for every pushed task, whatever source it comes from.
#include "services/domain/push.hpp"

#include "services/domain/names.hpp"

#include <cmath>

namespace task_runner {

namespace {

constexpr double delay_s_max = 10.0 * 366 * 86'400;

result<void> check_command_text(std::string_view what, const std::string& text) {
  if (text.size() > command_length_max)
    return error{error_code::too_large, std::string(what) + " has " + std::to_string(text.size()) +
                                            " bytes; Linux runs at most " +
                                            std::to_string(command_length_max) + ". Put the data in a file."};
  return check_text(what, text);
}

bool is_blank(const std::string& text) {
  return text.find_first_not_of(" \t\r\n\v\f") == std::string::npos;
}

} // namespace

result<void> check_push(const push_item& item) {
  if (is_blank(item.name) && is_blank(item.command.line) && item.command.argv.empty())
    return error{error_code::invalid_argument,
                 "the task is empty; give the command to run in \"task\", for example task=date"};
  if (!item.command.line.empty() && is_blank(item.command.line))
    return error{error_code::invalid_argument, "the command is blank; give the command to run"};
  if (!item.command.argv.empty() && item.command.argv.front().empty())
    return error{error_code::invalid_argument,
                 "the command's program name is empty; give the program to run"};
  if (item.command.argv.size() > argument_count_max)
    return error{error_code::too_large, "the command has " + std::to_string(item.command.argv.size()) +
                                            " arguments; at most " + std::to_string(argument_count_max) +
                                            " are accepted"};
  size_t argument_bytes = 0;
  for (const auto& argument : item.command.argv)
    argument_bytes += argument.size() + 1;
  if (argument_bytes > argument_bytes_max)
    return error{error_code::too_large, "the arguments have " + std::to_string(argument_bytes) +
                                            " bytes together; at most " + std::to_string(argument_bytes_max) +
                                            " are accepted"};
  if (auto ok = check_command_text("the task", item.name); !ok)
    return ok;
  if (auto ok = check_command_text("the command", item.command.line); !ok)
    return ok;
  for (const auto& argument : item.command.argv)
    if (auto ok = check_command_text("an argument", argument); !ok)
      return ok;
  if (!item.id.empty() && !is_valid_name(item.id))
    return error{error_code::invalid_argument,
                 "the id is not valid; use 1 to 128 of A-Z a-z 0-9 . _ : -, or leave it out"};
  if (!item.channel.empty() && !is_valid_name(item.channel))
    return error{error_code::invalid_argument,
                 "the channel name is not valid; use 1 to 128 of A-Z a-z 0-9 . _ : -"};
  if (!std::isfinite(item.delay_s) || item.delay_s < 0 || item.delay_s > delay_s_max)
    return error{error_code::out_of_range, "the delay is out of range; give 0 to 316224000 seconds"};
  if (item.not_before_ms < 0 || item.not_before_ms > 253'402'300'799'999)
    return error{error_code::out_of_range, "the moment to execute at is out of range; give Unix seconds"};
  if (item.distinct_key.size() > key_length_max)
    return error{error_code::too_large, "distinct_key has " + std::to_string(item.distinct_key.size()) +
                                            " bytes; at most " + std::to_string(key_length_max) +
                                            " are accepted"};
  if (auto ok = check_text("distinct_key", item.distinct_key); !ok)
    return ok;
  if (auto ok = check_task_options(item.options); !ok)
    return ok;
  return {};
}

void identify(push_item& item, const push_identity& as, uint32_t position) {
  if (item.id.empty())
    item.id = make_sibling_id(as.task_id, position);
  item.origin = push_origin{as.batch, position};
}

} // namespace task_runner
