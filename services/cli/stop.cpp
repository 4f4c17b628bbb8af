// `stop`: tells the daemon to end, says what it waits for, and waits for its end where that is wanted.
#include "services/cli/follow.hpp"
#include "services/cli/interrupt.hpp"
#include "services/cli/verb_call.hpp"

#include <string>

namespace task_runner::cli {

namespace {

/// The daemon as it was before it was told.
struct daemon_before {
  /// Tells it from the one that is started after it.
  std::string started_at;
  int64_t running = 0;
  /// Whether it said how many commands run.
  bool is_known = false;
};

daemon_before look_at_daemon(daemon_api& daemon) {
  daemon_before before;
  const auto reply = daemon.get("/status?limit=1");
  if (!reply.is_ok())
    return before; // it is starting or ending, and can be told all the same
  before.started_at = reply.envelope["daemon"]["started_at"].text();
  for (const auto& channel : reply.data().members())
    before.running += channel.value["running"].whole();
  before.is_known = true;
  return before;
}

std::string stop_sentence(const daemon_before& before, bool now) {
  if (before.is_known && before.running == 0)
    return "the daemon ends; nothing runs";
  const bool is_one = before.is_known && before.running == 1;
  const auto commands = (before.is_known ? std::to_string(before.running) + " " : std::string()) +
                        "running " + (is_one ? "command" : "commands");
  if (now)
    return "the daemon ends; its " + commands + (is_one ? " gets" : " get") +
           " TERM, and after the grace KILL";
  return "the daemon ends when its " + commands + (is_one ? " has" : " have") +
         " ended; nothing new is started";
}

/// Whether it has ended: nobody answers, or a daemon that was started later.
bool has_ended(daemon_api& daemon, const daemon_before& before) {
  const auto reply = daemon.get("/api/v1/daemon");
  if (reply.status == 0)
    return !reply.is_late;
  const auto& started_at = reply.data()["started_at"].text();
  return reply.is_ok() && !before.started_at.empty() && started_at != before.started_at;
}

} // namespace

int run_stop(verb_call& call) {
  const bool now = call.given.is_set("now");
  const auto before = look_at_daemon(call.api());
  const auto reply = call.api().post("/api/v1/stop", now ? R"({"now":true})" : R"({"now":false})");
  if (!reply.is_ok())
    return call.fail(reply);
  call.terminal.line(call.wants_json() ? reply.data().dump() : stop_sentence(before, now));
  call.terminal.flush();
  if (!call.given.is_set("wait"))
    return exit_done;
  note_interrupts();
  look_pause pause;
  while (!has_ended(call.api(), before)) {
    if (is_interrupted()) {
      call.terminal.complain("not waiting any more; the daemon goes on ending");
      return exit_interrupted;
    }
    pause.wait();
  }
  return exit_done;
}

} // namespace task_runner::cli
