// The verbs of the command-line client that steer channels.
#include "test/e2e/api_support.hpp"
#include "test/e2e/cli_support.hpp"
#include "test/e2e/cli_terminal.hpp"
#include "test/e2e/gate.hpp"

using namespace task_runner::test;
using json = nlohmann::json;

namespace {

json settings_of(test_daemon& runner, const std::string& channel) {
  return data_of(runner, "GET", "/api/v1/channels/" + channel).at("settings");
}

} // namespace

TEST_CASE("channels are made with settings, changed, reset and removed") {
  test_daemon runner;
  CHECK(called(runner, 0,
               {"channel", "add", "mail", "worker=3", "distinct=while-pending", "timeout_s=10m",
                "max-attempts=5", "retry-on=75,111", "env.LANG=C", "env.A=x=y", "limits.memory=64M",
                "weight=2", "tasks-max=100"}) == "mail open\n");
  CHECK(settings_of(runner, "mail") == json{{"distinct", "while-pending"},
                                            {"worker", 3},
                                            {"weight", 2},
                                            {"tasks_max", 100},
                                            {"max_attempts", 5},
                                            {"retry_on", {75, 111}},
                                            {"timeout_s", 600},
                                            {"env", {{"LANG", "C"}, {"A", "x=y"}}},
                                            {"limits", {{"memory", 67'108'864}}}});
  called(runner, 0,
         {"channel", "set", "mail", "--worker", "8", "timeout-s=", "env.LANG=de",
          "env.A=", "retry-on=", "limits.memory=", "tasks_max="});
  CHECK(settings_of(runner, "mail") == json{{"distinct", "while-pending"},
                                            {"worker", 8},
                                            {"weight", 2},
                                            {"tasks_max", nullptr},
                                            {"max_attempts", 5},
                                            {"env", {{"LANG", "de"}}}});
  CHECK(json::parse(called(runner, 0, {"channel", "set", "--json", "mail", "--distinct=false"}))
            .at("settings")
            .at("distinct") == "off");

  refused_call(runner, 1, {"channel", "add", "mail"}, "mail");
  refused_call(runner, 4, {"channel", "set", "none", "worker=1"}, "none");
  refused_call(runner, 1, {"channel", "set", "mail", "worker=2000"}, "worker");
  refused_call(runner, 1, {"channel", "add", "a b"}, "name");
  for (const auto& [words, says] : std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{"channel"}, "add, set, rm, list"},
           {{"channel", "ad", "x"}, "add, set, rm, list"},
           {{"channel", "add"}, "usage"},
           {{"channel", "set", "mail"}, "SETTING=VALUE"},
           {{"channel", "set", "mail", "worker"}, "worker"},
           {{"channel", "set", "mail", "speed=5"}, "speed"},
           {{"channel", "set", "mail", "workers=5"},
            "perhaps worker is meant; there are worker, distinct, weight"},
           {{"channel", "set", "mail", "workers="}, "perhaps worker is meant"},
           {{"channel", "set", "mail", "nice=30"}, "nice"},
           {{"channel", "set", "mail", "worker=1", "--worker=2"}, "twice"},
           {{"channel", "list", "mail"}, "too many"}})
    refused_call(runner, 2, words, says);

  const auto waiting = push_json(runner, {{"task", "true"}, {"channel", "mail"}, {"delay", 3'600}});
  refused_call(runner, 1, {"channel", "rm", "mail"}, "force");
  CHECK(called(runner, 0, {"channel", "rm", "--force", "mail"}) == "mail removed\n");
  CHECK(runner.task(waiting).at("state") == "cancelled");
  refused_call(runner, 4, {"channel", "rm", "mail"}, "mail");
}

TEST_CASE("channels are listed in columns") {
  test_daemon runner;
  called(runner, 0, {"channel", "add", "a-longer-name", "worker=3", "timeout_s=60"});
  const auto plain = lines_of(called(runner, 0, {"channel", "list"}));
  REQUIRE(plain.size() == 4);
  CHECK(plain[0] == "a-longer-name  open  3  0  0  0  0  distinct=off weight=1 timeout_s=60");
  CHECK(lines_of(called(runner, 0, {"channel", "list", "--json"})).size() == 4);
  terminal_process drawn({task_runner_binary(), "channel", "list"},
                         {{"TASK_RUNNER_ADDRESS", address_of(runner)}});
  CHECK(drawn.wait() == process_end{true, 0});
  CHECK(drawn.drawn().find("NAME           STATE  WORKER") == 0);
}

TEST_CASE("pause, resume and drain steer channels, and drain waits for what runs") {
  test_daemon runner;
  runner.create_channel("a");
  runner.create_channel("b");
  CHECK(called(runner, 0, {"pause", "a", "b"}) == "a drained\nb drained\n");
  const auto waiting = runner.push_line("true", "a");
  CHECK(runner.task(waiting).at("state") == "pending");
  CHECK(called(runner, 4, {"resume", "none", "a"}) == "a open\n");
  runner.settled(waiting);

  const gate end(runner.path("gate"));
  const auto running = runner.push_line(end.wait_line(), "a");
  REQUIRE(wait_state(runner, running, "running"));
  CHECK(called(runner, 0, {"drain", "--no-wait", "a"}) == "a draining\n");
  process draining(client_options(runner, {"drain", "a"}));
  terminal_process left({task_runner_binary(), "drain", "a"}, {{"TASK_RUNNER_ADDRESS", address_of(runner)}});
  REQUIRE(left.wait_handler());
  left.type("\x03");
  CHECK(left.wait() == process_end{true, 130});
  CHECK(left.drawn().find("a stays paused") != std::string::npos);
  CHECK(draining.running());
  end.open();
  CHECK(draining.wait(std::chrono::seconds(30)) == process_end{true, 0});
  CHECK(draining.output() == "a drained\n");
  CHECK(runner.task(running).at("state") == "finished");
  refused_call(runner, 2, {"pause"}, "usage");
  refused_call(runner, 4, {"pause", "nosuch"}, "task-runner channel add nosuch");
}
