// Many clients, a long backlog, many restarts: nothing is lost, nothing grows out of bounds, nothing hangs.
// Figures belong to the benchmarks; here are deadlines that a slow machine keeps too.
#include "test/e2e/gate.hpp"
#include "test/support/daemon.hpp"
#include "test/support/redis_server.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <mutex>
#include <set>
#include <thread>

using namespace task_runner::test;
using nlohmann::json;

TEST_CASE("a hundred clients that push fifty tasks each are all answered, and every task runs once") {
  daemon_options options;
  options.ini = "[channel.many]\nworker = 16\n";
  test_daemon runner(options);
  const auto runs = runner.path("runs");
  std::mutex mutex;
  std::set<std::string> ids;
  std::atomic<int> answered{0};
  std::vector<std::thread> clients;
  for (int c = 0; c < 100; ++c)
    clients.emplace_back([&, port = runner.port()] {
      try {
        http_client http(port);
        for (int i = 0; i < 50; ++i) {
          const auto answer = http.post_form(
              "/push", {{"task", "echo $TASK_RUNNER_TASK_ID >> " + runs}, {"channel", "many"}});
          if (answer.status != 200 || answer.json().at("data").at("result") != true)
            return;
          ++answered;
          const std::lock_guard<std::mutex> guard(mutex);
          ids.insert(answer.json().at("data").at("task_id").get<std::string>());
        }
      } catch (const std::exception&) { // counted by what is missing
      }
    });
  for (auto& client : clients)
    client.join();
  CHECK(answered == 5'000);
  CHECK(ids.size() == 5'000);
  REQUIRE(wait_until([&] { return runner.channel("many").at("count") == 0; }, std::chrono::seconds(90)));
  const auto counts = count_lines(runs);
  CHECK(counts.size() == 5'000);
  size_t wrong = 0;
  for (const auto& id : ids)
    wrong += counts.count(id) == 1 && counts.at(id) == 1 ? 0 : 1;
  CHECK(wrong == 0);
  CHECK(runner.channel("many").at("finished") == 5'000);
}

TEST_CASE("a backlog of twenty thousand is counted whole and listed in part") {
  const redis_server redis;
  daemon_options options;
  options.redis_port = redis.port();
  options.ini = "[channel.many]\n";
  options.flags = {"-task-mode=false"};
  test_daemon runner(options);
  const auto client = redis.client();
  for (int part = 0; part < 20; ++part) {
    std::vector<std::string> words{"LPUSH", "task:prepare:queue"};
    for (int i = 0; i < 1'000; ++i)
      words.push_back(json{{"task", "echo " + std::to_string(part * 1'000 + i)}, {"chan", "many"}}.dump());
    REQUIRE(client->command(words).integer > 0);
  }
  REQUIRE(wait_until([&] { return runner.channel("many").at("count") == 20'000; }, std::chrono::seconds(60)));
  const auto listed = [&](const std::string& query) {
    const auto answer = runner.http().get("/status?channel=many" + query);
    REQUIRE(answer.status == 200);
    return answer.json().at("data").at("tasks");
  };
  const auto hundred = listed("");
  REQUIRE(hundred.size() == 100);
  for (size_t i = 0; i < hundred.size(); ++i)
    CHECK(hundred[i].at("task_name") == "echo " + std::to_string(i));
  const auto thousand = listed("&limit=1000");
  REQUIRE(thousand.size() == 1'000);
  for (size_t i = 0; i < thousand.size(); ++i)
    CHECK(thousand[i].at("task_name") == "echo " + std::to_string(i));
  CHECK(listed("&limit=1").size() == 1);
  CHECK(runner.http().get("/status?channel=many&limit=1001").status == 422);
  CHECK(runner.http().get("/status").json().at("data").at("many").at("tasks").size() == 100);
  CHECK(runner.http().get("/status?limit=1000").json().at("data").at("many").at("tasks").size() == 1'000);

  CHECK(runner.stop() == process_end{true, 0});
  runner.start();
  CHECK(runner.channel("many").at("count") == 20'000);
  CHECK(listed("").size() == 100);
}

TEST_CASE("two hundred starts and stops keep their deadline and lose nothing", "[long]") {
  daemon_options options;
  options.ini = "[channel.many]\n";
  test_daemon runner(options);
  const auto runs = runner.path("runs");
  std::vector<std::string> ids;
  const auto begin = std::chrono::steady_clock::now();
  for (int cycle = 0; cycle < 200; ++cycle) {
    CAPTURE(cycle);
    ids.push_back(runner.push_line(append_line(std::to_string(cycle), runs), "many"));
    REQUIRE(runner.stop(cycle % 3 == 0   ? SIGTERM
                        : cycle % 3 == 1 ? SIGINT
                                         : SIGUSR2,
                        std::chrono::seconds(10)) == process_end{true, 0});
    runner.start();
    REQUIRE(std::chrono::steady_clock::now() - begin < std::chrono::seconds(2) * (cycle + 5));
  }
  REQUIRE(wait_until([&] { return runner.channel("many").at("count") == 0; }));
  const auto counts = count_lines(runs);
  CHECK(counts.size() == 200);
  for (const auto& [name, times] : counts)
    CHECK(times == 1);
  for (const auto& id : ids)
    CHECK(runner.task(id).at("state") == "finished");
}
