// Events to many clients: what they are told and when, coming back, losses, and clients that do not read.
#include "services/http/http_server.hpp"
#include "services/streaming/event_hub.hpp"
#include "test/support/event_client.hpp"
#include "test/support/wait.hpp"

#include <catch2/catch.hpp>

#include <set>

using namespace task_runner;
using namespace task_runner::test;

namespace {

task_event event_of(const std::string& id, task_state state, const std::string& channel = "mail") {
  return {id, channel, 1, state, std::nullopt, 0};
}

/// A server whose /events are those of a hub, which keeps a short time between two looks.
class hub_server {
public:
  explicit hub_server(event_hub_limits limits = {}, http_server_options options = {})
      : hub("life", channels, dead_letters, limits)
      , server_(std::move(options)) {
    REQUIRE(hub.start());
    REQUIRE(server_.route("GET", "/events", [this](const http_request& request, const http_responder& to) {
      event_filter filter;
      if (const auto channel = request.query("channel"))
        filter.channels = {std::string(*channel)};
      filter.counts = !request.query("tasks");
      std::optional<std::string> since;
      if (const auto id = last_event_id(request); !id.empty())
        since = id;
      if (auto followed = hub.follow(to, filter, since); !followed)
        to.fail(followed.failure());
    }));
    REQUIRE(server_.start());
  }
  ~hub_server() {
    server_.stop();
    hub.stop();
  }
  hub_server(const hub_server&) = delete;
  hub_server& operator=(const hub_server&) = delete;

  /// A client that has been told from where on it hears everything.
  event_client follow(const std::string& query = "?tasks=1") {
    event_client client(server_.port(), "/events" + query);
    client.expect("ready");
    return client;
  }
  event_client come_back(const std::string& last_id, const std::string& query = "?tasks=1") {
    return {server_.port(), "/events" + query, {{"Last-Event-ID", last_id}}};
  }
  uint16_t port() const { return server_.port(); }
  const http_counters& counters() const { return server_.counters(); }

  std::shared_ptr<channel_metrics_registry> channels = std::make_shared<channel_metrics_registry>();
  std::shared_ptr<dead_letter_counts> dead_letters = std::make_shared<dead_letter_counts>();
  event_hub hub;

private:
  http_server server_;
};

event_hub_limits quick() {
  event_hub_limits limits;
  limits.period = std::chrono::milliseconds(1);
  return limits;
}

} // namespace

TEST_CASE("what is told of a task") {
  task_event event{
      "t-1", "mail", 2, task_state::dead, outcome{outcome_kind::exited, 3, {}}, 1'700'000'000'123};
  CHECK(render_task_event(event) ==
        R"({"id":"t-1","channel":"mail","state":"dead","attempt":2,"outcome":{"kind":"exited","code":3},)"
        R"("at":"2023-11-14T22:13:20.123Z"})");
  event.how = outcome{outcome_kind::spawn_failed, 0, std::string(5'000, 'x') + "\xc3\xa4"};
  CHECK(render_task_event(event).size() < 1'300);
  event.how.reset();
  CHECK(render_task_event(event).find(R"("outcome":null)") != std::string::npos);
  event.deleted = true;
  CHECK(render_task_event(event) ==
        R"({"id":"t-1","channel":"mail","deleted":true,"at":"2023-11-14T22:13:20.123Z"})");
}

TEST_CASE("what is told of a channel") {
  channel_metrics metrics("mail");
  channel_counts counts;
  counts.pending = 2;
  counts.held = 1;
  counts.running = 4;
  counts.paused = true;
  metrics.set(counts);
  metrics.set_workers(5);
  metrics.dead = 7;
  const auto shown = nlohmann::json::parse(render_channel_event("mail", &metrics, 3));
  CHECK(shown.at("channel") == "mail");
  CHECK(shown.at("pending") == 3);
  CHECK(shown.at("held") == 1);
  CHECK(shown.at("running") == 4);
  CHECK(shown.at("paused") == true);
  CHECK(shown.at("worker") == 5);
  CHECK(shown.at("dead") == 7);
  CHECK(shown.at("dead_letters") == 3);
  CHECK(render_channel_event("mail", nullptr, 0) == R"({"channel":"mail","removed":true})");
}

TEST_CASE("events come in order with ascending ids, and nobody who is not there costs anything") {
  hub_server runner(quick());
  CHECK_FALSE(runner.hub.is_interested());
  auto client = runner.follow();
  CHECK(runner.hub.is_interested());
  CHECK(client.answer().header("content-type") == "text/event-stream; charset=utf-8");
  CHECK(client.retry_ms() == 1'000);
  uint64_t last = 0;
  for (int i = 0; i < 20; ++i) {
    const auto id = "t-" + std::to_string(i);
    runner.hub.on_task_events({event_of(id, task_state::running)});
    CHECK(client.expect("task").at("id") == id);
    REQUIRE(client.last_id().rfind("life-", 0) == 0);
    const auto number = std::stoull(client.last_id().substr(5));
    CHECK(number > last);
    last = number;
  }
}

TEST_CASE("a task is told of four times a second at most, as it stands then") {
  hub_server runner;
  auto client = runner.follow();
  // The first comes at once, or with what follows it; those in between do not come.
  const auto began = std::chrono::steady_clock::now();
  size_t told = 0;
  std::string state;
  for (int i = 0; i < 1'000; ++i)
    runner.hub.on_task_events({event_of("a", i % 2 == 0 ? task_state::pending : task_state::running)});
  runner.hub.on_task_events({event_of("a", task_state::finished)});
  while (state != "finished") {
    state = client.expect("task").at("state");
    ++told;
  }
  const auto quarters = (std::chrono::steady_clock::now() - began) / std::chrono::milliseconds(250);
  CHECK(told <= static_cast<size_t>(quarters) + 2);
}

TEST_CASE("channels are told of when their counts change, and when they go") {
  hub_server runner(quick());
  const auto metrics = runner.channels->of("mail");
  auto client = runner.follow("");
  channel_counts counts;
  counts.running = 3;
  metrics->set(counts);
  const auto changed = client.expect("channel");
  CHECK(changed.at("channel") == "mail");
  CHECK(changed.at("running") == 3);
  runner.channels->of("new")->set_workers(2);
  while (client.expect("channel").at("worker") != 2) {
  }
  runner.channels->remove("mail");
  CHECK(client.expect("channel") == nlohmann::json{{"channel", "mail"}, {"removed", true}});
}

TEST_CASE("a client that comes back gets what it has missed, and no other") {
  hub_server runner(quick());
  auto client = runner.follow();
  auto witness = runner.follow();
  runner.hub.on_task_events({event_of("before", task_state::running)});
  CHECK(client.expect("task").at("id") == "before");
  CHECK(witness.expect("task").at("id") == "before");
  const auto seen = client.last_id();
  client.close();
  runner.hub.on_task_events({event_of("missed", task_state::running)});
  CHECK(witness.expect("task").at("id") == "missed");
  auto again = runner.come_back(seen);
  CHECK(again.expect("task").at("id") == "missed");
  runner.hub.on_task_events({event_of("next", task_state::running)});
  CHECK(again.expect("task").at("id") == "next");
}

TEST_CASE("events are kept for a client that is alone and comes back, but not for ever") {
  auto limits = quick();
  const bool in_time = GENERATE(true, false);
  limits.linger = std::chrono::milliseconds(in_time ? 60'000 : 20);
  hub_server runner(limits);
  auto client = runner.follow();
  runner.hub.on_task_events({event_of("before", task_state::running)});
  client.expect("task");
  client.close();
  if (!in_time)
    REQUIRE(wait_until([&] { return !runner.hub.is_interested(); }));
  if (runner.hub.is_interested())
    runner.hub.on_task_events({event_of("missed", task_state::running)});
  auto again = runner.come_back(client.last_id());
  if (in_time)
    CHECK(again.expect("task").at("id") == "missed");
  else
    CHECK(again.expect("reset") == nlohmann::json{{"reason", "trimmed"}});
  runner.hub.on_task_events({event_of("next", task_state::running)});
  CHECK(again.expect("task").at("id") == "next");
}

TEST_CASE("a client is told when what it has missed is not there any more") {
  auto limits = quick();
  limits.kept.events_max = 4;
  hub_server runner(limits);
  auto client = runner.follow();
  auto witness = runner.follow();
  runner.hub.on_task_events({event_of("first", task_state::running)});
  client.expect("task");
  client.close();
  std::vector<task_event> many;
  for (int i = 0; i < 10; ++i)
    many.push_back(event_of("t-" + std::to_string(i), task_state::running));
  runner.hub.on_task_events(many);
  // Whoever was there gets what is kept at least, and is told of the rest.
  CHECK(witness.next());
  CHECK(runner.come_back(client.last_id()).expect("reset").at("reason") == "trimmed");
  CHECK(runner.come_back("other-3").expect("reset").at("reason") == "restarted");
  CHECK(runner.come_back("life-999").expect("reset").at("reason") == "trimmed");
  for (const std::string wrong : {"x", "life-", "life-x", "-3", "life-3x", "life-99999999999999999999"}) {
    CAPTURE(wrong);
    CHECK(runner.come_back(wrong).answer().status == 400);
  }
}

TEST_CASE("where there is too much to tell everybody learns that something is missing") {
  hub_server runner;
  auto client = runner.follow();
  std::vector<task_event> many(20'000, event_of("a", task_state::running));
  runner.hub.on_task_events(many);
  while (true) {
    const auto event = client.next();
    REQUIRE(event);
    if (event->name == "reset")
      break;
  }
  runner.hub.on_task_events({event_of("next", task_state::running)});
  CHECK(client.expect("task").at("id") == "next");
}

TEST_CASE("after too much to tell it is a while before clients are told of anything again") {
  auto limits = quick();
  limits.waiting_max = 8;
  limits.loss_pause = std::chrono::milliseconds(500);
  hub_server runner(limits);
  auto client = runner.follow();
  const std::vector<task_event> many(9, event_of("a", task_state::running));
  const auto began = std::chrono::steady_clock::now();
  size_t resets = 0;
  // Bulk pushes: too much each time.
  while (resets < 3) {
    runner.hub.on_task_events(many);
    while (client.readable(std::chrono::milliseconds(1)))
      if (const auto event = client.next(); event && event->name == "reset")
        ++resets;
  }
  CHECK(std::chrono::steady_clock::now() - began >= std::chrono::milliseconds(1'000));
  // Behind the last loss everything is told again.
  runner.hub.on_task_events({event_of("next", task_state::running)});
  auto event = client.next();
  while (event && event->name == "reset")
    event = client.next();
  REQUIRE(event);
  CHECK(event->json().at("id") == "next");
}

TEST_CASE("a filter counts for what is missed as well") {
  hub_server runner(quick());
  auto client = runner.follow("?tasks=1&channel=video");
  const auto start = client.last_id();
  runner.hub.on_task_events(
      {event_of("a", task_state::running), event_of("b", task_state::running, "video")});
  CHECK(client.expect("task").at("id") == "b");
  auto again = runner.come_back(start, "?tasks=1&channel=video");
  CHECK(again.expect("task").at("id") == "b");
}

TEST_CASE("a silent stream shows that it lives") {
  auto limits = quick();
  limits.heartbeat = std::chrono::milliseconds(50);
  hub_server runner(limits);
  auto client = runner.follow();
  client.await_comment();
  client.await_comment();
}

TEST_CASE("clients that do not read are cut, and the others hear everything") {
  http_server_options options;
  options.stream_stall_ms = 300;
  auto limits = quick();
  hub_server runner(limits, options);
  std::vector<event_client> dead;
  for (int i = 0; i < 10; ++i)
    dead.emplace_back(runner.port(), "/events?tasks=1", name_values{}, 4'096);
  auto client = runner.follow();
  std::set<std::string> heard;
  size_t sent = 0;
  while (runner.counters().streams_cut < dead.size() && sent < 200'000) {
    std::vector<task_event> some;
    for (int i = 0; i < 500; ++i)
      some.push_back(event_of("t-" + std::to_string(sent++), task_state::running));
    runner.hub.on_task_events(some);
    while (heard.size() < sent)
      heard.insert(client.expect("task").at("id").get<std::string>());
  }
  CHECK(runner.counters().streams_cut == dead.size());
  CHECK(heard.size() == sent);
  CHECK(wait_until([&] { return runner.counters().streams_open == 1; }));
}

TEST_CASE("streams of events end when the hub is stopped") {
  hub_server runner;
  auto client = runner.follow();
  runner.hub.stop();
  CHECK_FALSE(client.next());
  CHECK_FALSE(runner.hub.is_interested());
  event_client late(runner.port(), "/events");
  CHECK_FALSE(late.next());
}
