// Why a task does not run now: each reason, brought about once by what really leads to it.
// The simulation holds the same explanations against the whole of its histories.
#include "test/property/queue_bench.hpp"

#include <catch2/catch.hpp>

#include <set>
#include <string>
#include <utility>
#include <vector>

using namespace task_runner;
using namespace task_runner::test;

namespace {

explanation why(queue_bench& bench, const std::string& id, const wait_surroundings& around = {}) {
  return bench.core->explain(bench.stored(id), around, bench.now);
}

std::string reason(queue_bench& bench, const std::string& id, const wait_surroundings& around = {}) {
  return std::string(to_string(why(bench, id, around).reason));
}

/// What is in the way, one word each: `task a`, `limit worker 1/1`, `channel paused`, `time`, `store`,
/// `daemon draining`.
std::vector<std::string> blockers(const explanation& told) {
  std::vector<std::string> all;
  for (const auto& one : told.blocked_by) {
    std::string text(to_string(one.what));
    if (one.what == blocker::kind::task)
      text += " " + one.name;
    if (one.what == blocker::kind::limit)
      text += " " + one.name + " " + std::to_string(one.value) +
              (one.used ? "/" + std::to_string(*one.used) : std::string());
    if (one.what == blocker::kind::channel)
      CHECK(one.name == channel_name);
    if (one.what == blocker::kind::channel || one.what == blocker::kind::daemon)
      text += " " + std::string(one.condition);
    all.push_back(std::move(text));
  }
  return all;
}

using words = std::vector<std::string>;

task_options with_key(const std::string& key) {
  task_options options;
  options.concurrency_key = key;
  options.concurrency_max = 1;
  return options;
}

channel_record paused_channel() {
  channel_record record;
  record.name = channel_name;
  record.paused = true;
  return record;
}

channel_record open_channel() {
  channel_record record;
  record.name = channel_name;
  return record;
}

void push_delayed(queue_bench& bench, const std::string& id, int64_t delay_ms) {
  admitted_push item;
  item.value.id = id;
  item.value.channel = channel_name;
  item.value.name = "command of " + id;
  item.value.created_at_ms = bench.now;
  item.value.not_before_ms = bench.now + delay_ms;
  std::vector<admitted_push> items;
  items.push_back(std::move(item));
  bench.take(bench.core->push(bench.next_token++, std::move(items), bench.now));
  bench.run();
}

void start_told(queue_bench& bench, const std::string& id, uint32_t attempt = 1) {
  bench.core->attempt_started({{id, attempt}, channel_name, 77, bench.now});
}

} // namespace

TEST_CASE("every reason has a code of its own, in snake case, and a sentence") {
  std::set<std::string> codes;
  for (const auto one : all_wait_reasons()) {
    const std::string code(to_string(one));
    CAPTURE(code);
    CHECK(code.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == std::string::npos);
    CHECK(codes.insert(code).second);
    CHECK(code != "unknown");
    CHECK(sentence_of(one).size() > 15);
    CHECK(sentence_of(one) != "nobody knows");
  }
  CHECK(codes.size() >= 18);
}

TEST_CASE("a task is explained through its whole life: starting, running, ending, finished") {
  queue_bench bench;
  bench.push("a");
  bench.run();
  CHECK(reason(bench, "a") == "starting");
  CHECK(why(bench, "a").state == task_state::running);
  start_told(bench, "a");
  CHECK(reason(bench, "a") == "running");
  CHECK(why(bench, "a").blocked_by.empty());
  SECTION("it finishes") {
    bench.end("a", 1);
    CHECK(reason(bench, "a") == "ending");
    bench.run();
    CHECK(reason(bench, "a") == "finished");
    CHECK(why(bench, "a").state == task_state::finished);
  }
  SECTION("it fails for good") {
    bench.end("a", 1, exited(3));
    bench.run();
    CHECK(reason(bench, "a") == "dead");
  }
  SECTION("it is cancelled") {
    bench.act(task_verb::cancel, "a");
    CHECK(reason(bench, "a") == "cancelling"); // the wish is on its way
    bench.run();
    CHECK(reason(bench, "a") == "cancelling"); // the command has its grace
    CHECK(why(bench, "a").state == task_state::running);
    bench.end("a", 1, ended_as(outcome_kind::cancelled));
    bench.run();
    CHECK(reason(bench, "a") == "cancelled");
  }
  SECTION("the queue that takes it over knows that it runs") {
    bench.restart({{"a", 1}});
    CHECK(reason(bench, "a") == "running");
  }
  SECTION("a queue that has not read its channel yet knows nothing") {
    bench.core.emplace(open_channel(), queue_limits{});
    CHECK(reason(bench, "a") == "recovering");
    CHECK(why(bench, "a").state == task_state::running);
    CHECK(blockers(why(bench, "a")) == words{"channel starting"});
  }
  SECTION("its end cannot be recorded as long as the store fails") {
    bench.end("a", 1);
    bench.commit_one(commit::fails);
    CHECK(reason(bench, "a") == "ending");
    CHECK(blockers(why(bench, "a")) == words{"store"});
    CHECK(why(bench, "a").may_start_at_ms == 0);
  }
}

TEST_CASE("what waits in line is told its place and who is before it") {
  queue_bench bench;
  for (const char* id : {"a", "b", "c"})
    bench.push(id);
  bench.run();
  start_told(bench, "a");
  const auto first = why(bench, "b");
  CHECK(first.reason == wait_reason::behind_others);
  CHECK(first.state == task_state::pending);
  CHECK(first.position == 1U);
  CHECK_FALSE(first.position_at_least);
  CHECK(blockers(first) == words{"limit worker 1/1", "task a"});
  CHECK(message_of(first) == "it waits for a worker of its channel; it is the first in line");
  const auto second = why(bench, "c");
  CHECK(second.position == 2U);
  CHECK(message_of(second) == "it waits for a worker of its channel; 1 task stands before it in line");
  SECTION("a higher priority comes before both") {
    task_options urgent;
    urgent.priority = 1;
    bench.push("d", urgent);
    bench.run();
    CHECK(why(bench, "d").position == 1U);
    CHECK(why(bench, "c").position == 3U);
  }
  SECTION("the next one's start is recorded before it is a start") {
    bench.end("a", 1);
    CHECK(reason(bench, "b") == "being_leased");
    CHECK(why(bench, "b").state == task_state::pending);
    CHECK(why(bench, "c").position == 1U);
    CHECK(blockers(why(bench, "c")) == words{"limit worker 1/1", "task b"});
    bench.run();
    CHECK(reason(bench, "b") == "starting");
  }
  SECTION("what the store said a while ago does not count against what the queue knows") {
    const auto then = bench.stored("b");
    bench.end("a", 1);
    bench.run();
    CHECK(bench.core->explain(then, {}, bench.now).reason == wait_reason::starting);
    bench.end("b", 1);
    bench.run();
    CHECK(bench.core->explain(then, {}, bench.now).reason == wait_reason::unnoticed); // to be read again
    CHECK(reason(bench, "b") == "finished");
  }
}

TEST_CASE("what stands behind the window knows the least that is before it") {
  queue_bench bench;
  const uint64_t window = queue_limits{}.window.tasks_max;
  for (uint64_t i = 0; i < window + 20; ++i)
    bench.push("t" + std::to_string(i));
  bench.run();
  CHECK(why(bench, "t5").position == 5U);
  const auto last = why(bench, "t" + std::to_string(window + 19));
  CHECK(last.reason == wait_reason::behind_others);
  CHECK_FALSE(last.position);
  CHECK(last.position_at_least == window + 1);
  CHECK(message_of(last) == "it waits for a worker of its channel; at least " + std::to_string(window) +
                                " tasks stand before it in line");
  CHECK(last.blocked_by.size() == 2);
}

TEST_CASE("no more running tasks are named than an explanation holds") {
  queue_bench bench({}, 30);
  for (int i = 0; i < 31; ++i)
    bench.push("t" + std::to_string(i));
  bench.run();
  const auto told = why(bench, "t30");
  CHECK(told.position == 1U);
  CHECK(told.blocked_by.size() == 1 + blocking_tasks_max);
}

TEST_CASE("what is leased ahead counts as waiting, in its place") {
  quick_bench bench;
  bench.push_all({"a", "b", "c"});
  start_told(bench, "a");
  REQUIRE(bench.state_of("c") == task_state::running);
  const auto told = why(bench, "c");
  CHECK(told.reason == wait_reason::behind_others);
  CHECK(told.state == task_state::pending);
  CHECK(told.position == 2U);
  CHECK(blockers(told) == words{"limit worker 1/1", "task a"});
  SECTION("on the way back into line it is paused as the rest") {
    bench.take(bench.core->configure(paused_channel(), bench.now));
    CHECK(reason(bench, "b") == "paused");
    CHECK(why(bench, "b").position == 1U);
    CHECK(why(bench, "c").position == 2U);
    // Resumed, and with a worker, before it is back: nothing overtakes it.
    bench.take(bench.core->configure(open_channel(), bench.now));
    bench.take(bench.core->credit(1, bench.now));
    CHECK(reason(bench, "b") == "next");
    CHECK(message_of(why(bench, "b")) == std::string(sentence_of(wait_reason::next)));
    CHECK(reason(bench, "c") == "behind_others");
    CHECK(blockers(why(bench, "c")) == words{"limit worker 2/1", "task a"});
    bench.run();
    CHECK(reason(bench, "b") == "starting");
  }
}

TEST_CASE("a task that waits for its time, or for another attempt, is told until when") {
  queue_bench bench;
  push_delayed(bench, "later", 5'000);
  const auto told = why(bench, "later");
  CHECK(told.reason == wait_reason::delayed);
  CHECK(told.state == task_state::delayed);
  CHECK(told.may_start_at_ms == bench.now + 5'000);
  CHECK(blockers(told) == words{"time"});
  CHECK(told.blocked_by[0].until_ms == bench.now + 5'000);
  CHECK_FALSE(told.position);

  bench.push("fails", with_attempts(2));
  bench.run();
  bench.end("fails", 1, exited(1));
  bench.run();
  const auto again = why(bench, "fails");
  CHECK(again.reason == wait_reason::backoff);
  CHECK(again.may_start_at_ms == bench.stored("fails").not_before_ms);
  CHECK(again.may_start_at_ms == bench.now + 2'000);

  SECTION("what else would be in the way is told too") {
    bench.take(bench.core->configure(paused_channel(), bench.now));
    CHECK(reason(bench, "later") == "delayed");
    CHECK(blockers(why(bench, "later")) == words{"time", "channel paused"});
  }
  SECTION("a person's retry of a delayed one that was cancelled makes no backoff of it") {
    bench.act(task_verb::cancel, "fails");
    bench.run();
    bench.push("busy");
    bench.act(task_verb::retry, "fails");
    bench.run();
    CHECK(reason(bench, "fails") == "behind_others");
  }
  SECTION("when its moment has come it gets into line") {
    bench.now += 5'000;
    CHECK(reason(bench, "later") == "due");
    CHECK(why(bench, "later").may_start_at_ms == 0);
    bench.take(bench.core->tick(bench.now));
    CHECK(reason(bench, "later") == "due");
    SECTION("and starts") {
      bench.run();
      CHECK(reason(bench, "later") == "starting"); // it was pushed first
      CHECK(reason(bench, "fails") == "behind_others");
    }
    SECTION("unless the store fails") {
      bench.commit_one(commit::fails);
      const auto stuck = why(bench, "later");
      CHECK(stuck.reason == wait_reason::store_unavailable);
      CHECK(stuck.may_start_at_ms == bench.now + queue_limits{}.store_retry_ms);
      CHECK(blockers(stuck) == words{"store"});
    }
  }
}

TEST_CASE("what has expired in line is on its way out") {
  queue_bench bench;
  bench.push("a");
  task_options options;
  options.expires_ms = 1'000;
  bench.push("b", options);
  bench.run();
  CHECK(reason(bench, "b") == "behind_others");
  bench.now += 1'000;
  CHECK(reason(bench, "b") == "expiring");
  bench.take(bench.core->tick(bench.now));
  CHECK(reason(bench, "b") == "expiring");
  bench.run();
  CHECK(reason(bench, "b") == "cancelled");
}

TEST_CASE("a task that is held for its concurrency key is told who has it") {
  queue_bench bench({}, 3);
  for (const char* id : {"a", "b"})
    bench.push(id, with_key("k"));
  bench.push("other", with_key("another"));
  bench.run();
  const auto told = why(bench, "b");
  CHECK(told.reason == wait_reason::concurrency_key);
  CHECK(told.state == task_state::pending);
  CHECK_FALSE(told.position);
  CHECK(blockers(told) == words{"limit concurrency_max 1", "task a"});
  CHECK(told.blocked_by[1].condition == "running");
  SECTION("one in line has it too") {
    bench.take(bench.core->configure(paused_channel(), bench.now));
    bench.end("a", 1, exited(1));
    bench.push("c", with_key("k"));
    bench.run();
    CHECK(reason(bench, "b") == "paused");
    const auto next = why(bench, "c");
    CHECK(blockers(next) == words{"limit concurrency_max 1", "task b", "channel paused"});
    CHECK(next.blocked_by[1].condition == "pending");
    CHECK(next.reason == wait_reason::concurrency_key);
  }
  SECTION("when that has ended it goes on") {
    bench.end("a", 1);
    CHECK(reason(bench, "b") == "concurrency_key");
    bench.run();
    CHECK(reason(bench, "b") == "starting");
  }
}

TEST_CASE("a channel that starts nothing says why") {
  queue_bench bench;
  bench.push("a");
  bench.push("b");
  bench.run();
  SECTION("it is paused") {
    bench.take(bench.core->configure(paused_channel(), bench.now));
    bench.end("a", 1);
    bench.run();
    CHECK(reason(bench, "b") == "paused");
    CHECK(blockers(why(bench, "b")) == words{"channel paused"});
    CHECK(why(bench, "b").position == 1U);
    bench.take(bench.core->configure(open_channel(), bench.now));
    bench.run();
    CHECK(reason(bench, "b") == "starting");
  }
  SECTION("it has no workers, while one that was withdrawn is busy yet") {
    bench.take(bench.core->credit(-1, bench.now));
    CHECK(reason(bench, "b") == "no_workers");
    CHECK(blockers(why(bench, "b")) == words{"limit worker 0/1"});
  }
  SECTION("the daemon was told to run nothing") {
    wait_surroundings idle;
    idle.task_mode = false;
    bench.take(bench.core->credit(-1, bench.now));
    CHECK(reason(bench, "b", idle) == "task_mode_off");
    CHECK(blockers(why(bench, "b", idle)) == words{"daemon task_mode_off"});
  }
  SECTION("the daemon ends") {
    bench.take(bench.core->stop_leasing(bench.now));
    CHECK(reason(bench, "b") == "draining");
    CHECK(blockers(why(bench, "b")) == words{"daemon draining", "limit worker 1/1"});
    CHECK(reason(bench, "a") == "starting"); // what was handed out goes on
  }
  SECTION("it is being removed") {
    bench.take(bench.core->close(bench.now));
    CHECK(reason(bench, "b") == "channel_closing");
    CHECK(reason(bench, "a") == "cancelling");
    CHECK(blockers(why(bench, "b")) == words{"channel closing"});
    bench.run();
    CHECK(reason(bench, "b") == "cancelled");
  }
  SECTION("the store fails") {
    bench.end("a", 1);
    bench.commit_one(commit::fails);
    CHECK(reason(bench, "b") == "store_unavailable");
    CHECK(blockers(why(bench, "b")) == words{"store"});
    CHECK(why(bench, "b").may_start_at_ms == bench.now + queue_limits{}.store_retry_ms);
    bench.now += queue_limits{}.store_retry_ms;
    bench.take(bench.core->tick(bench.now));
    bench.run();
    CHECK(reason(bench, "b") == "starting");
  }
  SECTION("all reasons are told, the first of them as the reason") {
    bench.take(bench.core->configure(paused_channel(), bench.now));
    bench.take(bench.core->stop_leasing(bench.now));
    CHECK(reason(bench, "b") == "draining");
    CHECK(blockers(why(bench, "b")) == words{"daemon draining", "channel paused", "limit worker 1/1"});
  }
}

TEST_CASE("the limit over all channels holds a task back while workers are free") {
  queue_bench bench({}, 2);
  bench.take(bench.core->limit_slots(true, bench.now));
  bench.push("a");
  bench.run();
  wait_surroundings around;
  around.running_max = 3;
  around.running_used = 3;
  CHECK(reason(bench, "a", around) == "running_limit");
  CHECK(blockers(why(bench, "a", around)) == words{"limit running-max 3/3"});
  CHECK(why(bench, "a", around).position == 1U);
  bench.take(bench.core->slots_granted(1, bench.now));
  bench.run();
  CHECK(reason(bench, "a", around) == "starting");
  // With all workers busy it is these that are in the way.
  bench.take(bench.core->credit(-1, bench.now));
  bench.push("b");
  bench.run();
  CHECK(reason(bench, "b", around) == "behind_others");
}

TEST_CASE("what the store has and the queue has not heard of is told as that") {
  queue_bench bench;
  bench.push("a");
  SECTION("a push whose commit was reported as failed, and had happened") {
    bench.run();
    bench.push("b");
    bench.commit_one(commit::fails_yet_happens);
    REQUIRE(bench.stored("b").state == task_state::pending);
    CHECK(reason(bench, "b") == "unnoticed");
    bench.check({{"a", 1}});
    CHECK(reason(bench, "b") == "unnoticed"); // one check alone may have looked at what changes
    bench.now += queue_limits{}.store_retry_ms;
    bench.take(bench.core->tick(bench.now));
    bench.check({{"a", 1}});
    bench.check({{"a", 1}});
    bench.run();
    CHECK(reason(bench, "b") == "behind_others");
  }
  SECTION("a push with its lease") {
    bench.commit_one(commit::fails_yet_happens);
    REQUIRE(bench.stored("a").state == task_state::running);
    CHECK(reason(bench, "a") == "unnoticed");
    CHECK(why(bench, "a").state == task_state::running);
    bench.now += queue_limits{}.store_retry_ms;
    bench.take(bench.core->tick(bench.now));
    for (int i = 0; i < 3; ++i)
      bench.check();
    bench.run();
    CHECK(reason(bench, "a") == "starting");
  }
  SECTION("a lease is known all the same: its task stands in line again") {
    bench.run();
    bench.push("b");
    bench.run();
    bench.end("a", 1);
    bench.commit_one(commit::fails_yet_happens);
    REQUIRE(bench.stored("b").state == task_state::running);
    CHECK(reason(bench, "b") == "store_unavailable");
    CHECK(why(bench, "b").state == task_state::pending);
    bench.now += queue_limits{}.store_retry_ms;
    bench.take(bench.core->tick(bench.now));
    bench.run();
    CHECK(reason(bench, "b") == "starting");
  }
}

TEST_CASE("a lease that was never begun waits for a worker before all others") {
  queue_bench bench({}, 2);
  for (const char* id : {"a", "b", "c", "d"})
    bench.push(id);
  bench.run();
  // The same launcher has never heard of b, and there is one worker now.
  bench.restart({{"a", 1}});
  const auto told = why(bench, "b");
  CHECK(told.reason == wait_reason::behind_others);
  CHECK(told.state == task_state::running);
  CHECK(told.position == 1U);
  const auto unread = why(bench, "d"); // the backlog has not been read yet
  CHECK(unread.reason == wait_reason::behind_others);
  CHECK(unread.position_at_least == 2U);
  CHECK_FALSE(unread.position);
  bench.run();
  CHECK(why(bench, "c").position == 2U);
  CHECK(why(bench, "d").position == 3U);
  bench.end("a", 1);
  CHECK(reason(bench, "b") == "starting");
}
