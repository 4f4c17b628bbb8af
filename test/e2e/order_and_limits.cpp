// How many commands run side by side, in which order they start, and when a delayed one may start.
// Commands write their own start and end into files, in the order in which things really happened.
#include "test/e2e/gate.hpp"
#include "test/support/daemon.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <ctime>

using namespace task_runner::test;

namespace {

struct concurrency {
  int peak = 0;
  int started = 0;
  int ended = 0;
};

/// Reads the `+` and `-` that commands append when they start and before they end.
concurrency read_concurrency(const std::string& path) {
  concurrency seen;
  for (const auto& line : lines_of(read_file(path))) {
    ++(line == "+" ? seen.started : seen.ended);
    seen.peak = std::max(seen.peak, seen.started - seen.ended);
  }
  return seen;
}

/// Pushes `tasks` commands, each of which ends only after `together` of them have started.
concurrency measure(test_daemon& runner, const std::string& channel, int tasks, int together) {
  const auto stamps = runner.path(channel + "-stamps");
  const auto line = "echo + >> " + stamps + "; until [ $(grep -c + " + stamps + ") -ge " +
                    std::to_string(together) + " ]; do sleep 0.02; done; sleep 0.1; echo - >> " + stamps;
  std::vector<std::string> ids;
  for (int i = 0; i < tasks; ++i)
    ids.push_back(runner.push_line(line, channel));
  for (const auto& id : ids)
    CHECK(runner.settled(id).at("state") == "finished");
  return read_concurrency(stamps);
}

int64_t milliseconds_of(const std::string& rfc3339) {
  std::tm parts{};
  const char* rest = strptime(rfc3339.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  REQUIRE(rest != nullptr);
  REQUIRE(*rest == '.');
  return int64_t{timegm(&parts)} * 1'000 + std::stoi(rest + 1);
}

} // namespace

TEST_CASE("a channel runs as many commands side by side as it has workers, and never more") {
  test_daemon runner;
  runner.create_channel("four", {{"worker", "4"}});
  const auto seen = measure(runner, "four", 12, 4);
  CHECK(seen.started == 12);
  CHECK(seen.ended == 12);
  CHECK(seen.peak == 4);
}

TEST_CASE("worker=0 means as many as concurrent says") {
  daemon_options options;
  options.flags = {"-concurrent", "3"};
  test_daemon runner(options);
  runner.create_channel("follows", {{"worker", "0"}});
  const auto seen = measure(runner, "follows", 9, 3);
  CHECK(seen.started == 9);
  CHECK(seen.peak == 3);
}

TEST_CASE("channels do not hold each other up") {
  test_daemon runner;
  runner.create_channel("one", {{"worker", "1"}});
  runner.create_channel("two", {{"worker", "1"}});
  const gate end(runner.path("gate"));
  const auto blocked = runner.push_line(end.wait_line(), "one");
  REQUIRE(wait_until([&] { return runner.task(blocked).at("state") == "running"; }));
  CHECK(runner.run_line("echo free", "two") == "free\n");
  CHECK(runner.task(blocked).at("state") == "running");
  end.open();
  runner.settled(blocked);
}

TEST_CASE("with one worker, what was pushed first runs first") {
  test_daemon runner;
  runner.create_channel("line", {{"worker", "1"}});
  const gate begin(runner.path("gate"));
  const auto order = runner.path("order");
  runner.push_line(begin.wait_line(), "line");
  std::string last;
  for (int i = 0; i < 60; ++i)
    last = runner.push_line(append_line(std::to_string(i), order), "line");
  begin.open();
  runner.settled(last);
  const auto lines = lines_of(read_file(order));
  REQUIRE(lines.size() == 60);
  for (size_t i = 0; i < lines.size(); ++i)
    CHECK(lines[i] == std::to_string(i));
}

TEST_CASE("the order holds across a restart with tasks waiting") {
  daemon_options options;
  options.ini = "[channel.line]\nworker = 1\n";
  options.flags = {"-task-mode=false"};
  test_daemon runner(options);
  const auto order = runner.path("order");
  std::string last;
  for (int i = 0; i < 40; ++i) {
    last = runner.push_line(append_line(std::to_string(i), order), "line");
    if (i == 20) {
      CHECK(runner.stop() == process_end{true, 0});
      runner.start();
    }
  }
  CHECK(runner.stop() == process_end{true, 0});
  runner.options().flags.clear();
  runner.start();
  runner.settled(last);
  const auto lines = lines_of(read_file(order));
  REQUIRE(lines.size() == 40);
  for (size_t i = 0; i < lines.size(); ++i)
    CHECK(lines[i] == std::to_string(i));
}

TEST_CASE("a delayed task runs not before its moment and stays in its channel") {
  test_daemon runner;
  runner.create_channel("later");
  const auto data = runner.push(
      {{"task", "date +%s%3N; echo $TASK_RUNNER_CHANNEL"}, {"channel", "later"}, {"delay", "1.2"}});
  const std::string id = data.at("task_id");
  const auto waiting = runner.task(id);
  CHECK(waiting.at("state") == "delayed");
  CHECK(waiting.at("channel") == "later");
  const auto due_ms = milliseconds_of(waiting.at("execute_at"));
  CHECK(due_ms - milliseconds_of(waiting.at("created_at")) == 1'200);

  const auto status = runner.channel("later");
  CHECK(status.at("count") == 1);
  CHECK(status.at("delayed") == 1);
  REQUIRE(status.at("tasks").size() == 1);
  CHECK(status.at("tasks")[0].at("state") == "delayed");
  CHECK(status.at("tasks")[0].at("status") == 1);
  CHECK(status.at("tasks")[0].at("task_id") == id);

  CHECK(runner.run_line("echo overtakes", "later") == "overtakes\n");
  CHECK(runner.settled(id).at("state") == "finished");
  const auto lines = lines_of(runner.output(id));
  REQUIRE(lines.size() == 2);
  CHECK(std::stoll(lines[0]) >= due_ms);
  CHECK(std::stoll(lines[0]) < due_ms + 5'000);
  CHECK(lines[1] == "later");
}

TEST_CASE("delayed tasks run in the order of their moments") {
  test_daemon runner;
  runner.create_channel("later", {{"worker", "1"}});
  const auto order = runner.path("order");
  const auto late =
      runner.push({{"task", append_line("late", order)}, {"channel", "later"}, {"delay", "1.5"}});
  const auto early =
      runner.push({{"task", append_line("early", order)}, {"channel", "later"}, {"delay", "0.8"}});
  runner.push_line(append_line("now", order), "later");
  runner.settled(late.at("task_id"));
  runner.settled(early.at("task_id"));
  CHECK(lines_of(read_file(order)) == std::vector<std::string>{"now", "early", "late"});
}

TEST_CASE("execute_at is understood as Unix seconds and as a time, and the past means at once") {
  test_daemon runner;
  const auto push_at = [&](const nlohmann::json& moment) {
    return runner.http()
        .post_json("/push", {{"task", "echo due " + moment.dump()}, {"execute_at", moment}})
        .json()
        .at("data")
        .at("task_id")
        .get<std::string>();
  };
  CHECK(runner.settled(push_at(1'000'000'000)).at("state") == "finished");
  const auto far = push_at(4'000'000'000);
  CHECK(runner.task(far).at("state") == "delayed");
  CHECK(runner.task(far).at("execute_at") == "2096-10-02T07:06:40.000Z");
  const auto text = push_at("2096-10-02T07:06:40Z");
  CHECK(runner.task(text).at("execute_at") == "2096-10-02T07:06:40.000Z");
}

TEST_CASE("a delay survives a restart, also one during which the moment passes") {
  test_daemon runner;
  runner.create_channel("later");
  const auto stamps = runner.path("stamps");
  const auto push_delayed = [&](const std::string& delay) {
    return runner.push({{"task", "date +%s%3N >> " + stamps}, {"channel", "later"}, {"delay", delay}})
        .at("task_id")
        .get<std::string>();
  };
  const bool kill = GENERATE(false, true);
  const auto passing = push_delayed("0.3");
  const auto lasting = push_delayed("2");
  const auto due_ms = milliseconds_of(runner.task(lasting).at("execute_at"));
  const auto passing_due_ms = milliseconds_of(runner.task(passing).at("execute_at"));
  if (kill)
    runner.kill();
  else
    CHECK(runner.stop() == process_end{true, 0});
  // The moment of the first passes while no daemon is there.
  REQUIRE(wait_until(
      [&] { return int64_t{time(nullptr)} * 1'000 > passing_due_ms + 1'000 || read_file(stamps) != ""; }));
  runner.start();
  CHECK(runner.settled(passing).at("state") == "finished");
  CHECK(runner.settled(lasting).at("state") == "finished");
  const auto lines = lines_of(read_file(stamps));
  REQUIRE(lines.size() == 2);
  CHECK(std::stoll(lines[1]) >= due_ms);
}
