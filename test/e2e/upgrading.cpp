// A new binary takes over from an old one while commands run, under the real daemon: the launcher goes over
// to the program of the daemon that comes, or stays with its own where that is no good. And a launcher that
// hangs or whose names were swept away, as the daemon's users see it.
#include "test/e2e/api_support.hpp"
#include "test/e2e/faults_support.hpp"
#include "test/e2e/gate.hpp"

#include <csignal>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

using namespace task_runner::test;
using nlohmann::json;

namespace {

/// A copy of the binary under another name, which another build would be: other bytes behind its end, which
/// nothing reads.
std::string other_binary(const test_daemon& runner, const std::string& name) {
  const auto path = runner.path(name);
  write_file(path, read_file(task_runner_binary()) + "another build\n");
  REQUIRE(::chmod(path.c_str(), 0755) == 0);
  return path;
}

/// One whose launcher knows another mark of the handover than ours, so that it must refuse it.
std::string incompatible_binary(const test_daemon& runner, const std::string& name) {
  auto bytes = read_file(task_runner_binary());
  const std::string mark("TRHAND\0\n", 8);
  size_t changed = 0;
  for (auto at = bytes.find(mark); at != std::string::npos; at = bytes.find(mark, at + 1), ++changed)
    bytes.replace(at, mark.size(), "TRWAND" + mark.substr(6));
  REQUIRE(changed > 0);
  const auto path = runner.path(name);
  write_file(path, bytes);
  REQUIRE(::chmod(path.c_str(), 0755) == 0);
  return path;
}

/// Runs a daemon from another binary: the words for wrapped_daemon.
std::vector<std::string> instead(const std::string& binary) {
  return {"bash", "-c", "shift; exec " + binary + R"( "$@")", "instead"};
}

std::string program_of(int pid) {
  return std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/exe").string();
}

/// The commands of the upgrade tests, which a daemon of an old binary has started.
struct upgraded_commands {
  std::string starts;
  std::string go;
  std::vector<std::string> counting;
  std::string quiet;
  std::string limited;
  std::string waiting;
};

constexpr int counting_commands = 5;

/// Numbered lines until the gate is open, an exit code of its own; one that says nothing, one with a timeout
/// that will not be over before the new daemon is there, one that waits behind them.
upgraded_commands push_commands(test_daemon& runner, http_client& http) {
  upgraded_commands pushed;
  pushed.starts = runner.path("starts");
  pushed.go = runner.path("gate");
  const auto began = "echo $TASK_RUNNER_TASK_ID.$TASK_RUNNER_ATTEMPT >> " + pushed.starts + "; ";
  REQUIRE(http.post_form("/queue", {{"name", "many"}, {"worker", std::to_string(counting_commands + 2)}})
              .status == 200);
  for (int i = 0; i < counting_commands; ++i)
    pushed.counting.push_back(push_over(
        http,
        began + "i=0; while [ ! -e " + pushed.go +
            " ]; do echo $i; i=$((i+1)); sleep 0.002; done; echo end $i; exit " + std::to_string(40 + i),
        "many"));
  pushed.quiet = push_over(
      http, began + "while [ ! -e " + pushed.go + " ]; do sleep 0.05; done; echo last words >&2", "many");
  const auto answer =
      http.post_json("/api/v1/tasks", {{"task", began + "trap '' TERM; while :; do sleep 0.05; done"},
                                       {"channel", "many"},
                                       {"timeout_s", 6},
                                       {"grace_s", 0.5}});
  INFO(answer.body);
  REQUIRE(answer.status == 200);
  pushed.limited = answer.json().at("data").at("task_id");
  pushed.waiting = push_over(http, began + "echo at last; exit 3", "many");
  REQUIRE(wait_lines(pushed.starts, counting_commands + 2));
  return pushed;
}

/// Whether the output is 0, 1, 2 … end N without a gap.
bool counts_on(const std::string& output) {
  int next = 0;
  for (const auto& line : lines_of(output)) {
    if (line == "end " + std::to_string(next))
      return output.size() > line.size() && output.substr(output.size() - line.size() - 1) == line + "\n";
    if (line != std::to_string(next++))
      return false;
  }
  return false;
}

/// Everything that was pushed came to its own end, whole, and once.
void check_ends(test_daemon& runner, const upgraded_commands& pushed) {
  const auto outcome_of = [&](const std::string& id) { return runner.settled(id).at("outcome"); };
  CHECK(outcome_of(pushed.limited) == json{{"kind", "timed_out"}});
  write_file(pushed.go, "go");
  for (int i = 0; i < counting_commands; ++i) {
    const auto& id = pushed.counting[static_cast<size_t>(i)];
    CHECK(outcome_of(id) == json{{"kind", "exited"}, {"code", 40 + i}});
    CHECK(counts_on(runner.output(id)));
  }
  CHECK(outcome_of(pushed.quiet) == json{{"kind", "exited"}, {"code", 0}});
  CHECK(runner.output(pushed.quiet) == "last words\n");
  CHECK(outcome_of(pushed.waiting) == json{{"kind", "exited"}, {"code", 3}});
  const auto counts = count_lines(pushed.starts);
  CHECK(counts.size() == counting_commands + 3);
  for (const auto& [id, times] : counts) {
    CAPTURE(id);
    CHECK(times == 1);
    CHECK(id.substr(id.size() - 2) == ".1");
  }
  CHECK(runner.task(pushed.limited).at("duration_s").get<double>() < 20);
}

json launcher_of(http_client& http) {
  return http.get("/status?limit=1").json().at("daemon").at("launcher");
}

} // namespace

TEST_CASE("a daemon of a new binary takes over from one that was killed, and its launcher goes along") {
  test_daemon runner;
  stop_whole(runner);
  const auto old_binary = other_binary(runner, "old-task-runner");
  auto old_daemon = std::make_unique<wrapped_daemon>(runner, instead(old_binary));
  REQUIRE(old_daemon->serves());
  const auto pushed = push_commands(runner, old_daemon->http());
  const auto launcher = runner.launcher_pid();
  REQUIRE(program_of(old_daemon->child().pid()) == old_binary);
  REQUIRE(program_of(launcher) == old_binary);
  const bool killed = GENERATE(true, false);
  CAPTURE(killed);
  if (killed) {
    old_daemon->child().kill();
  } else {
    // The second TERM leaves what runs to the launcher.
    old_daemon->child().signal(SIGTERM);
    REQUIRE(wait_until([&] { return old_daemon->http().get("/readyz").status == 503; }));
    old_daemon->child().signal(SIGTERM);
    const auto end = old_daemon->child().wait(std::chrono::seconds(30));
    REQUIRE(end);
    CHECK(*end == process_end{true, 0});
  }
  old_daemon.reset();

  const auto began = std::chrono::steady_clock::now();
  runner.start();
  REQUIRE(wait_until([&] { return runner.report().at("launcher").at("upgrades") == 1; }));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  std::printf("a daemon of a new binary had it in the launcher after %.2f s\n", took.count());
  CHECK(took.count() < 10);
  CHECK(runner.launcher_pid() == launcher);
  CHECK(program_of(launcher) == task_runner_binary());
  const auto report = runner.report().at("launcher");
  CHECK(report.at("pid") == launcher);
  CHECK(report.at("restarts") == 0);
  CHECK(report.at("upgrade_failure") == "");
  CHECK(runner.http().get("/readyz").status == 200);
  check_ends(runner, pushed);
  CHECK(runner.run_line("echo new") == "new\n");
}

TEST_CASE("a launcher that a new binary cannot follow carries on with the old one") {
  test_daemon runner;
  stop_whole(runner);
  const auto old_binary = other_binary(runner, "old-task-runner");
  const auto bad_binary = incompatible_binary(runner, "bad-task-runner");
  upgraded_commands pushed;
  int launcher = 0;
  {
    wrapped_daemon old_daemon(runner, instead(old_binary));
    REQUIRE(old_daemon.serves());
    pushed = push_commands(runner, old_daemon.http());
    launcher = runner.launcher_pid();
    old_daemon.child().kill();
  }
  {
    wrapped_daemon bad_daemon(runner, instead(bad_binary));
    REQUIRE(bad_daemon.serves());
    REQUIRE(program_of(bad_daemon.child().pid()) == bad_binary);
    REQUIRE(wait_until([&] { return launcher_of(bad_daemon.http()).at("upgrade_failure") != ""; }));
    const auto report = launcher_of(bad_daemon.http());
    CHECK(report.at("upgrade_failure") ==
          "the new program does not understand the handover (it ended with code 1)");
    CHECK(report.at("upgrades") == 0);
    CHECK(report.at("restarts") == 0);
    CHECK(report.at("healthy") == true);
    CHECK(runner.launcher_pid() == launcher);
    CHECK(program_of(launcher) == old_binary);
    // It works for the new daemon all the same.
    const auto id = push_over(bad_daemon.http(), "exit 6");
    CHECK(wait_until([&] {
      return bad_daemon.http().get("/api/v1/tasks/" + id).json().at("data").at("outcome") ==
             json{{"kind", "exited"}, {"code", 6}};
    }));
    bad_daemon.child().kill();
  }
  // The next one that is good is followed.
  runner.start();
  REQUIRE(wait_until([&] { return runner.report().at("launcher").at("upgrades") == 1; }));
  CHECK(runner.launcher_pid() == launcher);
  CHECK(program_of(launcher) == task_runner_binary());
  check_ends(runner, pushed);
}

TEST_CASE("a launcher that hangs makes the daemon unready, with its process named, until it goes on") {
  test_daemon runner;
  runner.create_channel("later");
  const gate end(runner.path("gate"));
  const auto running = runner.push_line(end.wait_line() + "; exit 4");
  REQUIRE(wait_state(runner, running, "running"));
  const auto launcher = runner.launcher_pid();
  const auto number = std::to_string(launcher);
  REQUIRE(launcher > 0);
  REQUIRE(::kill(launcher, SIGSTOP) == 0);
  // Five seconds to the next question at most, ten for the answer.
  const bool noticed =
      wait_until([&] { return runner.http().get("/readyz").status == 503; }, std::chrono::seconds(30));
  const auto answer = runner.http().get("/readyz");
  const auto report = runner.report().at("launcher");
  const auto accepted = runner.push_line("exit 5", "later");
  REQUIRE(::kill(launcher, SIGCONT) == 0);
  REQUIRE(noticed);
  const std::string message = answer.json().at("message");
  INFO(message);
  CHECK(message.find("not ready: launcher: process " + number) == 0);
  CHECK(message.find("kill -CONT " + number) != std::string::npos);
  CHECK(report.at("healthy") == false);
  CHECK(report.at("pid") == launcher);
  CHECK(report.at("last_error").get<std::string>().find("process " + number) == 0);
  REQUIRE(wait_until([&] { return runner.http().get("/readyz").status == 200; }));
  CHECK(runner.report().at("launcher").at("last_error") == "");
  CHECK(runner.settled(accepted).at("outcome") == json{{"kind", "exited"}, {"code", 5}});
  end.open();
  CHECK(runner.settled(running).at("outcome") == json{{"kind", "exited"}, {"code", 4}});
  CHECK(runner.report().at("launcher").at("restarts") == 0);
  CHECK(runner.launcher_pid() == launcher);
  const auto log = runner.log();
  const auto first = log.find("does not do its work");
  CHECK(first != std::string::npos);
  CHECK(log.find("does not do its work", first + 1) == std::string::npos);
  CHECK(log.find("does its work again") != std::string::npos);
}

TEST_CASE("a daemon that starts beside a launcher that hangs says which process it is, and what to do") {
  test_daemon runner;
  const gate end(runner.path("gate"));
  const auto running = runner.push_line(end.wait_line() + "; exit 4");
  REQUIRE(wait_state(runner, running, "running"));
  const auto launcher = runner.launcher_pid();
  const bool without_socket = GENERATE(false, true);
  CAPTURE(without_socket);
  runner.kill();
  REQUIRE(::kill(launcher, SIGSTOP) == 0);
  if (without_socket)
    std::filesystem::remove(runner.state_dir() + "/launcher.sock");
  const auto ran = run_process(runner.start_options(), std::chrono::seconds(30));
  REQUIRE(::kill(launcher, SIGCONT) == 0);
  INFO(ran.error_output);
  CHECK(ran.end == process_end{true, 1});
  const auto lines = lines_of(ran.error_output);
  REQUIRE_FALSE(lines.empty());
  CHECK(lines.back().find("process " + std::to_string(launcher)) != std::string::npos);
  CHECK(lines.back().find("kill -CONT " + std::to_string(launcher)) != std::string::npos);
  runner.start();
  end.open();
  CHECK(runner.settled(running).at("outcome") == json{{"kind", "exited"}, {"code", 4}});
  CHECK(runner.launcher_pid() == launcher);
}

TEST_CASE("a daemon finds the launcher though its names were swept away, and nothing runs twice") {
  test_daemon runner;
  const auto starts = runner.path("starts");
  const gate end(runner.path("gate"));
  const auto running = runner.push_line(append_line("run", starts) + "; " + end.wait_line() + "; exit 4");
  REQUIRE(wait_lines(starts, 1));
  const auto launcher = runner.launcher_pid();
  const bool pid_file_too = GENERATE(false, true);
  CAPTURE(pid_file_too);
  std::filesystem::remove(runner.state_dir() + "/launcher.sock");
  if (pid_file_too)
    std::filesystem::remove(runner.state_dir() + "/launcher.pid");
  // Nothing is amiss as long as the daemon lives.
  CHECK(runner.run_line("echo still") == "still\n");
  runner.kill();
  runner.start();
  CHECK(runner.launcher_pid() == launcher);
  CHECK(runner.task(running).at("state") == "running");
  end.open();
  CHECK(runner.settled(running).at("outcome") == json{{"kind", "exited"}, {"code", 4}});
  CHECK(count_lines(starts) == std::map<std::string, int>{{"run", 1}});
}
