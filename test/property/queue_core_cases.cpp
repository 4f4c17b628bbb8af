// Single decisions of queue_core, one case each: what follows a push, an end, an action.
// The simulation finds what nobody thought of; these say what was meant.
#include "test/property/queue_bench.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

using namespace task_runner;
using namespace task_runner::test;

TEST_CASE("a plain task takes one commit to its start and one to its end") {
  queue_bench bench;
  bench.push("a");
  REQUIRE(bench.submissions.size() == 1);
  REQUIRE(bench.submissions.front().operations.size() == 1);
  bench.commit_one();
  REQUIRE(bench.runs.size() == 1);
  CHECK(bench.submissions.empty());
  bench.end("a", 1);
  REQUIRE(bench.submissions.size() == 1);
  REQUIRE(bench.submissions.front().operations.size() == 1);
  bench.commit_one();
  CHECK(bench.submissions.empty());
  CHECK(bench.stored("a").state == task_state::finished);
}

TEST_CASE("ends that come together are settled together, with the leases that follow them") {
  queue_bench bench({}, 6);
  for (const char* id : {"a", "b", "c", "d", "e", "f", "g", "h"})
    bench.push(id);
  bench.run();
  REQUIRE(bench.runs.size() == 6);
  attempt_started started;
  started.key = {"c", 1};
  started.started_at_ms = 77;
  attempt_ended first;
  first.key = {"a", 1};
  attempt_ended second;
  second.key = {"b", 1};
  attempt_ended stale;
  stale.key = {"z", 1};
  bench.take(bench.core->attempts_progressed({started, first, stale, second, first}, bench.now));
  REQUIRE(bench.submissions.size() == 1);
  CHECK(bench.submissions.front().operations.size() == 4);
  // Four others run meanwhile.
  CHECK(bench.submissions.front().patient);
  CHECK(bench.settled == std::vector<attempt_key>{{"z", 1}});
  const auto running = bench.core->running_tasks(10);
  CHECK(std::any_of(running.begin(), running.end(),
                    [](const task& one) { return one.id == "c" && one.started_at_ms == 77; }));
  bench.commit_one();
  CHECK(bench.runs.size() == 8);
  CHECK(bench.stored("a").state == task_state::finished);
  CHECK(bench.stored("b").state == task_state::finished);
}

TEST_CASE("what follows an end hurries when few commands run, or when somebody waits for it") {
  queue_bench bench({}, 5);
  for (const char* id : {"a", "b", "c", "d", "e"})
    bench.push(id);
  bench.run();
  bench.end("a", 1);
  REQUIRE(bench.submissions.size() == 1);
  CHECK(bench.submissions.front().patient); // four others run
  bench.end("b", 1);
  REQUIRE(bench.submissions.size() == 2);
  CHECK_FALSE(bench.submissions.back().patient);
  bench.run();
  bench.push("f");
  REQUIRE(bench.submissions.size() == 1);
  CHECK_FALSE(bench.submissions.front().patient);
}

TEST_CASE("an attempt runs with what the task says, and its channel where the task says nothing") {
  channel_record settings;
  settings.defaults.timeout_ms = 5'000;
  settings.defaults.grace_ms = 100;
  queue_bench bench(settings, 2);
  task_options own;
  own.grace_ms = 7;
  bench.push("a", own);
  bench.push("b");
  bench.run();
  REQUIRE(bench.runs.size() == 2);
  CHECK(bench.runs[0].effective->timeout_ms == 5'000);
  CHECK(bench.runs[0].effective->grace_ms == 7);
  CHECK(bench.runs[1].effective->grace_ms == 100);
}

TEST_CASE("a failed attempt with attempts left is followed by another after its backoff") {
  queue_bench bench;
  bench.push("a", with_attempts(2));
  bench.run();
  bench.end("a", 1, exited(3));
  bench.run();
  CHECK(bench.stored("a").state == task_state::delayed);
  CHECK(bench.stored("a").not_before_ms == bench.now + 2'000);
  CHECK(bench.core->wake_at() == bench.now + 2'000);
  CHECK(bench.core->counts().delayed == 1);
  CHECK(bench.core->counts().retried == 1);
  bench.now += 1'999;
  bench.take(bench.core->tick(bench.now));
  bench.run();
  CHECK(bench.runs.size() == 1);
  bench.now += 1;
  bench.take(bench.core->tick(bench.now));
  bench.run();
  REQUIRE(bench.runs.size() == 2);
  bench.end("a", 2, exited(3));
  bench.run();
  CHECK(bench.stored("a").state == task_state::dead);
}

TEST_CASE("only the exit codes that were given lead to another attempt") {
  auto options = with_attempts(5);
  options.retry_on = std::vector<uint8_t>{75};
  for (const auto& [how, expected] :
       {std::pair{exited(75), task_state::delayed}, std::pair{exited(1), task_state::dead},
        std::pair{ended_as(outcome_kind::signalled), task_state::dead},
        std::pair{ended_as(outcome_kind::timed_out), task_state::dead}}) {
    queue_bench bench;
    bench.push("a", options);
    bench.run();
    bench.end("a", 1, how);
    bench.run();
    CHECK(bench.stored("a").state == expected);
  }
}

TEST_CASE("lost attempts do not count against the attempts allowed") {
  queue_bench bench;
  bench.push("a", with_attempts(2));
  bench.run();
  bench.end("a", 1, ended_as(outcome_kind::lost));
  bench.run();
  bench.end("a", 2, exited(1));
  bench.run();
  CHECK(bench.stored("a").state == task_state::delayed);
  bench.now += 2'000;
  bench.take(bench.core->tick(bench.now));
  bench.run();
  bench.end("a", 3, exited(1));
  bench.run();
  CHECK(bench.stored("a").state == task_state::dead);
}

TEST_CASE("a task that is lost four times is dead, and says why") {
  queue_bench bench;
  bench.push("a");
  bench.run();
  for (uint32_t attempt = 1; attempt <= 4; ++attempt) {
    REQUIRE(bench.runs.size() == attempt);
    bench.end("a", attempt, ended_as(outcome_kind::lost));
    bench.run();
  }
  CHECK(bench.stored("a").state == task_state::dead);
  REQUIRE(bench.stored("a").last_outcome);
  CHECK(bench.stored("a").last_outcome->kind == outcome_kind::lost);
  CHECK(bench.stored("a").last_outcome->error.find("4 times") != std::string::npos);
  CHECK(bench.core->counts().lost == 4);
}

TEST_CASE("what may run at most once is dead when it is lost") {
  queue_bench bench;
  task_options options;
  options.delivery = delivery_kind::at_most_once;
  bench.push("a", options);
  bench.run();
  bench.end("a", 1, ended_as(outcome_kind::lost));
  bench.run();
  CHECK(bench.stored("a").state == task_state::dead);
  CHECK(bench.runs.size() == 1);
}

TEST_CASE("a pending task is cancelled at once, and its cancelling is answered with its end") {
  queue_bench bench;
  bench.push("a");
  bench.push("b");
  bench.run();
  const auto token = bench.act(task_verb::cancel, "b");
  CHECK(bench.is_open(token));
  bench.run();
  CHECK(bench.answered(token) == task_state::cancelled);
  CHECK(bench.core->counts().pending == 0);
  bench.end("a", 1);
  bench.run();
  CHECK(bench.runs.size() == 1);
  CHECK(bench.repairs.empty());
}

TEST_CASE("cancelling a running task is durable before it is stopped, and is answered when it has ended") {
  queue_bench bench;
  bench.push("a");
  bench.run();
  const auto waits = bench.act(task_verb::cancel, "a", [](task_action& action) { action.grace_ms = 300; });
  CHECK(bench.stops.empty());
  const auto hurries = bench.act(task_verb::cancel, "a", [](task_action& action) { action.wait = false; });
  bench.run();
  CHECK(bench.stored("a").cancel_requested);
  REQUIRE(bench.stops.size() == 2);
  CHECK(bench.stops[0].grace_ms == 300);
  CHECK(bench.stops[1].grace_ms == 300); // never longer than what was asked for already
  CHECK(bench.answered(hurries) == task_state::running);
  CHECK(bench.is_open(waits));
  bench.end("a", 1, ended_as(outcome_kind::cancelled));
  CHECK(bench.is_open(waits));
  bench.run();
  CHECK(bench.answered(waits) == task_state::cancelled);
}

TEST_CASE("a command that ends by itself before the stop reaches it keeps its own outcome") {
  for (const auto& [how, expected] :
       {std::pair{exited(0), task_state::finished}, std::pair{exited(4), task_state::cancelled}}) {
    queue_bench bench;
    bench.push("a", with_attempts(5));
    bench.run();
    const auto token = bench.act(task_verb::cancel, "a");
    bench.end("a", 1, how);
    bench.run();
    CHECK(bench.answered(token) == expected);
    CHECK(bench.stored("a").last_outcome == how);
  }
}

TEST_CASE("a task that is cancelled between its lease and its start does not start") {
  queue_bench bench;
  bench.push("a");
  bench.push("b");
  bench.run();
  bench.end("a", 1); // settles a, and leases b
  SECTION("the wish comes after the lease") {
    const auto token = bench.act(task_verb::cancel, "b");
    bench.commit_one();
    CHECK(bench.is_open(token));
    bench.run();
    CHECK(bench.answered(token) == task_state::cancelled);
    CHECK(bench.stored("b").attempt == 1);
  }
  SECTION("the wish comes when the lease could not be stored") {
    bench.commit_one(commit::fails);
    const auto token = bench.act(task_verb::cancel, "b");
    bench.now += 2'000;
    bench.take(bench.core->tick(bench.now));
    bench.run();
    CHECK(bench.answered(token) == task_state::cancelled);
    CHECK(bench.stored("b").attempt == 0);
  }
  SECTION("the lease could not be stored when the wish was on its way") {
    const auto token = bench.act(task_verb::cancel, "b");
    bench.commit_one(commit::fails);
    bench.run();
    CHECK(bench.answered(token) == task_state::cancelled);
    bench.now += 2'000;
    bench.take(bench.core->tick(bench.now));
    bench.run();
  }
  CHECK(bench.runs.size() == 1);
  CHECK(bench.core->counts().running == 0);
  CHECK(bench.core->counts().pending == 0);
  CHECK(bench.core->counts().credit == 1);
  CHECK(bench.repairs.empty());
}

TEST_CASE("a cancellation that cannot be stored lets a fresh lease run after all") {
  queue_bench bench({}, 0);
  bench.push("a");
  bench.run();
  bench.take(bench.core->credit(1, bench.now)); // leases a
  const auto token = bench.act(task_verb::cancel, "a");
  bench.commit_one();
  CHECK(bench.runs.empty());
  bench.commit_one(commit::fails);
  CHECK(bench.refused(token).code == error_code::unavailable);
  CHECK(bench.runs.size() == 1);
}

TEST_CASE("cancelling what has ended is answered with how it ended") {
  queue_bench bench;
  bench.push("a");
  bench.run();
  bench.end("a", 1);
  bench.run();
  const auto token = bench.act(task_verb::cancel, "a");
  bench.run();
  CHECK(bench.answered(token) == task_state::finished);
}

TEST_CASE("a verb on a task that does not exist is refused") {
  queue_bench bench;
  for (const auto verb : {task_verb::cancel, task_verb::retry, task_verb::remove, task_verb::release}) {
    const auto token = bench.act(verb, "nobody");
    bench.run();
    CHECK(bench.refused(token).code == error_code::not_found);
  }
}

TEST_CASE("only a running task takes signals, and the refusal names the state") {
  queue_bench bench;
  bench.push("a");
  bench.push("b");
  bench.run();
  const auto token =
      bench.act(task_verb::signal, "a", [](task_action& action) { action.signal_number = 10; });
  CHECK(bench.answered(token) == task_state::running);
  REQUIRE(bench.signals.size() == 1);
  CHECK(bench.signals[0].token == token);
  CHECK(bench.signals[0].number == 10);
  CHECK(bench.signals[0].key == attempt_key{"a", 1});
  const auto why = bench.refused(bench.act(task_verb::signal, "b"));
  CHECK(why.code == error_code::conflict);
  CHECK(why.message.find("is pending") != std::string::npos);
}

TEST_CASE("a dead task is retried with fresh attempts, a finished one is not") {
  queue_bench bench;
  bench.push("a", with_attempts(1));
  bench.run();
  bench.end("a", 1, exited(1));
  bench.run();
  CHECK(bench.answered([&] {
    const auto token = bench.act(task_verb::retry, "a");
    bench.run();
    return token;
  }()) == task_state::pending);
  REQUIRE(bench.runs.size() == 2);
  CHECK(bench.runs[1].value.attempt == 2);
  bench.end("a", 2);
  bench.run();
  const auto token = bench.act(task_verb::retry, "a");
  bench.run();
  CHECK(bench.refused(token).code == error_code::conflict);
  CHECK(bench.refused(token).message.find("finished") != std::string::npos);
}

TEST_CASE("deleting a task names the attempts whose output may go") {
  queue_bench bench;
  bench.push("a");
  bench.run();
  const auto early = bench.act(task_verb::remove, "a");
  bench.run();
  CHECK(bench.refused(early).code == error_code::conflict);
  bench.end("a", 1, ended_as(outcome_kind::lost));
  bench.run();
  bench.end("a", 2);
  bench.run();
  const auto token = bench.act(task_verb::remove, "a");
  bench.run();
  CHECK(bench.answered(token) == task_state::finished);
  CHECK(bench.removed == std::vector<attempt_key>{{"a", 1}, {"a", 2}});
}

TEST_CASE("a distinct record that lasts while the task waits ends with its start") {
  channel_record settings;
  settings.distinct = distinct_mode::while_pending;
  queue_bench bench(settings);
  const auto push_same = [&bench](const std::string& id) {
    admitted_push item;
    item.value.id = id;
    item.value.channel = channel_name;
    item.value.name = "same";
    bench.take(bench.core->push(bench.next_token++, {item}, bench.now));
    bench.run();
  };
  push_same("a"); // runs at once
  push_same("b"); // waits
  push_same("c"); // is the same as b
  REQUIRE(bench.replies.size() == 3);
  CHECK(bench.replies[0].accepted);
  CHECK(bench.replies[1].accepted);
  CHECK_FALSE(bench.replies[2].accepted);
  CHECK(bench.replies[2].task_id == "b");
  const auto token = bench.act(task_verb::release, "b");
  bench.run();
  CHECK(bench.answered(token) == task_state::pending);
  push_same("d");
  CHECK(bench.replies[3].accepted);
}

TEST_CASE("a task that has expired is not started, whoever waits before it") {
  queue_bench bench;
  task_options options;
  options.expires_ms = 1'000;
  bench.push("a");
  bench.push("b", options);
  bench.run();
  CHECK(bench.core->wake_at() == bench.now + 1'000);
  bench.now += 1'000;
  bench.end("a", 1);
  bench.run();
  CHECK(bench.runs.size() == 1);
  CHECK(bench.stored("b").state == task_state::cancelled);
  CHECK(bench.stored("b").last_outcome->kind == outcome_kind::expired);
  CHECK(bench.core->counts().expired == 1);
  CHECK(bench.core->wake_at() == 0);
}

TEST_CASE("an expired task whose retry was stored unheard does not keep the queue busy") {
  queue_bench bench({}, 0);
  task_options options;
  options.expires_ms = 1'000;
  bench.push("a", options);
  bench.run();
  // Cancelled and retried behind the queue's back: it no longer expires.
  bench.act(task_verb::cancel, "a");
  bench.commit_one(commit::fails_yet_happens);
  bench.act(task_verb::retry, "a");
  bench.commit_one(commit::fails_yet_happens);
  bench.now += 5'000;
  bench.take(bench.core->credit(1, bench.now));
  bench.take(bench.core->tick(bench.now));
  bench.run(); // comes to its end
  REQUIRE(bench.runs.size() == 1);
  CHECK(bench.runs[0].value.id == "a");
}

TEST_CASE("a paused channel accepts and starts nothing until it is resumed") {
  channel_record settings;
  settings.name = channel_name;
  settings.paused = true;
  queue_bench bench(settings);
  bench.push("a");
  bench.run();
  CHECK(bench.replies[0].accepted);
  CHECK(bench.runs.empty());
  settings.paused = false;
  bench.take(bench.core->configure(settings, bench.now));
  bench.run();
  CHECK(bench.runs.size() == 1);
}

TEST_CASE("a channel's own bound of tasks stands before the daemon's") {
  channel_record settings;
  settings.tasks_max = 2;
  queue_bench bench(settings, 0);
  for (const std::string id : {"a", "b", "c"})
    bench.push(id);
  bench.run();
  REQUIRE(bench.replies.size() == 3);
  // In the order of the answers: the refusal needs no commit.
  CHECK(bench.replies[0].failure->code == error_code::queue_full);
  CHECK(bench.replies[1].accepted);
  CHECK(bench.replies[2].accepted);
}

TEST_CASE("a channel that is removed cancels what waits and what runs, and says when it is empty") {
  queue_bench bench;
  bench.push("a");
  for (int i = 0; i < 600; ++i) // more than one operation cancels
    bench.push("b" + std::to_string(i));
  bench.run();
  bench.take(bench.core->close(bench.now));
  bench.run();
  CHECK_FALSE(bench.core->is_empty());
  REQUIRE(bench.stops.size() == 1);
  bench.push("late");
  CHECK(bench.replies.back().failure->code == error_code::not_found);
  bench.end("a", 1, ended_as(outcome_kind::cancelled));
  bench.run();
  CHECK(bench.core->is_empty());
  CHECK(bench.store.totals()->pending == 0);
  CHECK(bench.core->counts().cancelled == 601);
  CHECK(bench.repairs.empty());
}
