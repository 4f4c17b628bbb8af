// What is to be pushed, as the flags of `push` say it, and as the JSON that the daemon takes.
#pragma once

#include "services/cli/arguments.hpp"
#include "services/domain/result.hpp"
#include "services/domain/task_options.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace task_runner::cli {

/// All that the tasks of one push have in common: everything but id and command.
struct push_body {
  std::string channel;
  std::string name;
  std::string distinct_key;
  std::optional<int64_t> delay_ms;
  /// RFC 3339, or Unix seconds.
  std::string execute_at;
  task_options options;
};

/// The flags of `push` that are options of a task with one value, or with several: those of the table that
/// all ways in share, `_` written as `-`. REQUIRES: the verb is in the table of verbs.
std::vector<std::string> option_flags();

/// Reads the flags; `invalid_argument`, `out_of_range` or `too_large` with one line that names the flag.
result<push_body> read_push_body(const arguments& given);

/// A task whose command is a line that a shell reads.
std::string push_json_of_line(const push_body& body, std::string_view id, std::string_view line);

/// A task whose command is a program and its arguments, taken exactly.
std::string push_json_of_words(const push_body& body, std::string_view id,
                               const std::vector<std::string>& words);

} // namespace task_runner::cli
