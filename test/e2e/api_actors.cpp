// GET /api/v1/actors: what every actor does and what goes between them, of a real daemon.
// The actors of /status are the same, in short.
#include "test/e2e/api_support.hpp"
#include "test/e2e/gate.hpp"

#include <map>
#include <set>

using namespace task_runner::test;
using json = nlohmann::json;

namespace {

const std::string actors = "/api/v1/actors";

json list(test_daemon& runner, const std::string& query = "?limit=1000") {
  return data_of(runner, "GET", actors + query);
}

std::vector<std::string> names_of(const json& page) {
  std::vector<std::string> names;
  for (const auto& item : page.at("items"))
    names.push_back(item.at("name"));
  return names;
}

json actor(const json& page, const std::string& name) {
  for (const auto& item : page.at("items"))
    if (item.at("name") == name)
      return item;
  throw std::runtime_error("there is no actor " + name + " in " + page.dump());
}

uint64_t messages(const json& page, const std::string& from, const std::string& to) {
  for (const auto& edge : page.at("edges"))
    if (edge.at("from") == from && edge.at("to") == to)
      return edge.at("messages");
  return 0;
}

uint64_t handled(const json& item, const std::string& kind) {
  for (const auto& one : item.at("messages").at("by_kind"))
    if (one.at("kind") == kind)
      return one.at("count");
  return 0;
}

} // namespace

TEST_CASE("the actors tell what they were sent, and by whom") {
  test_daemon runner;
  runner.create_channel("mail");
  runner.create_channel("web");
  const auto before = list(runner);
  std::vector<std::string> ids;
  for (int i = 0; i < 50; ++i)
    ids.push_back(runner.push_line("true", i % 5 == 0 ? "web" : "mail"));
  for (const auto& id : ids)
    CHECK(runner.settled(id).at("state") == "finished");
  json page;
  // When all is quiet every submission has its answer.
  REQUIRE(wait_until([&] {
    page = list(runner);
    const auto queue = actor(page, "queue:mail");
    return queue.at("in_flight") == 0 && queue.at("credits").at("occupied") == 0 &&
           messages(page, "queue:mail", "store") == messages(page, "store", "queue:mail");
  }));
  const auto since = [&](const std::string& from, const std::string& to) {
    return messages(page, from, to) - messages(before, from, to);
  };
  CHECK(since("gateway", "intake") == 50);
  CHECK(since("intake", "router") == 50);
  CHECK(since("router", "queue:mail") == 40);
  CHECK(since("router", "queue:web") == 10);
  CHECK(since("http", "gateway") >= 100); // each was asked for, too
  CHECK(since("gateway", "router") >= 50);
  CHECK(since("router", "store") >= 50);
  CHECK(since("store", "router") >= 50);
  CHECK(since("queue:mail", "store") >= 40);
  CHECK(since("queue:mail", "executor:mail") >= 1);
  CHECK(since("executor:mail", "launcher") >= 1);
  CHECK(since("launcher", "executor:mail") >= 1);
  CHECK(since("executor:mail", "queue:mail") == since("launcher", "executor:mail"));
  CHECK(messages(page, "supervisor", "router") == 1);
  CHECK(handled(actor(page, "queue:mail"), "push") == 40);
  CHECK(handled(actor(page, "queue:web"), "push") == 10);
  CHECK(handled(actor(page, "intake"), "push") == 50);
  CHECK(handled(actor(page, "router"), "push") == 50);

  std::set<std::string> kinds;
  for (const auto& item : page.at("items")) {
    INFO(item.dump());
    kinds.insert(item.at("kind").get<std::string>());
    if (item.at("kind") == "service") {
      CHECK(item.at("mailbox").is_null());
      continue;
    }
    const auto& mailbox = item.at("mailbox");
    CHECK(mailbox.at("peak").get<uint64_t>() >= mailbox.at("depth").get<uint64_t>());
    CHECK(item.at("alive") == true);
    CHECK(item.at("restarts") == 0);
    CHECK(item.at("started_at").is_string());
    uint64_t sum = 0;
    for (const auto& one : item.at("messages").at("by_kind")) {
      sum += one.at("count").get<uint64_t>();
      CHECK(one.at("count").get<uint64_t>() > 0);
      CHECK(one.at("longest_s").get<double>() <= one.at("total_s").get<double>());
    }
    CHECK(item.at("messages").at("total") == sum);
    if (sum > 0) {
      CHECK(item.at("last_message").at("kind").is_string());
      CHECK(item.at("last_message").at("at").is_string());
      CHECK(mailbox.at("peak").get<uint64_t>() >= 1);
    }
  }
  CHECK(kinds == std::set<std::string>{"batch", "executor", "gateway", "historian", "intake", "queue",
                                       "router", "service", "supervisor"});
  const auto queue = actor(page, "queue:mail");
  CHECK(queue.at("channel") == "mail");
  CHECK(queue.at("watched_by") == "router");
  CHECK(queue.at("credits") == json{{"workers", 5}, {"occupied", 0}, {"free", 5}});
  CHECK(queue.at("facts").at("window") == 0);
  CHECK(actor(page, "executor:mail").at("credits") == json{{"workers", 5}});
  CHECK(actor(page, "router").at("channel").is_null());
  CHECK(actor(page, "router").at("credits").is_null());
  // Both ends of every edge are there.
  const auto names = names_of(page);
  const std::set<std::string> known(names.begin(), names.end());
  for (const auto& edge : page.at("edges")) {
    CHECK(known.count(edge.at("from")) == 1);
    CHECK(known.count(edge.at("to")) == 1);
  }
}

TEST_CASE("the actors can be listed by channel and kind, and in parts") {
  test_daemon runner;
  runner.create_channel("mail");
  const auto whole = list(runner);
  CHECK(whole.at("next").is_null());
  const auto names = names_of(whole);
  CHECK(std::is_sorted(names.begin(), names.end()));
  CHECK(names_of(list(runner, "?channel=mail")) == std::vector<std::string>{"executor:mail", "queue:mail"});
  CHECK(names_of(list(runner, "?kind=queue")) ==
        std::vector<std::string>{"queue:biz", "queue:cron", "queue:default", "queue:mail"});
  CHECK(names_of(list(runner, "?kind=queue&channel=mail")) == std::vector<std::string>{"queue:mail"});
  CHECK(names_of(list(runner, "?kind=service")) ==
        std::vector<std::string>{"clock", "daemon", "http", "launcher", "store"});
  CHECK(list(runner, "?kind=router&channel=mail").at("items").empty());
  // Those of a channel come with all its edges, that from the router among them.
  CHECK(messages(list(runner, "?channel=mail"), "router", "queue:mail") >= 1);

  std::vector<std::string> gathered;
  std::string query = "?limit=3";
  for (size_t pages = 0; pages < names.size(); ++pages) {
    const auto page = list(runner, query);
    CHECK(page.at("items").size() <= 3);
    for (const auto& name : names_of(page))
      gathered.push_back(name);
    if (page.at("next").is_null())
      break;
    query = "?limit=3&cursor=" + page.at("next").get<std::string>();
  }
  CHECK(gathered == names);

  CHECK(refused(runner, "GET", actors + "?channel=none", nullptr, "none") == 404);
  CHECK(refused(runner, "GET", actors + "?channel=a/b", nullptr, "channel") == 400);
  CHECK(refused(runner, "GET", actors + "?channel=", nullptr, "channel") == 400);
  CHECK(refused(runner, "GET", actors + "?kind=worker", nullptr, "kind") == 400);
  CHECK(refused(runner, "GET", actors + "?kind=", nullptr, "kind") == 400);
  CHECK(refused(runner, "GET", actors + "?limit=0", nullptr, "limit") == 422);
  CHECK(refused(runner, "GET", actors + "?limit=1001", nullptr, "limit") == 422);
  CHECK(refused(runner, "GET", actors + "?limit=many", nullptr, "limit") == 400);
  CHECK(refused(runner, "GET", actors + "?cursor=queue", nullptr, "cursor") == 400);
  CHECK(refused(runner, "GET", actors + "?sort=name", nullptr, "sort") == 400);
  CHECK(refused(runner, "POST", actors) == 405);
  CHECK(refused(runner, "GET", actors + "/router") == 404);
}

TEST_CASE("the actors of a channel that is removed are listed no more") {
  test_daemon runner;
  runner.create_channel("mail");
  runner.run_line("true", "mail");
  CHECK(list(runner, "?channel=mail").at("items").size() == 2);
  data_of(runner, "DELETE", "/api/v1/channels/mail");
  // Answered when its record is gone; the last handle of an actor may live a moment longer.
  CHECK(wait_until([&] { return refused(runner, "GET", actors + "?channel=mail") == 404; }));
  const auto page = list(runner);
  for (const auto& name : names_of(page))
    CHECK(name.find(":mail") == std::string::npos);
  for (const auto& edge : page.at("edges"))
    CHECK(edge.dump().find(":mail") == std::string::npos);
}

TEST_CASE("workers that are occupied show in the credits, and running commands are waited for") {
  test_daemon runner;
  const gate end(runner.path("end"));
  runner.create_channel("mail", {{"worker", "2"}});
  const auto id = runner.push_line(end.wait_line(), "mail");
  REQUIRE(wait_state(runner, id, "running"));
  CHECK(wait_until([&] {
    return actor(list(runner, "?channel=mail"), "queue:mail").at("credits") ==
           json{{"workers", 2}, {"occupied", 1}, {"free", 1}};
  }));
  data_of(runner, "PATCH", "/api/v1/channels/mail", {{"worker", 7}});
  CHECK(wait_until([&] {
    const auto page = list(runner, "?channel=mail");
    return actor(page, "queue:mail").at("credits") == json{{"workers", 7}, {"occupied", 1}, {"free", 6}} &&
           actor(page, "executor:mail").at("credits") == json{{"workers", 7}};
  }));
  end.open();
  runner.settled(id);
}

TEST_CASE("a batch, its turns and its slices are counted as messages of their own") {
  test_daemon runner;
  const auto answer =
      runner.http().send("POST", "/api/v1/tasks:batch", {{"Content-Type", "application/x-ndjson"}},
                         "{\"task\":\"true\"}\n{\"task\":\"true 2\",\"channel\":\"biz\"}\n");
  REQUIRE(answer.status == 200);
  const auto page = list(runner);
  CHECK(messages(page, "gateway", "batch") == 1);
  CHECK(messages(page, "batch", "intake") == 1);
  CHECK(messages(page, "batch", "gateway") >= 1);
  CHECK(messages(page, "intake", "router") == 2);
  const auto batch = actor(page, "batch");
  CHECK(handled(batch, "lines") == 1);
  CHECK(handled(batch, "decided") == 1);
  CHECK(handled(batch, "turn") == messages(page, "batch", "gateway"));
  CHECK(handled(batch, "reply") == 0);
}

TEST_CASE("the actors of status have their channel, their peak and what they have open") {
  test_daemon runner;
  runner.run_line("true", "biz");
  const auto status = runner.http().get("/status").json();
  REQUIRE(status.at("actors").size() >= 9);
  for (const auto& one : status.at("actors")) {
    INFO(one.dump());
    CHECK(one.at("kind") != "service");
    CHECK(one.at("mailbox_peak").get<uint64_t>() >= one.at("mailbox_depth").get<uint64_t>());
    CHECK(one.at("in_flight").is_number_unsigned());
    const auto kind = one.at("kind").get<std::string>();
    const bool has_channel = kind == "queue" || kind == "executor";
    CHECK(one.at("channel").is_string() == has_channel);
    if (has_channel)
      CHECK(one.at("name") == kind + ":" + one.at("channel").get<std::string>());
  }
}

TEST_CASE("a daemon with many channels lists its actors in pages of a bounded size") {
  constexpr size_t count = 1'200;
  daemon_options options;
  options.flags = {"-task-mode=false"};
  for (size_t i = 0; i < count; ++i)
    options.ini += "[channel.many-" + std::to_string(i) + "]\nworker = 1\n";
  test_daemon runner(options);
  size_t queues = 0;
  std::string query = "?kind=queue&limit=1000";
  for (size_t pages = 0; pages < 20; ++pages) {
    const auto answer = runner.http().get(actors + query);
    REQUIRE(answer.status == 200);
    CHECK(answer.body.size() < 1'200'000);
    const auto page = answer.json().at("data");
    queues += page.at("items").size();
    if (page.at("next").is_null())
      break;
    query = "?kind=queue&limit=1000&cursor=" + page.at("next").get<std::string>();
  }
  CHECK(queues == count + 3);
  CHECK(list(runner, "?channel=many-7").at("items").size() == 2);
}
