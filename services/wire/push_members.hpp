// The members of a task definition as they were given, before their combinations are judged.
// Between the reading of a form (JSON today) and the push_item that it means.
#pragma once

#include "services/domain/push.hpp"

#include <optional>
#include <string>
#include <vector>

namespace task_runner {

/// What the members said, before their combinations are judged. Unset means absent or null.
struct push_members {
  std::optional<std::string> task;
  std::optional<std::string> chan;
  std::optional<std::string> channel;
  std::optional<std::string> id;
  std::optional<std::string> command;
  /// The program name of `command` as an object.
  std::optional<std::string> command_name;
  std::optional<std::vector<std::string>> command_args;
  bool command_is_object = false;
  std::optional<std::vector<std::string>> args;
  std::optional<double> delay_s;
  std::optional<wall_time_ms> execute_at_ms;
  std::optional<std::string> distinct_key;
  task_options options;
};

/// The push_item that the members mean. `invalid_argument` when they contradict each other: two channels, two
/// moments, arguments without a program or given twice.
result<push_item> assemble_push(push_members&& members);

} // namespace task_runner
