// The traps that the predecessor and its peers fell into, one test each, bearing its name.
// Short and from outside; the details of each subject are tested in files of their own.
#include "test/e2e/gate.hpp"
#include "test/support/redis_server.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <optional>
#include <sstream>

using namespace task_runner::test;
using nlohmann::json;

namespace {

constexpr const char* intake_key = "task:prepare:queue";

json exited(int code) {
  return {{"kind", "exited"}, {"code", code}};
}

/// kill -9 of daemon and launcher at once, commands left to themselves.
void kill_both(test_daemon& runner) {
  const int launcher = runner.launcher_pid();
  runner.kill();
  REQUIRE(launcher > 0);
  REQUIRE(::kill(launcher, SIGKILL) == 0);
}

daemon_options over(const redis_server& redis) {
  daemon_options options;
  options.redis_port = redis.port();
  return options;
}

/// State letter and parent of a process, from /proc; nothing when it is gone.
std::optional<std::pair<char, int>> process_state(const std::string& pid) {
  const auto stat = read_file("/proc/" + pid + "/stat");
  const auto name_end = stat.rfind(')');
  char state = 0;
  int parent = 0;
  if (name_end == std::string::npos ||
      std::sscanf(stat.c_str() + name_end + 1, " %c %d", &state, &parent) != 2)
    return std::nullopt;
  return std::pair(state, parent);
}

/// How many children of a process have ended and were not waited for.
int zombies_of(int parent) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const auto name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos)
      continue;
    const auto state = process_state(name);
    count += state && state->first == 'Z' && state->second == parent ? 1 : 0;
  }
  return count;
}

} // namespace

TEST_CASE("trap: a command is split at spaces, so that quotes, pipes, && and redirections break") {
  test_daemon runner;
  CHECK(runner.run_line("printf '%s|' 'two words' \"and  three\"") == "two words|and  three|");
  CHECK(runner.run_line("echo b a | tr ' ' '\\n' | sort | head -n 1") == "a\n");
  CHECK(runner.run_line("true && echo yes || echo no") == "yes\n");
  const auto target = runner.path("redirected text");
  CHECK(runner.run_line("echo kept > '" + target + "'").empty());
  CHECK(read_file(target) == "kept\n");
  CHECK(runner.run_line("cd " + runner.home() + " && echo redirected*") == "redirected text\n");
}

TEST_CASE("trap: the last line of output without a newline is dropped") {
  test_daemon runner;
  CHECK(runner.run_line("echo first; printf last") == "first\nlast");
  CHECK(runner.run_line("printf alone") == "alone");
}

TEST_CASE("trap: SIGTERM kills the daemon at once, with what runs") {
  test_daemon runner;
  const gate end(runner.path("gate"));
  const auto id = runner.push_line(end.wait_line() + "; echo whole; exit 3");
  REQUIRE(wait_until([&] { return runner.task(id).at("state") == "running"; }));
  REQUIRE(runner.child().signal(SIGTERM));
  REQUIRE(wait_until([&] { return runner.report().at("state") == "draining"; }));
  CHECK(runner.http().post_form("/push", {{"task", "date"}}).status == 503);
  end.open();
  CHECK(runner.child().wait() == process_end{true, 0});
  runner.start();
  CHECK(runner.task(id).at("outcome") == exited(3));
  CHECK(runner.output(id) == "whole\n");
}

TEST_CASE(
    "trap: a crash between taking a task and recording it loses the task, and running ones never return") {
  test_daemon runner;
  const auto ran = runner.path("ran");
  const gate end(runner.path("gate"));
  runner.create_channel("two", {{"worker", "2"}});
  std::vector<std::string> ids;
  for (int i = 0; i < 12; ++i)
    ids.push_back(runner.push_line(end.wait_line() + "; " + append_line(std::to_string(i), ran), "two"));
  REQUIRE(wait_until([&] { return runner.task(ids[1]).at("state") == "running"; }));
  kill_both(runner);
  end.open();
  runner.start();
  for (const auto& id : ids)
    CHECK(runner.settled(id).at("state") == "finished");
  CHECK(count_lines(ran).size() == ids.size());
}

TEST_CASE("trap: tasks that are only prefetched are shown as running") {
  test_daemon runner;
  const gate end(runner.path("gate"));
  runner.create_channel("two", {{"worker", "2"}});
  std::vector<std::string> ids;
  for (int i = 0; i < 9; ++i)
    ids.push_back(runner.push_line("echo up; " + end.wait_line(), "two"));
  REQUIRE(wait_until([&] { return runner.output(ids[0]) == "up\n" && runner.output(ids[1]) == "up\n"; }));
  const auto tasks = runner.channel("two").at("tasks");
  REQUIRE(tasks.size() == ids.size());
  CHECK(std::count_if(tasks.begin(), tasks.end(), [](const json& one) { return one.at("status") == 2; }) ==
        2);
  for (size_t i = 2; i < ids.size(); ++i)
    CHECK(runner.output(ids[i]).empty());
  end.open();
  for (const auto& id : ids)
    runner.settled(id);
}

TEST_CASE("trap: the dedup record lapses with time, and a crash leaves it behind") {
  test_daemon runner;
  const gate end(runner.path("gate"));
  const auto line = end.wait_line() + "; echo once";
  const auto holder = runner.push_line(line, "biz");
  const auto duplicate = [&] {
    const auto data = runner.push({{"task", line}, {"channel", "biz"}});
    return data.at("result") == false && data.at("task_id") == holder;
  };
  CHECK(duplicate());
  kill_both(runner);
  runner.start();
  CHECK(duplicate()); // the holder has not ended, whatever crashed
  end.open();
  CHECK(runner.settled(holder).at("state") == "finished");
  const auto next = runner.push_line(line, "biz"); // at once, not in half an hour
  CHECK(runner.settled(next).at("state") == "finished");
}

TEST_CASE("trap: delayed tasks move to another channel and follow the local wall clock's text") {
  daemon_options options;
  options.environment = {{"TZ", "Asia/Shanghai"}};
  test_daemon runner(options);
  const auto ran = runner.path("ran");
  runner.create_channel("mail");
  const auto soon = runner.push({{"task", append_line("soon", ran)}, {"channel", "mail"}, {"delay", "2"}});
  const auto late = runner.push({{"task", append_line("late", ran)}, {"channel", "mail"}, {"delay", "3600"}});
  CHECK(runner.task(soon.at("task_id")).at("channel") == "mail");
  CHECK(runner.channel("mail").at("count") == 2);
  CHECK(runner.stop() == process_end{true, 0});
  // Thirteen hours apart in local time, the same moment.
  runner.options().environment = {{"TZ", "America/New_York"}};
  runner.start();
  CHECK(runner.channel("mail").at("count") == 2);
  CHECK(runner.settled(soon.at("task_id")).at("channel") == "mail");
  CHECK(runner.task(late.at("task_id")).at("state") == "delayed");
  CHECK(count_lines(ran).size() == 1);
}

TEST_CASE("trap: a Redis message for an unknown channel, or that is no JSON, vanishes without a word") {
  const redis_server redis;
  test_daemon runner(over(redis));
  const std::vector<std::string> messages{R"({"task":"echo x","chan":"nowhere"})", "{\"task\":"};
  for (const auto& message : messages)
    redis.command({"LPUSH", intake_key, message});
  std::vector<std::string> kept;
  REQUIRE(wait_until([&] {
    kept = redis.command({"LRANGE", "task:prepare:rejected", "0", "-1"}).texts();
    return kept.size() == messages.size();
  }));
  // The second is refused where it is read, the first by who knows the channels: either may be filed first.
  std::vector<std::string> filed;
  for (const auto& text : kept) {
    const auto entry = json::parse(text);
    filed.push_back(entry.at("message"));
    CHECK_FALSE(entry.at("reason").get<std::string>().empty());
  }
  CHECK(std::is_permutation(filed.begin(), filed.end(), messages.begin(), messages.end()));
  CHECK(runner.log().find("nowhere") != std::string::npos);
  CHECK(runner.report().at("sources").at(0).at("rejected") == 2);
}

TEST_CASE("trap: /status reads every queue whole, one round trip to Redis for each task") {
  const redis_server redis;
  auto options = over(redis);
  options.flags = {"-task-mode=false"};
  test_daemon runner(options);
  const auto client = redis.client();
  constexpr int backlog = 3'000;
  std::vector<std::vector<std::string>> pushes;
  for (int i = 0; i < backlog; ++i)
    pushes.push_back({"LPUSH", intake_key, json{{"task", "echo " + std::to_string(i)}}.dump()});
  client->pipeline(pushes);
  REQUIRE(wait_until([&] { return runner.channel("default").at("count") == backlog; }));
  const auto commands = [&] {
    const auto stats = client->command({"INFO", "stats"}).text;
    const auto at = stats.find("total_commands_processed:");
    REQUIRE(at != std::string::npos);
    return std::stol(stats.substr(at + 25));
  };
  REQUIRE(wait_until([&] { return client->command({"KEYS", "*taken*"}).elements.empty(); }));
  const auto before = commands();
  const auto began = std::chrono::steady_clock::now();
  for (int i = 0; i < 10; ++i) {
    const auto answer = runner.http().get("/status");
    CHECK(answer.json().at("data").at("default").at("tasks").size() == 100);
    CHECK(answer.body.size() < 100'000);
  }
  const auto took = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  // It waits at the list as ever, some commands a second; ten statuses of a hundred tasks each ask nothing.
  CHECK(static_cast<double>(commands() - before) < 10 + 5 * took);
}

TEST_CASE("trap: a background grandchild that holds the pipes pins the worker for ever") {
  test_daemon runner;
  const gate end(runner.path("gate"));
  runner.create_channel("one", {{"worker", "1"}});
  const auto id = runner.push_line("(" + end.wait_line() + ") & echo parent; exit 4", "one");
  CHECK(runner.settled(id, std::chrono::seconds(10)).at("outcome") == exited(4));
  CHECK(runner.run_line("echo next", "one") == "next\n");
  end.open();
}

TEST_CASE("trap: with a prefix before its key the documented list is silently another one") {
  const redis_server redis;
  auto options = over(redis);
  options.flags = {"-intake-key",         intake_key,    "-intake-key",
                   ":task:prepare:queue", "-intake-key", "laravel_database_task:prepare:queue"};
  test_daemon runner(options);
  const auto ran = runner.path("ran");
  for (const std::string prefix : {"", ":", "laravel_database_"})
    redis.command(
        {"LPUSH", prefix + intake_key, json{{"task", append_line("'" + prefix + "'", ran)}}.dump()});
  REQUIRE(wait_lines(ran, 3));
  CHECK(count_lines(ran).size() == 3);
}

TEST_CASE("trap: the daemon updates itself from somewhere else") {
  test_daemon runner;
  for (const auto* path : {"/update", "/upgrade", "/version/update"})
    CHECK(runner.http().post_form(path, {}).status == 404);
  runner.run_line("true");
  // Without Redis its only sockets of the network are where it listens and who came to it.
  const auto listening = ":" + [&] {
    char text[8];
    std::snprintf(text, sizeof text, "%04X", runner.port());
    return std::string(text);
  }();
  std::map<std::string, std::string> local_of_inode;
  for (const auto* table : {"tcp", "tcp6", "udp", "udp6"})
    for (const auto& line : lines_of(read_file("/proc/" + std::to_string(runner.pid()) + "/net/" + table))) {
      std::istringstream words(line);
      std::vector<std::string> fields;
      for (std::string word; words >> word;)
        fields.push_back(word);
      if (fields.size() > 9)
        local_of_inode["socket:[" + fields[9] + "]"] = fields[1];
    }
  size_t found = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc/" + std::to_string(runner.pid()) + "/fd")) {
    std::error_code gone;
    const auto socket = local_of_inode.find(std::filesystem::read_symlink(entry.path(), gone).string());
    if (gone || socket == local_of_inode.end())
      continue;
    ++found;
    CAPTURE(socket->second);
    CHECK(socket->second.substr(socket->second.find(':')) == listening);
  }
  CHECK(found >= 2); // the listener, and this test's own connection
}

TEST_CASE("trap: a restart of the daemon kills what runs") {
  test_daemon runner;
  const gate end(runner.path("gate"));
  const auto id = runner.push_line("echo $$; " + end.wait_line() + "; echo after; exit 6");
  std::string before;
  REQUIRE(wait_until([&] {
    before = runner.output(id);
    return !before.empty();
  }));
  runner.kill();
  runner.start();
  CHECK(runner.task(id).at("state") == "running");
  CHECK(process_state(before.substr(0, before.size() - 1))); // its pid, and a newline
  end.open();
  const auto task = runner.settled(id);
  CHECK(task.at("outcome") == exited(6));
  CHECK(task.at("attempt") == 1);
  CHECK(runner.output(id) == before + "after\n");
}

TEST_CASE("trap: a task stays running for ever when the process that ran it has gone") {
  test_daemon runner;
  const gate end(runner.path("gate"));
  const auto id = runner.push_line("echo up; " + end.wait_line() + "; exit 0");
  REQUIRE(wait_until([&] { return runner.output(id) == "up\n"; }));
  REQUIRE(::kill(runner.launcher_pid(), SIGKILL) == 0);
  end.open();
  const auto task = runner.settled(id); // lost, and run once more
  CHECK(task.at("state") == "finished");
  CHECK(task.at("attempt") == 2);
  CHECK(runner.channel("default").at("count") == 0);
}

TEST_CASE("trap: zombies pile up below a worker until it is wedged") {
  test_daemon runner;
  for (int i = 0; i < 5; ++i)
    runner.settled(runner.push_line("for i in 1 2 3 4 5 6 7 8 9 10; do (sleep 0.05 &) ; done"));
  const int launcher = runner.launcher_pid();
  REQUIRE(wait_until([&] { return runner.commands().empty(); }));
  CHECK(wait_until([&] { return zombies_of(launcher) == 0; }));
  CHECK(zombies_of(runner.pid()) == 0);
}

TEST_CASE("trap: the broker delivers a long task twice") {
  const redis_server redis;
  test_daemon runner(over(redis));
  const auto ran = runner.path("ran");
  const gate end(runner.path("gate"));
  redis.command({"LPUSH", intake_key,
                 json{{"task", append_line("begun", ran) + "; " + end.wait_line()}, {"id", "long"}}.dump()});
  REQUIRE(wait_lines(ran, 1));
  // Handed over for good when it is stored, not when it ends.
  REQUIRE(wait_until([&] { return redis.command({"KEYS", "*"}).elements.empty(); }));
  runner.kill();
  runner.start();
  end.open();
  CHECK(runner.settled("long").at("attempt") == 1);
  CHECK(count_lines(ran)["begun"] == 1);
}

TEST_CASE("trap: the thousandth push takes longer than the first") {
  daemon_options options;
  options.flags = {"-task-mode=false"};
  test_daemon runner(options);
  int pushed = 0;
  const auto push = [&](int count) {
    const auto began = std::chrono::steady_clock::now();
    for (int i = 0; i < count; ++i)
      runner.push_line("echo " + std::to_string(pushed++));
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  };
  // The best of five, because the machine may be busy with something else at any time.
  const auto push_three_hundred = [&] {
    auto best = push(60);
    for (int i = 0; i < 4; ++i)
      best = std::min(best, push(60));
    return 5 * best;
  };
  push(100); // both warm
  const auto first = push_three_hundred();
  push(2'000);
  const auto last = push_three_hundred();
  CAPTURE(first, last);
  CHECK(last < 4 * first + 0.2);
}

TEST_CASE("trap: big output blocks the command or bursts the reader") {
  test_daemon runner;
  const auto id = runner.push_line("echo begin; yes | head -c 20000000; echo end");
  CHECK(runner.settled(id).at("outcome") == exited(0));
  const auto answer = runner.http().get("/api/v1/tasks/" + id + "/output");
  CHECK(answer.body.size() <= 262'144);
  CHECK(std::stol(answer.header("x-output-size")) < 2 * 1'048'576 + 1'000);
  CHECK(answer.body.substr(0, 6) == "begin\n");
}

TEST_CASE("trap: any web page can run commands through the form of the API") {
  test_daemon runner;
  const auto ran = runner.path("ran");
  const name_values form{{"task", append_line("attacked", ran)}};
  const std::vector<name_values> attacks{
      {{"Origin", "http://evil.example"}},
      {{"Origin", "null"}},
      {{"Sec-Fetch-Site", "cross-site"}},
      {{"Host", "evil.example"}}, // a name that the attacker has let point here
  };
  for (const auto& headers : attacks) {
    CAPTURE(headers.front().first, headers.front().second);
    const auto answer = runner.http().post_form("/push", form, headers);
    CHECK(answer.status == 403);
    for (const auto& [name, value] : answer.headers)
      CHECK(name.find("access-control") == std::string::npos);
  }
  CHECK(runner.run_line("echo mine") == "mine\n");
  CHECK_FALSE(std::filesystem::exists(ran));
}
