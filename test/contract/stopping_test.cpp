// The contract of what people and moments do to tasks: cancel, expire, retry, delete, release.
// Each case runs on the store in memory and on the embedded one and demands the same.
#include "test/contract/store_support.hpp"

using namespace task_runner;
using namespace task_runner::test;

using names = std::vector<std::string>;

namespace {

sweep_answer sweep(queue_store& store, store_operation operation) {
  return std::get<sweep_answer>(apply_one(store, std::move(operation)));
}

task find(queue_store& store, const std::string& id) {
  auto found = require_value(store.find_task(id));
  REQUIRE(found);
  return *found;
}

} // namespace

STORE_TEST("an attempt that is followed by another is kept") {
  TestType backend;
  auto store = backend.open();
  insert(*store, make_running_task("a"));
  auto failed = settled("a", 1, task_state::delayed);
  failed.how = {outcome_kind::exited, 75, ""};
  failed.started_at_ms = 7;
  failed.output_bytes = 12;
  REQUIRE(change(*store, failed));
  auto waiting = find(*store, "a");
  REQUIRE(waiting.state == task_state::delayed);
  REQUIRE(waiting.not_before_ms == 200);
  REQUIRE(waiting.delay_is_relative);
  REQUIRE(waiting.output_bytes == 12);
  REQUIRE(require_value(store->recover_channel("default")).next_due_ms == 200);
  REQUIRE(std::get<promote_answer>(apply_one(*store, promote_due{"default", 200, 9})).promoted.size() == 1);

  REQUIRE(change(*store, lease_task{"a", 2, 300}));
  REQUIRE(find(*store, "a").output_bytes == 0);
  auto lost = settled("a", 2, task_state::pending);
  lost.how = {outcome_kind::lost, 0, ""};
  lost.recoveries = 1;
  REQUIRE(change(*store, lost));
  REQUIRE(change(*store, lease_task{"a", 3, 400}));
  auto last = settled("a", 3, task_state::dead);
  last.how = {outcome_kind::spawn_failed, 0, "no such file"};
  last.recoveries = 1;
  REQUIRE(change(*store, last));

  const auto attempts = require_value(store->load_attempts("a"));
  REQUIRE(attempts.size() == 2);
  REQUIRE(render(attempts[0]) == "attempt 1 started=7 ended=100 outcome=exited/75/ output=12");
  REQUIRE(render(attempts[1]) == "attempt 2 started=300 ended=100 outcome=lost/0/ output=0");
  REQUIRE(find(*store, "a").last_outcome->error == "no such file");
  REQUIRE(find(*store, "a").recoveries == 1);
  REQUIRE(require_value(store->load_attempts("nobody")).empty());
}

STORE_TEST("a refused lease or settle tells how the task stands") {
  TestType backend;
  auto store = backend.open();
  insert(*store, make_task("a"));
  auto answer = changed(*store, settled("a", 1, task_state::finished));
  REQUIRE_FALSE(answer.applied);
  REQUIRE(answer.after->state == task_state::pending);
  REQUIRE(change(*store, lease_task{"a", 1, 5}));
  answer = changed(*store, lease_task{"a", 2, 6});
  REQUIRE_FALSE(answer.applied);
  REQUIRE(answer.after->attempt == 1);
  REQUIRE_FALSE(changed(*store, lease_task{"nobody", 1, 5}).after);
}

STORE_TEST("cancel ends what waits and notes the wish for what runs") {
  TestType backend;
  auto store = backend.open();
  insert(*store, make_distinct_task("pending", "biz", "k"));
  insert(*store, make_delayed_task("delayed", "biz", 500));
  insert(*store, make_running_task("running", "biz"));
  for (const char* const id : {"pending", "delayed"}) {
    const auto answer = changed(*store, cancel_task{id, 42});
    REQUIRE(answer.applied);
    REQUIRE(to_string(answer.before) == id);
    REQUIRE_FALSE(answer.was_held);
    REQUIRE(answer.after->state == task_state::cancelled);
    REQUIRE(answer.after->last_outcome == outcome{outcome_kind::cancelled, 0, ""});
    REQUIRE(answer.after->ended_at_ms == 42);
    REQUIRE(render(*answer.after) == render(find(*store, id)));
    const auto again = changed(*store, cancel_task{id, 43});
    REQUIRE_FALSE(again.applied);
    REQUIRE(again.after->ended_at_ms == 42);
  }
  auto answer = changed(*store, cancel_task{"running", 42});
  REQUIRE(answer.applied);
  REQUIRE(answer.before == task_state::running);
  REQUIRE(answer.after->state == task_state::running);
  REQUIRE(answer.after->cancel_requested);
  REQUIRE(find(*store, "running").cancel_requested);
  answer = changed(*store, cancel_task{"running", 43});
  REQUIRE_FALSE(answer.applied);
  REQUIRE(answer.after->cancel_requested);
  REQUIRE_FALSE(changed(*store, cancel_task{"nobody", 1}).after);

  // The wish stands when the attempt goes back to wait, and the distinct record is free.
  REQUIRE(change(*store, settled("running", 1, task_state::pending)));
  REQUIRE(find(*store, "running").cancel_requested);
  REQUIRE(insert(*store, make_distinct_task("next", "biz", "k")).what == insert_answer::kind::inserted);
  const auto recovery = require_value(store->recover_channel("biz"));
  REQUIRE(recovery.delayed_count == 0);
  REQUIRE(recovery.next_due_ms == 0);
  REQUIRE(recovery.pending_count == 2);
}

STORE_TEST("a channel's waiting tasks are cancelled part by part") {
  TestType backend;
  auto store = backend.open();
  insert(*store, make_running_task("running", "biz"));
  insert(*store, make_task("p1", "biz"));
  auto urgent = make_task("p2", "biz");
  urgent.priority = 5;
  insert(*store, urgent);
  insert(*store, make_delayed_task("d", "biz", 9));
  insert(*store, make_keyed_task("in line", "biz", "k", 1));
  REQUIRE(insert(*store, make_keyed_task("held", "biz", "k", 1)).held);
  insert(*store, make_task("elsewhere", "cron"));
  const auto first = sweep(*store, cancel_channel_tasks{"biz", 77, 3});
  REQUIRE(ids_of(first.cancelled) == names{"held", "p2", "p1"});
  REQUIRE(first.cancelled[0].held);
  REQUIRE(first.cancelled[1].state == task_state::pending);
  REQUIRE(first.released.empty());
  REQUIRE(find(*store, "p1").last_outcome->kind == outcome_kind::cancelled);
  REQUIRE(find(*store, "p1").ended_at_ms == 77);
  REQUIRE(ids_of(sweep(*store, cancel_channel_tasks{"biz", 78, 9}).cancelled) == names{"in line", "d"});
  REQUIRE(sweep(*store, cancel_channel_tasks{"biz", 79, 9}).cancelled.empty());
  REQUIRE(sweep(*store, cancel_channel_tasks{"unknown", 79, 9}).cancelled.empty());
  const auto sums = require_value(store->totals());
  REQUIRE(sums.pending + sums.delayed == 1);
  REQUIRE(sums.running == 1);
  REQUIRE(sums.ended == 5);
}

STORE_TEST("what has waited too long expires, but never once it has started") {
  TestType backend;
  auto store = backend.open();
  const auto expiring = [](task value, wall_time_ms at) {
    value.expires_at_ms = at;
    return value;
  };
  insert(*store, expiring(make_task("late", "biz"), 300));
  insert(*store, expiring(make_task("early", "biz"), 100));
  insert(*store, expiring(make_delayed_task("delayed", "biz", 1'000), 200));
  insert(*store, expiring(make_running_task("direct", "biz"), 50));
  insert(*store, expiring(make_task("leased", "biz"), 50));
  insert(*store, make_task("never", "biz"));
  REQUIRE(require_value(store->recover_channel("biz")).next_expiry_ms == 50);
  REQUIRE(change(*store, lease_task{"leased", 1, 10}));
  REQUIRE(change(*store, settled("leased", 1, task_state::pending)));
  REQUIRE(find(*store, "leased").expires_at_ms == 50);
  REQUIRE(require_value(store->recover_channel("biz")).next_expiry_ms == 100);

  auto answer = sweep(*store, expire_due{"biz", 99, 9});
  REQUIRE(answer.cancelled.empty());
  REQUIRE(answer.next_expiry_ms == 100);
  answer = sweep(*store, expire_due{"biz", 5'000, 2});
  REQUIRE(ids_of(answer.cancelled) == names{"early", "delayed"});
  REQUIRE(answer.cancelled[0].state == task_state::pending);
  REQUIRE(answer.cancelled[1].state == task_state::delayed);
  REQUIRE(answer.next_expiry_ms == 300);
  REQUIRE(find(*store, "early").state == task_state::cancelled);
  REQUIRE(find(*store, "early").last_outcome->kind == outcome_kind::expired);
  REQUIRE(find(*store, "early").ended_at_ms == 5'000);
  answer = sweep(*store, expire_due{"biz", 5'000, 9});
  REQUIRE(ids_of(answer.cancelled) == names{"late"});
  REQUIRE(answer.next_expiry_ms == 0);
  REQUIRE(sweep(*store, expire_due{"unknown", 5'000, 9}).next_expiry_ms == 0);
  REQUIRE(find(*store, "leased").state == task_state::pending);
  REQUIRE(find(*store, "direct").state == task_state::running);
}

STORE_TEST("a dead or cancelled task is retried at its old place, counting anew") {
  TestType backend;
  auto store = backend.open();
  insert(*store, make_task("before"));
  auto value = make_task("a");
  value.expires_at_ms = 10'000;
  insert(*store, value);
  insert(*store, make_task("behind"));
  REQUIRE(change(*store, lease_task{"a", 1, 5}));
  REQUIRE_FALSE(change(*store, retry_task{"a", 9}));
  REQUIRE(change(*store, cancel_task{"a", 6}));
  auto dead = settled("a", 1, task_state::dead);
  dead.recoveries = 3;
  dead.output_bytes = 9;
  REQUIRE(change(*store, dead));
  auto answer = changed(*store, retry_task{"a", 500});
  REQUIRE(answer.applied);
  REQUIRE(render(*answer.after) == render(find(*store, "a")));
  REQUIRE(answer.after->state == task_state::pending);
  REQUIRE(answer.after->attempt == 1);
  REQUIRE(answer.after->attempts_before == 1);
  REQUIRE(answer.after->recoveries == 0);
  REQUIRE(answer.after->expires_at_ms == 0);
  REQUIRE_FALSE(answer.after->cancel_requested);
  REQUIRE(ids_of(require_value(store->load_pending("default", order_front, {}))) ==
          names{"before", "a", "behind"});
  REQUIRE(require_value(store->load_attempts("a")).size() == 1);

  // Cancelled before it started again: there is no new attempt to keep, and the old one stays as it was.
  REQUIRE(change(*store, cancel_task{"a", 600}));
  REQUIRE(change(*store, retry_task{"a", 700}));
  const auto attempts = require_value(store->load_attempts("a"));
  REQUIRE(attempts.size() == 1);
  REQUIRE(render(attempts[0]) == "attempt 1 started=5 ended=100 outcome=exited/1/ output=9");
  REQUIRE(change(*store, lease_task{"a", 2, 800}));
  REQUIRE(change(*store, settled("a", 2, task_state::finished)));
  answer = changed(*store, retry_task{"a", 900});
  REQUIRE_FALSE(answer.applied);
  REQUIRE(answer.after->state == task_state::finished);
  REQUIRE_FALSE(changed(*store, retry_task{"nobody", 900}).after);

  // A delay is over with the retry.
  insert(*store, make_delayed_task("tomorrow", "default", 86'400'000));
  REQUIRE(change(*store, cancel_task{"tomorrow", 1}));
  REQUIRE(changed(*store, retry_task{"tomorrow", 2}).after->not_before_ms == 0);
  REQUIRE(require_value(store->load_attempts("tomorrow")).empty());
}

STORE_TEST("a retry does not take a distinct record from its holder") {
  TestType backend;
  auto store = backend.open();
  insert(*store, make_distinct_task("a", "biz", "k"));
  REQUIRE(change(*store, cancel_task{"a", 1}));
  insert(*store, make_distinct_task("b", "biz", "k"));
  const auto answer = changed(*store, retry_task{"a", 2});
  REQUIRE_FALSE(answer.applied);
  REQUIRE(answer.holder_id == "b");
  REQUIRE(answer.after->state == task_state::cancelled);
  REQUIRE(change(*store, cancel_task{"b", 3}));
  REQUIRE(change(*store, retry_task{"a", 4}));
  REQUIRE(insert(*store, make_distinct_task("c", "biz", "k")).holder_id == "a");
}

STORE_TEST("a record that lasts while pending is released by the first lease for good") {
  TestType backend;
  auto store = backend.open();
  const auto while_pending = [](const std::string& id) {
    auto value = make_distinct_task(id, "biz", "k");
    value.distinct_while_pending = true;
    return value;
  };
  insert(*store, while_pending("a"));
  REQUIRE(insert(*store, while_pending("b")).holder_id == "a");
  // Straight to a worker it is checked like any other.
  auto direct = while_pending("c");
  direct.state = task_state::running;
  direct.attempt = 1;
  REQUIRE(insert(*store, direct).holder_id == "a");
  REQUIRE(change(*store, lease_task{"a", 1, 5}));
  REQUIRE(find(*store, "a").distinct_key.empty());
  REQUIRE(insert(*store, direct).what == insert_answer::kind::inserted);
  REQUIRE(find(*store, "c").distinct_key.empty());
  REQUIRE(insert(*store, while_pending("d")).what == insert_answer::kind::inserted);
  // Back in line, the first has no record to collide with.
  REQUIRE(change(*store, settled("a", 1, task_state::pending)));
  REQUIRE(change(*store, lease_task{"a", 2, 6}));
  REQUIRE(change(*store, settled("a", 2, task_state::dead)));
  REQUIRE(change(*store, retry_task{"a", 7}));
}

STORE_TEST("a distinct record can be released before its task's end") {
  TestType backend;
  auto store = backend.open();
  insert(*store, make_distinct_task("a", "biz", "k"));
  const auto answer = changed(*store, release_distinct{"a"});
  REQUIRE(answer.applied);
  REQUIRE(answer.after->distinct_key.empty());
  REQUIRE(find(*store, "a").distinct_key.empty());
  REQUIRE(insert(*store, make_distinct_task("b", "biz", "k")).what == insert_answer::kind::inserted);
  REQUIRE_FALSE(changed(*store, release_distinct{"a"}).applied);
  REQUIRE(change(*store, cancel_task{"b", 1}));
  const auto ended = changed(*store, release_distinct{"b"});
  REQUIRE_FALSE(ended.applied);
  REQUIRE(ended.after->distinct_key == "k");
  REQUIRE_FALSE(changed(*store, release_distinct{"nobody"}).after);
}

STORE_TEST("only what has ended is deleted, with its history") {
  TestType backend;
  auto store = backend.open();
  insert(*store, make_running_task("a"));
  REQUIRE(change(*store, settled("a", 1, task_state::delayed)));
  auto answer = changed(*store, delete_task{"a"});
  REQUIRE_FALSE(answer.applied);
  REQUIRE(answer.after->state == task_state::delayed);
  REQUIRE(change(*store, cancel_task{"a", 5}));
  answer = changed(*store, delete_task{"a"});
  REQUIRE(answer.applied);
  REQUIRE(answer.after->state == task_state::cancelled);
  REQUIRE_FALSE(require_value(store->find_task("a")));
  REQUIRE(require_value(store->load_attempts("a")).empty());
  REQUIRE_FALSE(changed(*store, delete_task{"a"}).after);
  REQUIRE(require_value(store->totals()).ended == 0);
  // The id is free again, its place is not.
  REQUIRE(insert(*store, make_task("a")).sequence == 2);
}

STORE_TEST("relative delays move when the clock is set") {
  TestType backend;
  auto store = backend.open();
  REQUIRE_FALSE(require_value(store->load_clock()));
  auto pause = make_delayed_task("pause", "biz", 1'000);
  pause.delay_is_relative = true;
  insert(*store, pause);
  insert(*store, make_delayed_task("moment", "cron", 1'000));
  insert(*store, make_running_task("retried", "cron"));
  REQUIRE(change(*store, settled("retried", 1, task_state::delayed)));
  task expiring = make_task("expiring", "biz");
  expiring.expires_at_ms = 2'000;
  insert(*store, expiring);
  REQUIRE(change(*store, adjust_clock{500, {"boot-1", 77}}));
  REQUIRE(find(*store, "expiring").expires_at_ms == 2'500);
  REQUIRE(require_value(store->recover_channel("biz")).next_expiry_ms == 2'500);
  REQUIRE(find(*store, "pause").not_before_ms == 1'500);
  REQUIRE(find(*store, "moment").not_before_ms == 1'000);
  REQUIRE(find(*store, "retried").not_before_ms == 700);
  REQUIRE(require_value(store->recover_channel("biz")).next_due_ms == 1'500);
  REQUIRE(std::get<promote_answer>(apply_one(*store, promote_due{"biz", 1'499, 9})).promoted.empty());
  REQUIRE(change(*store, adjust_clock{-86'400'000, {"boot-2", -5}}));
  REQUIRE(find(*store, "pause").not_before_ms == 1);
  const auto due = std::get<promote_answer>(apply_one(*store, promote_due{"biz", 1, 9}));
  REQUIRE(ids_of(due.promoted) == names{"pause"});
  REQUIRE(change(*store, adjust_clock{0, {"boot-3", 6}}));
  const auto mark = require_value(store->load_clock());
  REQUIRE(mark->boot_id == "boot-3");
  REQUIRE(mark->offset_ms == 6);
}

STORE_TEST("a channel is removed when nothing unfinished is left") {
  TestType backend;
  auto store = backend.open();
  channel_record record;
  record.name = "biz";
  REQUIRE_FALSE(change(*store, remove_channel{"biz"}));
  REQUIRE(change(*store, save_channel{record}));
  insert(*store, make_task("p", "biz"));
  REQUIRE_FALSE(change(*store, remove_channel{"biz"}));
  // Together with the cancellation, in one commit.
  const auto answers =
      require_value(store->apply({cancel_channel_tasks{"biz", 5, 10}, remove_channel{"biz"}}));
  REQUIRE(std::get<change_answer>(answers[1]).applied);
  REQUIRE(require_value(store->load_channels()).empty());
  REQUIRE(find(*store, "p").channel == "biz");
  REQUIRE(ids_of(list_all(*store, task_filter{})) == names{"p"});
  // Made again, it goes on.
  REQUIRE(change(*store, save_channel{record}));
  const auto refused =
      require_value(store->apply({insert_task{make_task("q", "biz"), std::nullopt}, remove_channel{"biz"}}));
  REQUIRE_FALSE(std::get<change_answer>(refused[1]).applied);
  REQUIRE(require_value(store->recover_channel("biz")).pending_count == 1);
  task_filter of_channel;
  of_channel.channel = "biz";
  REQUIRE(ids_of(list_all(*store, of_channel)) == names{"q", "p"});
}
