// The Redis source against a real server: order, batches, rejected messages, bounds, and prompt stops.
// What happens across crashes and outages stands beside, in files of their own.
#include "test/service/redis_fixture.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace task_runner;
using namespace task_runner::test;
using nlohmann::json;

namespace {

std::vector<json> rejected_entries(const redis_server& server) {
  std::vector<json> entries;
  for (const auto& text : server.command({"LRANGE", rejected_key, "0", "-1"}).texts())
    entries.push_back(json::parse(text));
  return entries;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

} // namespace

TEST_CASE("a backlog is drained in order, first pushed first run, and nothing stays behind") {
  redis_server server;
  fake_intake intake;
  push_numbered(server, queue_key, 2'500);
  redis_list_source source(source_options(server.port()), intake, intake);
  REQUIRE(source.start());
  REQUIRE(wait_until([&] { return intake.accepted_count() == 2'500; }));
  CHECK(intake.accepted() == numbered(2'500));
  REQUIRE(wait_until([&] { return taken_lists(server).empty() && intake.marks().empty(); }));
  CHECK(length(server, queue_key) == 0);
  const auto status = source.status();
  CHECK(status.name == "redis");
  CHECK(status.kind == "redis");
  CHECK(status.healthy);
  CHECK(status.last_error.empty());
  CHECK(status.taken == 2'500);
  CHECK(status.accepted == 2'500);
  CHECK(status.recovered == 0);
  CHECK(status.rejected == 0);
  CHECK(status.duplicates == 0);
  CHECK(status.in_flight == 0);
  CHECK(status.reconnects == 0);
}

TEST_CASE("a message that comes while the source waits is taken at once, with every member") {
  redis_server server;
  fake_intake intake;
  redis_list_source source(source_options(server.port()), intake, intake);
  REQUIRE(source.start());
  REQUIRE(wait_until([&] { return source.status().healthy; }));
  for (size_t i = 0; i < 20; ++i) {
    server.command({"LPUSH", queue_key, message("t" + std::to_string(i))});
    REQUIRE(wait_until([&] { return intake.accepted_count() == i + 1; }));
  }
  CHECK(intake.accepted() == numbered(20));
  server.command(
      {"LPUSH", queue_key,
       R"({"task":"n","chan":"biz","id":"a-1","command":{"name":"ls","args":["-l"]},"delay":5,"ts":1})"});
  REQUIRE(wait_until([&] { return intake.accepted_count() == 21; }));
  const auto item = intake.accepted_items().back();
  CHECK(item.channel == "biz");
  CHECK(item.id == "a-1");
  CHECK(item.command.argv == std::vector<std::string>{"ls", "-l"});
  CHECK(item.delay_s == 5);
  CHECK(item.origin->position == 0);
  REQUIRE(wait_until([&] { return taken_lists(server).empty(); }));
}

TEST_CASE("what cannot be accepted stands in the rejected list with reason and time; the rest is run") {
  redis_server server;
  fake_intake intake;
  intake.answer = [](const push_item& item) {
    if (item.channel == "nowhere")
      return fake_intake::refuse(item, error_code::not_found, "there is no channel \"nowhere\"");
    return fake_intake::accept(item);
  };
  captured_log log;
  const auto before_ms = system_now_ms();
  server.command({"LPUSH", queue_key, message("first"), "date \"secret-text\"", "{\"task\":7}",
                  "{\"task\":\"x\",\"chan\":\"nowhere\"}", std::string("{\"task\":\"\xff\xfe\"}"),
                  "{\"task\":\"  \"}", message("last")});
  redis_list_source source(source_options(server.port()), intake, intake);
  REQUIRE(source.start());
  REQUIRE(wait_until([&] { return length(server, rejected_key) == 5; }));
  CHECK(intake.accepted() == std::vector<std::string>{"first", "last"});
  const auto entries = rejected_entries(server);
  // Newest first.
  CHECK(entries[0]["message"] == "{\"task\":\"  \"}");
  CHECK(entries[0]["reason"].get<std::string>().find("the task is empty") == 0);
  CHECK(entries[1]["message_base64"] == "eyJ0YXNrIjoi//4ifQ==");
  CHECK_FALSE(entries[1].contains("message"));
  CHECK(entries[1]["reason"].get<std::string>().find("UTF-8") != std::string::npos);
  CHECK(entries[2]["reason"] == "there is no channel \"nowhere\"");
  CHECK(entries[3]["reason"] == "the member \"task\" is a number; expected text");
  CHECK(entries[4]["message"] == "date \"secret-text\"");
  for (const auto& entry : entries) {
    CHECK(entry["at"].get<std::string>() >= format_time(before_ms));
    CHECK(entry["at"].get<std::string>() <= format_time(system_now_ms()));
    CHECK_FALSE(entry.contains("truncated"));
  }
  const auto status = source.status();
  CHECK(status.rejected == 5);
  CHECK(status.accepted == 2);
  CHECK(wait_until([&] { return source.status().in_flight == 0 && taken_lists(server).empty(); }));
  CHECK(log.count("a message from Redis is rejected") == 5);
  CHECK(log.count("secret-text") == 0);
}

TEST_CASE("the rejected list is capped, and a flood of bad messages does not flood the log") {
  redis_server server;
  fake_intake intake;
  captured_log log;
  auto options = source_options(server.port());
  options.rejected_max = 10;
  options.batch_max = 100;
  std::vector<std::string> words{"LPUSH", queue_key};
  for (int i = 0; i < 2'000; ++i)
    words.push_back("bad" + std::to_string(i));
  server.command(words);
  redis_list_source source(options, intake, intake);
  REQUIRE(source.start());
  REQUIRE(wait_until([&] { return source.status().rejected == 2'000 && taken_lists(server).empty(); }));
  const auto entries = rejected_entries(server);
  REQUIRE(entries.size() == 10);
  for (size_t i = 0; i < 10; ++i)
    CHECK(entries[i]["message"] == "bad" + std::to_string(1'999 - i));
  REQUIRE(wait_until([&] { return log.count("more messages from Redis were rejected") == 1; }));
  CHECK(log.count("a message from Redis is rejected") <= 10);
}

TEST_CASE("a message that is too long is rejected with its beginning, whether taken in a batch or awaited") {
  redis_server server;
  fake_intake intake;
  auto options = source_options(server.port());
  options.message_bytes_max = 100'000;
  const std::string umlaut = "\xc3\xbc";
  std::string long_text = "x"; // so that the cut falls within a character
  while (long_text.size() < 200'000)
    long_text += umlaut;
  const bool awaited = GENERATE(false, true);
  redis_list_source source(options, intake, intake);
  if (awaited) {
    REQUIRE(source.start());
    REQUIRE(wait_until([&] { return source.status().healthy; }));
  }
  server.command({"LPUSH", queue_key, long_text});
  server.command({"LPUSH", queue_key, message("small")});
  if (!awaited)
    REQUIRE(source.start());
  REQUIRE(wait_until([&] { return length(server, rejected_key) == 1 && intake.accepted_count() == 1; }));
  const auto entry = rejected_entries(server).front();
  CHECK(entry["truncated"] == true);
  CHECK(entry["bytes"] == long_text.size());
  CHECK(entry["message"].get<std::string>() == long_text.substr(0, 65'535));
  CHECK(entry["reason"].get<std::string>().find("at most 100000") != std::string::npos);
  REQUIRE(wait_until([&] { return taken_lists(server).empty(); }));
  CHECK(source.status().recovered == 0);
  CHECK(source.status().taken == 2);
}

TEST_CASE("a batch is bounded by bytes as well") {
  redis_server server;
  fake_intake intake;
  auto options = source_options(server.port());
  options.batch_bytes_max = 3'000;
  intake.hold();
  for (int i = 0; i < 10; ++i)
    server.command({"LPUSH", queue_key, "{\"task\":\"" + std::string(1'000, 'x') + "\"}"});
  redis_list_source source(options, intake, intake);
  REQUIRE(source.start());
  REQUIRE(wait_until([&] { return taken_lists(server).size() == 4; }));
  for (const auto& list : taken_lists(server))
    CHECK(length(server, list) <= 3);
  intake.release();
  CHECK(wait_until([&] { return intake.accepted_count() == 10; }));
}

TEST_CASE("no more batches are taken than may be in flight; Redis keeps the backlog") {
  redis_server server;
  fake_intake intake;
  auto options = source_options(server.port());
  options.batch_max = 10;
  options.batches_in_flight_max = 3;
  intake.hold();
  push_numbered(server, queue_key, 100);
  redis_list_source source(options, intake, intake);
  REQUIRE(source.start());
  REQUIRE(wait_until([&] { return source.status().in_flight == 30; }));
  CHECK(length(server, queue_key) == 70);
  CHECK(taken_lists(server).size() == 3);
  intake.release();
  REQUIRE(wait_until([&] { return intake.accepted_count() == 100; }));
  CHECK(intake.accepted() == numbered(100));
}

TEST_CASE("what is not decided is submitted again, alone, and its list is kept meanwhile") {
  const auto code =
      GENERATE(error_code::unavailable, error_code::overloaded, error_code::draining, error_code::timeout);
  CAPTURE(to_string(code));
  redis_server server;
  fake_intake intake;
  std::map<std::string, int> seen;
  std::atomic<bool> available{false};
  intake.answer = [&](const push_item& item) {
    ++seen[item.name];
    if (!available && (item.name == "t3" || item.name == "t7"))
      return fake_intake::refuse(item, code, "not now");
    return fake_intake::accept(item);
  };
  push_numbered(server, queue_key, 10);
  redis_list_source source(source_options(server.port()), intake, intake);
  REQUIRE(source.start());
  REQUIRE(wait_until([&] { return intake.pushes() >= 4; }));
  CHECK(intake.accepted_count() == 8);
  CHECK(taken_lists(server).size() == 1);
  CHECK(source.status().in_flight == 2);
  CHECK(source.status().healthy == (code == error_code::draining));
  // As far as can be told it is everybody who is refused: nothing more is taken meanwhile.
  server.command({"LPUSH", queue_key, message("later")});
  const auto pushes = intake.pushes();
  REQUIRE(wait_until([&] { return intake.pushes() >= pushes + 2; }));
  CHECK(length(server, queue_key) == 1);
  available = true;
  REQUIRE(wait_until([&] { return intake.accepted_count() == 11 && taken_lists(server).empty(); }));
  REQUIRE(wait_until([&] { return source.status().healthy; }));
  source.stop();
  CHECK(seen["t0"] == 1);
  CHECK(seen["t9"] == 1);
  CHECK(seen["t3"] > 2);
  CHECK(intake.accepted().back() == "later");
  CHECK(length(server, rejected_key) == 0);
}

TEST_CASE("a duplicate is decided, counted, and not rejected") {
  redis_server server;
  fake_intake intake;
  intake.answer = [](const push_item& item) { return push_reply{item.name, "holder", false, std::nullopt}; };
  push_numbered(server, queue_key, 3);
  redis_list_source source(source_options(server.port()), intake, intake);
  REQUIRE(source.start());
  REQUIRE(wait_until([&] { return source.status().duplicates == 3 && taken_lists(server).empty(); }));
  CHECK(source.status().accepted == 0);
  CHECK(length(server, rejected_key) == 0);
}

TEST_CASE("a completion that is dropped without a call counts as undecided") {
  redis_server server;
  fake_intake intake;
  intake.hold();
  push_numbered(server, queue_key, 5);
  redis_list_source source(source_options(server.port()), intake, intake);
  REQUIRE(source.start());
  REQUIRE(wait_until([&] { return intake.held() == 1; }));
  intake.drop();
  REQUIRE(wait_until([&] { return intake.accepted_count() == 5 && taken_lists(server).empty(); }));
  CHECK(intake.accepted() == numbered(5));
}

TEST_CASE("two keys are drained side by side, and one that is stuck does not hold up the other") {
  redis_server server;
  fake_intake intake;
  auto options = source_options(server.port());
  options.keys = {"one", "two"};
  options.batch_max = 7;
  std::atomic<bool> stuck{true};
  intake.answer = [&](const push_item& item) {
    if (stuck && item.name[0] == 'a')
      return fake_intake::refuse(item, error_code::queue_full, "full");
    return fake_intake::accept(item);
  };
  push_numbered(server, "one", 50, "a");
  push_numbered(server, "two", 50, "b");
  redis_list_source source(options, intake, intake);
  REQUIRE(source.start());
  REQUIRE(wait_until([&] { return intake.accepted_count() == 50; }));
  CHECK(intake.accepted() == numbered(50, "b"));
  stuck = false;
  REQUIRE(wait_until([&] { return intake.accepted_count() == 100; }));
  auto names = intake.accepted();
  CHECK(std::vector<std::string>(names.begin() + 50, names.end()) == numbered(50, "a"));
  std::set<uint64_t> batches;
  for (const auto& item : intake.accepted_items())
    if (item.origin->position == 0)
      CHECK(batches.insert(item.origin->batch).second); // numbers are unique over all keys
  CHECK(wait_until([&] { return taken_lists(server).empty(); }));
}

TEST_CASE("the database that is asked for is used") {
  redis_server server;
  fake_intake intake;
  auto options = source_options(server.port());
  options.endpoint.db = 3;
  redis_list_source source(options, intake, intake);
  REQUIRE(source.start());
  server.client(0)->command({"LPUSH", queue_key, message("wrong")});
  server.client(3)->command({"LPUSH", queue_key, message("right")});
  REQUIRE(wait_until([&] { return intake.accepted_count() == 1; }));
  CHECK(intake.accepted().front() == "right");
  CHECK(length(server, queue_key) == 1);
}

TEST_CASE("stopping is prompt: while waiting, while Redis hangs, while it is away; and idempotent") {
  redis_server server;
  fake_intake intake;
  redis_list_source source(source_options(server.port()), intake, intake);
  REQUIRE(source.start());
  REQUIRE(wait_until([&] { return source.status().healthy; }));
  const std::string state = GENERATE("waiting", "hanging", "away");
  CAPTURE(state);
  if (state == "hanging") {
    ::kill(server.pid(), SIGSTOP);
  } else if (state == "away") {
    server.kill();
    REQUIRE(wait_until([&] { return !source.status().healthy; }));
  }
  const auto start = std::chrono::steady_clock::now();
  source.stop();
  source.stop();
  CHECK(seconds_since(start) < 1.5);
  if (state == "hanging")
    ::kill(server.pid(), SIGCONT);
  CHECK_FALSE(source.start());
}

TEST_CASE("a stop waits for what is about to be decided") {
  redis_server server;
  fake_intake intake;
  intake.hold();
  push_numbered(server, queue_key, 5);
  redis_list_source source(source_options(server.port()), intake, intake);
  REQUIRE(source.start());
  REQUIRE(wait_until([&] { return intake.held() == 1; }));
  std::thread stopper([&] { source.stop(); });
  intake.release();
  stopper.join();
  CHECK(taken_lists(server).empty());
  CHECK(intake.marks().empty());
}

TEST_CASE("settings out of their limits are refused") {
  fake_intake intake;
  const auto refused = [&](const std::function<void(redis_source_options&)>& change) {
    auto options = source_options(1);
    change(options);
    redis_list_source source(options, intake, intake);
    auto started = source.start();
    REQUIRE_FALSE(started);
    CHECK(started.failure().code == error_code::invalid_argument);
    CHECK_FALSE(started.failure().message.empty());
  };
  refused([](auto& options) { options.keys.clear(); });
  refused([](auto& options) { options.keys = {"a", "a"}; });
  refused([](auto& options) { options.keys = {""}; });
  refused([](auto& options) { options.keys = {options.rejected_key}; });
  refused([](auto& options) { options.keys.assign(17, "a"); });
  refused([](auto& options) { options.node_id = ""; });
  refused([](auto& options) { options.node_id = "a b"; });
  refused([](auto& options) { options.batch_max = 0; });
  refused([](auto& options) { options.batch_max = 5'001; });
  refused([](auto& options) { options.batches_in_flight_max = 0; });
  refused([](auto& options) { options.rejected_max = 0; });
  refused([](auto& options) { options.parked_max = 0; });
  refused([](auto& options) { options.parked_bytes_max = 0; });
  refused([](auto& options) { options.channel_default = ""; });
  refused([](auto& options) { options.backoff_min_ms = 0; });
  refused([](auto& options) { options.backoff_max_ms = 1; });
  refused([](auto& options) { options.block_s = 0; });
}
