// What queue_core counts, and what it does not: ends of attempts that never were, pushes that are no
// duplicates, and what stands in the store unheard.
#include "test/property/queue_bench.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

using namespace task_runner;
using namespace task_runner::test;

namespace {

/// The attempts whose end was told.
std::vector<attempt_key> ended_attempts(const queue_bench& bench) {
  std::vector<attempt_key> ended;
  for (const auto& change : bench.transitions)
    if (change.ended_attempt)
      ended.push_back({change.task_id, change.attempt});
  return ended;
}

} // namespace

TEST_CASE("an attempt ends once, also where its task is cancelled before the next") {
  queue_bench bench;
  bench.push("a", with_attempts(2));
  bench.run();
  bench.end("a", 1, exited(1));
  bench.run();
  REQUIRE(bench.stored("a").state == task_state::delayed);
  const auto token = bench.act(task_verb::cancel, "a");
  bench.run();
  REQUIRE(bench.answered(token) == task_state::cancelled);
  CHECK(ended_attempts(bench) == std::vector<attempt_key>{{"a", 1}});
  CHECK(bench.core->counts().cancelled == 1);
}

TEST_CASE("no attempt ends where a dead task is retried and cancelled while it waits") {
  queue_bench bench;
  bench.push("a");
  bench.run();
  bench.end("a", 1, exited(1));
  bench.run();
  bench.push("busy");
  bench.run();
  bench.act(task_verb::retry, "a");
  bench.run();
  REQUIRE(bench.stored("a").state == task_state::pending);
  bench.now += 3 * 86'400'000;
  bench.act(task_verb::cancel, "a");
  bench.run();
  REQUIRE(bench.stored("a").state == task_state::cancelled);
  CHECK(ended_attempts(bench) == std::vector<attempt_key>{{"a", 1}});
}

TEST_CASE("a lease that ends without having been handed out is no attempt that ended") {
  queue_bench bench({}, 0);
  bench.push("a");
  bench.run();
  bench.take(bench.core->credit(1, bench.now));
  SECTION("its task is cancelled while the lease is on its way") {
    bench.act(task_verb::cancel, "a");
    bench.run();
  }
  SECTION("its queue dies, and the next one finds it cancelled") {
    bench.act(task_verb::cancel, "a");
    while (!bench.submissions.empty()) {
      REQUIRE(bench.store.apply(bench.submissions.front().operations));
      bench.submissions.pop_front();
    }
    bench.restart();
    bench.run();
  }
  REQUIRE(bench.stored("a").state == task_state::cancelled);
  REQUIRE(bench.stored("a").attempt == 1);
  CHECK(bench.runs.empty());
  CHECK(ended_attempts(bench).empty());
}

TEST_CASE("an attempt that was lost has ended") {
  queue_bench bench;
  bench.push("a");
  bench.run();
  bench.launcher_id = 2; // which does not know of it
  bench.restart();
  bench.run();
  CHECK(bench.stored("a").recoveries == 1);
  CHECK(ended_attempts(bench) == std::vector<attempt_key>{{"a", 1}});
}

TEST_CASE("an id that belongs to another task is a conflict, and no duplicate") {
  queue_bench bench;
  bench.push("a");
  bench.run();
  admitted_push another;
  another.value.id = "a";
  another.value.channel = channel_name;
  another.value.name = "another command";
  bench.take(bench.core->push(100, {another}, bench.now));
  bench.run();
  REQUIRE(bench.replies.back().failure.has_value());
  CHECK(bench.replies.back().failure->code == error_code::conflict);
  CHECK(bench.core->counts().duplicates == 0);
  bench.push("a");
  bench.run();
  CHECK_FALSE(bench.replies.back().failure.has_value());
  CHECK_FALSE(bench.replies.back().accepted);
  CHECK(bench.core->counts().duplicates == 1);
}

TEST_CASE("an empty queue is checked until it has what was stored unheard, and then no more") {
  queue_bench bench({}, 0);
  CHECK_FALSE(bench.core->wants_check());
  const auto checks_wanted = [&bench] {
    size_t checks = 0;
    for (; bench.core->wants_check() && checks < 10; ++checks) {
      bench.now += 30'000;
      bench.take(bench.core->tick(bench.now));
      bench.check();
      bench.run();
    }
    return checks;
  };
  SECTION("a task in line") {
    bench.push("a");
    bench.commit_one(commit::fails_yet_happens);
    CHECK(bench.core->counts().pending == 0);
    CHECK(checks_wanted() == 10); // there is a task now
    CHECK(bench.core->counts().pending == 1);
    CHECK(bench.repairs.size() == 1);
  }
  SECTION("a delayed task") {
    admitted_push item;
    item.value.id = "a";
    item.value.channel = channel_name;
    item.value.name = "later";
    item.value.not_before_ms = bench.now + 86'400'000;
    bench.take(bench.core->push(1, {item}, bench.now));
    bench.commit_one(commit::fails_yet_happens);
    CHECK(bench.core->counts().delayed == 0);
    CHECK(checks_wanted() == 10);
    CHECK(bench.core->counts().delayed == 1);
    CHECK(bench.repairs.size() == 1);
  }
  SECTION("a task in line, heard of as failed while a check is being made") {
    bench.push("before");
    bench.commit_one(commit::fails);
    bench.core->store_checked(*bench.store.recover_channel(channel_name));
    bench.push("a");
    bench.commit_one(commit::fails_yet_happens);
    bench.take(bench.core->check(bench.known({}), bench.now));
    CHECK(bench.core->counts().pending == 0);
    CHECK(checks_wanted() == 10);
    CHECK(bench.core->counts().pending == 1);
  }
  SECTION("nothing, as the commit did fail") {
    bench.push("a");
    bench.commit_one(commit::fails);
    CHECK(checks_wanted() == 1);
    CHECK(bench.repairs.empty());
  }
}
