// Why a task does not run now, asked of the real daemon: in each state, and for each thing that can be in the
// way. What queues make of rarer moments is in test/property.
#include "test/e2e/api_support.hpp"
#include "test/e2e/gate.hpp"

#include <algorithm>
#include <set>

using namespace task_runner::test;
using json = nlohmann::json;

namespace {

const std::string tasks = "/api/v1/tasks";
const std::string channels = "/api/v1/channels";

/// What is told of a task; its members and their kinds are checked.
json why(test_daemon& runner, const std::string& id) {
  auto told = data_of(runner, "GET", tasks + "/" + id + "/why");
  INFO(told.dump());
  std::set<std::string> names;
  for (const auto& [name, value] : told.items())
    names.insert(name);
  CHECK(names == std::set<std::string>{"id", "channel", "state", "reason", "message", "blocked_by",
                                       "position", "position_at_least", "may_start_at"});
  CHECK(told.at("id") == id);
  CHECK(told.at("message").get<std::string>().size() > 10);
  for (const auto& one : told.at("blocked_by"))
    CHECK(one.at("kind").is_string());
  return told;
}

std::string reason(test_daemon& runner, const std::string& id) {
  return why(runner, id).at("reason");
}

bool wait_reason(test_daemon& runner, const std::string& id, const std::string& code) {
  return wait_until([&] { return reason(runner, id) == code; }, std::chrono::seconds(30));
}

bool is_blocked_by(const json& told, const json& what) {
  const auto& all = told.at("blocked_by");
  return std::find(all.begin(), all.end(), what) != all.end();
}

void make_channel(test_daemon& runner, const std::string& name, int workers) {
  data_of(runner, "POST", channels, {{"name", name}, {"worker", workers}});
}

} // namespace

TEST_CASE("a task tells that it runs, that others are before it, and that it has ended") {
  test_daemon runner;
  make_channel(runner, "one", 1);
  const gate end(runner.path("gate"));
  const auto running = runner.push_line(end.wait_line(), "one");
  REQUIRE(wait_reason(runner, running, "running"));
  const auto alive = why(runner, running);
  CHECK(alive.at("state") == "running");
  CHECK(alive.at("channel") == "one");
  CHECK(alive.at("blocked_by") == json::array());
  CHECK(alive.at("position").is_null());
  CHECK(alive.at("position_at_least").is_null());
  CHECK(alive.at("may_start_at").is_null());

  const auto second = runner.push_line("echo second", "one");
  const auto third = runner.push_line("echo third", "one");
  const auto next = why(runner, second);
  CHECK(next.at("state") == "pending");
  CHECK(next.at("reason") == "behind_others");
  CHECK(next.at("position") == 1);
  CHECK(next.at("message") == "it waits for a worker of its channel; it is the first in line");
  CHECK(next.at("blocked_by") == json{{{"kind", "limit"}, {"name", "worker"}, {"value", 1}, {"used", 1}},
                                      {{"kind", "task"}, {"id", running}, {"state", "running"}}});
  CHECK(why(runner, third).at("position") == 2);
  CHECK(why(runner, third).at("message") ==
        "it waits for a worker of its channel; 1 task stands before it in line");

  end.open();
  runner.settled(third);
  for (const auto& id : {running, second, third}) {
    const auto ended = why(runner, id);
    CHECK(ended.at("reason") == "finished");
    CHECK(ended.at("state") == "finished");
    CHECK(ended.at("blocked_by") == json::array());
  }
}

TEST_CASE("a task tells that its channel is paused or has no workers, until that is over") {
  test_daemon runner;
  make_channel(runner, "mail", 1);
  data_of(runner, "POST", channels + "/mail/pause");
  const auto paused = runner.push_line("echo x", "mail");
  CHECK(reason(runner, paused) == "paused");
  CHECK(why(runner, paused).at("blocked_by") ==
        json{{{"kind", "channel"}, {"name", "mail"}, {"paused", true}}});
  CHECK(why(runner, paused).at("position") == 1);
  data_of(runner, "PATCH", channels + "/mail", {{"worker", 0}});
  data_of(runner, "POST", channels + "/mail/resume");
  REQUIRE(wait_reason(runner, paused, "no_workers"));
  CHECK(
      is_blocked_by(why(runner, paused), {{"kind", "limit"}, {"name", "worker"}, {"value", 0}, {"used", 0}}));
  data_of(runner, "PATCH", channels + "/mail", {{"worker", 1}});
  CHECK(runner.settled(paused).at("state") == "finished");
  CHECK(reason(runner, paused) == "finished");
}

TEST_CASE("a task that waits for its time or for another attempt tells until when") {
  test_daemon runner;
  const auto delayed = push_json(runner, {{"task", "echo x"}, {"delay", 3'600}});
  const auto later = why(runner, delayed);
  CHECK(later.at("reason") == "delayed");
  CHECK(later.at("state") == "delayed");
  const auto moment = runner.task(delayed).at("execute_at");
  CHECK(moment.is_string());
  CHECK(later.at("may_start_at") == moment);
  CHECK(later.at("blocked_by") == json{{{"kind", "time"}, {"until", moment}}});

  const auto fails = push_json(runner, {{"task", "exit 3"}, {"max_attempts", 2}, {"backoff_s", 3'600}});
  REQUIRE(wait_state(runner, fails, "delayed"));
  const auto again = why(runner, fails);
  CHECK(again.at("reason") == "backoff");
  CHECK(again.at("may_start_at") == runner.task(fails).at("execute_at"));

  data_of(runner, "POST", tasks + "/" + delayed + "/cancel");
  CHECK(reason(runner, delayed) == "cancelled");
  const auto dead = push_json(runner, {{"task", "exit 4"}});
  runner.settled(dead);
  CHECK(reason(runner, dead) == "dead");
  const auto why = data_of(runner, "GET", "/api/v1/tasks/" + dead + "/why").at("message").get<std::string>();
  CHECK(why.find("ended: exited 4") != std::string::npos);
}

TEST_CASE("a task that its concurrency key holds back tells who has it") {
  test_daemon runner;
  make_channel(runner, "many", 4);
  const gate end(runner.path("gate"));
  const auto holder = push_json(
      runner,
      {{"task", "holder"}, {"command", end.wait_line()}, {"channel", "many"}, {"concurrency_key", "k"}});
  REQUIRE(wait_reason(runner, holder, "running"));
  const auto held = push_json(
      runner, {{"task", "held"}, {"command", "echo x"}, {"channel", "many"}, {"concurrency_key", "k"}});
  const auto told = why(runner, held);
  CHECK(told.at("reason") == "concurrency_key");
  CHECK(told.at("state") == "pending");
  CHECK(told.at("blocked_by") == json{{{"kind", "limit"}, {"name", "concurrency_max"}, {"value", 1}},
                                      {{"kind", "task"}, {"id", holder}, {"state", "running"}}});
  end.open();
  CHECK(runner.settled(held).at("state") == "finished");
}

TEST_CASE("a task tells that the limit over all channels holds it back") {
  daemon_options options;
  options.flags = {"-running-max", "1"};
  test_daemon runner(options);
  make_channel(runner, "one", 2);
  make_channel(runner, "two", 2);
  const gate end(runner.path("gate"));
  const auto running = runner.push_line(end.wait_line(), "one");
  REQUIRE(wait_reason(runner, running, "running"));
  const auto waiting = runner.push_line("echo x", "two");
  REQUIRE(wait_reason(runner, waiting, "running_limit"));
  CHECK(why(runner, waiting).at("blocked_by") ==
        json{{{"kind", "limit"}, {"name", "running-max"}, {"value", 1}, {"used", 1}}});
  end.open();
  CHECK(runner.settled(waiting).at("state") == "finished");
}

TEST_CASE("a task that is being cancelled tells that, and a daemon that stops or runs nothing is named") {
  test_daemon runner;
  make_channel(runner, "one", 1);
  const gate end(runner.path("gate"));
  const auto stubborn = runner.push_line("trap '' TERM; echo ready; " + end.wait_line(), "one");
  REQUIRE(wait_until([&] { return runner.output(stubborn) == "ready\n"; }));
  const auto waiting = runner.push_line("echo x", "one");

  SECTION("being cancelled") {
    // The verb for many does not wait for the end.
    CHECK(data_of(runner, "POST", tasks + ":cancel",
                  {{"channel", "one"}, {"state", "running"}, {"grace_s", 600}})
              .at("done") == 1);
    const auto told = why(runner, stubborn);
    CHECK(told.at("reason") == "cancelling");
    CHECK(told.at("state") == "running");
    CHECK(data_of(runner, "POST", tasks + "/" + stubborn + "/cancel", {{"grace_s", 0}}).at("state") ==
          "cancelled");
    CHECK(reason(runner, stubborn) == "cancelled");
    CHECK(runner.settled(waiting).at("state") == "finished");
  }
  SECTION("stopping") {
    REQUIRE(runner.child().signal(SIGTERM));
    REQUIRE(wait_reason(runner, waiting, "draining"));
    CHECK(is_blocked_by(why(runner, waiting), {{"kind", "daemon"}, {"draining", true}}));
    CHECK(wait_reason(runner, stubborn, "running"));
    end.open();
    CHECK(runner.child().wait(std::chrono::seconds(30)) == process_end{true, 0});
    // The next daemon is told to run nothing.
    runner.options().flags = {"-task-mode=false"};
    runner.start();
    CHECK(reason(runner, stubborn) == "finished");
    const auto told = why(runner, waiting);
    CHECK(told.at("reason") == "task_mode_off");
    CHECK(is_blocked_by(told, {{"kind", "daemon"}, {"task_mode_off", true}}));
  }
}

TEST_CASE("a task far behind the others knows the least that is before it") {
  test_daemon runner;
  make_channel(runner, "none", 0);
  std::string lines;
  for (int i = 0; i < 1'000; ++i)
    lines += R"({"task":"true","channel":"none","id":"t)" + std::to_string(i) + "\"}\n";
  const auto answer =
      runner.http().send("POST", tasks + ":batch", {{"Content-Type", "application/x-ndjson"}}, lines);
  REQUIRE(answer.status == 200);
  CHECK(why(runner, "t0").at("position") == 1);
  CHECK(why(runner, "t99").at("position") == 100);
  const auto last = why(runner, "t999");
  CHECK(last.at("reason") == "no_workers");
  CHECK(last.at("position").is_null());
  CHECK(last.at("position_at_least").get<int>() > 100);
  CHECK(last.at("position_at_least").get<int>() <= 1'000);
}

TEST_CASE("why a task does not run is asked of tasks that exist, and read only") {
  test_daemon runner;
  CHECK(refused(runner, "GET", tasks + "/nobody/why", nullptr, "no such task") == 404);
  const auto id = runner.push_line("echo x");
  runner.settled(id);
  CHECK(refused(runner, "POST", tasks + "/" + id + "/why") == 405);
  CHECK(runner.http().send("HEAD", tasks + "/" + id + "/why").status == 200);
}
