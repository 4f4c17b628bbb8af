// The daemon's side of the conversation: stopping what has not been sent, launchers that are silent or gone,
// and how long it takes to be whole again.
#include "test/service/launcher_support.hpp"
#include "test/support/wait.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <deque>
#include <filesystem>
#include <future>
#include <mutex>
#include <set>
#include <sys/resource.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

using namespace task_runner;
using launcher_test::launcher_fixture;
using launcher_test::scratch_directory;
using launcher_test::wait_gone;
using launcher_test::write_file;

namespace {

attempt_start wanted(const std::string& id, const std::string& line) {
  attempt_start start;
  start.key = {id, 1};
  start.channel = "default";
  start.line = line;
  return start;
}

int64_t ms_since(std::chrono::steady_clock::time_point began) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began)
      .count();
}

} // namespace

TEST_CASE("a start that was stopped before it was sent never runs", "[launcher][client]") {
  const scratch_directory scratch;
  launcher_test::recorder events;
  launcher_client_options options;
  options.state_dir = scratch.path();
  options.launcher_binary = scratch.path() + "/launcher";
  options.launcher_arguments = {"--idle-grace-ms", "100"};
  options.start_wait_ms = launcher_test::patience_ms;
  const std::string ran = scratch.path() + "/ran";
  launcher_client client(options);
  REQUIRE(client.start(wanted("kept", "echo kept >>" + ran)));
  REQUIRE(client.start(wanted("dropped", "echo dropped >>" + ran)));
  CHECK(client.stop({"dropped", 1}, 0));
  CHECK(client.stop({"dropped", 1}, 5'000));
  CHECK(client.stop({"nobody", 1}, 0).failure().code == error_code::not_found);
  CHECK(client.stop({"kept", 2}, 0).failure().code == error_code::not_found);
  CHECK(client.stop({"kept", 1}, -1).failure().code == error_code::out_of_range);
  CHECK(client.stop({"kept", 1}, grace_ms_max + 1).failure().code == error_code::out_of_range);

  // No launcher can be started yet; the end is told all the same.
  auto started = std::async(std::launch::async, [&] { return client.start_service(events); });
  const auto end = events.wait_ended({"dropped", 1});
  REQUIRE(end);
  CHECK(end->how == outcome{outcome_kind::cancelled, 0, {}});
  CHECK(end->channel == "default");
  CHECK(end->started_at_ms == 0);
  CHECK(events.ended_count() == 1);
  CHECK(client.stop({"dropped", 1}, 0).failure().code == error_code::not_found);
  client.settled({"dropped", 1});

  std::filesystem::create_symlink(std::filesystem::read_symlink("/proc/self/exe"), options.launcher_binary);
  REQUIRE(started.get());
  const auto kept = events.wait_ended({"kept", 1});
  REQUIRE(kept);
  CHECK(kept->how.succeeded());
  client.settled({"kept", 1});
  CHECK(launcher_test::read_file(ran) == "kept\n");
  CHECK(events.times_ended({"dropped", 1}) == 1);
  const int pid = client.health().launcher_pid;
  client.stop();
  CHECK(client.stop({"kept", 1}, 0).failure().code == error_code::unavailable);
  CHECK(wait_gone(pid));
}

TEST_CASE("what is handed over together is taken as far as there is room, the rest stays",
          "[launcher][client]") {
  const scratch_directory scratch;
  launcher_client_options options;
  options.state_dir = scratch.path();
  options.queue_max = 2;
  launcher_client client(options); // nobody sends what it takes
  std::deque<attempt_start> requests;
  for (const char* id : {"first", "second", "third", "fourth"})
    requests.push_back(wanted(id, "true"));
  CHECK(client.hand_over({}, requests).failure().code == error_code::overloaded);
  REQUIRE(requests.size() == 2);
  CHECK(requests.front().key == attempt_key{"third", 1});
  CHECK(requests.front().line == "true");
  CHECK(client.known_attempts("default").size() == 2);
  // One that can never be handed over is told of, and those before it are taken.
  std::deque<attempt_start> known{wanted("first", "true"), wanted("bad", std::string("a\0b", 3))};
  CHECK(client.hand_over({}, known).failure().code == error_code::invalid_argument);
  REQUIRE(known.size() == 1);
  CHECK(known.front().key == attempt_key{"bad", 1});
  client.stop();
  CHECK(client.hand_over({}, requests).failure().code == error_code::unavailable);
}

TEST_CASE("what is told together is told in its order, starts before their ends", "[launcher][client]") {
  struct order_keeper : process_events {
    void on_started(const attempt_started&) override {}
    void on_ended(const attempt_ended&) override {}
    void on_events(std::vector<attempt_event> events) override {
      const std::lock_guard<std::mutex> lock(mutex);
      for (const attempt_event& one : events) {
        if (const auto* start = std::get_if<attempt_started>(&one))
          started.insert(start->key.task_id);
        else if (started.count(std::get<attempt_ended>(one).key.task_id) == 0)
          ++early;
        else
          ++ended;
      }
    }
    std::mutex mutex;
    std::set<std::string> started;
    size_t ended = 0;
    size_t early = 0;
  };
  const scratch_directory scratch;
  launcher_client_options options;
  options.state_dir = scratch.path();
  options.launcher_binary = "/proc/self/exe";
  options.launcher_arguments = {"--idle-grace-ms", "100"};
  options.start_wait_ms = launcher_test::patience_ms;
  order_keeper events;
  launcher_client client(options);
  REQUIRE(client.start_service(events));
  std::deque<attempt_start> requests;
  for (int i = 0; i < 100; ++i)
    requests.push_back(wanted("task-" + std::to_string(i), "true"));
  requests.push_back(wanted("stays", "while [ ! -e " + scratch.path() + "/go ]; do sleep 0.01; done"));
  REQUIRE(client.hand_over({}, requests));
  CHECK(requests.empty());
  // A start without an end is told as well.
  CHECK(test::wait_until([&] {
    const std::lock_guard<std::mutex> lock(events.mutex);
    return events.ended == 100 && events.started.count("stays") == 1;
  }));
  write_file(scratch.path() + "/go", "go");
  CHECK(test::wait_until([&] {
    const std::lock_guard<std::mutex> lock(events.mutex);
    return events.ended == 101;
  }));
  CHECK(events.early == 0);
  std::vector<attempt_key> outcomes;
  for (const auto& id : events.started)
    outcomes.push_back({id, 1});
  REQUIRE(client.hand_over(outcomes, requests));
  CHECK(client.known_attempts("default").empty());
  const int pid = client.health().launcher_pid;
  client.stop();
  CHECK(wait_gone(pid));
}

TEST_CASE("starts, signals and stops reach the launcher in their order", "[launcher][client]") {
  launcher_fixture fixture;
  for (int i = 0; i < 50; ++i) {
    const std::string id = "s" + std::to_string(i);
    fixture.start(id, "exec sleep 300");
    CHECK(fixture.client().stop(fixture.key(id), 0));
  }
  for (int i = 0; i < 50; ++i) {
    const std::string id = "s" + std::to_string(i);
    CHECK(fixture.await(id).how.kind == outcome_kind::cancelled);
    CHECK(fixture.events().times_ended(fixture.key(id)) == 1);
    fixture.client().settled(fixture.key(id));
  }
  CHECK(fixture.client().health().running == 0);
}

TEST_CASE("a launcher that was killed is replaced within a second", "[launcher][client]") {
  launcher_fixture fixture;
  for (int i = 0; i < 20; ++i)
    fixture.start("victim" + std::to_string(i), "exec sleep 300");
  for (int i = 0; i < 20; ++i)
    REQUIRE(fixture.events().wait_started(fixture.key("victim" + std::to_string(i))));
  const int first = fixture.launcher_pid();
  const auto began = std::chrono::steady_clock::now();
  REQUIRE(::kill(first, SIGKILL) == 0);
  REQUIRE(test::wait_until([&] {
    const launcher_health health = fixture.client().health();
    return health.connected && health.launcher_pid != first && health.launcher_pid != 0;
  }));
  const int64_t replaced_ms = ms_since(began);
  std::printf("a killed launcher with 20 commands was replaced after %lld ms\n",
              static_cast<long long>(replaced_ms));
  CHECK(replaced_ms < 1'000);
  CHECK(fixture.client().health().restarts == 1);
  CHECK(fixture.client().health().last_error.empty());
  for (int i = 0; i < 20; ++i) {
    CHECK(fixture.await("victim" + std::to_string(i)).how.kind == outcome_kind::lost);
    fixture.client().settled(fixture.key("victim" + std::to_string(i)));
  }
}

TEST_CASE("a daemon is whole again within two seconds, with a thousand attempts known",
          "[launcher][client]") {
  launcher_fixture fixture;
  constexpr size_t running = 100;
  constexpr size_t ended = 900;
  for (size_t i = 0; i < ended; ++i)
    fixture.start("e" + std::to_string(i), "exit " + std::to_string(i % 200));
  REQUIRE(fixture.events().wait_ended_count(ended));
  const std::string go = fixture.dir() + "/go";
  for (size_t i = 0; i < running; ++i)
    fixture.start("r" + std::to_string(i), "while [ ! -e " + go + " ]; do sleep 0.2; done; exit 7");
  for (size_t i = 0; i < running; ++i)
    REQUIRE(fixture.events().wait_started(fixture.key("r" + std::to_string(i))));
  fixture.client().stop();
  const auto began = std::chrono::steady_clock::now();
  fixture.next_daemon();
  const std::vector<known_attempt> known = fixture.client().known_attempts("default");
  const int64_t whole_ms = ms_since(began);
  std::printf("a new daemon knew %zu attempts after %lld ms\n", known.size(),
              static_cast<long long>(whole_ms));
  CHECK(whole_ms < 2'000);
  REQUIRE(known.size() == running + ended);
  for (const known_attempt& one : known) {
    if (one.key.task_id[0] == 'e') {
      CHECK(one.ended);
      CHECK(one.end.how.code == std::stoi(one.key.task_id.substr(1)) % 200);
      fixture.client().settled(one.key);
    } else {
      CHECK_FALSE(one.ended);
    }
  }
  write_file(go, "go");
  REQUIRE(fixture.events().wait_ended_count(running));
  for (size_t i = 0; i < running; ++i) {
    CHECK(fixture.await("r" + std::to_string(i)).how.code == 7);
    fixture.client().settled(fixture.key("r" + std::to_string(i)));
  }
}

TEST_CASE("a launcher that does not answer is named by its process", "[launcher][client]") {
  launcher_fixture fixture;
  const int pid = fixture.launcher_pid();
  fixture.client().stop();
  REQUIRE(::kill(pid, SIGSTOP) == 0);
  {
    launcher_test::recorder events;
    launcher_client_options options = fixture.options();
    options.start_wait_ms = 300;
    launcher_client client(options);
    const result<void> started = client.start_service(events);
    REQUIRE(::kill(pid, SIGCONT) == 0);
    REQUIRE_FALSE(started);
    CHECK(started.failure().message == "no launcher: process " + std::to_string(pid) +
                                           " (launcher.pid) did not answer in time; if it is stopped, let it "
                                           "go on: kill -CONT " +
                                           std::to_string(pid));
  }
  fixture.next_daemon();
  CHECK(fixture.run("after", "echo yes").how.succeeded());
}

TEST_CASE("commands have the umask and the directory of the daemon that came last", "[launcher][client]") {
  launcher_fixture fixture;
  const mode_t before = ::umask(027);
  fixture.next_daemon();
  CHECK(fixture.run("own", "umask").how.succeeded());
  ::umask(002);
  fixture.next_daemon();
  CHECK(fixture.run("other", "umask").how.succeeded());
  ::umask(before);
  fixture.next_daemon();
  CHECK(fixture.output("own") == "0027\n");
  CHECK(fixture.output("other") == "0002\n");
}

TEST_CASE("whichever thread sends them, a stop never overtakes its start", "[launcher][client]") {
  launcher_fixture fixture;
  constexpr int callers = 4;
  constexpr int each = 50;
  std::vector<std::thread> threads;
  std::atomic<int> taken{0};
  for (int caller = 0; caller < callers; ++caller)
    threads.emplace_back([&, caller] {
      for (int i = 0; i < each; ++i) {
        const attempt_start start =
            wanted("c" + std::to_string(caller) + "-" + std::to_string(i), "exec sleep 300");
        if (fixture.client().start(start) && fixture.client().stop(start.key, 0))
          ++taken;
      }
    });
  for (std::thread& one : threads)
    one.join();
  CHECK(taken == callers * each);
  // One that came before its start would have been about nothing, and the command would run on.
  REQUIRE(fixture.events().wait_ended_count(callers * each));
  for (int caller = 0; caller < callers; ++caller)
    for (int i = 0; i < each; ++i) {
      const std::string id = "c" + std::to_string(caller) + "-" + std::to_string(i);
      CHECK(fixture.await(id).how.kind == outcome_kind::cancelled);
      fixture.client().settled(fixture.key(id));
    }
  // Settlements that no start takes along are sent all the same.
  CHECK(test::wait_until([&] { return fixture.client().health().queued == 0; }));
  CHECK(fixture.client().known_attempts("default").empty());
}

TEST_CASE("the health tells what the launcher is", "[launcher][client]") {
  launcher_fixture fixture;
  const launcher_health health = fixture.client().health();
  CHECK(health.connected);
  CHECK(health.launcher_version == TASK_RUNNER_VERSION);
  CHECK_FALSE(health.containment.empty());
  rlimit limit{};
  REQUIRE(::prlimit(health.launcher_pid, RLIMIT_NOFILE, nullptr, &limit) == 0);
  // Two for each command, and some for itself.
  CHECK(health.running_max >= 8);
  CHECK(health.running_max >= std::min<rlim_t>(limit.rlim_max / 3, 16'384));
  CHECK((limit.rlim_max < 1'024 || 2 * health.running_max + 128 <= limit.rlim_max));
  CHECK(health.upgrades == 0);
  CHECK(health.upgrade_failure.empty());
  CHECK(health.last_error.empty());
}
