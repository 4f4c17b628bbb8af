// What stands after restarts and after kill -9: every acknowledged task, every outcome, and nothing twice.
// Each command appends a line to a file, so that a second run could not hide.
#include "test/e2e/gate.hpp"
#include "test/support/daemon.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <mutex>
#include <set>
#include <thread>

using namespace task_runner::test;
using nlohmann::json;

namespace {

daemon_options with_workers(int workers) {
  daemon_options options;
  options.ini = "[channel.many]\nworker = " + std::to_string(workers) + "\n";
  return options;
}

/// Waits until nothing of the channel waits or runs any more.
bool wait_empty(test_daemon& runner, const std::string& channel) {
  return wait_until([&] { return runner.channel(channel).at("count") == 0; }, std::chrono::seconds(60));
}

} // namespace

TEST_CASE("three hundred tasks stored with task-mode off run exactly once after a restart with it on") {
  auto options = with_workers(8);
  options.flags = {"-task-mode=false"};
  test_daemon runner(options);
  const auto runs = runner.path("runs");
  std::set<std::string> ids;
  for (int i = 0; i < 300; ++i)
    ids.insert(runner.push_line("echo $TASK_RUNNER_TASK_ID >> " + runs, "many"));
  CHECK(ids.size() == 300);
  CHECK(runner.channel("many").at("count") == 300);
  CHECK(runner.stop() == process_end{true, 0});
  CHECK(read_file(runs).empty());

  runner.options().flags.clear();
  runner.start();
  REQUIRE(wait_empty(runner, "many"));
  const auto counts = count_lines(runs);
  CHECK(counts.size() == 300);
  for (const auto& id : ids)
    CHECK((counts.count(id) == 1 && counts.at(id) == 1));
  CHECK(runner.channel("many").at("finished") == 300);
}

TEST_CASE("what was stored stays stored through restarts without running") {
  auto options = with_workers(8);
  options.flags = {"-task-mode=false"};
  test_daemon runner(options);
  const auto id = runner.push_line("echo once", "many");
  for (int i = 0; i < 3; ++i) {
    if (i == 1)
      runner.kill();
    else
      CHECK(runner.stop() == process_end{true, 0});
    runner.start();
    CHECK(runner.task(id).at("state") == "pending");
    CHECK(runner.channel("many").at("count") == 1);
  }
}

TEST_CASE("after kill -9 running commands go on, and the next daemon settles them with their true outcome") {
  test_daemon runner(with_workers(20));
  const auto starts = runner.path("starts");
  const gate end(runner.path("gate"));
  const auto line = "echo $TASK_RUNNER_TASK_ID >> " + starts + "; " + end.wait_line() + "; echo done; exit 3";
  std::vector<std::string> ids;
  for (int i = 0; i < 20; ++i)
    ids.push_back(runner.push_line(line, "many"));
  REQUIRE(wait_lines(starts, 20));
  const bool ended_meanwhile = GENERATE(true, false);
  CAPTURE(ended_meanwhile);
  runner.kill();
  CHECK(runner.commands().size() >= 20);
  if (ended_meanwhile) {
    end.open();
    REQUIRE(wait_until([&] { return runner.commands().empty(); }));
    runner.start();
  } else {
    runner.start();
    CHECK(runner.channel("many").at("running") == 20);
    CHECK(runner.channel("many").at("count") == 20);
    end.open();
  }
  for (const auto& id : ids) {
    const auto task = runner.settled(id);
    CHECK(task.at("state") == "dead");
    CHECK(task.at("outcome") == json{{"kind", "exited"}, {"code", 3}});
    CHECK(task.at("attempt") == 1);
    CHECK(runner.output(id) == "done\n");
  }
  const auto counts = count_lines(starts);
  CHECK(counts.size() == 20);
  for (const auto& id : ids)
    CHECK(counts.at(id) == 1);
}

TEST_CASE("tasks pushed after kill -9 respect the workers that still run commands of before") {
  test_daemon runner(with_workers(2));
  const auto starts = runner.path("starts");
  const gate end(runner.path("gate"));
  for (int i = 0; i < 2; ++i)
    runner.push_line("echo old >> " + starts + "; " + end.wait_line(), "many");
  REQUIRE(wait_lines(starts, 2));
  runner.kill();
  runner.start();
  const auto late = runner.push_line("echo new >> " + starts, "many");
  // Whatever runs in another channel gives this one the time to go wrong.
  CHECK(runner.run_line("echo elsewhere", "biz") == "elsewhere\n");
  CHECK(runner.task(late).at("state") == "pending");
  CHECK(count_lines(starts).count("new") == 0);
  end.open();
  CHECK(runner.settled(late).at("state") == "finished");
}

TEST_CASE("an end amid a burst of pushes loses no acknowledged task and runs none twice") {
  const bool kill = GENERATE(true, false); // else TERM
  CAPTURE(kill);
  test_daemon runner(with_workers(8));
  const auto runs = runner.path("runs");
  std::set<std::string> acknowledged;
  for (int round = 0; round < 3; ++round) {
    std::mutex mutex;
    std::vector<std::thread> clients;
    std::atomic<size_t> count{0};
    const auto port = runner.port();
    for (int c = 0; c < 4; ++c)
      clients.emplace_back([&, port] {
        try {
          http_client http(port);
          for (;;) { // until the daemon is gone
            const auto answer = http.post_form(
                "/push", {{"task", "echo $TASK_RUNNER_TASK_ID >> " + runs}, {"channel", "many"}});
            const auto body = answer.json();
            if (answer.status != 200 || body.at("data").at("result") != true)
              return;
            const std::lock_guard<std::mutex> guard(mutex);
            acknowledged.insert(body.at("data").at("task_id").get<std::string>());
            ++count;
          }
        } catch (const std::exception&) { // the connection broke: this push was not acknowledged
        }
      });
    CHECK(wait_until([&] { return count >= 150; }));
    if (kill)
      runner.kill();
    else
      CHECK(runner.stop() == process_end{true, 0});
    for (auto& client : clients)
      client.join();
    runner.start();
  }
  CAPTURE(acknowledged.size());
  CHECK(acknowledged.size() >= 450);
  REQUIRE(wait_empty(runner, "many"));
  const auto counts = count_lines(runs);
  std::string missing;
  for (const auto& id : acknowledged)
    if (counts.count(id) == 0)
      missing += runner.http().get("/api/v1/tasks/" + id).body + "\n";
  CHECK(missing == "");
  for (const auto& [id, times] : counts) {
    CAPTURE(id);
    CHECK(times == 1);
  }
}

TEST_CASE("when the launcher dies, its attempts are lost to it and run again, and new ones run") {
  test_daemon runner(with_workers(2));
  const auto starts = runner.path("starts");
  const gate end(runner.path("gate"));
  const auto id = runner.push_line("echo $TASK_RUNNER_ATTEMPT >> " + starts + "; " + end.wait_line(), "many");
  REQUIRE(wait_lines(starts, 1));
  const auto orphans = runner.commands();
  const auto launcher = runner.launcher_pid();
  REQUIRE(launcher > 0);
  REQUIRE(::kill(launcher, SIGKILL) == 0);
  CHECK(runner.run_line("echo works") == "works\n");
  CHECK(runner.launcher_pid() != launcher);
  CHECK(runner.report().at("launcher").at("restarts") == 1);
  REQUIRE(wait_lines(starts, 2)); // a second attempt
  end.open();
  const auto task = runner.settled(id);
  CHECK(task.at("state") == "finished");
  CHECK(task.at("attempt") == 2);
  CHECK(count_lines(starts) == std::map<std::string, int>{{"1", 1}, {"2", 1}});
}

TEST_CASE("kill -9 of daemon and launcher together loses no task that waited") {
  test_daemon runner(with_workers(1));
  const auto runs = runner.path("runs");
  const gate end(runner.path("gate"));
  runner.push_line(end.wait_line(), "many");
  std::vector<std::string> ids;
  for (int i = 0; i < 10; ++i)
    ids.push_back(runner.push_line("echo $TASK_RUNNER_TASK_ID >> " + runs, "many"));
  REQUIRE(wait_until([&] { return runner.channel("many").at("running") == 1; }));
  const auto launcher = runner.launcher_pid();
  runner.kill();
  REQUIRE(::kill(launcher, SIGKILL) == 0);
  runner.start();
  end.open();
  for (const auto& id : ids)
    CHECK(runner.settled(id).at("state") == "finished");
  const auto counts = count_lines(runs);
  for (const auto& id : ids)
    CHECK(counts.at(id) == 1);
}
