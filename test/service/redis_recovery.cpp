// The Redis source across crashes of the daemon: nothing taken is lost, and nothing is run twice.
// A crash is a source that ends while the fake store has decided and not told.
#include "test/service/redis_fixture.hpp"

#include <catch2/catch.hpp>

#include <random>

using namespace task_runner;
using namespace task_runner::test;

namespace {

/// Puts messages into a taken list as a run that crashed would have left it.
void leave_list(const redis_server& server, const std::string& list, const std::vector<std::string>& names) {
  for (const auto& name : names)
    server.command({"LPUSH", list, message(name)});
}

} // namespace

TEST_CASE("a new run takes in exactly what the last one had taken and the store had not decided") {
  redis_server server;
  fake_intake intake;
  auto options = source_options(server.port());
  options.batch_max = 10;
  options.batches_in_flight_max = 2;
  push_numbered(server, queue_key, 25);
  intake.hold();
  {
    redis_list_source source(options, intake, intake);
    REQUIRE(source.start());
    REQUIRE(wait_until([&] { return intake.held() == 1 && taken_lists(server).size() == 2; }));
    // The store commits the odd ones of the first; nobody hears of it before the end.
    intake.decide_silently([](const push_item& item) { return (item.name.back() - '0') % 2 == 1; });
  }
  REQUIRE(taken_lists(server).size() == 2);
  REQUIRE(length(server, queue_key) == 5);
  REQUIRE(intake.accepted_count() == 5);
  intake.drop();

  redis_list_source source(options, intake, intake);
  REQUIRE(source.start());
  REQUIRE(wait_until([&] { return intake.accepted_count() == 25 && taken_lists(server).empty(); }));
  std::vector<std::string> expected{"t1", "t3", "t5", "t7", "t9", "t0", "t2", "t4", "t6", "t8"};
  for (int i = 10; i < 25; ++i)
    expected.push_back("t" + std::to_string(i));
  CHECK(intake.accepted() == expected); // and so none twice
  CHECK(source.status().recovered == 15);
  CHECK(source.status().taken == 20);
  CHECK(source.status().duplicates == 0);
  CHECK(wait_until([&] { return intake.marks().empty(); }));
}

TEST_CASE("lists are taken in by number, before new messages; lists of others are left alone") {
  redis_server server;
  fake_intake intake;
  const std::string other_node = "11111111-2222-4333-8444-555555555555";
  leave_list(server, taken_list_name(queue_key, node, 100), {"c", "d"});
  leave_list(server, taken_list_name(queue_key, node, 20), {"a", "b"});
  leave_list(server, taken_list_name(queue_key, other_node, 5), {"not-mine"});
  leave_list(server, taken_list_name("another:key", node, 6), {"not-configured"});
  leave_list(server, "{" + queue_key + "}:taken:" + node + ":007", {"not-a-number-of-ours"});
  leave_list(server, "{" + queue_key + "}:taken:" + node + ":x", {"no-number"});
  server.command({"SET", taken_list_name(queue_key, node, 30), "no list"});
  push_numbered(server, queue_key, 2);
  captured_log log;
  redis_list_source source(source_options(server.port()), intake, intake);
  REQUIRE(source.start());
  REQUIRE(wait_until([&] { return intake.accepted_count() == 6; }));
  CHECK(intake.accepted() == std::vector<std::string>{"a", "b", "c", "d", "t0", "t1"});
  REQUIRE(wait_until([&] { return taken_lists(server).size() == 5; }));
  CHECK(length(server, taken_list_name(queue_key, other_node, 5)) == 1);
  CHECK(length(server, taken_list_name("another:key", node, 6)) == 1);
  CHECK(log.count("intake keys that are not configured") == 1);
  CHECK(source.status().healthy);
}

TEST_CASE("a list whose messages are all marked is deleted and runs nothing") {
  redis_server server;
  fake_intake intake;
  leave_list(server, taken_list_name(queue_key, node, 100), {"a", "b"});
  intake.mark(100, {0, 1});
  redis_list_source source(source_options(server.port()), intake, intake);
  REQUIRE(source.start());
  REQUIRE(wait_until([&] { return taken_lists(server).empty() && intake.marks().empty(); }));
  CHECK(intake.accepted_count() == 0);
  CHECK(intake.pushes() == 0);
}

TEST_CASE("marks of a batch whose list is gone are forgotten; those of a list of another key are kept") {
  redis_server server;
  fake_intake intake;
  intake.mark(100, {0, 1});
  intake.mark(200, {0});
  leave_list(server, taken_list_name("another:key", node, 200), {"x", "y"});
  redis_list_source source(source_options(server.port()), intake, intake);
  REQUIRE(source.start());
  REQUIRE(wait_until([&] { return source.status().healthy; }));
  CHECK(intake.marks() == std::map<uint64_t, std::set<uint32_t>>{{200, {0}}});
}

TEST_CASE("a number that is marked or in use is never given to a new batch, even if the clock went back") {
  redis_server server;
  fake_intake intake;
  const uint64_t far = uint64_t{1} << 61; // as if the clock had been far ahead
  intake.mark(far, {0, 1, 2});
  leave_list(server, taken_list_name(queue_key, node, far + 10), {"left"});
  push_numbered(server, queue_key, 3);
  redis_list_source source(source_options(server.port()), intake, intake);
  REQUIRE(source.start());
  REQUIRE(wait_until([&] { return intake.accepted_count() == 4; }));
  for (const auto& item : intake.accepted_items())
    CHECK(item.origin->batch >= far + 10);
}

TEST_CASE("nothing is taken while the store cannot give its marks") {
  redis_server server;
  fake_intake intake;
  intake.fail_journal(true);
  leave_list(server, taken_list_name(queue_key, node, 100), {"a", "b"});
  push_numbered(server, queue_key, 3);
  captured_log log;
  redis_list_source source(source_options(server.port()), intake, intake);
  REQUIRE(source.start());
  REQUIRE(wait_until([&] { return intake.journal_calls() >= 3; }));
  CHECK(intake.pushes() == 0);
  CHECK(length(server, queue_key) == 3);
  CHECK_FALSE(source.status().healthy);
  CHECK(source.status().last_error.find("the fake store is away") != std::string::npos);
  intake.fail_journal(false);
  REQUIRE(wait_until([&] { return intake.accepted_count() == 5; }));
  CHECK(intake.accepted() == std::vector<std::string>{"a", "b", "t0", "t1", "t2"});
  CHECK(wait_until([&] { return source.status().healthy; }));
  CHECK(log.count("where=store") == 2); // it fails, it works again
}

TEST_CASE("keys with the signs of patterns are taken literally") {
  redis_server server;
  fake_intake intake;
  auto options = source_options(server.port());
  options.keys = {"a*[b]?{c}\\:taken:x"};
  leave_list(server, taken_list_name(options.keys[0], node, 50), {"mine"});
  leave_list(server, taken_list_name("aXb", node, 51), {"other"});
  server.command({"LPUSH", options.keys[0], message("new")});
  redis_list_source source(options, intake, intake);
  REQUIRE(source.start());
  REQUIRE(wait_until([&] { return intake.accepted_count() == 2; }));
  CHECK(intake.accepted() == std::vector<std::string>{"mine", "new"});
  CHECK(length(server, taken_list_name("aXb", node, 51)) == 1);
}

TEST_CASE("a list that appears later, out of a connection that was given up, is found by the second look") {
  redis_server server;
  fake_intake intake;
  auto options = source_options(server.port());
  options.leftover_check_ms = 300;
  redis_list_source source(options, intake, intake);
  REQUIRE(source.start());
  REQUIRE(wait_until([&] { return source.status().healthy; }));
  leave_list(server, taken_list_name(queue_key, node, 100), {"late"});
  REQUIRE(wait_until([&] { return intake.accepted_count() == 1 && taken_lists(server).empty(); }));
  CHECK(intake.accepted().front() == "late");
}

TEST_CASE("rejected messages of a list that is taken in again are filed once") {
  redis_server server;
  fake_intake intake;
  intake.answer = [](const push_item& item) {
    if (item.name == "slow")
      return fake_intake::refuse(item, error_code::unavailable, "not now");
    return fake_intake::accept(item);
  };
  server.command({"LPUSH", queue_key, "bad", message("ok"), message("slow")});
  for (int run = 0; run < 3; ++run) {
    redis_list_source source(source_options(server.port()), intake, intake);
    REQUIRE(source.start());
    const auto pushes = intake.pushes();
    REQUIRE(wait_until([&] { return intake.pushes() > pushes; }));
  }
  CHECK(length(server, rejected_key) == 0); // it waits for its batch
  intake.answer = [](const push_item& item) { return fake_intake::accept(item); };
  redis_list_source source(source_options(server.port()), intake, intake);
  REQUIRE(source.start());
  REQUIRE(wait_until([&] { return taken_lists(server).empty(); }));
  CHECK(length(server, rejected_key) == 1);
  CHECK(intake.accepted() == std::vector<std::string>{"ok", "slow"});
}

TEST_CASE("random failures, a full channel, lost completions, stops and kills of Redis: each message is run "
          "exactly once") {
  const auto seed = GENERATE(take(2, random(1, 1'000'000'000)));
  CAPTURE(seed);
  std::mt19937 random(static_cast<unsigned>(seed));
  redis_server_options durable;
  durable.durable = true;
  redis_server server(durable);
  fake_intake intake;
  std::mutex answer_mutex;
  std::mt19937 answers(static_cast<unsigned>(seed) + 1);
  std::atomic<bool> calm{false};
  std::atomic<bool> full{false};
  intake.answer = [&](const push_item& item) {
    std::lock_guard<std::mutex> guard(answer_mutex);
    if (full && item.channel == "full")
      return fake_intake::refuse(item, error_code::queue_full, "full");
    if (!calm && answers() % 20 == 0)
      return fake_intake::refuse(item, error_code::overloaded, "busy");
    return fake_intake::accept(item);
  };
  auto options = source_options(server.port());
  options.batch_max = 20;
  options.parked_max = 100;
  size_t pushed = 0;
  for (int round = 0; round < 12; ++round) {
    {
      auto client = server.client();
      const std::vector<std::string> channels{"full", "a", "b"};
      for (auto count = random() % 60; count > 0; --count)
        REQUIRE(client
                    ->command({"LPUSH", queue_key,
                               message("m" + std::to_string(pushed++), channels[random() % channels.size()])})
                    .type == redis_value::kind::integer);
    }
    full = random() % 3 != 0;
    redis_list_source source(options, intake, intake);
    REQUIRE(source.start());
    const auto goal = intake.pushes() + random() % 4;
    (void)wait_until([&] { return intake.pushes() >= goal; }, std::chrono::milliseconds(300));
    switch (random() % 4) {
    case 0:
      server.kill();
      server.start();
      break;
    case 1:
      intake.hold();
      (void)wait_until([&] { return intake.held() > 0; }, std::chrono::milliseconds(100));
      intake.decide_silently([&](const push_item& item) { return item.name.back() % 2 == 0; });
      break;
    default:
      break;
    }
    source.stop();
    intake.drop();
  }
  calm = true;
  full = false;
  redis_list_source source(options, intake, intake);
  REQUIRE(source.start());
  const bool drained = wait_until([&] {
    // The marks go after the list they belong to.
    return intake.accepted_count() >= pushed && taken_lists(server).empty() && intake.marks().empty();
  });
  CAPTURE(pushed, intake.accepted_count(), taken_lists(server), length(server, queue_key));
  REQUIRE(drained);
  source.stop();
  auto names = intake.accepted();
  CHECK(names.size() == pushed);
  CHECK(std::set<std::string>(names.begin(), names.end()).size() == pushed);
  CHECK(intake.marks().empty());
  CHECK(length(server, queue_key) == 0);
}
