// What queue_core does when something goes wrong: commits that fail or only seem to, a clock that is set, and
// what the periodic check repairs or leaves alone; and how it lives with the common limit.
#include "test/property/queue_bench.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <utility>
#include <vector>

using namespace task_runner;
using namespace task_runner::test;

TEST_CASE("a lease whose commit seemed to fail runs once, by the very same attempt") {
  queue_bench bench({}, 0);
  bench.push("a");
  bench.run();
  bench.take(bench.core->credit(1, bench.now));
  bench.commit_one(commit::fails_yet_happens);
  CHECK(bench.runs.empty());
  bench.now += 1'000;
  bench.take(bench.core->tick(bench.now));
  bench.run();
  REQUIRE(bench.runs.size() == 1);
  CHECK(bench.runs[0].value.attempt == 1);
  bench.end("a", 1);
  bench.run();
  CHECK(bench.stored("a").state == task_state::finished);
  CHECK(bench.stored("a").recoveries == 0);
  CHECK(bench.repairs.empty());
}

TEST_CASE("an outcome whose commit seemed to fail is recorded once") {
  queue_bench bench;
  bench.push("a", with_attempts(2));
  bench.run();
  bench.end("a", 1, exited(1));
  bench.commit_one(commit::fails_yet_happens);
  CHECK(bench.settled.empty());
  SECTION("it is heard of when it is submitted again") {
    bench.now += 1'000;
  }
  SECTION("it is due before that") {
    bench.now += 5'000;
  }
  bench.take(bench.core->tick(bench.now));
  bench.run();
  CHECK(bench.settled == std::vector<attempt_key>{{"a", 1}});
  bench.now += 5'000;
  bench.take(bench.core->tick(bench.now));
  bench.run();
  REQUIRE(bench.runs.size() == 2);
  CHECK(bench.runs[1].value.attempt == 2);
  CHECK(bench.core->counts().delayed == 0);
  CHECK(bench.repairs.empty());
}

TEST_CASE("a task that was stored and leased unheard is started by the second check") {
  queue_bench bench;
  bench.push("a");
  bench.commit_one(commit::fails_yet_happens);
  CHECK(bench.replies[0].failure->code == error_code::unavailable);
  bench.check();
  bench.run();
  CHECK(bench.repairs.empty());
  bench.now += 30'000;
  bench.take(bench.core->tick(bench.now));
  bench.check();
  bench.run();
  CHECK(bench.repairs.size() == 1);
  REQUIRE(bench.runs.size() == 1);
  CHECK(bench.runs[0].value.attempt == 1);
  bench.end("a", 1);
  bench.run();
  CHECK(bench.stored("a").state == task_state::finished);
  CHECK(bench.stored("a").recoveries == 0);
}

TEST_CASE("a task that was stored unheard is counted and run after two checks") {
  queue_bench bench;
  bench.push("first");
  bench.run();
  bench.push("a");
  bench.commit_one(commit::fails_yet_happens);
  bench.check({{"first", 1}});
  bench.check({{"first", 1}});
  bench.now += 1'000;
  bench.take(bench.core->tick(bench.now));
  bench.run();
  CHECK(bench.repairs.size() == 1);
  CHECK(bench.core->counts().pending == 1);
  bench.end("first", 1);
  bench.run();
  CHECK(bench.runs.size() == 2);
}

TEST_CASE("an attempt that nobody runs is lost after two checks, not after one") {
  queue_bench bench;
  bench.push("a");
  bench.run();
  bench.check();
  CHECK(bench.repairs.empty());
  SECTION("still nobody") {
    bench.check();
    CHECK(bench.repairs.size() == 1);
    bench.run();
    CHECK(bench.runs.size() == 2);
    CHECK(bench.stored("a").recoveries == 1);
  }
  SECTION("it is there after all") {
    bench.check({{"a", 1}});
    bench.check();
    CHECK(bench.repairs.empty());
  }
  SECTION("it ended meanwhile, and the next attempt is too new to tell") {
    bench.end("a", 1, ended_as(outcome_kind::lost));
    bench.run();
    bench.check();
    CHECK(bench.repairs.empty());
  }
}

TEST_CASE("what is on its way to the store is no fault, however often it is checked") {
  queue_bench bench({}, 2);
  bench.push("a");
  bench.run();
  bench.push("b");
  bench.end("a", 1);
  for (int i = 0; i < 5; ++i)
    bench.check();
  CHECK(bench.repairs.empty());
  bench.run();
  CHECK(bench.stored("a").state == task_state::finished);
  CHECK(bench.runs.size() == 2);
}

TEST_CASE("an outcome that the queue has not heard of is taken from the launcher's list") {
  queue_bench bench;
  bench.push("a");
  bench.run();
  auto known = bench.known({{"a", 1}});
  auto& ended = known.attempts.front();
  ended.ended = true;
  ended.end.key = ended.key;
  ended.end.how = exited(0);
  for (int i = 0; i < 2; ++i) {
    bench.core->store_checked(*bench.store.recover_channel(channel_name));
    bench.take(bench.core->check(known, bench.now));
  }
  bench.run();
  CHECK(bench.repairs.size() == 1);
  CHECK(bench.stored("a").state == task_state::finished);
}

TEST_CASE("a running task that is to end is stopped again by every check") {
  queue_bench bench;
  bench.push("a");
  bench.run();
  bench.act(task_verb::cancel, "a");
  bench.run();
  REQUIRE(bench.stops.size() == 1);
  bench.check({{"a", 1}});
  CHECK(bench.stops.size() == 2);
}

TEST_CASE("a recovered queue ends what was to be cancelled before it died") {
  queue_bench bench;
  bench.push("a");
  bench.run();
  bench.act(task_verb::cancel, "a");
  bench.run();
  bench.stops.clear();
  bench.runs.clear();
  bench.restart({{"a", 1}});
  REQUIRE(bench.stops.size() == 1);
  CHECK(bench.stops[0].key == attempt_key{"a", 1});
  CHECK(bench.runs.empty());
}

TEST_CASE("a pause after a failed commit ends, though the clock is set back by a day") {
  queue_bench bench;
  bench.push("a");
  bench.run();
  bench.end("a", 1);
  bench.commit_one(commit::fails);
  bench.now -= 86'400'000;
  bench.take(bench.core->tick(bench.now));
  bench.run();
  CHECK(bench.stored("a").state == task_state::finished);
}

TEST_CASE("when the clock was set the store is asked again what is due") {
  queue_bench bench;
  admitted_push item;
  item.value.id = "a";
  item.value.channel = channel_name;
  item.value.name = "later";
  item.value.not_before_ms = bench.now + 60'000;
  item.value.delay_is_relative = true;
  bench.take(bench.core->push(1, {item}, bench.now));
  bench.run();
  // The clock is set back by an hour, and the store has moved the delay along.
  bench.now -= 3'600'000;
  REQUIRE(bench.store.apply({adjust_clock{-3'600'000, {"boot", 0}}}));
  bench.take(bench.core->clock_adjusted(-3'600'000, bench.now));
  bench.run();
  CHECK(bench.core->wake_at() == bench.now + 60'000);
}

TEST_CASE("with a common limit nothing starts without a slot, and every slot goes back") {
  queue_bench bench({}, 4);
  const auto reported = [&bench](queue_effects effects) {
    const auto report = effects.slots;
    bench.take(std::move(effects));
    return report;
  };
  const auto first = reported(bench.core->limit_slots(true, bench.now));
  REQUIRE(first);
  CHECK(first->occupied == uint64_t{0});
  CHECK(first->wanted == 0);
  bench.push("a");
  bench.push("b");
  bench.run();
  CHECK(bench.runs.empty());
  const auto unused = reported(bench.core->slots_granted(3, bench.now));
  REQUIRE(unused);
  CHECK(unused->returned == 1); // two tasks wait
  CHECK(unused->wanted == 2);
  bench.run();
  CHECK(bench.runs.size() == 2);
  attempt_ended event;
  event.key = {"a", 1};
  const auto after = reported(bench.core->attempt_ended(event, bench.now));
  REQUIRE(after);
  CHECK(after->returned == 1);
  CHECK(after->wanted == 1);
}

TEST_CASE("what was leased unheard when everything that runs is cancelled goes back into line") {
  queue_bench bench({}, 0);
  bench.push("a");
  bench.run();
  bench.take(bench.core->credit(1, bench.now));
  bench.commit_one(commit::fails_yet_happens);
  bench.take(bench.core->stop_leasing(bench.now));
  bench.take(bench.core->cancel_running(bench.now));
  for (int i = 0; i < 2; ++i) {
    bench.now += 30'000;
    bench.take(bench.core->tick(bench.now));
    bench.check();
    bench.run();
  }
  CHECK(bench.repairs.size() == 1);
  CHECK(bench.runs.empty());
  CHECK(bench.stored("a").state == task_state::pending);
  CHECK(bench.stored("a").attempt == 0);
  CHECK(bench.core->counts().pending == 1);
  CHECK(bench.core->counts().running == 0);
}

TEST_CASE("after a failed commit a check reads the line anew, though its length is right") {
  queue_bench bench;
  for (const char* id : {"a", "b"})
    bench.push(id);
  bench.run();
  // The store has c in line and not b, the queue b and not c.
  bench.push("c");
  bench.commit_one(commit::fails_yet_happens);
  bench.now += queue_limits{}.store_retry_ms;
  bench.take(bench.core->tick(bench.now));
  const auto cancel = bench.act(task_verb::cancel, "b");
  bench.commit_one(commit::fails_yet_happens);
  CHECK_FALSE(bench.is_open(cancel));
  bench.now += queue_limits{}.store_retry_ms;
  bench.take(bench.core->tick(bench.now));
  bench.check({{"a", 1}});
  bench.run();
  CHECK(bench.repairs.empty());
  REQUIRE(bench.core->waiting_tasks(10).size() == 1);
  CHECK(bench.core->waiting_tasks(10).front().id == "c");
  bench.end("a", 1);
  bench.run();
  CHECK(bench.runs.back().value.id == "c");
}
