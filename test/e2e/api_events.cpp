// What happens to tasks and channels, as clients hear of it: in order, filtered, and after an interruption.
#include "test/e2e/api_support.hpp"
#include "test/support/event_client.hpp"

using namespace task_runner::test;

namespace {

/// A client that hears of everything from now on.
event_client listen(const test_daemon& runner, const std::string& query = {},
                    const name_values& headers = {}) {
  event_client client(runner.port(), "/api/v1/events" + query, headers);
  client.expect("ready");
  return client;
}

/// Reads until the task has that state; gives the event. Whatever concerns others is left out.
nlohmann::json await_state(event_client& client, const std::string& id, const std::string& state) {
  while (const auto event = client.next()) {
    if (event->name != "task")
      continue;
    auto data = event->json();
    if (data.at("id") == id && data.value("state", "") == state)
      return data;
  }
  throw std::runtime_error("the stream ended before task " + id + " was " + state);
}

} // namespace

TEST_CASE("events tell of every task that ends, with its outcome") {
  test_daemon runner;
  auto client = listen(runner);
  CHECK(client.answer().header("content-type") == "text/event-stream; charset=utf-8");
  CHECK(client.answer().header("cache-control") == "no-store");
  const auto good = runner.push_line("true");
  const auto end = await_state(client, good, "finished");
  CHECK(end.at("channel") == "default");
  CHECK(end.at("attempt") == 1);
  CHECK(end.at("outcome") == nlohmann::json{{"kind", "exited"}, {"code", 0}});
  CHECK(end.at("at").get<std::string>().size() == 24);
  const auto bad = push_json(runner, {{"task", "exit 3"}, {"max_attempts", 2}, {"backoff_s", 3'600}});
  const auto failed = await_state(client, bad, "delayed");
  CHECK(failed.at("outcome").at("code") == 3);
  data_of(runner, "POST", "/api/v1/tasks/" + bad + "/cancel", nlohmann::json::object());
  CHECK(await_state(client, bad, "cancelled").at("outcome").at("kind") == "cancelled");
  const auto waiting = push_json(runner, {{"task", "sleep 600"}});
  CHECK(await_state(client, waiting, "running").at("outcome").is_null());
  data_of(runner, "POST", "/api/v1/tasks/" + waiting + "/cancel", nlohmann::json::object());
  await_state(client, waiting, "cancelled");
}

TEST_CASE(
    "events tell of tasks that somebody deletes, one by one or many at once, also without their channel") {
  test_daemon runner;
  runner.create_channel("gone");
  const auto one = runner.push_line("exit 1");
  const auto many = runner.push_line("exit 2");
  const auto orphan = runner.push_line("exit 3", "gone");
  for (const auto& id : {one, many, orphan})
    REQUIRE(runner.settled(id).at("state") == "dead");
  data_of(runner, "DELETE", "/api/v1/channels/gone");
  auto client = listen(runner, "?types=task");
  const auto await_deletion = [&client] {
    auto data = client.expect("task");
    CHECK(data.at("deleted") == true);
    CHECK_FALSE(data.contains("state"));
    CHECK(data.at("at").get<std::string>().size() == 24);
    return data.at("id").get<std::string>() + " of " + data.at("channel").get<std::string>();
  };
  data_of(runner, "DELETE", "/api/v1/tasks/" + one);
  CHECK(await_deletion() == one + " of default");
  CHECK(data_of(runner, "POST", "/api/v1/tasks:delete", {{"state", "dead"}, {"channel", "default"}})
            .at("done") == 1);
  CHECK(await_deletion() == many + " of default");
  data_of(runner, "DELETE", "/api/v1/tasks/" + orphan);
  CHECK(await_deletion() == orphan + " of gone");
}

TEST_CASE("events tell of channels as their counts change") {
  test_daemon runner;
  auto client = listen(runner, "?types=channel&channel=mail,default");
  runner.create_channel("mail");
  runner.create_channel("other");
  data_of(runner, "POST", "/api/v1/channels/mail/pause", nlohmann::json::object());
  push_json(runner, {{"task", "true"}, {"channel", "other"}});
  push_json(runner, {{"task", "true"}, {"channel", "mail"}});
  for (;;) {
    const auto data = client.expect("channel");
    CHECK(data.at("channel") == "mail");
    if (data.at("pending") == 1 && data.at("paused") == true)
      break;
  }
  data_of(runner, "DELETE", "/api/v1/channels/mail?force=true");
  for (;;)
    if (client.expect("channel").contains("removed"))
      break;
}

TEST_CASE("a client that comes back hears of what it has missed") {
  test_daemon runner;
  auto client = listen(runner, "?types=task");
  const auto first = runner.push_line("true");
  await_state(client, first, "finished");
  const auto seen = client.last_id();
  client.close(true);
  const auto missed = runner.push_line("exit 1");
  REQUIRE(runner.settled(missed).at("state") == "dead");
  event_client again(runner.port(), "/api/v1/events?types=task", {{"Last-Event-ID", seen}});
  CHECK(await_state(again, missed, "dead").at("outcome").at("code") == 1);
  event_client since(runner.port(), "/api/v1/events?types=task&since=" + seen);
  await_state(since, missed, "dead");
  // Another life of the daemon is another story.
  CHECK(runner.stop() == process_end{true, 0});
  CHECK_FALSE(again.next());
  runner.start();
  event_client later(runner.port(), "/api/v1/events", {{"Last-Event-ID", seen}});
  CHECK(later.expect("reset").at("reason") == "restarted");
  const auto next = runner.push_line("true");
  await_state(later, next, "finished");
}

TEST_CASE("the ids of events ascend, and under load no end is missed") {
  test_daemon runner;
  auto client = listen(runner, "?types=task");
  std::string lines;
  for (int i = 0; i < 500; ++i)
    lines += nlohmann::json{{"task", "true " + std::to_string(i)}}.dump() + "\n";
  const auto pushed =
      runner.http().send("POST", "/api/v1/tasks:batch", {{"Content-Type", "application/x-ndjson"}}, lines);
  REQUIRE(pushed.status == 200);
  std::map<std::string, std::string> states;
  uint64_t last = 0;
  const auto ended = [&] {
    return std::count_if(states.begin(), states.end(),
                         [](const auto& one) { return one.second == "finished"; });
  };
  while (ended() < 500) {
    const auto event = client.next();
    REQUIRE(event);
    const auto number = std::stoull(event->id.substr(event->id.find('-') + 1));
    CHECK(number > last);
    last = number;
    const auto data = event->json();
    auto& state = states[data.at("id")];
    CHECK(state != "finished");
    state = data.at("state");
  }
}

TEST_CASE("events that cannot be told are refused") {
  test_daemon runner;
  const std::string path = "/api/v1/events";
  CHECK(refused(runner, "GET", path + "?types=tasks", nullptr, "types") == 400);
  CHECK(refused(runner, "GET", path + "?types=", nullptr, "types") == 400);
  CHECK(refused(runner, "GET", path + "?channel=a,,b", nullptr, "channel") == 400);
  CHECK(refused(runner, "GET", path + "?channel=", nullptr, "channel") == 400);
  CHECK(refused(runner, "GET", path + "?since=yesterday", nullptr, "id") == 400);
  CHECK(refused(runner, "GET", path + "?unknown=1", nullptr, "unknown") == 400);
  CHECK(runner.http().send("HEAD", path).header("content-type") == "text/event-stream; charset=utf-8");
}
