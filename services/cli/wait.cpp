// `wait`: looks at each task until it has ended.
#include "services/cli/follow.hpp"
#include "services/cli/interrupt.hpp"
#include "services/cli/task_view.hpp"
#include "services/domain/quantities.hpp"

#include <algorithm>

namespace task_runner::cli {

namespace {

using steady = std::chrono::steady_clock;

/// A round of looks has at least so long, so that also a wait of no time learns how the tasks stand.
constexpr std::chrono::milliseconds round_time_min{1'000};

struct awaited {
  std::string id;
  bool is_over = false;
  /// Nobody could be asked about it, and that is not borne with.
  bool is_unreached = false;
  int code = exit_done;
};

/// From here on no call takes longer than until then; false when that has passed.
bool hurry_until(daemon_api& daemon, steady::time_point end) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - steady::now());
  if (left.count() <= 0)
    return false;
  daemon.hurry(std::min(connect_timeout, left), std::min(answer_timeout, left));
  return true;
}

/// Looks at one task; false when nobody can tell how it stands for now.
bool look(verb_call& call, outage& absence, awaited& one, bool tell) {
  const auto reply = call.api().get(task_path(one.id));
  if (!reply.is_ok()) {
    if (absence.bears(reply))
      return false;
    one.is_over = true;
    one.is_unreached = reply.status == 0;
    one.code = call.fail(reply, one.id);
    return true;
  }
  absence.over();
  const auto& task = reply.data();
  if (!is_ended(task["state"].text()))
    return true;
  one.is_over = true;
  one.code = exit_code_of(task);
  if (tell && call.wants_json())
    call.terminal.line(task.dump());
  else if (tell)
    call.terminal.line(task_line(task, call.terminal));
  else if (one.code != exit_done && task["outcome"]["kind"].text() != "exited")
    call.terminal.complain(end_text(task));
  call.terminal.flush();
  return true;
}

} // namespace

int wait_for_tasks(verb_call& call, const std::vector<std::string>& ids, const wait_way& way) {
  note_interrupts();
  const auto began = steady::now();
  outage absence(call.terminal, way.was_there);
  look_pause pause;
  std::vector<awaited> tasks;
  for (const auto& id : ids)
    tasks.push_back({id});
  const auto unended = [&] {
    return std::count_if(tasks.begin(), tasks.end(), [](const awaited& one) { return !one.is_over; });
  };
  for (;;) {
    const auto round_end = steady::now() + round_time_min;
    for (auto& one : tasks) {
      if (one.is_over || is_interrupted())
        continue;
      if (way.timeout && !hurry_until(call.api(), std::max(began + *way.timeout, round_end)))
        break;
      if (!look(call, absence, one, way.tells))
        break;
      if (one.is_unreached)
        return one.code; // nor can the others be asked about
    }
    if (unended() == 0)
      break;
    if (is_interrupted()) {
      call.terminal.complain("not waiting any more; " + std::to_string(unended()) + " of " +
                             std::to_string(tasks.size()) + " tasks go on");
      return exit_interrupted;
    }
    if (way.timeout && steady::now() - began >= *way.timeout) {
      call.terminal.complain(std::to_string(unended()) + " of " + std::to_string(tasks.size()) +
                             " tasks have not ended in time, and go on");
      return exit_timed_out;
    }
    pause.wait();
  }
  const auto failed =
      std::find_if(tasks.begin(), tasks.end(), [](const awaited& one) { return one.code != exit_done; });
  return failed == tasks.end() ? exit_done : failed->code;
}

int run_wait(verb_call& call) {
  wait_way way;
  way.tells = true;
  if (call.given.has("timeout")) {
    const auto given_ms = parse_duration_ms(call.given.text("timeout"));
    if (!given_ms)
      return call.misuse("--timeout: " + given_ms.failure().message);
    way.timeout = std::chrono::milliseconds(*given_ms);
  }
  return wait_for_tasks(call, call.given.words, way);
}

} // namespace task_runner::cli
