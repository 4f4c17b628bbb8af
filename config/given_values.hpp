// What the command line and the environment give, as unchecked values with their places.
// Syntax ends here: which flags exist, how they are spelled, what may be repeated.
#pragma once

#include "config/option_table.hpp"
#include "services/domain/result.hpp"

#include <map>
#include <string>
#include <vector>

namespace task_runner {

/// Splits a command line into flags and values. `-name value`, `-name=value` and the same with two dashes; a
/// boolean takes a value behind `=` only; `-h` is `-help`; `--` may end the flags. A stray word, an unknown
/// flag and a repeated one (but for lists, whose values are joined) are errors.
result<std::vector<given_value>> parse_arguments(const std::vector<std::string>& arguments);

/// Picks the TASK_RUNNER_ variables that name an option. An empty one counts as not set. Variables with the
/// prefix that mean nothing get a warning, except those that the daemon sets for commands.
std::vector<given_value> parse_environment(const std::map<std::string, std::string>& environment,
                                           std::vector<std::string>& warnings);

/// Renames deprecated options to their successors within one source, with a warning each; where both are
/// given, the new name wins.
std::vector<given_value> resolve_aliases(std::vector<given_value> given, std::vector<std::string>& warnings);

} // namespace task_runner
