// What becomes of leases that no launcher has heard of, when a daemon dies between the commit and the
// hand-over: certainty that nothing began hands them out once more, uncertainty counts them as lost.
#include "test/property/queue_bench.hpp"

#include <catch2/catch.hpp>

using namespace task_runner;
using namespace task_runner::test;

namespace {

task_options at_most_once() {
  task_options options;
  options.delivery = delivery_kind::at_most_once;
  return options;
}

} // namespace

TEST_CASE("a daemon that dies again and again before it hands a task over buries nothing") {
  queue_bench bench;
  bench.push("a");
  bench.push("once", at_most_once());
  bench.run();
  REQUIRE(bench.runs.size() == 1);
  for (int i = 0; i < 10; ++i) {
    bench.runs.clear();
    bench.restart();
    bench.run();
    REQUIRE(bench.runs.size() == 1);
    CHECK(bench.runs[0].value.id == "a");
    CHECK(bench.runs[0].value.attempt == 1);
  }
  CHECK(bench.stored("a").recoveries == 0);
  CHECK(bench.core->counts().lost == 0);
  bench.end("a", 1);
  bench.run();
  CHECK(bench.stored("a").state == task_state::finished);
  REQUIRE(bench.runs.size() == 2);
  for (int i = 0; i < 10; ++i)
    bench.restart();
  bench.run();
  CHECK(bench.runs.back().value.id == "once");
  CHECK(bench.runs.back().value.attempt == 1);
  bench.end("once", 1);
  bench.run();
  CHECK(bench.stored("once").state == task_state::finished);
  CHECK(bench.repairs.size() == 20);
}

TEST_CASE("what another launcher does not know is lost, for the former one may have begun it") {
  queue_bench bench({}, 2);
  bench.push("a");
  bench.push("once", at_most_once());
  bench.run();
  REQUIRE(bench.runs.size() == 2);
  bench.runs.clear();
  SECTION("it was replaced") {
    bench.launcher_id = 2;
  }
  SECTION("nobody knows which it is") {
    bench.launcher_id = 0;
  }
  bench.restart();
  bench.run();
  CHECK(bench.stored("a").recoveries == 1);
  CHECK(bench.stored("once").state == task_state::dead);
  CHECK(bench.stored("once").last_outcome == ended_as(outcome_kind::lost));
  REQUIRE(bench.runs.size() == 1);
  CHECK(bench.runs[0].value.id == "a");
  CHECK(bench.runs[0].value.attempt == 2);
}

TEST_CASE("leases are made out for the launcher of the last recovery or check") {
  queue_bench bench;
  bench.push("a");
  bench.run();
  CHECK(bench.stored("a").launcher_id == 1);
  bench.launcher_id = 2;
  bench.check({{"a", 1}});
  bench.end("a", 1);
  bench.push("b");
  bench.run();
  CHECK(bench.stored("b").launcher_id == 2);
  // One that waited first is leased in a commit of its own.
  bench.push("c");
  bench.run();
  bench.end("b", 1);
  bench.run();
  REQUIRE(bench.runs.size() == 3);
  CHECK(bench.stored("c").launcher_id == 2);
}

TEST_CASE("what is handed out once more counts as a first attempt") {
  queue_bench bench;
  bench.push("a", with_attempts(2));
  bench.run();
  bench.restart();
  bench.run();
  bench.end("a", 1, exited(1));
  bench.run();
  CHECK(bench.stored("a").state == task_state::delayed);
  CHECK(bench.stored("a").attempt == 1);
}

TEST_CASE("an attempt that had not begun is not begun when its task is to be cancelled") {
  queue_bench bench;
  bench.push("a");
  bench.run();
  bench.act(task_verb::cancel, "a");
  bench.run();
  bench.runs.clear();
  bench.restart();
  bench.run();
  CHECK(bench.runs.empty());
  CHECK(bench.stored("a").state == task_state::cancelled);
  CHECK(bench.stored("a").last_outcome == ended_as(outcome_kind::cancelled));
}

TEST_CASE("an attempt that had not begun when its task expired does not begin") {
  queue_bench bench;
  task_options options;
  options.expires_ms = 60'000;
  bench.push("a", std::move(options));
  bench.run();
  bench.runs.clear();
  bench.now += 59'999;
  SECTION("in time") {
    bench.restart();
    CHECK(bench.runs.size() == 1);
  }
  SECTION("too late") {
    bench.now += 1;
    bench.restart();
    bench.run();
    CHECK(bench.runs.empty());
    CHECK(bench.stored("a").state == task_state::cancelled);
    CHECK(bench.stored("a").last_outcome == ended_as(outcome_kind::expired));
    CHECK(bench.core->counts().expired == 1);
    CHECK(bench.core->counts().cancelled == 0);
  }
}

TEST_CASE("attempts that had not begun wait for the channel and its workers, in order") {
  queue_bench bench({}, 2);
  bench.push("a");
  bench.push("b");
  bench.run();
  bench.runs.clear();
  channel_record paused;
  paused.paused = true;
  bench.restart({}, paused, 1);
  bench.run();
  CHECK(bench.runs.empty());
  paused.paused = false;
  paused.name = channel_name;
  bench.take(bench.core->configure(paused, bench.now));
  REQUIRE(bench.runs.size() == 1);
  bench.end(bench.runs[0].value.id, 1);
  bench.run();
  REQUIRE(bench.runs.size() == 2);
  CHECK(bench.runs[0].value.id == "a");
  CHECK(bench.runs[1].value.id == "b");
  CHECK(bench.runs[1].value.recoveries == 0);
}
