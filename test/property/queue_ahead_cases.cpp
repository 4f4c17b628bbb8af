// Single decisions of queue_core about tasks that are leased ahead, before a worker is free for them.
// They may save time, and must change nothing else: order, counts, what waits, and what may be lost.
#include "test/property/queue_bench.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

using namespace task_runner;
using namespace task_runner::test;

namespace {

std::vector<std::string> ids_of(const std::vector<task>& tasks) {
  std::vector<std::string> ids;
  for (const auto& one : tasks)
    ids.push_back(one.id);
  return ids;
}

} // namespace

TEST_CASE("where tasks end quickly the next ones are leased before a worker is free, and follow at once") {
  quick_bench bench;
  bench.push_all({"a", "b", "c", "d"});
  CHECK(bench.started() == std::vector<std::string>{"a"});
  for (const char* id : {"b", "c", "d"})
    CHECK(bench.state_of(id) == task_state::running);
  SECTION("they count, and are shown, as pending") {
    const auto counts = bench.core->counts();
    CHECK(counts.running == 1);
    CHECK(counts.pending == 3);
    CHECK(ids_of(bench.core->running_tasks(10)) == std::vector<std::string>{"a"});
    const auto waiting = bench.core->waiting_tasks(10);
    CHECK(ids_of(waiting) == std::vector<std::string>{"b", "c", "d"});
    CHECK(waiting.front().state == task_state::pending);
    CHECK(waiting.front().attempt == 0);
    CHECK(waiting.front().started_at_ms == 0);
    CHECK(ids_of(bench.core->waiting_tasks(2)) == std::vector<std::string>{"b", "c"});
    CHECK(bench.core->waiting_tasks(0).empty());
  }
  SECTION("each starts without a commit between, in order") {
    bench.end("a", 1);
    CHECK(bench.started() == std::vector<std::string>{"a", "b"});
    bench.now += 3;
    bench.end("b", 1);
    bench.end("c", 1);
    CHECK(bench.started() == std::vector<std::string>{"a", "b", "c", "d"});
    CHECK(bench.runs[2].value.started_at_ms == bench.now);
    bench.end("d", 1);
    bench.run();
    for (const char* id : {"a", "b", "c", "d"})
      CHECK(bench.state_of(id) == task_state::finished);
    CHECK(bench.core->is_empty());
  }
  SECTION("what is pushed does not overtake them") {
    bench.push("e");
    bench.take(bench.core->credit(1, bench.now));
    bench.run();
    CHECK(bench.started() == std::vector<std::string>{"a", "b"});
    CHECK(bench.core->counts().pending == 3);
  }
}

TEST_CASE("where tasks take their time nothing is leased ahead") {
  queue_bench bench;
  for (const char* id : {"a", "b"})
    bench.push(id);
  bench.run();
  for (int i = 0; i < 10; ++i) {
    bench.now += 40;
    bench.take(bench.core->tick(bench.now));
    bench.run();
  }
  bench.end("a", 1);
  bench.push("c");
  bench.run();
  CHECK(bench.stored("b").state == task_state::running);
  CHECK(bench.stored("c").state == task_state::pending);
}

TEST_CASE("a lease ahead that is on its way when a worker gets free is not overtaken") {
  quick_bench bench;
  bench.push("a");
  bench.run();
  bench.push("b");
  bench.commit_one();
  REQUIRE(bench.submissions.size() == 1); // b is leased
  bench.push("c");
  bench.end("a", 1);
  CHECK(bench.started() == std::vector<std::string>{"a"});
  while (bench.started().size() == 1)
    bench.commit_one();
  CHECK(bench.started() == std::vector<std::string>{"a", "b"});
  bench.run();
  bench.end("b", 1);
  bench.run();
  CHECK(bench.started() == std::vector<std::string>{"a", "b", "c"});
}

TEST_CASE("only first attempts that nothing else depends on are leased ahead, and none behind another") {
  channel_record settings;
  task_options options;
  SECTION("it may run only once") {
    options.delivery = delivery_kind::at_most_once;
  }
  SECTION("it expires") {
    options.expires_ms = 60'000;
  }
  SECTION("it has a concurrency key") {
    options.concurrency_key = "key";
  }
  SECTION("its channel says that it may run only once") {
    settings.defaults.delivery = delivery_kind::at_most_once;
  }
  SECTION("its record ends with its start") {
    settings.distinct = distinct_mode::while_pending;
  }
  quick_bench bench(settings);
  bench.push("a");
  bench.run();
  bench.push("special", options);
  bench.push("behind");
  bench.run();
  CHECK(bench.state_of("special") == task_state::pending);
  CHECK(bench.state_of("behind") == task_state::pending);
  bench.end("a", 1);
  bench.run();
  CHECK(bench.started() == std::vector<std::string>{"a", "special"});
}

TEST_CASE("what is leased ahead goes back into line, in its place") {
  channel_record settings;
  quick_bench bench(settings);
  bench.push_all({"a", "b", "c"});
  REQUIRE(bench.state_of("c") == task_state::running);
  const auto is_back = [&bench] {
    bench.run();
    for (const char* id : {"b", "c"}) {
      CHECK(bench.state_of(id) == task_state::pending);
      CHECK(bench.stored(id).attempt == 0);
    }
    CHECK(bench.core->counts().pending == 2);
    CHECK(bench.core->counts().running == 1);
    CHECK(bench.repairs.empty());
  };
  SECTION("when its turn does not come") {
    const auto due = bench.core->wake_at();
    CHECK(due > bench.now);
    bench.take(bench.core->tick(due - 1));
    CHECK(bench.submissions.empty());
    bench.now = due;
    bench.take(bench.core->tick(bench.now));
    is_back();
    CHECK(bench.core->wake_at() == 0);
  }
  SECTION("and nothing overtakes it meanwhile") {
    bench.push("d");
    bench.run();
    bench.now = bench.core->wake_at();
    bench.take(bench.core->tick(bench.now));
    bench.end("a", 1);
    bench.run();
    CHECK(bench.started() == std::vector<std::string>{"a", "b"});
    return;
  }
  SECTION("when the channel is paused") {
    auto paused = settings;
    paused.name = channel_name;
    paused.paused = true;
    bench.take(bench.core->configure(paused, bench.now));
    is_back();
    bench.end("a", 1);
    bench.run();
    CHECK(bench.started() == std::vector<std::string>{"a"});
    paused.paused = false;
    bench.take(bench.core->configure(paused, bench.now));
    bench.run();
  }
  SECTION("when the daemon stops") {
    bench.take(bench.core->stop_leasing(bench.now));
    CHECK_FALSE(bench.core->is_quiet());
    is_back();
    bench.end("a", 1);
    bench.run();
    CHECK(bench.core->is_quiet());
    CHECK(bench.started() == std::vector<std::string>{"a"});
    return;
  }
  bench.end("a", 1);
  bench.run();
  bench.end("b", 1);
  bench.run();
  CHECK(bench.started() == std::vector<std::string>{"a", "b", "c"});
  CHECK(bench.runs.back().value.attempt == 1);
}

TEST_CASE("what may be back in line is not started before the store has said which") {
  quick_bench bench;
  bench.push_all({"a", "b"});
  bench.now = bench.core->wake_at();
  bench.take(bench.core->tick(bench.now));
  REQUIRE(bench.submissions.size() == 1);
  const auto how = GENERATE(commit::fails, commit::fails_yet_happens);
  bench.commit_one(how);
  bench.end("a", 1);
  CHECK(bench.started() == std::vector<std::string>{"a"});
  SECTION("and then it is, once") {}
  SECTION("and not after it was cancelled") {
    bench.act(task_verb::cancel, "b");
    bench.run();
  }
  const bool cancelled = !bench.answers.empty() || bench.stored("b").state == task_state::cancelled;
  bench.now += 2'000;
  bench.take(bench.core->tick(bench.now));
  bench.run();
  if (cancelled || bench.stored("b").state == task_state::cancelled) {
    CHECK(bench.stored("b").state == task_state::cancelled);
    CHECK(bench.started() == std::vector<std::string>{"a"});
  } else {
    CHECK(bench.started() == std::vector<std::string>{"a", "b"});
    bench.end("b", 1);
    bench.run();
  }
  CHECK(bench.core->is_empty());
  CHECK(bench.repairs.empty());
}

TEST_CASE("an immediate stop ends what runs, and leaves what is leased ahead to the next start") {
  quick_bench bench;
  bench.push_all({"a", "b", "c"});
  bench.push("d"); // leased ahead, or on its way there
  bench.take(bench.core->stop_leasing(bench.now));
  bench.take(bench.core->cancel_running(bench.now));
  SECTION("when the store works") {
    bench.run();
  }
  SECTION("when it fails at first") {
    while (!bench.submissions.empty())
      bench.commit_one(commit::fails);
    bench.now += 2'000;
    bench.take(bench.core->tick(bench.now));
    bench.run();
  }
  REQUIRE(bench.stops.size() == 1);
  CHECK(bench.stops.front().key.task_id == "a");
  bench.end("a", 1, ended_as(outcome_kind::cancelled));
  bench.run();
  CHECK(bench.state_of("a") == task_state::cancelled);
  for (const char* id : {"b", "c"})
    CHECK(bench.state_of(id) == task_state::pending);
  CHECK(bench.core->is_quiet());
  CHECK(bench.started() == std::vector<std::string>{"a"});
}

TEST_CASE("a task that is leased ahead waits a tenth of a second at most, however many start before it") {
  quick_bench bench;
  for (int i = 0; i < 40; ++i)
    bench.push(std::to_string(i));
  bench.run();
  task_options urgent;
  urgent.priority = 9;
  bench.push("urgent", urgent);
  bench.run();
  // Ends come slowly now.
  for (int i = 0; i < 4; ++i) {
    bench.end(bench.started().back(), 1);
    bench.run();
    bench.now += 30;
    bench.take(bench.core->tick(bench.now));
    bench.run();
  }
  const auto started = bench.started();
  REQUIRE(started.size() > 4);
  CHECK(std::find(started.begin(), started.end(), "urgent") == started.end());
  bench.end(started.back(), 1);
  bench.run();
  CHECK(bench.started().back() == "urgent");
}

TEST_CASE("a task that is leased ahead is cancelled without having run") {
  quick_bench bench;
  bench.push_all({"a", "b", "c"});
  const auto token = bench.act(task_verb::cancel, "b");
  SECTION("alone") {}
  SECTION("while its turn comes") {
    bench.end("a", 1);
  }
  SECTION("while it goes back into line") {
    bench.now = bench.core->wake_at();
    bench.take(bench.core->tick(bench.now));
  }
  bench.run();
  if (bench.started().size() == 1) {
    bench.end("a", 1);
    bench.run();
  }
  CHECK(bench.started() == std::vector<std::string>{"a", "c"});
  CHECK(bench.state_of("b") == task_state::cancelled);
  REQUIRE(bench.answers.count(token) == 1);
  CHECK(bench.answers.at(token)->state == task_state::cancelled);
  bench.end("c", 1);
  bench.run();
  CHECK(bench.core->is_empty());
}

TEST_CASE("after a crash what was leased ahead is run by whoever comes, once and in order") {
  quick_bench bench;
  bench.push_all({"a", "b", "c"});
  bench.restart({{"a", 1}});
  bench.run();
  bench.end("a", 1);
  bench.run();
  bench.end("b", 1);
  bench.run();
  CHECK(bench.started() == std::vector<std::string>{"a", "b", "c"});
  CHECK(bench.stored("b").recoveries == 0);
}

TEST_CASE("what follows an end may wait when enough is leased ahead") {
  quick_bench bench;
  for (int i = 0; i < 60; ++i)
    bench.push(std::to_string(i));
  bench.run();
  bench.end("0", 1);
  REQUIRE(bench.submissions.size() == 1);
  CHECK(bench.submissions.front().patient);
  // No commit comes for long, and the last half of them is begun.
  for (int i = 1; !bench.submissions.empty() && bench.submissions.back().patient && i < 60; ++i)
    bench.end(std::to_string(i), 1);
  CHECK(bench.submissions.size() > 1);
  CHECK_FALSE(bench.submissions.back().patient);
}
