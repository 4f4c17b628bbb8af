// Requests with an Idempotency-Key: carried out once, answered the same, also over kill -9 and all at once.
// Each command appends a line to a file, so that a second task could not hide.
#include "test/e2e/api_support.hpp"
#include "test/e2e/gate.hpp"

#include <atomic>
#include <mutex>
#include <random>
#include <set>
#include <thread>

using namespace task_runner::test;
using json = nlohmann::json;

namespace {

const std::string tasks = "/api/v1/tasks";

daemon_options idle() {
  daemon_options options;
  options.flags = {"-task-mode=false"};
  return options;
}

name_values keyed(const std::string& key) {
  return {{"Content-Type", "application/json"}, {"Idempotency-Key", key}};
}

/// A POST with a key, over a connection of its own.
http_answer post(uint16_t port, const std::string& key, const std::string& target, const std::string& body) {
  return http_client(port).send("POST", target, keyed(key), body);
}
http_answer post(test_daemon& runner, const std::string& key, const std::string& target, const json& body) {
  return post(runner.port(), key, target, body.dump());
}

std::string id_of(const http_answer& answer) {
  INFO(answer.status << " " << answer.body);
  REQUIRE(answer.status == 200);
  const auto data = answer.json().at("data");
  REQUIRE(data.at("result") == true);
  return data.at("task_id");
}

std::string code_of(const http_answer& answer) {
  return answer.json().at("error").at("code");
}

bool is_replay(const http_answer& answer) {
  return answer.header("idempotency-replayed") == "true";
}

size_t stored(test_daemon& runner) {
  return data_of(runner, "GET", tasks + "?limit=1000").at("items").size();
}

} // namespace

TEST_CASE("a push that is repeated with its key is one task, with one answer, over restarts too") {
  test_daemon runner(idle());
  runner.create_channel("mail");
  const std::vector<std::pair<std::string, json>> pushes{
      {tasks, {{"task", "echo 1"}}},
      {"/push", {{"task", "echo 2"}}},
      {"/channels/mail/tasks", {{"task", "echo 3"}}},
      {tasks, {{"task", "echo 4"}, {"id", "of-the-client"}}},
      {tasks, {{"task", "echo 5"}, {"delay", 3'600}}},
  };
  std::vector<http_answer> first;
  for (size_t i = 0; i < pushes.size(); ++i) {
    first.push_back(post(runner, "key " + std::to_string(i), pushes[i].first, pushes[i].second));
    id_of(first.back());
    CHECK_FALSE(is_replay(first.back()));
  }
  CHECK(id_of(first[3]) == "of-the-client");
  const auto repeat = [&] {
    for (size_t i = 0; i < pushes.size(); ++i) {
      const auto again = post(runner, "key " + std::to_string(i), pushes[i].first, pushes[i].second);
      CHECK(again.status == first[i].status);
      CHECK(again.body == first[i].body);
      CHECK(again.header("content-type") == first[i].header("content-type"));
      CHECK(is_replay(again));
    }
    CHECK(stored(runner) == pushes.size());
  };
  repeat();
  // The answer is that of then, even when the task has gone.
  data_of(runner, "POST", tasks + "/of-the-client/cancel");
  data_of(runner, "DELETE", tasks + "/of-the-client");
  CHECK(is_replay(post(runner, "key 3", pushes[3].first, pushes[3].second)));
  CHECK(refused(runner, "GET", tasks + "/of-the-client") == 404);
  runner.kill();
  runner.start();
  CHECK(is_replay(post(runner, "key 3", pushes[3].first, pushes[3].second)));
  CHECK(stored(runner) == pushes.size() - 1);
  runner.stop();
  runner.start();
  CHECK(post(runner, "key 0", pushes[0].first, pushes[0].second).body == first[0].body);
  // Another key, another task.
  CHECK(id_of(post(runner, "key", pushes[2].first, pushes[2].second)) != id_of(first[2]));
}

TEST_CASE("a key that another request had is refused, and so is one that is none") {
  test_daemon runner(idle());
  const auto first = id_of(post(runner, "k", tasks, {{"task", "echo x"}}));
  for (const auto& [target, body] :
       std::vector<std::pair<std::string, json>>{{tasks, {{"task", "echo y"}}},
                                                 {"/push", {{"task", "echo x"}}},
                                                 {tasks + ":cancel", {{"all", true}}}}) {
    const auto other = post(runner, "k", target, body);
    CHECK(other.status == 422);
    CHECK(code_of(other) == "key_reused");
    CHECK_FALSE(is_replay(other));
  }
  CHECK(runner.task(first).at("state") == "pending");
  for (const auto& wrong : {std::string(256, 'k'), std::string(), std::string("sch\xc3\xb6n")}) {
    const auto answer = post(runner, wrong, tasks, {{"task", "echo x"}});
    CHECK(answer.status == 400);
    CHECK(answer.json().at("message").get<std::string>().find("Idempotency-Key") != std::string::npos);
  }
  auto twice = keyed("a");
  twice.emplace_back("Idempotency-Key", "b");
  CHECK(runner.http().send("POST", tasks, twice, R"({"task":"echo x"})").status == 400);
  CHECK(stored(runner) == 1);
  id_of(post(runner, std::string(255, '~'), tasks, {{"task", "echo z"}}));
  // Nobody else looks at it.
  CHECK(runner.http().send("GET", tasks, {{"Idempotency-Key", "k"}}).status == 200);
  CHECK(runner.http().send("POST", tasks + "?x=1", keyed("q"), "{}").status == 400);
  CHECK_FALSE(is_replay(runner.http().send("POST", tasks + "?x=1", keyed("q"), "{}")));
}

TEST_CASE("a refusal is repeated as well, but one that asks for another try is tried again") {
  test_daemon runner(idle());
  for (const json& wrong : {json{{"task", ""}}, json{{"task", "echo"}, {"channel", "none"}}}) {
    const auto key = "refused " + wrong.dump();
    const auto first = post(runner, key, tasks, wrong);
    CHECK(first.status >= 400);
    const auto again = post(runner, key, tasks, wrong);
    CHECK(again.status == first.status);
    CHECK(again.body == first.body);
    CHECK(is_replay(again));
  }
  data_of(runner, "POST", "/api/v1/channels", {{"name", "small"}, {"tasks_max", 1}});
  const auto filler = push_json(runner, {{"task", "echo 1"}, {"channel", "small"}});
  const json body{{"task", "echo 2"}, {"channel", "small"}};
  CHECK(post(runner, "full", tasks, body).status == 429);
  CHECK(post(runner, "full", tasks, body).status == 429);
  data_of(runner, "POST", tasks + "/" + filler + "/cancel");
  const auto taken = post(runner, "full", tasks, body);
  id_of(taken);
  CHECK_FALSE(is_replay(taken));
  CHECK(post(runner, "full", tasks, body).body == taken.body);
}

TEST_CASE("verbs and channels are carried out once for each key") {
  test_daemon runner;
  const auto flag = runner.path("flag");
  const auto id = runner.push_line("test -e " + flag);
  CHECK(runner.settled(id).at("state") == "dead");
  const auto retry = tasks + "/" + id + "/retry";
  const auto retried = post(runner, "retry", retry, json::object());
  CHECK(retried.status == 200);
  CHECK(wait_state(runner, id, "dead"));
  const auto again = post(runner, "retry", retry, json::object());
  CHECK(is_replay(again));
  CHECK(again.body == retried.body);
  CHECK(runner.task(id).at("attempts").size() == 2);

  const json channel{{"name", "made"}};
  CHECK(post(runner, "make", "/api/v1/channels", channel).status == 200);
  CHECK(post(runner, "make", "/api/v1/channels", channel).status == 200);
  CHECK(post(runner, "make it again", "/api/v1/channels", channel).status == 409);
  CHECK(post(runner, "pause", "/api/v1/channels/made/pause", json::object()).status == 200);
  data_of(runner, "POST", "/api/v1/channels/made/resume");
  CHECK(is_replay(post(runner, "pause", "/api/v1/channels/made/pause", json::object())));
  CHECK(runner.channel("made").at("paused") == false);

  const auto deleted = post(runner, "delete", tasks + ":delete", {{"ids", {id}}});
  CHECK(deleted.json().at("data").at("done") == 1);
  CHECK(post(runner, "delete", tasks + ":delete", {{"ids", {id}}}).body == deleted.body);
  CHECK(refused(runner, "POST", tasks + ":delete", {{"ids", {id}}}) == 200);
  CHECK(post(runner, "stop", "/api/v1/stop", json::object()).status == 200);
  CHECK(runner.child().wait(std::chrono::seconds(30)) == process_end{true, 0});
}

TEST_CASE("the same request is refused while the first one is under way, and then gets its answer") {
  test_daemon runner;
  runner.create_channel("one", {{"worker", "1"}});
  const gate end(runner.path("gate"));
  const auto id = runner.push_line(end.wait_line(), "one");
  REQUIRE(wait_state(runner, id, "running"));
  const json body{{"wait_s", 25}};
  http_answer first;
  std::thread waiting([&] { first = post(runner, "drain", "/api/v1/channels/one/drain", body); });
  const bool is_under_way = wait_until([&] { return runner.channel("one").at("paused") == true; });
  const auto second = post(runner, "drain", "/api/v1/channels/one/drain", body);
  const auto other = post(runner, "drain", "/api/v1/channels/one/drain", {{"wait_s", 1}});
  end.open();
  waiting.join();
  REQUIRE(is_under_way);
  CHECK(second.status == 409);
  CHECK(code_of(second) == "in_progress");
  CHECK(second.header("retry-after") == "1");
  CHECK(other.status == 422);
  CHECK(first.status == 200);
  const auto third = post(runner, "drain", "/api/v1/channels/one/drain", body);
  CHECK(is_replay(third));
  CHECK(third.body == first.body);
}

TEST_CASE("a hundred identical requests at once make one task") {
  test_daemon runner(idle());
  constexpr int clients = 100;
  std::vector<http_answer> answers(clients);
  std::vector<std::thread> threads;
  for (int i = 0; i < clients; ++i)
    threads.emplace_back([&, i] {
      auto& answer = answers[static_cast<size_t>(i)];
      // Where that never comes to be the answers say so.
      static_cast<void>(wait_until(
          [&] {
            answer = post(runner.port(), "at once", tasks, R"({"task":"echo once"})");
            return answer.status != 409;
          },
          std::chrono::seconds(60)));
    });
  for (auto& one : threads)
    one.join();
  std::set<std::string> bodies;
  int replays = 0;
  for (const auto& one : answers) {
    CHECK(one.status == 200);
    bodies.insert(one.body);
    replays += is_replay(one) ? 1 : 0;
  }
  CHECK(bodies.size() == 1);
  CHECK(replays == clients - 1);
  CHECK(stored(runner) == 1);
}

TEST_CASE("a batch with a key is taken once, up to a thousand tasks") {
  test_daemon runner(idle());
  const auto batch = [](int count) {
    std::string lines;
    for (int i = 0; i < count; ++i)
      lines += R"({"task":"echo )" + std::to_string(i) + "\"}\n" + (i % 3 == 0 ? "\n" : "");
    return lines;
  };
  const name_values headers{{"Content-Type", "application/x-ndjson"}, {"Idempotency-Key", "batch"}};
  const auto first = runner.http().send("POST", tasks + ":batch", headers, batch(1'000));
  REQUIRE(first.status == 200);
  CHECK(first.json().at("data").at("accepted") == 1'000);
  const auto again = runner.http().send("POST", tasks + ":batch", headers, batch(1'000));
  CHECK(is_replay(again));
  CHECK(again.body == first.body);
  CHECK(runner.channel("default").at("count") == 1'000);
  CHECK(runner.http().send("POST", tasks + ":batch", headers, batch(999)).status == 422);
  auto other = headers;
  other.back().second = "too many";
  CHECK(runner.http().send("POST", tasks + ":batch", other, batch(1'001)).status == 413);
  CHECK(runner.channel("default").at("count") == 1'000);
}

TEST_CASE("a key is free again when its answer has been kept long enough") {
  auto options = idle();
  options.flags.insert(options.flags.end(), {"-idempotency-keep", "1s"});
  test_daemon runner(options);
  runner.create_channel("plain");
  const json body{{"task", "echo x"}, {"channel", "plain"}};
  const auto first = id_of(post(runner, "k", tasks, body));
  CHECK(wait_until([&] { return id_of(post(runner, "k", tasks, body)) != first; }, std::chrono::seconds(20)));
  CHECK(stored(runner) == 2);
}

TEST_CASE("requests that are repeated while the daemon is killed again and again are each one task") {
  daemon_options options;
  options.ini = "[channel.many]\nworker = 4\n";
  test_daemon runner(options);
  const auto runs = runner.path("runs");
  const auto seed = std::random_device()();
  CAPTURE(seed);
  std::mt19937 random(seed);
  constexpr int clients = 4;
  constexpr int kills = 8;
  std::atomic<uint16_t> port{runner.port()};
  std::atomic<bool> over{false};
  std::atomic<int> given_up{0};
  std::mutex mutex;
  std::map<std::string, std::string> bodies;
  std::map<std::string, std::set<std::string>> ids;
  const auto learn = [&](const std::string& key, const http_answer& answer) {
    const auto data = answer.json().at("data");
    const std::lock_guard lock(mutex);
    if (key.front() == 'b')
      for (const auto& line : data.at("results"))
        ids[key + "." + std::to_string(line.at("line").get<int>())].insert(line.at("task_id"));
    else
      ids[key].insert(data.at("task_id").get<std::string>());
  };
  const auto target_of = [](const std::string& key) { return key.front() == 'b' ? tasks + ":batch" : tasks; };
  const auto send = [&](const std::string& key, const std::string& body) -> bool {
    try {
      http_client client(port);
      const auto answer =
          client.send("POST", target_of(key),
                      {{"Content-Type", key.front() == 'b' ? "application/x-ndjson" : "application/json"},
                       {"Idempotency-Key", key}},
                      body);
      if (answer.status != 200)
        return false;
      learn(key, answer);
      return true;
    } catch (const std::exception&) { // it was killed
      return false;
    }
  };
  std::vector<std::thread> threads;
  for (int c = 0; c < clients; ++c)
    threads.emplace_back([&, c] {
      for (int i = 0; !over; ++i) {
        // Every fourth is a batch.
        const auto key = (i % 4 == 3 ? "b" : "p") + std::to_string(c) + "-" + std::to_string(i);
        std::string body;
        for (int line = 1; line <= (key.front() == 'b' ? 5 : 1); ++line)
          body +=
              json{{"task", "echo " + key + "." + std::to_string(line) + " >> " + runs}, {"channel", "many"}}
                  .dump() +
              "\n";
        {
          const std::lock_guard lock(mutex);
          bodies[key] = body;
        }
        if (!wait_until([&] { return send(key, body); }, std::chrono::seconds(60)))
          ++given_up;
      }
    });
  for (int i = 0; i < kills; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50 + random() % 300));
    runner.kill();
    runner.start();
    port = runner.port();
  }
  over = true;
  for (auto& one : threads)
    one.join();
  CHECK(given_up == 0);
  // Once more, over a last crash: what was answered, and what was not.
  runner.kill();
  runner.start();
  port = runner.port();
  for (const auto& [key, body] : bodies) {
    CAPTURE(key);
    REQUIRE(send(key, body));
  }
  std::set<std::string> all;
  for (const auto& [key, of] : ids) {
    CAPTURE(key);
    CHECK(of.size() == 1);
    all.insert(of.begin(), of.end());
  }
  CHECK(all.size() == ids.size());
  REQUIRE(wait_until([&] { return runner.channel("many").at("count") == 0; }, std::chrono::seconds(60)));
  const auto lines = count_lines(runs);
  CHECK(lines.size() == ids.size());
  for (const auto& [line, count] : lines) {
    CAPTURE(line);
    CHECK(count == 1);
  }
}
