// The Redis source when a channel takes nothing: its messages are parked, in their order and within bounds,
// those of other channels go on; and a sink that takes nothing from anybody stops the taking at once.
#include "test/service/redis_fixture.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <random>

using namespace task_runner;
using namespace task_runner::test;

namespace {

/// Pushes `count` messages, `names[i % size]` being the channel of the i-th; its name is the channel and a
/// number of its own.
class mixed_messages {
public:
  explicit mixed_messages(const redis_server& server)
      : server_(server) {}

  void push(size_t count, const std::vector<std::string>& channels) {
    std::vector<std::string> words{"LPUSH", queue_key};
    for (size_t i = 0; i < count; ++i) {
      const auto& channel = channels[i % channels.size()];
      words.push_back(message(channel + std::to_string(counts_[channel]++), channel));
    }
    server_.command(words);
  }
  /// All names of a channel, in the order in which they were pushed.
  std::vector<std::string> names(const std::string& channel) const {
    const auto found = counts_.find(channel);
    return numbered(found == counts_.end() ? 0 : found->second, channel);
  }

private:
  const redis_server& server_;
  std::map<std::string, size_t> counts_;
};

redis_source_options small_batches(const redis_server& server) {
  auto options = source_options(server.port());
  options.batch_max = 10;
  return options;
}

bool everything_is_gone(const redis_server& server, const fake_intake& intake) {
  return taken_lists(server).empty() && intake.marks().empty() && length(server, queue_key) == 0;
}

/// Refuses what is for the channel `full`, as a queue at its limit does, while `closed`.
void close_full(fake_intake& intake, const std::atomic<bool>& closed) {
  intake.answer = [&closed](const push_item& item) {
    if (closed && item.channel == "full")
      return fake_intake::refuse(item, error_code::queue_full, "channel full holds 7 tasks");
    return fake_intake::accept(item);
  };
}

} // namespace

TEST_CASE("a full channel holds up nobody but itself, and its messages keep their order") {
  redis_server server;
  fake_intake intake;
  captured_log log;
  std::atomic<bool> closed{true};
  close_full(intake, closed);
  mixed_messages messages(server);
  messages.push(300, {"full", "a", "b"});
  redis_list_source source(small_batches(server), intake, intake);
  REQUIRE(source.start());
  REQUIRE(wait_until([&] { return intake.accepted_count() == 200; }));
  // What comes later finds its way too.
  for (int i = 0; i < 5; ++i) {
    messages.push(20, {"a", "full"});
    REQUIRE(wait_until([&] { return intake.accepted_of("a") == messages.names("a"); }));
  }
  CHECK(intake.accepted_of("b") == messages.names("b"));
  CHECK(intake.accepted_of("full").empty());
  REQUIRE(wait_until([&] { return source.status().parked == 150; }));
  const auto status = source.status();
  CHECK(status.in_flight == 150);
  CHECK(status.taken == 400);
  CHECK(status.healthy);
  CHECK(status.last_error.find("channel full holds 7 tasks") != std::string::npos);
  CHECK_FALSE(taken_lists(server).empty());
  closed = false;
  REQUIRE(wait_until([&] { return intake.accepted_of("full").size() == 150; }));
  CHECK(intake.accepted_of("full") == messages.names("full"));
  REQUIRE(wait_until([&] { return everything_is_gone(server, intake); }));
  CHECK(intake.accepted_count() == 400);
  CHECK(source.status().parked == 0);
  CHECK(source.status().in_flight == 0);
  CHECK(log.count("messages of a channel are parked") == 1);
  CHECK(log.count("no message is parked any more") == 1);
}

TEST_CASE("trying a full channel costs one message at a time") {
  redis_server server;
  fake_intake intake;
  std::atomic<bool> closed{true};
  close_full(intake, closed);
  std::atomic<size_t> offers{0};
  std::atomic<size_t> offered{0};
  intake.before_push = [&](const std::vector<push_item>& items) {
    ++offers;
    offered += items.size();
  };
  push_numbered(server, queue_key, 3);
  mixed_messages messages(server);
  messages.push(2'000, {"full"});
  redis_list_source source(source_options(server.port()), intake, intake);
  REQUIRE(source.start());
  REQUIRE(wait_until([&] { return source.status().parked == 2'000; }));
  const size_t offers_before = offers;
  const size_t offered_before = offered;
  REQUIRE(wait_until([&] { return offers >= offers_before + 8; }));
  const size_t offered_after = offered;
  CHECK(offered_after - offered_before <= offers - offers_before);
  closed = false;
  REQUIRE(wait_until([&] { return everything_is_gone(server, intake); }));
  CHECK(intake.accepted_of("full") == messages.names("full"));
  CHECK(offers < 100); // and all of them are handed over in few submissions
}

TEST_CASE("a channel that has room for a few at a time is filled in order") {
  redis_server server;
  fake_intake intake;
  std::mt19937 random(7);
  size_t room = 0;
  intake.before_push = [&](const std::vector<push_item>& items) {
    if (items.front().channel == "full")
      room = random() % 3 == 0 ? random() % 30 : 0;
  };
  intake.answer = [&](const push_item& item) {
    if (item.channel == "full" && room == 0)
      return fake_intake::refuse(item, error_code::queue_full, "full");
    room -= item.channel == "full" ? 1 : 0;
    return fake_intake::accept(item);
  };
  mixed_messages messages(server);
  auto options = small_batches(server);
  options.backoff_min_ms = 5;
  options.backoff_max_ms = 10;
  redis_list_source source(options, intake, intake);
  REQUIRE(source.start());
  for (int i = 0; i < 20; ++i) {
    messages.push(40, {"full", "other"});
    const auto count = intake.pushes();
    REQUIRE(wait_until([&] { return intake.pushes() > count; }));
  }
  REQUIRE(wait_until([&] { return everything_is_gone(server, intake); }));
  CHECK(intake.accepted_of("full") == messages.names("full"));
  CHECK(intake.accepted_of("other") == messages.names("other"));
}

TEST_CASE("at the bound of what is parked nothing more is taken, and the full channel is named once") {
  const std::string bound = GENERATE("messages", "bytes");
  CAPTURE(bound);
  redis_server server;
  fake_intake intake;
  captured_log log;
  std::atomic<bool> closed{true};
  close_full(intake, closed);
  auto options = small_batches(server);
  if (bound == "messages")
    options.parked_max = 50;
  else
    options.parked_bytes_max = 50 * message("full10", "full").size();
  mixed_messages messages(server);
  messages.push(500, {"full"});
  messages.push(1, {"a"});
  redis_list_source source(options, intake, intake);
  REQUIRE(source.start());
  REQUIRE(wait_until([&] {
    return source.status().last_error.find("nothing is taken from " + queue_key) != std::string::npos;
  }));
  const auto status = source.status();
  CHECK_FALSE(status.healthy);
  CHECK(status.parked >= 50);
  CHECK(status.parked <= 50 + 10 * options.batches_in_flight_max);
  CHECK(status.last_error.find("channel full") != std::string::npos);
  const auto left = length(server, queue_key);
  const auto pushes = intake.pushes();
  REQUIRE(wait_until([&] { return intake.pushes() >= pushes + 3; })); // it is tried again
  CHECK(length(server, queue_key) == left);
  CHECK(intake.accepted_count() == 0);
  CHECK(log.count("nothing is taken from") == 1);
  closed = false;
  REQUIRE(wait_until([&] { return everything_is_gone(server, intake); }));
  CHECK(intake.accepted_of("full") == messages.names("full"));
  CHECK(intake.accepted_of("a") == messages.names("a"));
  CHECK(wait_until([&] { return source.status().healthy; }));
}

TEST_CASE("what is parked outlasts the process: the next one runs it once, in order, with what came after") {
  redis_server server;
  fake_intake intake;
  std::atomic<bool> closed{true};
  close_full(intake, closed);
  mixed_messages messages(server);
  auto options = small_batches(server);
  options.parked_max = 60;
  messages.push(100, {"full", "a"});
  {
    redis_list_source source(options, intake, intake);
    REQUIRE(source.start());
    REQUIRE(wait_until([&] { return intake.accepted_of("a") == messages.names("a"); }));
    REQUIRE(wait_until([&] { return source.status().parked == 50; }));
    // As a crash finds it: of what comes now a part is decided, and nobody told.
    intake.hold();
    messages.push(100, {"full", "a"});
    REQUIRE(wait_until([&] { return intake.held() > 1; }));
    intake.decide_silently([](const push_item& item) { return item.channel == "a"; });
  }
  intake.drop();
  { // The next run finds more parked than it may, and waits.
    redis_list_source source(options, intake, intake);
    REQUIRE(source.start());
    REQUIRE(wait_until([&] { return !source.status().last_error.empty() && source.status().parked >= 50; }));
  }
  CHECK(intake.accepted_of("full").empty());
  closed = false;
  redis_list_source source(options, intake, intake);
  REQUIRE(source.start());
  REQUIRE(wait_until([&] { return everything_is_gone(server, intake); }));
  CHECK(intake.accepted_of("full") == messages.names("full"));
  CHECK(intake.accepted_of("a") == messages.names("a"));
}

TEST_CASE("a sink that takes nothing from anybody stops the taking at once, also while a channel is full") {
  const auto code = GENERATE(error_code::unavailable, error_code::overloaded, error_code::draining);
  CAPTURE(to_string(code));
  redis_server server;
  fake_intake intake;
  std::atomic<bool> closed{true};
  std::atomic<bool> down{false};
  intake.answer = [&](const push_item& item) {
    if (closed && item.channel == "full")
      return fake_intake::refuse(item, error_code::queue_full, "full");
    if (down)
      return fake_intake::refuse(item, code, "the disk is full");
    return fake_intake::accept(item);
  };
  mixed_messages messages(server);
  messages.push(40, {"full", "a"});
  redis_list_source source(small_batches(server), intake, intake);
  REQUIRE(source.start());
  REQUIRE(wait_until([&] { return intake.accepted_count() == 20 && source.status().parked == 20; }));
  down = true;
  const auto taken_before = source.status().taken;
  messages.push(1'000, {"a", "b", "full", "c"});
  const auto pushes = intake.pushes();
  REQUIRE(wait_until([&] { return intake.pushes() >= pushes + 10; }));
  const auto status = source.status();
  CHECK(status.taken - taken_before <= 2 * 10);
  CHECK(length(server, queue_key) >= 980);
  CHECK(status.healthy == (code == error_code::draining));
  if (code != error_code::draining)
    CHECK(status.last_error.find("the disk is full") != std::string::npos);
  down = false;
  REQUIRE(wait_until([&] { return intake.accepted_of("c") == messages.names("c"); }));
  CHECK(intake.accepted_of("a") == messages.names("a"));
  CHECK(intake.accepted_of("b") == messages.names("b"));
  CHECK(wait_until([&] { return source.status().healthy; }));
  closed = false;
  REQUIRE(wait_until([&] { return everything_is_gone(server, intake); }));
  CHECK(intake.accepted_of("full") == messages.names("full"));
}

TEST_CASE("a channel that is dead is told apart from a sink that takes nothing") {
  const std::string sign = GENERATE("says so", "others are served");
  CAPTURE(sign);
  redis_server server;
  fake_intake intake;
  std::atomic<bool> dead{true};
  intake.answer = [&](const push_item& item) {
    if (!dead || item.channel != "dead")
      return fake_intake::accept(item);
    auto reply = fake_intake::refuse(item, error_code::unavailable, "channel dead has failed");
    reply.channel_only = sign == "says so";
    return reply;
  };
  mixed_messages messages(server);
  // Many of them alone are no sign of anything, unless they say so.
  messages.push(sign == "says so" ? 200 : 5, {"dead"});
  messages.push(200, {"a", "dead", "b"});
  redis_list_source source(small_batches(server), intake, intake);
  REQUIRE(source.start());
  REQUIRE(wait_until([&] {
    return intake.accepted_of("a") == messages.names("a") && intake.accepted_of("b") == messages.names("b");
  }));
  REQUIRE(wait_until([&] { return source.status().parked == messages.names("dead").size(); }));
  CHECK(wait_until([&] { return source.status().healthy; }));
  dead = false;
  REQUIRE(wait_until([&] { return everything_is_gone(server, intake); }));
  CHECK(intake.accepted_of("dead") == messages.names("dead"));
}

TEST_CASE("a channel that does not answer holds up the others for a moment only") {
  redis_server server;
  fake_intake intake;
  intake.hold_channel("slow");
  mixed_messages messages(server);
  redis_list_source source(small_batches(server), intake, intake);
  REQUIRE(source.start());
  messages.push(400, {"a", "slow"});
  REQUIRE(wait_until([&] { return intake.accepted_of("a").size() >= 10; }));
  REQUIRE(wait_until([&] { return intake.accepted_of("a") == messages.names("a"); }));
  CHECK(intake.held() == 1);
  CHECK(source.status().parked == 200);
  CHECK(source.status().healthy);
  intake.release();
  REQUIRE(wait_until([&] { return everything_is_gone(server, intake); }));
  CHECK(intake.accepted_of("slow") == messages.names("slow"));
}

TEST_CASE("rejected messages beside parked ones are filed at once, and once over a restart") {
  redis_server server;
  fake_intake intake;
  std::atomic<bool> closed{true};
  intake.answer = [&](const push_item& item) {
    if (closed && item.channel == "full")
      return fake_intake::refuse(item, error_code::queue_full, "full");
    if (item.channel == "nowhere")
      return fake_intake::refuse(item, error_code::not_found, "there is no channel nowhere");
    return fake_intake::accept(item);
  };
  server.command({"LPUSH", queue_key, "bad-1", message("f0", "full"), message("x", "nowhere"),
                  message("f1", "full"), "bad-2", message("ok", "a")});
  const auto filed = [&] {
    std::vector<std::string> texts;
    for (const auto& entry : server.command({"LRANGE", rejected_key, "0", "-1"}).texts())
      texts.push_back(nlohmann::json::parse(entry).at("message"));
    return texts;
  };
  {
    redis_list_source source(source_options(server.port()), intake, intake);
    REQUIRE(source.start());
    REQUIRE(wait_until([&] { return filed().size() == 3; }));
    auto texts = filed();
    std::sort(texts.begin(), texts.end());
    CHECK(texts == std::vector<std::string>{"bad-1", "bad-2", message("x", "nowhere")});
    REQUIRE(wait_until([&] { return source.status().parked == 2; }));
    CHECK(source.status().rejected == 3);
  }
  REQUIRE(taken_lists(server).size() == 1);
  CHECK(length(server, taken_lists(server).front()) == 6); // everybody keeps the position
  closed = false;
  redis_list_source source(source_options(server.port()), intake, intake);
  REQUIRE(source.start());
  REQUIRE(wait_until([&] { return everything_is_gone(server, intake); }));
  CHECK(intake.accepted() == std::vector<std::string>{"ok", "f0", "f1"});
  CHECK(filed().size() == 3);
  CHECK(source.status().rejected == 0);
  CHECK(source.status().recovered == 2);
}

TEST_CASE("a parked message that is rejected in the end is filed, and the others go on") {
  redis_server server;
  fake_intake intake;
  std::atomic<bool> closed{true};
  intake.answer = [&](const push_item& item) {
    if (closed)
      return fake_intake::refuse(item, error_code::queue_full, "full");
    if (item.name == "full1")
      return fake_intake::refuse(item, error_code::not_found, "the channel is being removed");
    return fake_intake::accept(item);
  };
  mixed_messages messages(server);
  messages.push(3, {"full"});
  redis_list_source source(source_options(server.port()), intake, intake);
  REQUIRE(source.start());
  REQUIRE(wait_until([&] { return source.status().parked == 3; }));
  closed = false;
  REQUIRE(wait_until([&] { return everything_is_gone(server, intake); }));
  CHECK(intake.accepted() == std::vector<std::string>{"full0", "full2"});
  CHECK(length(server, rejected_key) == 1);
  CHECK(source.status().parked == 0);
  CHECK(source.status().in_flight == 0);
}

TEST_CASE("messages without a channel stand in line with those of the default channel") {
  redis_server server;
  fake_intake intake;
  auto options = source_options(server.port());
  options.channel_default = "usual";
  std::atomic<bool> closed{true};
  intake.answer = [&](const push_item& item) {
    return closed ? fake_intake::refuse(item, error_code::queue_full, "full") : fake_intake::accept(item);
  };
  for (int i = 0; i < 10; ++i)
    server.command(
        {"LPUSH", queue_key,
         i % 2 == 0 ? message("t" + std::to_string(i)) : message("t" + std::to_string(i), "usual")});
  redis_list_source source(options, intake, intake);
  REQUIRE(source.start());
  REQUIRE(wait_until([&] { return source.status().parked == 10; }));
  CHECK(source.status().last_error.find("channel usual") != std::string::npos);
  closed = false;
  REQUIRE(wait_until([&] { return everything_is_gone(server, intake); }));
  CHECK(intake.accepted() == numbered(10));
}

TEST_CASE("stopping is prompt while messages are parked") {
  redis_server server;
  fake_intake intake;
  const std::atomic<bool> closed{true};
  close_full(intake, closed);
  mixed_messages messages(server);
  messages.push(100, {"full"});
  redis_list_source source(source_options(server.port()), intake, intake);
  REQUIRE(source.start());
  REQUIRE(wait_until([&] { return source.status().parked == 100; }));
  const auto start = std::chrono::steady_clock::now();
  source.stop();
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::milliseconds(1'000));
  CHECK(length(server, taken_lists(server).front()) == 100);
}

TEST_CASE("stopping is prompt while what is rejected beside parked messages cannot be filed") {
  redis_server server;
  fake_intake intake;
  const std::atomic<bool> closed{true};
  close_full(intake, closed);
  server.command({"SET", rejected_key, "no list"});
  server.command({"LPUSH", queue_key, "bad", message("f0", "full")});
  {
    redis_list_source source(source_options(server.port()), intake, intake);
    REQUIRE(source.start());
    REQUIRE(wait_until([&] { return source.status().parked == 1 && source.status().rejected == 1; }));
    const auto start = std::chrono::steady_clock::now();
    source.stop();
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::milliseconds(1'000));
  }
  // Nothing is lost by it: the next one files it, once.
  server.command({"DEL", rejected_key});
  redis_list_source next(source_options(server.port()), intake, intake);
  REQUIRE(next.start());
  REQUIRE(wait_until([&] { return length(server, rejected_key) == 1; }));
  next.stop();
  CHECK(length(server, rejected_key) == 1);
}

TEST_CASE("a Redis that goes away and comes back finds what is parked where it was") {
  redis_server_options kind;
  kind.durable = true;
  redis_server server(kind);
  fake_intake intake;
  std::atomic<bool> closed{true};
  close_full(intake, closed);
  mixed_messages messages(server);
  messages.push(60, {"full", "a"});
  redis_list_source source(small_batches(server), intake, intake);
  REQUIRE(source.start());
  REQUIRE(wait_until([&] { return intake.accepted_count() == 30 && source.status().parked == 30; }));
  server.kill();
  REQUIRE(wait_until([&] { return !source.status().healthy; }));
  const bool opened_meanwhile = GENERATE(true, false);
  if (opened_meanwhile) {
    closed = false;
    REQUIRE(wait_until([&] { return intake.accepted_count() == 60; }));
  }
  server.start();
  messages.push(20, {"full", "a"});
  REQUIRE(wait_until([&] { return intake.accepted_of("a") == messages.names("a"); }));
  closed = false;
  REQUIRE(wait_until([&] { return everything_is_gone(server, intake); }));
  CHECK(intake.accepted_of("full") == messages.names("full"));
  CHECK(intake.accepted_count() == 80);
}
