// The wall clock is set by a day, either way, under the running daemon or while it is down. Delays last as
// long as they were to last, moments come when the clock says so, and nothing is lost, hangs or runs too
// early.
#include "test/e2e/api_support.hpp"
#include "test/e2e/faults_support.hpp"
#include "test/e2e/gate.hpp"
#include "test/e2e/preloaded.hpp"

#include <cmath>
#include <ctime>

using namespace task_runner::test;
using nlohmann::json;
using std::chrono::hours;
using namespace std::string_literals;

namespace {

/// How late something may be on a machine that builds and tests beside it.
constexpr double late_max_s = 20;
/// /proc/uptime is cut to hundredths of a second.
constexpr double early_max_s = 0.05;
/// Shell text that writes the seconds since boot, which nobody can set.
constexpr const char* tell_uptime = "read -r now rest < /proc/uptime; echo $now";

double seconds_since_boot() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

/// Seconds since the epoch of a time in an answer.
double seconds_of(const json& time) {
  std::tm parts{};
  const auto text = time.get<std::string>();
  const char* const rest = strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  REQUIRE(rest != nullptr);
  return static_cast<double>(timegm(&parts)) + std::stod("0" + std::string(rest));
}

/// Every attempt ends after it starts, and lasts no longer than a test does.
void check_times(const json& task) {
  INFO(task.dump());
  for (const auto& attempt : task.at("attempts")) {
    CHECK(seconds_of(attempt.at("ended_at")) >= seconds_of(attempt.at("started_at")));
    CHECK(attempt.at("duration_s").get<double>() >= 0);
    CHECK(attempt.at("duration_s").get<double>() < 120);
  }
}

/// What wrote its uptime first started so long after `since_s`, and not before `delay_s`.
void check_started_after(const std::string& output, double since_s, double delay_s) {
  const double waited_s = std::stod(output) - since_s;
  CHECK(waited_s > delay_s - early_max_s);
  CHECK(waited_s < delay_s + late_max_s);
}

bool knows_of_step(const test_daemon& runner) {
  return runner.log().find("the clock was set") != std::string::npos;
}

daemon_options options_with(const preloaded& page) {
  daemon_options options;
  options.ini = "[channel.held]\nworker = 1\n";
  page.add_to(options);
  return options;
}

/// Tasks that wait for all kinds of moments, pushed in one go.
struct waiting_tasks {
  double pushed_at_s = seconds_since_boot();
  std::string soon;     // in four seconds
  std::string far;      // in two hours
  std::string half_day; // at a moment in twelve hours
  std::string expiring; // waits for the worker of `held`, for an hour at most
  std::string hurried;  // the same, for three seconds at most

  waiting_tasks(test_daemon& runner, const preloaded& page)
      : soon(push_json(runner, {{"task", tell_uptime + " # soon"s}, {"delay", 4}}))
      , far(push_json(runner, {{"task", "echo far"}, {"delay", 7'200}}))
      , half_day(push_json(
            runner, {{"task", tell_uptime + " # moment"s}, {"execute_at", page.now_ms() / 1'000 + 43'200}}))
      , expiring(push_json(runner, {{"task", "echo in time"}, {"channel", "held"}, {"expires_s", 3'600}}))
      , hurried(push_json(runner, {{"task", "echo too late"}, {"channel", "held"}, {"expires_s", 3}})) {}

  /// What must be so after the clock was set; the worker of `held` must still be busy.
  void check(test_daemon& runner, const preloaded& page, bool forward) const {
    runner.settled(soon);
    check_started_after(runner.output(soon), pushed_at_s, 4);
    if (forward)
      runner.settled(half_day);
    else
      CHECK(runner.task(half_day).at("state") == "delayed");
    const auto waits = runner.task(far);
    CHECK(waits.at("state") == "delayed");
    const double left_s = seconds_of(waits.at("execute_at")) - static_cast<double>(page.now_ms()) / 1'000;
    const double passed_s = seconds_since_boot() - pushed_at_s;
    CHECK(std::abs(left_s + passed_s - 7'200) < 5);
    CHECK(runner.settled(hurried).at("outcome") == json{{"kind", "expired"}});
    CHECK(seconds_since_boot() - pushed_at_s > 3 - early_max_s);
    CHECK(runner.task(expiring).at("state") == "pending");
  }
};

} // namespace

TEST_CASE("fault: the clock is set by a day under the running daemon, and everything comes when it should") {
  const bool forward = GENERATE(true, false);
  const bool told = GENERATE(true, false); // by the kernel; a machine restored from a snapshot tells nobody
  CAPTURE(forward, told);
  preloaded page;
  test_daemon runner(options_with(page));
  const gate end(runner.path("gate"));
  const auto attempts = runner.path("attempts");
  const auto running =
      push_json(runner, {{"task", end.wait_line() + "; exit 7"}, {"channel", "held"}, {"timeout_s", 60}});
  const auto hurry = push_json(runner, {{"task", "exec sleep 300"}, {"timeout_s", 5}, {"channel", "biz"}});
  REQUIRE(wait_state(runner, running, "running"));
  const auto retried = push_json(
      runner, {{"task", std::string(tell_uptime) + " >> " + attempts + "; [ $TASK_RUNNER_ATTEMPT = 2 ]"},
               {"max_attempts", 2},
               {"backoff", "constant"},
               {"backoff_s", 3}});
  REQUIRE(wait_state(runner, retried, "delayed"));
  const waiting_tasks waiting(runner, page);

  if (told)
    page.set_clock(forward ? hours(24) : hours(-24));
  else
    page.set_clock_silently(forward ? hours(24) : hours(-24));
  if (!told) // whatever asks for the time finds out
    runner.run_line("echo asks for the time");
  REQUIRE(wait_until([&] { return knows_of_step(runner); }));
  if (forward) { // half a day has passed, so its moment has come
    runner.settled(waiting.half_day);
    CHECK(std::stod(runner.output(waiting.half_day)) - waiting.pushed_at_s < late_max_s);
  }
  waiting.check(runner, page, forward);
  const auto again = runner.settled(retried);
  CHECK(again.at("state") == "finished");
  CHECK(again.at("attempt") == 2);
  check_times(again);
  const auto starts = lines_of(read_file(attempts));
  REQUIRE(starts.size() == 2);
  check_started_after(starts[1], std::stod(starts[0]), 3);

  // Timeouts neither come early nor stay out.
  CHECK(runner.task(running).at("state") == "running");
  const auto timed_out = runner.settled(hurry);
  CHECK(timed_out.at("outcome") == json{{"kind", "timed_out"}});
  CHECK(timed_out.at("duration_s").get<double>() > 4.9);
  check_times(timed_out);

  CHECK(runner.http().get("/readyz").status == 200);
  CHECK(runner.report().at("uptime_s").get<double>() >= 0);
  CHECK(runner.report().at("uptime_s").get<double>() < 120);
  CHECK(std::abs(seconds_of(runner.report().at("now")) - static_cast<double>(page.now_ms()) / 1'000) <
        late_max_s);
  const auto began = std::chrono::steady_clock::now();
  const auto before = used_ticks(runner.pid());
  REQUIRE(wait_until([&] { return std::chrono::steady_clock::now() - began > std::chrono::seconds(1); }));
  const auto took = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  CHECK(static_cast<double>(used_ticks(runner.pid()) - before) / static_cast<double>(sysconf(_SC_CLK_TCK)) <
        0.3 * took);

  end.open();
  const auto ended = runner.settled(running);
  CHECK(ended.at("outcome") == json{{"kind", "exited"}, {"code", 7}});
  CHECK(ended.at("attempt") == 1);
  check_times(ended);
  CHECK(std::abs(seconds_of(ended.at("ended_at")) - static_cast<double>(page.now_ms()) / 1'000) < late_max_s);
  CHECK(runner.settled(waiting.expiring).at("state") == "finished");
  CHECK(runner.run_line("echo as before") == "as before\n");
}

TEST_CASE("fault: the clock is set by a day while the daemon is down, and delays survive it") {
  const bool forward = GENERATE(true, false);
  const bool killed = GENERATE(true, false);
  CAPTURE(forward, killed);
  preloaded page;
  auto options = options_with(page);
  options.flags = {"-drain-timeout", "1s"};
  test_daemon runner(options);
  const gate end(runner.path("gate"));
  const auto running = push_json(runner, {{"task", end.wait_line() + "; exit 7"}, {"channel", "held"}});
  REQUIRE(wait_state(runner, running, "running"));
  const waiting_tasks waiting(runner, page);
  if (killed) {
    runner.kill();
  } else {
    REQUIRE(runner.stop() == process_end{true, 0}); // the command goes on, under the launcher
  }
  page.set_clock(forward ? hours(24) : hours(-24));
  runner.start();
  CHECK(knows_of_step(runner));
  waiting.check(runner, page, forward);
  CHECK(runner.task(running).at("state") == "running");
  end.open();
  const auto ended = runner.settled(running);
  CHECK(ended.at("outcome") == json{{"kind", "exited"}, {"code", 7}});
  CHECK(ended.at("attempt") == 1);
  check_times(ended);
  CHECK(runner.settled(waiting.expiring).at("state") == "finished");
}

TEST_CASE("fault: retention goes by the clock as it was set, and spares what has just ended") {
  preloaded page;
  auto options = options_with(page);
  options.flags = {"-retention-age", "1h"};
  test_daemon runner(options);
  const gate end(runner.path("gate"));
  const auto old = runner.push_line("echo old");
  runner.settled(old);
  const auto running = runner.push_line(end.wait_line() + "; echo long", "held");
  REQUIRE(wait_state(runner, running, "running"));
  page.set_clock(hours(24));
  REQUIRE(wait_until([&] { return knows_of_step(runner); }));
  end.open();
  check_times(runner.settled(running));
  // The next look comes some ten seconds after an end.
  REQUIRE(wait_until([&] { return runner.http().get("/api/v1/tasks/" + old).status == 404; },
                     std::chrono::seconds(60)));
  CHECK(runner.task(running).at("state") == "finished");
  CHECK(runner.output(running) == "long\n");
}
