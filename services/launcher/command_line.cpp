// The decision between direct execution and the shell.
// Whenever in doubt it is the shell: that costs half a millisecond, a wrong guess would cost the result.
#include "services/launcher/command_line.hpp"

#include <algorithm>
#include <array>
#include <sys/stat.h>

namespace task_runner::launcher {
namespace {

/// What execvp searches when there is no PATH.
constexpr std::string_view default_search_path = "/bin:/usr/bin";

/// Reserved words and builtins of dash, bash, busybox ash and ksh, in byte order for the binary search. A
/// word too many costs a shell, a word too few a wrong result.
constexpr std::array<std::string_view, 97> shell_words{
    "!",        ".",       ":",        "[",       "[[",      "]]",        "alias",     "autoload",  "bg",
    "bind",     "break",   "builtin",  "caller",  "case",    "cd",        "chdir",     "command",   "compgen",
    "complete", "compopt", "continue", "coproc",  "declare", "dirs",      "disown",    "do",        "done",
    "echo",     "elif",    "else",     "enable",  "esac",    "eval",      "exec",      "exit",      "export",
    "false",    "fc",      "fg",       "fi",      "float",   "for",       "function",  "functions", "getopts",
    "global",   "hash",    "hist",     "history", "if",      "in",        "integer",   "jobid",     "jobs",
    "kill",     "let",     "local",    "logout",  "mapfile", "nameref",   "namespace", "newgrp",    "popd",
    "print",    "printf",  "pushd",    "pwd",     "read",    "readarray", "readonly",  "repeat",    "return",
    "select",   "set",     "shift",    "shopt",   "source",  "stop",      "suspend",   "test",      "then",
    "time",     "times",   "trap",     "true",    "type",    "typeset",   "ulimit",    "umask",     "unalias",
    "unset",    "until",   "wait",     "whence",  "while",   "{",         "}"};

constexpr bool is_blank(char c) noexcept {
  return c == ' ' || c == '\t';
}

constexpr bool is_plain(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '@' ||
         c == '%' || c == '+' || c == ',' || c == '.' || c == '/' || c == ':' || c == '=' || c == '-';
}

/// Calls `visit(directory)` for each entry of a PATH until it returns true; an empty entry is the working
/// directory.
template <class Visitor>
void each_directory(std::string_view search_path, Visitor visit) {
  size_t begin = 0;
  for (;;) {
    const size_t colon = std::min(search_path.find(':', begin), search_path.size());
    const std::string_view entry = search_path.substr(begin, colon - begin);
    if (visit(entry.empty() ? std::string_view(".") : entry) || colon == search_path.size())
      return;
    begin = colon + 1;
  }
}

bool is_executable_file(const struct stat& facts) noexcept {
  // Whether we may execute it is left to execve: where it says no, the child goes on with the shell.
  return S_ISREG(facts.st_mode) && (facts.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)) != 0;
}

} // namespace

bool is_shell_word(std::string_view word) noexcept {
  return std::binary_search(shell_words.begin(), shell_words.end(), word);
}

std::optional<std::vector<std::string>> split_plain(std::string_view line) {
  std::vector<std::string> words;
  size_t at = 0;
  while (at < line.size()) {
    if (is_blank(line[at])) {
      ++at;
      continue;
    }
    const size_t begin = at;
    while (at < line.size() && is_plain(line[at]))
      ++at;
    if (at < line.size() && !is_blank(line[at]))
      return std::nullopt;
    words.emplace_back(line.substr(begin, at - begin));
  }
  if (words.empty() || words.front().find('=') != std::string::npos || is_shell_word(words.front()))
    return std::nullopt;
  return words;
}

std::optional<std::string> find_program(const std::string& name, std::string_view search_path) {
  struct stat facts {};
  if (name.find('/') != std::string::npos) {
    if (::stat(name.c_str(), &facts) == 0 && is_executable_file(facts))
      return name;
    return std::nullopt;
  }
  // dash reads `%builtin` and `%func` in PATH as instructions.
  if (search_path.find('%') != std::string_view::npos)
    return std::nullopt;
  std::optional<std::string> found;
  each_directory(search_path, [&](std::string_view directory) {
    std::string path(directory);
    path += '/';
    path += name;
    if (::stat(path.c_str(), &facts) != 0)
      return false;
    // Something of that name which cannot be executed: shells differ in what they do next, so let the shell.
    if (is_executable_file(facts))
      found = std::move(path);
    return true;
  });
  return found;
}

command_plan plan_line(const std::string& line, const std::optional<std::string>& search_path, bool moves) {
  command_plan plan;
  plan.shell_line = line;
  // Without PATH each shell has a default of its own.
  if (!search_path)
    return plan;
  std::optional<std::vector<std::string>> words = split_plain(line);
  if (!words)
    return plan;
  // A path needs no look: what cannot be executed leads the child to the shell all the same.
  const std::string& name = words->front();
  std::optional<std::string> program = name.find('/') != std::string::npos ? std::optional<std::string>(name)
                                                                           : find_program(name, *search_path);
  if (program && (!moves || program->front() == '/')) {
    plan.programs.push_back(std::move(*program));
    plan.words = std::move(*words);
  }
  return plan;
}

command_plan plan_argv(const std::vector<std::string>& argv, const std::optional<std::string>& search_path) {
  command_plan plan;
  plan.words = argv;
  const std::string& name = argv.front();
  if (name.empty() || name.find('/') != std::string::npos) {
    plan.programs.push_back(name);
    return plan;
  }
  each_directory(search_path ? std::string_view(*search_path) : default_search_path,
                 [&](std::string_view directory) {
                   plan.programs.push_back(std::string(directory) + "/" + name);
                   return false;
                 });
  return plan;
}

bool is_absolute(const command_plan& plan) noexcept {
  return std::all_of(plan.programs.begin(), plan.programs.end(),
                     [](const std::string& program) { return !program.empty() && program.front() == '/'; });
}

} // namespace task_runner::launcher
