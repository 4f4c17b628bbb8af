// The words of one call taken apart by the table of its verb: flags, words, and the command behind `--`.
// A flag is written as the daemon's are: -name value, -name=value, with one dash or two.
#pragma once

#include "services/cli/verb_table.hpp"
#include "services/domain/result.hpp"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace task_runner::cli {

/// What was given for a verb.
struct arguments {
  /// Values by the flag's name; `true` or `false` for flags without a value.
  std::map<std::string, std::vector<std::string>, std::less<>> flags;
  /// Words that belong to no flag.
  std::vector<std::string> words;
  /// The words behind `--`, exactly.
  std::vector<std::string> command;
  bool has_command = false;

  /// Whether a flag without a value is given, and not as =false.
  bool is_set(std::string_view name) const;
  bool has(std::string_view name) const { return flags.find(name) != flags.end(); }
  /// The flag's (last) value; empty when it is not given.
  std::string text(std::string_view name) const;
  /// All values of a flag that may be repeated.
  std::vector<std::string> texts(std::string_view name) const;
};

/// How many of the first words are flags that every verb has, and their values; --help is none of them here.
size_t leading_flags(const std::vector<std::string>& words);

/// Takes words apart. `invalid_argument` with one line for an unknown or repeated flag, a missing value, and
/// too many or too few words; not where --help is among them.
result<arguments> parse_arguments_of(const verb_row& verb, const std::vector<std::string>& words);

} // namespace task_runner::cli
