// The traps about stopping, deleting, retrying and limits, one test each, bearing its name.
// A verb that answers "ok" must have done what it says.
#include "test/e2e/gate.hpp"
#include "test/support/redis_server.hpp"

#include <catch2/catch.hpp>

#include <filesystem>

using namespace task_runner::test;
using nlohmann::json;

namespace {

http_answer post(test_daemon& runner, const std::string& path, const json& body = json::object()) {
  return runner.http().post_json(path, body);
}

/// The body's `data`; the answer must be 200.
json data_of(const http_answer& answer) {
  INFO(answer.body);
  REQUIRE(answer.status == 200);
  return answer.json().at("data");
}

json cancel(test_daemon& runner, const std::string& id) {
  return data_of(post(runner, "/api/v1/tasks/" + id + "/cancel", {{"grace_s", 0}}));
}

} // namespace

TEST_CASE("trap: deleting a queued task does nothing") {
  test_daemon runner;
  const auto ran = runner.path("ran");
  const gate end(runner.path("gate"));
  runner.create_channel("one", {{"worker", "1"}});
  const auto first = runner.push_line(end.wait_line(), "one");
  const auto unwanted = runner.push_line(append_line("unwanted", ran), "one");
  const auto last = runner.push_line(append_line("last", ran), "one");
  CHECK(cancel(runner, unwanted).at("state") == "cancelled");
  CHECK(runner.channel("one").at("count") == 2);
  end.open();
  runner.settled(last);
  runner.settled(first);
  CHECK(lines_of(read_file(ran)) == std::vector<std::string>{"last"});
  CHECK(runner.task(unwanted).at("outcome") == json{{"kind", "cancelled"}});
}

TEST_CASE("trap: deleting a channel leaves its workers running") {
  test_daemon runner;
  runner.create_channel("doomed", {{"worker", "2"}});
  for (int i = 0; i < 4; ++i)
    runner.push_line("trap '' HUP INT; while :; do sleep 0.05; done #" + std::to_string(i), "doomed");
  REQUIRE(wait_until([&] { return runner.commands().size() >= 2; }));
  CHECK(runner.http().send("DELETE", "/api/v1/channels/doomed").status == 409);
  CHECK(runner.http().send("DELETE", "/api/v1/channels/doomed?force=true").status == 200);
  CHECK(wait_until([&] { return runner.commands().empty(); }, std::chrono::seconds(30)));
  CHECK(wait_until([&] { return runner.http().get("/status?channel=doomed").status == 404; }));
  CHECK(runner.run_line("echo others live") == "others live\n");
}

TEST_CASE("trap: a kill reaches the shell and not the tree below it") {
  test_daemon runner;
  const auto id =
      runner.push_line("trap '' TERM; (setsid sh -c \"trap '' TERM; while :; do sleep 0.05; done\" &); "
                       "(sleep 1000 &); echo up; while :; do sleep 0.05; done");
  REQUIRE(wait_until([&] { return runner.output(id) == "up\n"; }));
  REQUIRE(runner.commands().size() >= 3);
  CHECK(cancel(runner, id).at("state") == "cancelled");
  CHECK(wait_until([&] { return runner.commands().empty(); }));
}

TEST_CASE("trap: what waits, what is delayed and what runs each need a verb of their own to be cancelled") {
  test_daemon runner;
  const gate end(runner.path("gate"));
  runner.create_channel("one", {{"worker", "1"}});
  const auto running = runner.push_line("echo up; " + end.wait_line(), "one");
  REQUIRE(wait_until([&] { return runner.output(running) == "up\n"; }));
  const auto pending = runner.push_line("echo pending", "one");
  const std::string delayed =
      runner.push({{"task", "echo delayed"}, {"channel", "one"}, {"delay", "3600"}}).at("task_id");
  for (const auto& id : {delayed, pending, running}) {
    CHECK(cancel(runner, id).at("state") == "cancelled");
    CHECK(runner.task(id).at("state") == "cancelled");
  }
  CHECK(runner.channel("one").at("count") == 0);
}

TEST_CASE("trap: a dedup lock cannot be seen or released") {
  test_daemon runner;
  const std::string line = "echo once # on its own";
  const std::string holder =
      runner.push({{"task", line}, {"channel", "biz"}, {"delay", "3600"}}).at("task_id");
  const auto refused = runner.push({{"task", line}, {"channel", "biz"}});
  CHECK(refused.at("result") == false);
  CHECK(refused.at("task_id") == holder); // it is shown who holds it
  cancel(runner, holder);
  const auto next = runner.push({{"task", line}, {"channel", "biz"}});
  CHECK(next.at("result") == true);
  CHECK(runner.settled(next.at("task_id")).at("state") == "finished");
}

TEST_CASE("trap: a task that kills whoever runs it is tried for ever") {
  test_daemon runner;
  const auto ran = runner.path("ran");
  // The parent of a command is the launcher.
  const auto id = runner.push_line(append_line("tried", ran) + "; kill -9 $PPID; sleep 1000");
  const auto task = runner.settled(id, std::chrono::seconds(60));
  CHECK(task.at("state") == "dead");
  CHECK(task.at("outcome").at("kind") == "lost");
  CHECK(lines_of(read_file(ran)).size() <= 5);
  CHECK(runner.run_line("echo as before") == "as before\n");
}

TEST_CASE("trap: the number of workers changes only with a restart, and 0 does not stop a channel") {
  test_daemon runner;
  const gate end(runner.path("gate"));
  runner.create_channel("live", {{"worker", "1"}});
  const auto change = [&](int workers) {
    const auto answer =
        runner.http().send("PATCH", "/api/v1/channels/live", {{"Content-Type", "application/json"}},
                           json{{"worker", workers}}.dump());
    INFO(answer.body);
    REQUIRE(answer.status == 200);
  };
  change(0);
  std::vector<std::string> ids;
  for (int i = 0; i < 4; ++i)
    ids.push_back(runner.push_line(end.wait_line() + " #" + std::to_string(i), "live"));
  // What another channel runs meanwhile shows that this one had the time.
  runner.run_line("echo elsewhere");
  for (const auto& id : ids)
    CHECK(runner.task(id).at("state") == "pending");
  change(3);
  REQUIRE(wait_until([&] { return runner.task(ids[2]).at("state") == "running"; }));
  CHECK(runner.task(ids[3]).at("state") == "pending");
  end.open();
  for (const auto& id : ids)
    runner.settled(id);
}

TEST_CASE("trap: what has failed cannot be found, and is retried one by one") {
  test_daemon runner;
  const auto mended = runner.path("mended");
  for (int i = 0; i < 5; ++i)
    runner.settled(runner.push_line("test -e " + mended + " #" + std::to_string(i)));
  runner.settled(runner.push_line("exit 3"));
  const auto found = data_of(runner.http().get("/api/v1/tasks?state=dead&exit_code=1")).at("items");
  CHECK(found.size() == 5);
  const auto dry =
      data_of(post(runner, "/api/v1/tasks:retry", {{"state", "dead"}, {"exit_code", 1}, {"dry_run", true}}));
  INFO(dry.dump());
  CHECK(data_of(runner.http().get("/api/v1/tasks?state=dead")).at("items").size() == 6);
  write_file(mended, "");
  data_of(post(runner, "/api/v1/tasks:retry", {{"state", "dead"}, {"exit_code", 1}}));
  for (const auto& one : found)
    CHECK(runner.settled(one.at("id")).at("state") == "finished");
  CHECK(data_of(runner.http().get("/api/v1/tasks?state=dead")).at("items").size() == 1);
}
