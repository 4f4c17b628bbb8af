// Signals that end the daemon: what is refused, what is waited for, what is left to the launcher, what
// remains. Commands never feel any of it.
#include "test/e2e/gate.hpp"
#include "test/support/daemon.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <fcntl.h>
#include <filesystem>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace task_runner::test;
using nlohmann::json;

namespace {

constexpr int signals_that_drain[] = {SIGTERM, SIGINT, SIGUSR2};

/// A command that runs until the gate opens, started already.
std::string start_waiting(test_daemon& runner, const gate& end) {
  const auto id = runner.push_line("echo started; " + end.wait_line() + "; echo ended; exit 5");
  REQUIRE(wait_until([&] { return runner.output(id) == "started\n"; }));
  return id;
}

void check_undisturbed(test_daemon& runner, const std::string& id) {
  const auto task = runner.settled(id);
  CHECK(task.at("outcome") == json{{"kind", "exited"}, {"code", 5}});
  CHECK(task.at("attempt") == 1);
  CHECK(runner.output(id) == "started\nended\n");
}

bool wait_draining(test_daemon& runner) {
  return wait_until([&] { return runner.report().at("state") == "draining"; });
}

std::vector<int> pgrep(const std::vector<std::string>& words) {
  process_options start;
  start.argv = {"pgrep"};
  start.argv.insert(start.argv.end(), words.begin(), words.end());
  std::vector<int> found;
  for (const auto& line : lines_of(run_process(start).output))
    found.push_back(std::stoi(line));
  return found;
}

} // namespace

TEST_CASE("TERM, INT and USR2 end an idle daemon with code 0 and without a pid file") {
  const int number = GENERATE(from_range(std::begin(signals_that_drain), std::end(signals_that_drain)));
  CAPTURE(number);
  test_daemon runner;
  CHECK(read_file(runner.pid_file()) == std::to_string(runner.pid()) + "\n");
  const auto begin = std::chrono::steady_clock::now();
  CHECK(runner.stop(number) == process_end{true, 0});
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(10));
  CHECK_FALSE(std::filesystem::exists(runner.pid_file()));
}

TEST_CASE("a draining daemon refuses pushes, still answers, waits for what runs, and starts nothing new") {
  const int number = GENERATE(from_range(std::begin(signals_that_drain), std::end(signals_that_drain)));
  CAPTURE(number);
  test_daemon runner;
  runner.create_channel("line", {{"worker", "1"}});
  const gate end(runner.path("gate"));
  const auto running = start_waiting(runner, end);
  const gate second_end(runner.path("second-gate"));
  const auto first_in_line = runner.push_line(second_end.wait_line(), "line");
  REQUIRE(wait_until([&] { return runner.task(first_in_line).at("state") == "running"; }));
  const auto waiting = runner.push_line("echo later", "line");

  REQUIRE(runner.child().signal(number));
  REQUIRE(wait_draining(runner));
  for (const auto& [target, fields] : std::vector<std::pair<std::string, name_values>>{
           {"/push", {{"task", "echo refused"}}}, {"/queue", {{"name", "refused"}}}}) {
    const auto answer = runner.http().post_form(target, fields);
    CAPTURE(answer.body);
    CHECK(answer.status == 503);
    CHECK(answer.json().at("status_code") == 503);
    CHECK(answer.json().at("data").is_null());
    CHECK_FALSE(answer.header("retry-after").empty());
  }
  CHECK(runner.http().get("/").status == 200);
  CHECK(runner.task(running).at("state") == "running");

  second_end.open(); // its worker is free now, and yet nothing new starts
  REQUIRE(wait_until([&] { return runner.task(first_in_line).at("state") == "finished"; }));
  CHECK(runner.child().running());
  CHECK(runner.task(waiting).at("state") == "pending");
  CHECK(runner.channel("default").at("running") == 1);
  end.open();
  CHECK(runner.child().wait() == process_end{true, 0});
  CHECK_FALSE(std::filesystem::exists(runner.pid_file()));

  runner.start();
  check_undisturbed(runner, running);
  CHECK(runner.settled(waiting).at("state") == "finished");
  CHECK(runner.http().get("/status").json().at("data").contains("refused") == false);
}

TEST_CASE("a second signal stops the wait, and the next daemon settles what was left") {
  const bool opened_meanwhile = GENERATE(false, true);
  CAPTURE(opened_meanwhile);
  test_daemon runner;
  const gate end(runner.path("gate"));
  const auto id = start_waiting(runner, end);
  REQUIRE(runner.child().signal(SIGTERM));
  REQUIRE(wait_draining(runner));
  CHECK(runner.stop(SIGTERM, std::chrono::seconds(10)) == process_end{true, 0});
  CHECK_FALSE(std::filesystem::exists(runner.pid_file()));
  CHECK_FALSE(runner.commands().empty());
  if (opened_meanwhile) {
    end.open();
    REQUIRE(wait_until([&] { return runner.commands().empty(); }));
  }
  runner.start();
  if (!opened_meanwhile)
    CHECK(runner.task(id).at("state") == "running");
  end.open();
  check_undisturbed(runner, id);
}

TEST_CASE("drain-timeout stops the wait, and the next daemon settles what was left") {
  daemon_options options;
  options.flags = {"-drain-timeout", "1s"};
  test_daemon runner(options);
  const gate end(runner.path("gate"));
  const auto id = start_waiting(runner, end);
  const auto begin = std::chrono::steady_clock::now();
  CHECK(runner.stop() == process_end{true, 0});
  const auto took = std::chrono::steady_clock::now() - begin;
  CHECK(took >= std::chrono::milliseconds(950));
  CHECK(took < std::chrono::seconds(15));
  CHECK_FALSE(runner.commands().empty());
  runner.start();
  end.open();
  check_undisturbed(runner, id);
}

TEST_CASE("HUP amid a drain does not end the wait") {
  test_daemon runner;
  const gate end(runner.path("gate"));
  const auto id = start_waiting(runner, end);
  REQUIRE(runner.child().signal(SIGTERM));
  REQUIRE(wait_draining(runner));
  REQUIRE(runner.child().signal(SIGHUP));
  CHECK(runner.http().get("/status").status == 200);
  CHECK(runner.child().running());
  end.open();
  CHECK(runner.child().wait() == process_end{true, 0});
  runner.start();
  check_undisturbed(runner, id);
}

TEST_CASE("a delayed task does not hold up the end") {
  test_daemon runner;
  const auto id = runner.push({{"task", "echo later"}, {"delay", "3600"}}).at("task_id").get<std::string>();
  CHECK(runner.stop(SIGTERM, std::chrono::seconds(10)) == process_end{true, 0});
  runner.start();
  CHECK(runner.task(id).at("state") == "delayed");
}

TEST_CASE("an open connection and a request that never ends do not hold up the end") {
  test_daemon runner;
  http_client idle(runner.port());
  CHECK(idle.get("/").status == 200);
  CHECK(runner.stop(SIGTERM, std::chrono::seconds(10)) == process_end{true, 0});
}

TEST_CASE("a signal while the daemon still starts ends it as cleanly") {
  test_daemon runner;
  CHECK(runner.stop() == process_end{true, 0});
  for (int round = 0; round < 15; ++round) {
    CAPTURE(round);
    process early(runner.start_options());
    // From the pid file on it is a daemon that can be told to stop; it does not listen yet.
    REQUIRE(wait_until([&] { return read_file(runner.pid_file()) == std::to_string(early.pid()) + "\n"; }));
    if (round % 3 == 1)
      REQUIRE(wait_until([&] { return early.error_output().find("listening") != std::string::npos; }));
    REQUIRE(early.signal(SIGTERM));
    if (round % 3 == 2)
      early.signal(SIGTERM);
    INFO(early.error_output());
    REQUIRE(early.wait(std::chrono::seconds(15)) == process_end{true, 0});
    CHECK_FALSE(std::filesystem::exists(runner.pid_file()));
  }
  runner.start();
  CHECK(runner.run_line("echo well") == "well\n");
}

TEST_CASE("a signal right after the start still waits for what the former daemon had started") {
  test_daemon runner;
  const gate end(runner.path("gate"));
  const auto id = start_waiting(runner, end);
  runner.kill();
  {
    process early(runner.start_options());
    REQUIRE(wait_until([&] { return read_file(runner.pid_file()) == std::to_string(early.pid()) + "\n"; }));
    REQUIRE(early.signal(SIGTERM));
    REQUIRE(early.wait_output("draining"));
    CHECK_FALSE(early.wait(std::chrono::seconds(1)));
    end.open();
    CHECK(early.wait() == process_end{true, 0});
  }
  runner.start();
  check_undisturbed(runner, id);
}

TEST_CASE("pgrep task-runner finds the daemon alone, and kill -USR2 of it drains as documented") {
  test_daemon runner;
  const gate end(runner.path("gate"));
  const auto id = start_waiting(runner, end);
  const auto mine = runner.processes();
  CHECK(mine.size() >= 3); // daemon, launcher, command
  // Others may be under test on this machine at the same time.
  const auto only_mine = [&](std::vector<int> found) {
    found.erase(
        std::remove_if(found.begin(), found.end(),
                       [&](int pid) { return std::find(mine.begin(), mine.end(), pid) == mine.end(); }),
        found.end());
    return found;
  };
  CHECK(only_mine(pgrep({"task-runner"})) == std::vector<int>{runner.pid()});
  CHECK(only_mine(pgrep({"-x", "task-runner"})) == std::vector<int>{runner.pid()});
  CHECK(only_mine(pgrep({"-x", "tr-launcher"})) == std::vector<int>{runner.launcher_pid()});
  CHECK(runner.launcher_pid() != runner.pid());

  const auto pids = only_mine(pgrep({"task-runner"}));
  process_options shell;
  shell.argv = {"/bin/sh", "-c", "kill -USR2 " + std::to_string(pids.at(0))};
  CHECK(run_process(shell).end == process_end{true, 0});
  REQUIRE(wait_draining(runner));
  end.open();
  CHECK(runner.child().wait() == process_end{true, 0});
  runner.start();
  check_undisturbed(runner, id);
}

TEST_CASE("the launcher shrugs off the signals that are meant for the daemon") {
  test_daemon runner;
  const gate end(runner.path("gate"));
  const auto id = start_waiting(runner, end);
  for (const int number : {SIGUSR2, SIGINT, SIGHUP, SIGTERM})
    REQUIRE(::kill(runner.launcher_pid(), number) == 0);
  end.open();
  check_undisturbed(runner, id);
  CHECK(runner.report().at("launcher").at("restarts") == 0);
}

TEST_CASE("a signal to the daemon's process group reaches neither launcher nor commands") {
  test_daemon runner;
  const gate end(runner.path("gate"));
  const auto id = start_waiting(runner, end);
  REQUIRE(::kill(-runner.pid(), SIGINT) == 0); // the fixture makes it the leader of a group of its own
  REQUIRE(wait_draining(runner));
  end.open();
  CHECK(runner.child().wait() == process_end{true, 0});
  runner.start();
  check_undisturbed(runner, id);
}

TEST_CASE("Ctrl-C in a terminal drains the daemon and never reaches the commands") {
  test_daemon runner;
  CHECK(runner.stop() == process_end{true, 0});
  // The same daemon again, this time as the foreground job of a terminal.
  auto words = runner.start_options().argv;
  words.insert(words.end(), {"-log-file", runner.path("terminal.log")});
  std::vector<char*> argv;
  for (auto& word : words)
    argv.push_back(word.data());
  argv.push_back(nullptr);
  const auto mark = "TR_TEST_HOME=" + runner.home();
  int terminal = -1;
  const int pid = forkpty(&terminal, nullptr, nullptr, nullptr);
  if (pid == 0) {
    putenv(const_cast<char*>(mark.c_str()));
    execv(argv[0], argv.data());
    _exit(127);
  }
  REQUIRE(pid > 0);
  // Whatever fails below, the terminal's daemon must not outlive the test.
  struct ender {
    int pid;
    int terminal;
    bool waited = false;
    ~ender() {
      if (!waited) {
        ::kill(pid, SIGKILL);
        waitpid(pid, nullptr, 0);
      }
      close(terminal);
    }
  } foreground{pid, terminal};

  std::string address;
  REQUIRE(wait_until([&] {
    const auto log = read_file(runner.path("terminal.log"));
    const auto at = log.find("address=127.0.0.1:");
    address = at == std::string::npos ? "" : log.substr(at + 18);
    return address.find('\n') != std::string::npos;
  }));
  http_client http(static_cast<uint16_t>(std::stoi(address)));
  const gate end(runner.path("gate"));
  const auto id =
      http.post_form("/push", {{"task", "echo started; " + end.wait_line() + "; echo ended; exit 5"}})
          .json()
          .at("data")
          .at("task_id")
          .get<std::string>();
  REQUIRE(wait_until([&] { return http.get("/api/v1/tasks/" + id + "/output").body == "started\n"; }));
  REQUIRE(write(terminal, "\x03", 1) == 1);
  REQUIRE(wait_until([&] { return http.get("/status").json().at("daemon").at("state") == "draining"; }));
  CHECK(http.post_form("/push", {{"task", "date"}}).status == 503);
  CHECK(http.get("/api/v1/tasks/" + id).json().at("data").at("state") == "running");
  end.open();
  int status = 0;
  CHECK(wait_until([&] { return waitpid(pid, &status, WNOHANG) == pid; }));
  foreground.waited = WIFEXITED(status);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);

  runner.start();
  check_undisturbed(runner, id);
}
