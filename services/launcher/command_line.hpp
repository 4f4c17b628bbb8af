// Decides how a command is executed: directly, when a shell would do nothing but execute it, or by /bin/sh.
// The result, exit code 127 and its message included, is in either case what /bin/sh -c would have given.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace task_runner::launcher {

// One thing direct execution tells better: a command that a signal ends is `signalled`, where a shell in
// between would have printed the signal's name and exited with 128 plus its number (which is what clients
// exit with).

/// What the child executes.
struct command_plan {
  /// Paths tried in order, as execvp does; may be empty when `shell_line` is set.
  std::vector<std::string> programs;
  /// The argument vector for `programs`; its first word is the name as it was given.
  std::vector<std::string> words;
  /// Executed as `/bin/sh -c LINE` when no program could be; unset for an explicit argv.
  std::optional<std::string> shell_line;
};

/// The words of a line that a shell would pass on unchanged: each one of `[A-Za-z0-9_@%+,./:=-]+`, separated
/// by blanks (space, tab), the first without `=`, neither reserved nor a builtin. Nothing otherwise. Pure.
std::optional<std::vector<std::string>> split_plain(std::string_view line);

/// Whether a shell keeps this word for itself: a reserved word or a builtin of dash, bash, busybox or ksh.
/// Pure.
bool is_shell_word(std::string_view word) noexcept;

/// The executable that `name` stands for, searched in `search_path` (the value of PATH): the first file of
/// that name, provided that it is a regular one that is marked as executable. Nothing when a shell has to
/// sort it out. Reads the file system.
std::optional<std::string> find_program(const std::string& name, std::string_view search_path);

/// How to execute a command line. Where a program that it names cannot be executed after all, the child goes
/// on with the shell, so that nothing but a search in PATH looks at the file system. `search_path` unset
/// means that the environment has no PATH. `moves`: the command enters another directory first, so that names
/// relative to ours mean nothing.
command_plan plan_line(const std::string& line, const std::optional<std::string>& search_path,
                       bool moves = false);

/// How to execute an explicit argv (not empty): never parsed, searched as execvp does.
command_plan plan_argv(const std::vector<std::string>& argv, const std::optional<std::string>& search_path);

/// Whether all programs of a plan are named from the root of the file system.
bool is_absolute(const command_plan& plan) noexcept;

} // namespace task_runner::launcher
