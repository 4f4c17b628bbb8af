// Tasks handed over through a real Redis, as the predecessor documents it, by the real PHP client among
// others. Each test has a redis-server of its own.
#include "test/e2e/api_support.hpp"
#include "test/e2e/gate.hpp"
#include "test/support/daemon.hpp"
#include "test/support/redis_server.hpp"

#include <catch2/catch.hpp>

#include <map>

using namespace task_runner::test;
using nlohmann::json;

namespace {

constexpr const char* intake_key = "task:prepare:queue";
constexpr const char* rejected_key = "task:prepare:rejected";

daemon_options over(const redis_server& redis) {
  daemon_options options;
  options.redis_port = redis.port();
  return options;
}

json source(test_daemon& runner) {
  return runner.report().at("sources").at(0);
}

void lpush_text(const redis_server& redis, const std::string& text) {
  REQUIRE(redis.command({"LPUSH", intake_key, text}).integer >= 1);
}

void lpush(const redis_server& redis, const json& message) {
  lpush_text(redis, message.dump());
}

/// Waits until the task with an id given by the client has ended.
json settled(test_daemon& runner, const std::string& id) {
  REQUIRE(wait_until([&] { return runner.http().get("/api/v1/tasks/" + id).status == 200; }));
  return runner.settled(id);
}

/// Whether no list of this server holds a message any more, the rejected ones aside.
bool all_taken(const redis_server& redis) {
  for (const auto& key : redis.command({"KEYS", "*"}).texts())
    if (key != rejected_key)
      return false;
  return true;
}

} // namespace

TEST_CASE("a message pushed with LPUSH runs, as the predecessor documents it") {
  const redis_server redis;
  test_daemon runner(over(redis));
  const auto done = runner.path("done");
  lpush(redis, json{{"task", "echo 'a  b' | cat > " + done}, {"chan", "biz"}, {"ts", 1600000000}});
  CHECK(wait_until([&] { return read_file(done) == "a  b\n"; }));
  CHECK(wait_until([&] { return runner.channel("biz").at("finished") == 1; }));
  CHECK(wait_until([&] { return all_taken(redis); }));
  CHECK(redis.command({"EXISTS", rejected_key}).integer == 0);
  const auto health = source(runner);
  CHECK(health.at("kind") == "redis");
  CHECK(health.at("healthy") == true);
  CHECK(health.at("taken") == 1);
  CHECK(health.at("accepted") == 1);
  CHECK(health.at("rejected") == 0);
}

TEST_CASE("the PHP snippet of the manual runs the command") {
  const redis_server redis;
  test_daemon runner(over(redis));
  const auto done = runner.path("done");
  write_file(runner.path("push.php"), R"(<?php
$redis = new Redis();
$redis->connect('127.0.0.1', (int)$argv[1]);
$redis->lpush('task:prepare:queue', json_encode([
    'task' => $argv[2],
    'chan' => 'default',
    'ts' => time(),
]));
)");
  process_options php;
  // What PHP makes of "/" and "ä" in JSON (escapes) must come out as it went in.
  php.argv = {"php", runner.path("push.php"), std::to_string(redis.port()), "echo /ä/ $((40+2)) > " + done};
  const auto ran = run_process(php);
  INFO(ran.output << ran.error_output);
  REQUIRE(ran.end == process_end{true, 0});
  CHECK(wait_until([&] { return read_file(done) == "/ä/ 42\n"; }));
}

TEST_CASE("what was pushed first runs first") {
  const redis_server redis;
  auto options = over(redis);
  options.ini = "[channel.line]\nworker = 1\n";
  test_daemon runner(options);
  const auto order = runner.path("order");
  const auto client = redis.client();
  for (int i = 0; i < 200; ++i)
    client->command({"LPUSH", intake_key,
                     json{{"task", append_line(std::to_string(i), order)}, {"chan", "line"}}.dump()});
  REQUIRE(wait_lines(order, 200));
  const auto lines = lines_of(read_file(order));
  REQUIRE(lines.size() == 200);
  for (size_t i = 0; i < lines.size(); ++i)
    CHECK(lines[i] == std::to_string(i));
}

TEST_CASE("id, command and execute_at are understood") {
  const redis_server redis;
  test_daemon runner(over(redis));
  lpush(redis, json{{"task", "named"}, {"id", "text-command"}, {"command", "echo 'x  y' | cat"}});
  lpush(redis,
        json{{"id", "argv-command"}, {"command", {{"name", "printf"}, {"args", {"[%s]", "x  y", "*"}}}}});
  lpush(redis, json{{"task", "echo past"}, {"id", "past"}, {"execute_at", 1'000'000'000}});
  lpush(redis, json{{"task", "echo future"}, {"id", "future"}, {"execute_at", 4'000'000'000}});
  lpush(redis, json{{"task", "echo soon"}, {"id", "soon"}, {"execute_at", time(nullptr) + 2}});
  CHECK(settled(runner, "text-command").at("task_name") == "named");
  CHECK(runner.output("text-command") == "x  y\n");
  CHECK(settled(runner, "argv-command").at("state") == "finished");
  CHECK(runner.output("argv-command") == "[x  y][*]");
  CHECK(settled(runner, "past").at("state") == "finished");
  CHECK(settled(runner, "soon").at("state") == "finished");
  CHECK(runner.task("soon").at("started_at") >= runner.task("soon").at("execute_at"));
  CHECK(runner.task("future").at("state") == "delayed");
  CHECK(runner.task("future").at("channel") == "default");
}

TEST_CASE("a duplicate in a distinct channel is counted and not run") {
  const redis_server redis;
  auto options = over(redis);
  options.flags = {"-task-mode=false"};
  test_daemon runner(options);
  for (int i = 0; i < 3; ++i)
    lpush(redis, json{{"task", "echo same"}, {"chan", "biz"}});
  CHECK(wait_until([&] { return source(runner).at("duplicates") == 2; }));
  CHECK(runner.channel("biz").at("count") == 1);
  CHECK(redis.command({"EXISTS", rejected_key}).integer == 0);
}

TEST_CASE("what cannot be accepted is kept with the reason, counted, logged and shown") {
  const redis_server redis;
  test_daemon runner(over(redis));
  struct refused_message {
    std::string text;
    std::string reason;
  };
  const std::vector<refused_message> messages{
      {R"({"task":"echo x","chan":"nowhere"})", "nowhere"},
      {R"({"task":"echo x")", "JSON"},
      {"not JSON at all", "JSON"},
      {R"(["echo x"])", "object"},
      {R"({"task":5})", "task"},
      {R"({"task":""})", "task"},
      {R"({"chan":"biz"})", "task"},
      {R"({"task":"echo x","chan":7})", "chan"},
      {R"({"task":"echo x","command":[1]})", "command"},
      {R"({"task":"echo x","execute_at":"tomorrow"})", "execute_at"},
      {R"({"task":"echo x","id":"a/b"})", "id"},
      {"{\"task\":\"echo \\u0000\"}", "NUL"},
      {std::string("{\"task\":\"a\"}\0{\"task\":\"b\"}", 25), "NUL"},
      {"", "JSON"},
  };
  for (const auto& message : messages)
    lpush_text(redis, message.text);
  const auto kept = [&](size_t count) {
    CHECK(wait_until([&] {
      return redis.command({"LLEN", rejected_key}).integer == static_cast<int64_t>(count);
    }));
    std::vector<json> entries;
    for (const auto& text : redis.command({"LRANGE", rejected_key, "0", "-1"}).texts())
      entries.push_back(json::parse(text));
    return entries;
  };
  // In the order of the decisions, which is not that of the pushes: an unknown channel takes longer to tell.
  std::map<std::string, json> by_message;
  for (const auto& entry : kept(messages.size()))
    by_message[entry.at("message")] = entry;
  for (const auto& message : messages) {
    CAPTURE(message.text);
    REQUIRE(by_message.count(message.text) == 1);
    const auto& entry = by_message.at(message.text);
    CAPTURE(entry.dump());
    CHECK(entry.at("reason").get<std::string>().find(message.reason) != std::string::npos);
    CHECK(entry.at("at").get<std::string>().size() == 24);
  }
  lpush_text(redis, "{\"task\":\"echo \xff\"}");
  const auto total = messages.size() + 1;
  const auto binary = kept(total).at(0); // newest first
  CHECK(binary.at("reason").get<std::string>().find("UTF-8") != std::string::npos);
  CHECK(binary.at("message_base64") == "eyJ0YXNrIjoiZWNobyD/In0=");
  const auto health = source(runner);
  CHECK(health.at("rejected") == total);
  CHECK(health.at("accepted") == 0);
  CHECK(health.at("healthy") == true);
  CHECK(runner.log().find("reject") != std::string::npos);

  lpush(redis, json{{"task", "echo fine"}, {"id", "fine"}});
  CHECK(settled(runner, "fine").at("state") == "finished");
  CHECK(wait_until([&] { return all_taken(redis); }));
}

TEST_CASE("a Redis that is away at the start and comes later is used, and HTTP works meanwhile") {
  redis_server redis;
  redis.kill();
  test_daemon runner(over(redis));
  CHECK(runner.run_line("echo meanwhile") == "meanwhile\n");
  REQUIRE(wait_until([&] { return !source(runner).at("last_error").get<std::string>().empty(); }));
  CHECK(source(runner).at("healthy") == false);
  CHECK(source(runner).at("last_error").get<std::string>().find(std::to_string(redis.port())) !=
        std::string::npos);
  redis.start();
  lpush(redis, json{{"task", "echo at last"}, {"id", "at-last"}});
  CHECK(settled(runner, "at-last").at("state") == "finished");
  CHECK(source(runner).at("healthy") == true);
  size_t warnings = 0;
  for (const auto& line : lines_of(runner.log()))
    warnings += line.find(" warning ") != std::string::npos ? 1 : 0;
  CHECK(warnings == 1); // said once, however often it was tried
}

TEST_CASE("a Redis that goes away and comes back is found again") {
  redis_server_options server;
  server.durable = true;
  redis_server redis(server);
  test_daemon runner(over(redis));
  lpush(redis, json{{"task", "echo one"}, {"id", "one"}});
  CHECK(settled(runner, "one").at("state") == "finished");
  redis.kill();
  REQUIRE(wait_until([&] { return source(runner).at("healthy") == false; }));
  CHECK(runner.run_line("echo meanwhile") == "meanwhile\n");
  redis.start();
  lpush(redis, json{{"task", "echo two"}, {"id", "two"}});
  CHECK(settled(runner, "two").at("state") == "finished");
  CHECK(wait_until([&] { return source(runner).at("healthy") == true; }));
  CHECK(source(runner).at("reconnects") == 1);
}

TEST_CASE("a stop is quick while Redis is away") {
  redis_server redis;
  redis.kill();
  test_daemon runner(over(redis));
  CHECK(runner.stop(SIGTERM, std::chrono::seconds(10)) == process_end{true, 0});
}

TEST_CASE("password and database are used, and the password shows nowhere") {
  const std::string password = "open sesame #7";
  redis_server_options server;
  server.password = password;
  const redis_server redis(server);
  auto options = over(redis);
  options.flags = {"-redis-db", "3", "-log-level", "debug"};
  SECTION("as a flag") {
    options.flags.insert(options.flags.end(), {"-redis-password", password});
  }
  SECTION("as a flag with =") {
    options.flags.push_back("--redis-password=" + password);
  }
  SECTION("as the deprecated flag") {
    options.flags.insert(options.flags.end(), {"-password", password});
  }
  SECTION("in the environment") {
    options.environment = {{"TASK_RUNNER_REDIS_PASSWORD", password}};
  }
  SECTION("in the INI") {
    options.ini = "[redis]\npassword = " + password + "\n";
  }
  SECTION("in a file of its own") {
    const temp_dir secrets("tr-e2e-secret");
    write_file(secrets / "password", password + "\n");
    options.flags.insert(options.flags.end(), {"-redis-password-file", secrets / "password"});
    test_daemon reads_file(options);
    redis.client(3)->command({"LPUSH", intake_key, json{{"task", "echo in"}, {"id", "in"}}.dump()});
    CHECK(settled(reads_file, "in").at("state") == "finished");
    return;
  }
  test_daemon runner(options);
  const auto client = redis.client(3);
  client->command(
      {"LPUSH", intake_key,
       json{{"id", "in"}, {"task", "tr '\\0' '\\n' < /proc/self/environ; cat /proc/$PPID/environ"}}.dump()});
  CHECK(settled(runner, "in").at("state") == "finished");
  CHECK(redis.command({"EXISTS", intake_key}).integer == 0); // database 0 was never meant

  const auto status = runner.http().get("/status").body;
  const auto hidden = [&](const std::string& text) { return text.find("sesame") == std::string::npos; };
  CHECK(hidden(status));
  CHECK(hidden(runner.log()));
  CHECK(hidden(runner.output("in")));
  CHECK(runner.output("in").find("TASK_RUNNER_TASK_ID=in") != std::string::npos);
  for (const int pid : runner.processes()) {
    CAPTURE(pid);
    CHECK(hidden(read_file("/proc/" + std::to_string(pid) + "/cmdline")));
    CHECK(hidden(read_file("/proc/" + std::to_string(pid) + "/environ")));
  }
  CHECK(read_file("/proc/" + std::to_string(runner.pid()) + "/cmdline").find("-redis-db") !=
        std::string::npos);
}

TEST_CASE("a wrong password is told without being repeated") {
  redis_server_options server;
  server.password = "right";
  const redis_server redis(server);
  auto options = over(redis);
  options.flags = {"-redis-password", "wrong-sesame"};
  test_daemon runner(options);
  REQUIRE(wait_until([&] { return !source(runner).at("last_error").get<std::string>().empty(); }));
  CHECK(source(runner).at("healthy") == false);
  CHECK(runner.http().get("/status").body.find("sesame") == std::string::npos);
  CHECK(runner.log().find("sesame") == std::string::npos);
}

TEST_CASE("redis-intake off leaves the list alone") {
  const redis_server redis;
  lpush(redis, json{{"task", "echo x"}});
  daemon_options options;
  options.flags = {"-redis-host", "127.0.0.1:" + std::to_string(redis.port())};
  test_daemon runner(options); // with the intake off, as the fixture has it
  CHECK(runner.run_line("echo works") == "works\n");
  CHECK(runner.report().at("sources").empty());
  CHECK(runner.stop() == process_end{true, 0});
  CHECK(redis.command({"LLEN", intake_key}).integer == 1);
  CHECK(redis.command({"INFO", "stats"}).text.find("total_connections_received:") != std::string::npos);
}

TEST_CASE("several intake keys are drained") {
  const redis_server redis;
  auto options = over(redis);
  options.flags = {"-intake-key", intake_key, "-intake-key", ":task:prepare:queue"};
  test_daemon runner(options);
  redis.command({"LPUSH", ":task:prepare:queue", json{{"task", "echo a"}, {"id", "prefixed"}}.dump()});
  lpush(redis, json{{"task", "echo b"}, {"id", "plain"}});
  CHECK(settled(runner, "prefixed").at("state") == "finished");
  CHECK(settled(runner, "plain").at("state") == "finished");
}

TEST_CASE("with task-mode off messages are stored and wait") {
  const redis_server redis;
  auto options = over(redis);
  options.flags = {"-task-mode=false"};
  test_daemon runner(options);
  lpush(redis, json{{"task", "echo later"}, {"id", "later"}});
  REQUIRE(wait_until([&] { return runner.channel("default").at("count") == 1; }));
  CHECK(wait_until([&] { return all_taken(redis); }));
  CHECK(runner.stop() == process_end{true, 0});
  runner.options().flags.clear();
  runner.start();
  CHECK(settled(runner, "later").at("state") == "finished");
}

TEST_CASE("a taken list that a crash has left is taken in at the start, in its order") {
  const redis_server redis;
  auto options = over(redis);
  options.ini = "[channel.line]\nworker = 1\n";
  test_daemon runner(options);
  CHECK(runner.stop() == process_end{true, 0});
  auto node = lines_of(read_file(runner.state_dir() + "/node-id")).at(0);
  const auto order = runner.path("order");
  const auto left = "{task:prepare:queue}:taken:" + node + ":17";
  const auto foreign = "{task:prepare:queue}:taken:00000000-0000-4000-8000-000000000000:17";
  for (const auto* name : {"first", "second", "third"})
    redis.command({"LPUSH", left, json{{"task", append_line(name, order)}, {"chan", "line"}}.dump()});
  redis.command({"LPUSH", foreign, json{{"task", append_line("foreign", order)}, {"chan", "line"}}.dump()});
  lpush(redis, json{{"task", append_line("fourth", order)}, {"chan", "line"}});
  runner.start();
  REQUIRE(wait_lines(order, 4));
  CHECK(lines_of(read_file(order)) == std::vector<std::string>{"first", "second", "third", "fourth"});
  CHECK(wait_until([&] { return redis.command({"EXISTS", left}).integer == 0; }));
  CHECK(redis.command({"LLEN", foreign}).integer == 1); // another node's
  CHECK(source(runner).at("recovered") == 3);
}

TEST_CASE("kill -9 of the daemon amid a backlog in Redis loses no message and runs none twice") {
  const redis_server redis;
  auto options = over(redis);
  options.ini = "[channel.many]\nworker = 8\n";
  test_daemon runner(options);
  const auto runs = runner.path("runs");
  constexpr int total = 3'000;
  std::vector<std::vector<std::string>> commands;
  for (int i = 0; i < total; ++i)
    commands.push_back(
        {"LPUSH", intake_key, json{{"task", append_line(std::to_string(i), runs)}, {"chan", "many"}}.dump()});
  const auto client = redis.client();
  client->pipeline(commands);
  for (const size_t after : {1, 300, 900}) {
    REQUIRE(wait_lines(runs, after));
    runner.kill();
    runner.start();
  }
  REQUIRE(wait_until([&] { return lines_of(read_file(runs)).size() >= total; }, std::chrono::seconds(90)));
  CHECK(wait_until([&] { return runner.channel("many").at("count") == 0; }));
  const auto counts = count_lines(runs);
  CHECK(counts.size() == total);
  size_t repeated = 0;
  for (const auto& [name, times] : counts)
    repeated += times == 1 ? 0 : 1;
  CHECK(repeated == 0);
  CHECK(wait_until([&] { return all_taken(redis); }));
}

TEST_CASE(
    "a full channel holds up no other channel of the Redis list, over kill -9 too, and runs in order later") {
  const redis_server redis;
  test_daemon runner(over(redis));
  data_of(runner, "POST", "/api/v1/channels", {{"name", "full"}, {"worker", 0}, {"tasks_max", 5}});
  data_of(runner, "POST", "/api/v1/channels", {{"name", "open"}, {"worker", 2}});
  const auto order = runner.path("order");
  const auto others = runner.path("others");
  size_t pushed = 0;
  const auto push_pairs = [&](size_t count) {
    std::vector<std::vector<std::string>> commands;
    for (; count > 0; --count, ++pushed) {
      const auto number = std::to_string(pushed);
      commands.push_back(
          {"LPUSH", intake_key, json{{"task", append_line(number, order)}, {"chan", "full"}}.dump()});
      commands.push_back(
          {"LPUSH", intake_key, json{{"task", append_line(number, others)}, {"chan", "open"}}.dump()});
    }
    redis.client()->pipeline(commands);
  };
  push_pairs(60);
  REQUIRE(wait_lines(others, 60));
  push_pairs(40); // while the other channel is full already
  REQUIRE(wait_lines(others, 100));
  REQUIRE(wait_until([&] { return source(runner).at("parked") == 95; }));
  const auto health = source(runner);
  CHECK(health.at("in_flight") == 95);
  CHECK(health.at("healthy") == true);
  CHECK(health.at("last_error").get<std::string>().find("channel full holds 5 tasks") != std::string::npos);
  CHECK(runner.channel("full").at("count") == 5);
  CHECK(runner.log().find("messages of a channel are parked") != std::string::npos);

  runner.kill();
  runner.start();
  REQUIRE(wait_until([&] { return source(runner).at("parked") == 95; }));
  push_pairs(20);
  REQUIRE(wait_lines(others, 120));
  CHECK(read_file(order).empty());

  data_of(runner, "PATCH", "/api/v1/channels/full", {{"worker", 1}});
  REQUIRE(wait_lines(order, 120));
  REQUIRE(wait_until([&] { return all_taken(redis); }));
  const auto lines = lines_of(read_file(order));
  REQUIRE(lines.size() == 120);
  for (size_t i = 0; i < lines.size(); ++i)
    CHECK(lines[i] == std::to_string(i));
  const auto counts = count_lines(others);
  CHECK(counts.size() == 120);
  for (const auto& [line, times] : counts)
    CHECK(times == 1);
  CHECK(redis.command({"EXISTS", rejected_key}).integer == 0);
  CHECK(source(runner).at("parked") == 0);
}
