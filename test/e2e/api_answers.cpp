// What answers say of a task beyond its definition: the state of a push, how often it may be tried, who is
// held. The predecessor's own answers keep their members, whatever version 1 says more.
#include "test/e2e/api_support.hpp"
#include "test/e2e/gate.hpp"

#include <csignal>

using namespace task_runner::test;
using json = nlohmann::json;

namespace {

const std::string tasks = "/api/v1/tasks";

} // namespace

TEST_CASE("the answer to a push says the state, on version 1's path alone") {
  test_daemon runner;
  data_of(runner, "POST", "/api/v1/channels", {{"name", "none"}, {"worker", 0}, {"distinct", true}});
  data_of(runner, "POST", "/api/v1/channels", {{"name", "one"}, {"worker", 1}, {"distinct", true}});
  const gate end(runner.path("gate"));
  const auto push = [&](json body) { return data_of(runner, "POST", tasks, body); };
  CHECK(push({{"task", "a"}, {"channel", "none"}, {"id", "waits"}}) ==
        json{{"task_name", "a"}, {"result", true}, {"task_id", "waits"}, {"state", "pending"}});
  CHECK(push({{"task", "b"}, {"channel", "none"}, {"delay", 3'600}, {"id", "later"}}).at("state") ==
        "delayed");
  CHECK(push({{"task", end.wait_line()}, {"channel", "one"}, {"id", "runs"}}).at("state") == "running");
  // Held for its concurrency key: the second of a kind waits, whether or not a worker is free.
  CHECK(push({{"task", "c1"}, {"channel", "none"}, {"concurrency_key", "k"}}).at("state") == "pending");
  CHECK(push({{"task", "c2"}, {"channel", "none"}, {"concurrency_key", "k"}}).at("state") == "pending");

  // A duplicate has the state of the task that is there.
  CHECK(push({{"task", "a"}, {"channel", "none"}}) ==
        json{{"task_name", "a"}, {"result", false}, {"task_id", "waits"}, {"state", "pending"}});
  CHECK(push({{"task", "b"}, {"channel", "none"}}).at("state") == "delayed");
  CHECK(push({{"task", end.wait_line()}, {"channel", "one"}}).at("state") == "running");
  end.open();
  REQUIRE(wait_state(runner, "runs", "finished"));
  const auto again = push({{"task", end.wait_line()}, {"channel", "one"}, {"id", "runs"}});
  CHECK(again.at("result") == false);
  CHECK(again.at("state") == "finished");

  const json old{{"task_name", "d"}, {"result", true}, {"task_id", "old"}};
  CHECK(runner.push({{"task", "d"}, {"channel", "none"}, {"id", "old"}}) == old);
  CHECK(runner.push({{"task", "d"}, {"channel", "none"}}) ==
        json{{"task_name", "d"}, {"result", false}, {"task_id", "old"}});
  CHECK(runner.http().post_form("/channels/none/tasks", {{"task", "e"}, {"id", "e"}}).json().at("data") ==
        json{{"task_name", "e"}, {"result", true}, {"task_id", "e"}});
}

TEST_CASE("a task shows how often it may be tried: by its own word, else by its channel's of now") {
  test_daemon runner;
  data_of(runner, "POST", "/api/v1/channels", {{"name", "mail"}, {"worker", 0}, {"max_attempts", 4}});
  const auto own = push_json(runner, {{"task", "a"}, {"channel", "mail"}, {"max_attempts", 2}});
  const auto common = push_json(runner, {{"task", "b"}, {"channel", "mail"}});
  const auto plain = push_json(runner, {{"task", "true"}});
  CHECK(runner.task(own).at("max_attempts") == 2);
  CHECK(runner.task(common).at("max_attempts") == 4);
  CHECK(runner.task(common).at("options") == json::object()); // what it says itself
  CHECK(runner.task(plain).at("max_attempts") == 1);
  data_of(runner, "PATCH", "/api/v1/channels/mail", {{"max_attempts", 7}});
  CHECK(runner.task(own).at("max_attempts") == 2);
  CHECK(runner.task(common).at("max_attempts") == 7);
  // A verb answers with the same task.
  CHECK(data_of(runner, "POST", tasks + "/" + common + "/cancel").at("max_attempts") == 7);
  data_of(runner, "DELETE", "/api/v1/channels/mail?force=true");
  CHECK(runner.task(common).at("max_attempts") == 1);
  CHECK(runner.task(own).at("max_attempts") == 2);
}

TEST_CASE("attempts before a retry by hand are told, and count no more") {
  test_daemon runner;
  const auto id = push_json(runner, {{"task", "exit 1"}, {"max_attempts", 2}, {"backoff_s", 0}});
  const auto first = runner.settled(id);
  CHECK(first.at("attempt") == 2);
  CHECK(first.at("attempts_before") == 0);
  CHECK(data_of(runner, "POST", tasks + "/" + id + "/retry").at("attempts_before") == 2);
  const auto second = runner.settled(id);
  CHECK(second.at("attempt") == 4);
  CHECK(second.at("attempts_before") == 2);
}

TEST_CASE("a verb answers with all attempts of the task, as a look at it does") {
  test_daemon runner;
  const auto id =
      push_json(runner, {{"task", "exit $TASK_RUNNER_ATTEMPT"}, {"max_attempts", 3}, {"backoff_s", 0}});
  REQUIRE(runner.settled(id).at("state") == "dead");
  const auto attempts = runner.task(id).at("attempts");
  REQUIRE(attempts.size() == 3);
  const auto deleted = data_of(runner, "DELETE", tasks + "/" + id);
  CHECK(deleted.at("attempts") == attempts);

  const auto late = push_json(
      runner, {{"task", "exit 1"}, {"max_attempts", 3}, {"backoff", "constant"}, {"backoff_s", 3'600}});
  REQUIRE(wait_state(runner, late, "delayed"));
  const auto cancelled = data_of(runner, "POST", tasks + "/" + late + "/cancel");
  CHECK(cancelled.at("state") == "cancelled");
  CHECK(cancelled == runner.task(late));
}

TEST_CASE("held tasks stand in the status, behind those in line and before delayed ones") {
  test_daemon runner;
  data_of(runner, "POST", "/api/v1/channels", {{"name", "one"}, {"worker", 1}});
  const gate end(runner.path("gate"));
  const auto push = [&](const std::string& id, json more) {
    more["task"] = end.wait_line();
    more["channel"] = "one";
    more["id"] = id;
    return push_json(runner, more);
  };
  push("later", {{"delay", 3'600}});
  push("runs", {{"concurrency_key", "k"}});
  REQUIRE(wait_state(runner, "runs", "running"));
  push("held-1", {{"concurrency_key", "k"}});
  push("held-2", {{"concurrency_key", "k"}});
  push("waits", json::object());

  const auto status = runner.channel("one");
  CHECK(status.at("count") == 5);
  CHECK(status.at("held") == 2);
  std::vector<std::string> order;
  for (const auto& one : status.at("tasks")) {
    order.push_back(one.at("task_id"));
    const bool held = order.back().find("held") == 0;
    CHECK(one.value("held", false) == held);
    if (held) {
      CHECK(one.at("state") == "pending");
      CHECK(one.at("status") == 1);
    }
  }
  CHECK(order == std::vector<std::string>{"runs", "waits", "held-1", "held-2", "later"});
  CHECK(runner.http().get("/status?channel=one&limit=3").json().at("data").at("tasks").size() == 3);
  const auto old = data_of(runner, "GET", "/channels/one");
  CHECK(old.at("tasks").size() == 5);
  CHECK(old.at("tasks")[2].at("status") == "queued");
  end.open();
  for (const auto* id : {"held-1", "held-2", "waits"})
    CHECK(runner.settled(id).at("state") == "finished");
}

TEST_CASE("a cancel that outlasts its wait says that the task still runs, and then it ends") {
  test_daemon runner;
  // Every process of it ignores TERM, and its grace is longer than an answer may take.
  const auto id =
      push_json(runner, {{"task", "trap '' TERM; echo up; while :; do sleep 0.1; done"}, {"grace_s", 27}});
  REQUIRE(wait_until([&] { return runner.output(id) == "up\n"; }));
  const auto envelope = request(runner, "POST", tasks + "/" + id + "/cancel");
  CHECK(envelope.at("status_code") == 200);
  CHECK(envelope.at("message").get<std::string>().find("being ended") != std::string::npos);
  CHECK(envelope.at("data").at("state") == "running");
  CHECK(envelope.at("data").at("cancel_requested") == true);
  CHECK(wait_state(runner, id, "cancelled"));
}

TEST_CASE("removing a channel that the INI file names says that it comes back, and it does") {
  daemon_options options;
  options.ini = "[channel.mail]\nworker = 2\n\n[channel.empty]\n";
  test_daemon runner(options);
  data_of(runner, "POST", "/api/v1/channels", {{"name", "own"}});
  for (const std::string path : {"/api/v1/channels/mail", "/channels/empty"}) {
    const auto envelope = request(runner, "DELETE", path);
    CHECK(envelope.at("status_code") == 200);
    CHECK(envelope.at("message") == "ok");
    CHECK(envelope.at("warning").get<std::string>().find("INI file") != std::string::npos);
  }
  CHECK_FALSE(request(runner, "DELETE", "/api/v1/channels/own").contains("warning"));
  write_file(runner.ini_file(), "[channel.mail]\nworker = 2\n");
  REQUIRE(runner.child().signal(SIGHUP));
  REQUIRE(wait_until([&] { return runner.http().get("/status?channel=mail").status == 200; }));
  CHECK(runner.channel("mail").at("worker") == 2);
  // What the file does not name any more is the API's alone.
  CHECK(runner.http().get("/status?channel=empty").status == 404);
  data_of(runner, "POST", "/api/v1/channels", {{"name", "empty"}});
  CHECK_FALSE(request(runner, "DELETE", "/api/v1/channels/empty").contains("warning"));
  CHECK(request(runner, "DELETE", "/api/v1/channels/mail").contains("warning"));
}
