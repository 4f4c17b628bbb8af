// The manual page. It is printed by the binary, so that it always describes that binary.
#include "services/cli/help.hpp"
#include "services/cli/verb_call.hpp"

#include <algorithm>

namespace task_runner::cli {

namespace {

/// Text as roff takes it: nothing of it is a request or an escape.
std::string roff(std::string_view text) {
  std::string escaped;
  for (const char one : text) {
    if (one == '\\')
      escaped += "\\e";
    else if (one == '-')
      escaped += "\\-";
    else
      escaped += one;
  }
  if (!escaped.empty() && (escaped.front() == '.' || escaped.front() == '\''))
    escaped.insert(0, "\\&");
  return escaped;
}

void append_paragraphs(std::string& page, std::string_view text) {
  while (!text.empty()) {
    const auto end = std::min(text.find("\n\n"), text.size());
    page += ".PP\n" + roff(text.substr(0, end)) + "\n";
    text.remove_prefix(std::min(end + 2, text.size()));
  }
}

void append_entry(std::string& page, const std::string& head, std::string_view text) {
  page += ".TP\n" + head + "\n" + roff(text) + "\n";
}

void append_flags(std::string& page, const flag_rows& flags) {
  for (const auto& flag : flags) {
    std::string head = ".B ";
    if (!flag.letter.empty())
      head += "\\-" + roff(flag.letter) + ", ";
    head += "\\-\\-" + roff(flag.name);
    if (!flag.placeholder.empty())
      head += " " + roff(flag.placeholder);
    append_entry(page, head, flag.help);
  }
}

void append_verb(std::string& page, const verb_row& verb) {
  page += ".SS task-runner " + std::string(verb.name);
  page += verb.synopsis.empty() ? "\n" : " " + roff(verb.synopsis) + "\n";
  std::string summary(verb.summary);
  if (!summary.empty() && summary.front() >= 'a' && summary.front() <= 'z')
    summary.front() = static_cast<char>(summary.front() - 'a' + 'A');
  page += roff(summary) + ".\n";
  append_paragraphs(page, verb.text);
  append_flags(page, verb.own_flags);
}

struct entry {
  std::string_view head;
  std::string_view text;
};

constexpr entry exit_entries[] = {
    {"0", "Done; of a daemon: stopped as it was asked to."},
    {"1", "The daemon refused, or a task did not succeed; of a daemon: something failed while it ran."},
    {"2", "Wrong use: a flag, a value, a file, the environment; of a daemon also an address, a pid file or a "
          "state "
          "directory that is taken."},
    {"3", "The daemon cannot be reached."},
    {"4", "There is no such task or channel."},
    {"other",
     "follow, wait, push --follow and push --wait end with the command's own exit code, 128+n when signal n "
     "ended it, 124 when it ran out of time. Ctrl-C ends them with 130; the task runs on."},
};

constexpr entry environment_entries[] = {
    {"TASK_RUNNER_ADDRESS", "The daemon's address, HOST:PORT, for clients."},
    {"TASK_RUNNER_HTTP_ADDR", "The address that a daemon listens on; clients go by it too."},
    {"TASK_RUNNER_CONFIG", "An INI file with settings of the daemon."},
    {"TASK_RUNNER_TOKEN", "Is sent as a bearer token by clients."},
    {"NO_COLOR", "Set to anything: no colours."},
};

} // namespace

std::string manual_page() {
  std::string page =
      ".\\\" Printed by task-runner manual.\n"
      ".TH TASK-RUNNER 1 \"\" \"task-runner " TASK_RUNNER_VERSION "\" \"User Commands\"\n"
      ".SH NAME\n"
      "task-runner \\- runs commands that are handed to it, each in its channel\n"
      ".SH SYNOPSIS\n"
      ".B task-runner\n"
      "[\\-flag value]\\&...\n"
      ".br\n"
      ".B task-runner\n"
      "VERB [flags] [words]\n"
      ".SH DESCRIPTION\n"
      "Without a verb it is the daemon, which takes commands over HTTP and from Redis lists and runs "
      "them;\n"
      ".B task-runner \\-help\n"
      "lists its flags. With a verb it speaks to a running daemon.\n"
      ".PP\n"
      "At a terminal answers are made for people; otherwise they are plain, and with\n"
      ".B \\-\\-json\n"
      "they are JSON.\n"
      ".SH VERBS\n";
  for (const auto& verb : verbs())
    if (!verb.is_hidden)
      append_verb(page, verb);
  page += ".SH OPTIONS\nWith every verb:\n";
  append_flags(page, common_flags());
  page += ".SH EXIT STATUS\n";
  for (const auto& one : exit_entries)
    append_entry(page, ".B " + std::string(one.head), one.text);
  page += ".SH ENVIRONMENT\n";
  for (const auto& one : environment_entries)
    append_entry(page, ".B " + std::string(one.head), one.text);
  page += ".SH EXAMPLES\n"
          ".nf\n"
          "task\\-runner push \\-\\-follow \\-\\- make \\-C /srv/site\n"
          "task\\-runner push \\-c mail \\-\\-shell 'mailq | wc \\-l'\n"
          "find /srv/in \\-name '*.png' | task\\-runner push \\-\\-stdin\\-list \\-\\- optipng\n"
          "task\\-runner status \\-\\-filter state=dead \\-\\-filter channel=mail\n"
          "task\\-runner retry \\-\\-dead \\-c mail \\-\\-since 1h \\-\\-dry\\-run\n"
          ".fi\n";
  return page;
}

int run_manual(verb_call& call) {
  call.terminal.write(manual_page());
  return exit_done;
}

} // namespace task_runner::cli
