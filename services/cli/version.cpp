// `version`: this program's, and that of the daemon where one answers.
#include "services/cli/verb_call.hpp"
#include "services/wire/json_text.hpp"

namespace task_runner::cli {

namespace {

/// The daemon's version; empty where none answers.
std::string daemon_version(const verb_call& call) {
  const auto place = call.find_daemon();
  if (!place)
    return {};
  daemon_api daemon(*place);
  http_call what;
  what.target = "/status?limit=1";
  what.answer_within = connect_timeout;
  return daemon.call(what).envelope["daemon"]["version"].text();
}

} // namespace

int run_version(verb_call& call) {
  const auto version = daemon_version(call);
  if (call.wants_json()) {
    std::string text;
    json_writer json(text);
    json.begin_object().member("version", TASK_RUNNER_VERSION).key("daemon");
    if (version.empty())
      json.null();
    else
      json.value(version);
    json.end_object();
    call.terminal.line(text);
    return exit_done;
  }
  call.terminal.line("task-runner " TASK_RUNNER_VERSION);
  call.terminal.line(version.empty() ? "daemon: none answers" : "daemon " + printable(version));
  return exit_done;
}

} // namespace task_runner::cli
