// Help as text, for a terminal of 100 columns.
#include "services/cli/help.hpp"

#include "services/cli/console.hpp"
#include "services/cli/verb_call.hpp"

#include <algorithm>

namespace task_runner::cli {

namespace {

constexpr size_t help_columns = 100;
constexpr size_t summary_column = 16;

constexpr std::string_view exit_codes_line = "Exit codes: 0 done; 1 refused, or a task did not succeed; 2 "
                                             "wrong use; 3 the daemon cannot be reached; 4 no such "
                                             "task or channel. follow, wait, push --follow and push --wait "
                                             "end as the command did: its own code, 128+n for signal "
                                             "n, 124 when it ran out of time.";

void append_flags(std::string& text, const flag_rows& flags) {
  for (const auto& flag : flags) {
    text += "  ";
    if (!flag.letter.empty())
      text += "-" + std::string(flag.letter) + ", ";
    text += "--" + std::string(flag.name);
    if (!flag.placeholder.empty())
      text += " " + std::string(flag.placeholder);
    text += flag.may_repeat ? " (may be repeated)\n" : "\n";
    append_wrapped(text, flag.help, 6, help_columns);
  }
}

void append_verb_line(std::string& text, const verb_row& verb) {
  text += "  " + padded(verb.name, summary_column - 2) + " " + std::string(verb.summary) + "\n";
}

} // namespace

void append_wrapped(std::string& into, std::string_view text, size_t indent, size_t columns) {
  size_t column = 0;
  while (!text.empty()) {
    const auto end = std::min(text.find(' '), text.size());
    const auto word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (column == 0 || column + 1 + width_of(word) > columns) {
      into += column == 0 ? "" : "\n";
      into.append(indent, ' ');
      column = indent;
    } else {
      into += ' ';
      ++column;
    }
    into += word;
    column += width_of(word);
  }
  into += '\n';
}

std::string verb_help(const verb_row& verb) {
  std::string text = "usage: task-runner " + std::string(verb.name);
  text += verb.synopsis.empty() ? "\n\n" : " " + std::string(verb.synopsis) + "\n\n";
  std::string summary(verb.summary);
  if (!summary.empty() && summary.front() >= 'a' && summary.front() <= 'z')
    summary.front() = static_cast<char>(summary.front() - 'a' + 'A');
  append_wrapped(text, summary + ".", 0, help_columns);
  auto rest = verb.text;
  while (!rest.empty()) {
    const auto end = std::min(rest.find("\n\n"), rest.size());
    text += '\n';
    append_wrapped(text, rest.substr(0, end), 0, help_columns);
    rest.remove_prefix(std::min(end + 2, rest.size()));
  }
  text += '\n';
  if (verb.own_flags.count != 0) {
    append_flags(text, verb.own_flags);
    text += "\nWith every verb:\n";
  }
  append_flags(text, common_flags());
  return text;
}

std::string verbs_help(std::string_view first) {
  std::string text;
  if (first.empty())
    text = "usage: task-runner VERB [flags] [words]\n"
           "       task-runner [flags of the daemon]     see task-runner -help\n\n"
           "Speaks to a running daemon.\n\n";
  for (const auto& verb : verbs())
    if (!verb.is_hidden && (first.empty() || verb.name.substr(0, verb.name.find(' ')) == first))
      append_verb_line(text, verb);
  if (!first.empty())
    return text;
  text += "\nWith every verb:\n";
  append_flags(text, common_flags());
  text += '\n';
  append_wrapped(text, exit_codes_line, 0, help_columns);
  text += "\ntask-runner VERB --help explains a verb.\n";
  return text;
}

int run_help(verb_call& call) {
  const auto& words = call.given.words;
  if (words.empty()) {
    call.terminal.write(verbs_help({}));
    return exit_done;
  }
  const auto name = words.size() == 1 ? words[0] : words[0] + " " + words[1];
  if (const auto* verb = find_verb(name); verb != nullptr && !verb->is_hidden) {
    call.terminal.write(verb_help(*verb));
    return exit_done;
  }
  const auto group = words.size() == 1 ? verbs_help(words[0]) : std::string();
  if (group.empty()) {
    call.terminal.complain(unknown_verb_message(name));
    return exit_misuse;
  }
  call.terminal.write(group);
  return exit_done;
}

} // namespace task_runner::cli
