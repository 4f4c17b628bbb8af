// The contract of order and limits: priorities, and concurrency keys that hold tasks back.
// Each case runs on the store in memory and on the embedded one and demands the same.
#include "test/contract/store_support.hpp"

using namespace task_runner;
using namespace task_runner::test;

using names = std::vector<std::string>;

namespace {

names in_line(queue_store& store) {
  return ids_of(require_value(store.load_pending("biz", order_front, {})));
}

bool is_held(queue_store& store, const std::string& id) {
  return require_value(store.find_task(id))->held;
}

void insert_with_priority(queue_store& store, const std::string& id, int32_t priority) {
  auto value = make_task(id, "biz");
  value.priority = priority;
  insert(store, value);
}

} // namespace

STORE_TEST("higher priority goes first, then first in, first out") {
  TestType backend;
  auto store = backend.open();
  insert_with_priority(*store, "n1", 0);
  insert_with_priority(*store, "low", -1'000);
  insert_with_priority(*store, "h1", 7);
  insert_with_priority(*store, "n2", 0);
  insert_with_priority(*store, "h2", 7);
  insert_with_priority(*store, "top", INT32_MAX);
  insert_with_priority(*store, "bottom", INT32_MIN);
  const names order = {"top", "h1", "h2", "n1", "n2", "low", "bottom"};
  REQUIRE(in_line(*store) == order);
  // In windows of any size, each behind the last of the one before.
  for (uint32_t size = 1; size <= 8; ++size) {
    names walked;
    for (order_key after = order_front;;) {
      const auto window = require_value(store->load_pending("biz", after, {size, 1'000'000}));
      if (window.empty())
        break;
      REQUIRE(window.size() <= size);
      for (const auto& one : window)
        walked.push_back(one.id);
      after = order_of(window.back());
    }
    REQUIRE(walked == order);
  }
}

STORE_TEST("held tasks are listed in order of acceptance, those of their channel alone") {
  TestType backend;
  auto store = backend.open();
  for (const auto* id : {"a", "b", "c", "d"})
    insert(*store, make_keyed_task(id, "biz", "k", 1));
  insert(*store, make_task("free", "biz"));
  insert(*store, make_delayed_task("later", "biz", 300));
  insert(*store, make_keyed_task("x", "other", "k", 1));
  insert(*store, make_keyed_task("y", "other", "k", 1));
  REQUIRE(ids_of(require_value(store->load_held("biz", 10))) == names{"b", "c", "d"});
  REQUIRE(ids_of(require_value(store->load_held("biz", 2))) == names{"b", "c"});
  REQUIRE(require_value(store->load_held("biz", 0)).empty());
  REQUIRE(require_value(store->load_held("none", 10)).empty());
  REQUIRE(change(*store, cancel_task{"a", 5}));
  REQUIRE(ids_of(require_value(store->load_held("biz", 10))) == names{"c", "d"});
  REQUIRE(ids_of(require_value(store->load_held("other", 10))) == names{"y"});
}

STORE_TEST("no more tasks than its maximum share a concurrency key") {
  TestType backend;
  auto store = backend.open();
  REQUIRE_FALSE(insert(*store, make_keyed_task("a", "biz", "k", 2)).held);
  REQUIRE_FALSE(insert(*store, make_keyed_task("b", "biz", "k", 2)).held);
  REQUIRE(insert(*store, make_keyed_task("c", "biz", "k", 2)).held);
  REQUIRE(insert(*store, make_keyed_task("d", "biz", "k", 2)).held);
  REQUIRE_FALSE(insert(*store, make_keyed_task("other key", "biz", "K", 2)).held);
  REQUIRE_FALSE(insert(*store, make_keyed_task("elsewhere", "cron", "k", 2)).held);
  REQUIRE_FALSE(insert(*store, make_task("without", "biz")).held);
  REQUIRE(in_line(*store) == names{"a", "b", "other key", "without"});
  auto recovery = require_value(store->recover_channel("biz"));
  REQUIRE(recovery.pending_count == 4);
  REQUIRE(recovery.held_count == 2);
  REQUIRE(require_value(store->totals()).pending == 7);

  // Held ones cannot be leased; running and going back to wait keep their place.
  REQUIRE_FALSE(change(*store, lease_task{"c", 1, 5}));
  REQUIRE(change(*store, lease_task{"a", 1, 5}));
  REQUIRE(changed(*store, settled("a", 1, task_state::pending)).released.empty());
  REQUIRE(in_line(*store) == names{"a", "b", "other key", "without"});
  REQUIRE(change(*store, lease_task{"a", 2, 5}));
  const auto ending = GENERATE(task_state::finished, task_state::dead, task_state::cancelled);
  auto answer = changed(*store, settled("a", 2, ending));
  REQUIRE(ids_of(answer.released) == names{"c"});
  REQUIRE_FALSE(answer.released[0].held);
  REQUIRE(render(answer.released[0]) == render(*require_value(store->find_task("c"))));
  // A pause gives the place up as well.
  REQUIRE(change(*store, lease_task{"b", 1, 5}));
  answer = changed(*store, settled("b", 1, task_state::delayed));
  REQUIRE(ids_of(answer.released) == names{"d"});
  // And must find a new one.
  const auto due = std::get<promote_answer>(apply_one(*store, promote_due{"biz", 10'000, 9}));
  REQUIRE(due.promoted.empty());
  REQUIRE(due.held_count == 1);
  REQUIRE(is_held(*store, "b"));
  REQUIRE(ids_of(changed(*store, cancel_task{"c", 9}).released) == names{"b"});
  recovery = require_value(store->recover_channel("biz"));
  REQUIRE(recovery.held_count == 0);
}

STORE_TEST("a task that comes as running is held when its key is full") {
  TestType backend;
  auto store = backend.open();
  const auto running = [](const std::string& id) {
    auto value = make_keyed_task(id, "biz", "k", 1);
    value.state = task_state::running;
    value.attempt = 1;
    value.started_at_ms = 99;
    value.distinct_key = id;
    value.distinct_while_pending = true;
    return value;
  };
  REQUIRE_FALSE(insert(*store, running("a")).held);
  REQUIRE(insert(*store, running("b")).held);
  auto held = *require_value(store->find_task("b"));
  REQUIRE(held.state == task_state::pending);
  REQUIRE(held.attempt == 0);
  REQUIRE(held.started_at_ms == 0);
  REQUIRE(held.distinct_key == "b");
  REQUIRE(ids_of(changed(*store, settled("a", 1, task_state::finished)).released) == names{"b"});
  REQUIRE(change(*store, lease_task{"b", 1, 100}));
  REQUIRE(require_value(store->find_task("b"))->distinct_key.empty());
}

STORE_TEST("held tasks are released in order while the first of them has room") {
  TestType backend;
  auto store = backend.open();
  insert(*store, make_keyed_task("a", "biz", "k", 3));
  insert(*store, make_keyed_task("b", "biz", "k", 3));
  insert(*store, make_keyed_task("one at a time", "biz", "k", 1));
  insert(*store, make_keyed_task("last", "biz", "k", 2));
  auto urgent = make_keyed_task("urgent", "biz", "k", 2);
  urgent.priority = 9;
  REQUIRE(insert(*store, urgent).held);
  // One place is free; the next in turn wants the key for itself, so those behind it wait too.
  REQUIRE(ids_of(changed(*store, cancel_task{"a", 1}).released) == names{"urgent"});
  REQUIRE(changed(*store, cancel_task{"b", 2}).released.empty());
  // When it goes, those behind it have room.
  const auto cancelled = changed(*store, cancel_task{"one at a time", 3});
  REQUIRE(cancelled.was_held);
  REQUIRE(ids_of(cancelled.released) == names{"last"});
  REQUIRE(std::get<sweep_answer>(apply_one(*store, release_held{"biz", 9})).released.empty());
}

STORE_TEST("what expires with its key's holder does not get into line first") {
  TestType backend;
  auto store = backend.open();
  const auto expiring = [](const std::string& id, wall_time_ms at) {
    auto value = make_keyed_task(id, "biz", "k", 1);
    value.expires_at_ms = at;
    return value;
  };
  insert(*store, expiring("a", 10));
  insert(*store, expiring("b", 20));
  insert(*store, expiring("c", 0));
  const auto answer = std::get<sweep_answer>(apply_one(*store, expire_due{"biz", 50, 9}));
  REQUIRE(ids_of(answer.cancelled) == names{"a", "b"});
  REQUIRE(answer.cancelled[1].held);
  REQUIRE(ids_of(answer.released) == names{"c"});
}

STORE_TEST("a retried task waits for its key") {
  TestType backend;
  auto store = backend.open();
  insert(*store, make_keyed_task("a", "biz", "k", 1));
  REQUIRE(change(*store, cancel_task{"a", 1}));
  insert(*store, make_keyed_task("b", "biz", "k", 1));
  const auto answer = changed(*store, retry_task{"a", 2});
  REQUIRE(answer.applied);
  REQUIRE(answer.after->held);
  REQUIRE(require_value(store->recover_channel("biz")).held_count == 1);
  REQUIRE(ids_of(changed(*store, cancel_task{"b", 3}).released) == names{"a"});
}
