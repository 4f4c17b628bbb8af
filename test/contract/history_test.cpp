// The contract of history: listings by filter, and purging of what has ended.
// Each case runs on the store in memory and on the embedded one and demands the same.
#include "test/contract/store_support.hpp"

#include <algorithm>

using namespace task_runner;
using namespace task_runner::test;

using names = std::vector<std::string>;

namespace {

/// A task that ended at this moment with this much output.
void add_ended(queue_store& store, const std::string& id, task_state state, wall_time_ms ended_at_ms,
               uint64_t output_bytes = 0, const std::string& channel = "biz") {
  insert(store, make_running_task(id, channel));
  auto end = settled(id, 1, state);
  end.ended_at_ms = ended_at_ms;
  end.output_bytes = output_bytes;
  REQUIRE(change(store, end));
}

purge_answer purge(queue_store& store, const purge_ended& rule) {
  return std::get<purge_answer>(apply_one(store, rule));
}

/// The attempts as ID.NUMBER, with the task's name alone for its first.
names purged_ids(const purge_answer& answer) {
  names ids;
  for (const auto& key : answer.purged)
    ids.push_back(key.attempt == 1 ? key.task_id : key.task_id + "." + std::to_string(key.attempt));
  return ids;
}

names listed(queue_store& store, const task_filter& filter, task_order order = task_order::newest_first) {
  auto all = ids_of(list_all(store, filter, 1'000, order));
  // The bounds of pages must not matter.
  REQUIRE(ids_of(list_all(store, filter, 1, order)) == all);
  REQUIRE(ids_of(list_all(store, filter, 2, order)) == all);
  return all;
}

} // namespace

STORE_TEST("tasks are listed newest first by any filter") {
  TestType backend;
  auto store = backend.open();
  add_ended(*store, "f1", task_state::finished, 10);
  add_ended(*store, "d1", task_state::dead, 20);
  auto low = make_distinct_task("p1", "biz", "k");
  low.priority = -5;
  low.name = "send mail 100%_";
  insert(*store, low);
  insert(*store, make_delayed_task("w1", "biz", 99));
  insert(*store, make_running_task("r1", "cron"));
  auto high = make_task("p2", "biz");
  high.priority = 5;
  high.created_at_ms = 5;
  insert(*store, high);
  insert(*store, make_keyed_task("p3", "biz", "key", 1));
  insert(*store, make_keyed_task("h1", "biz", "key", 1));
  add_ended(*store, "d2", task_state::dead, 30, 0, "cron");
  insert(*store, make_task("c1", "cron"));
  REQUIRE(change(*store, cancel_task{"c1", 40}));

  task_filter filter;
  const auto by_states = [&](std::vector<task_state> states) {
    filter = {};
    filter.states = std::move(states);
    return listed(*store, filter);
  };
  using s = task_state;
  REQUIRE(listed(*store, {}) == names{"c1", "d2", "h1", "p3", "p2", "r1", "w1", "p1", "d1", "f1"});
  REQUIRE(by_states({s::pending}) == names{"h1", "p3", "p2", "p1"});
  REQUIRE(by_states({s::delayed}) == names{"w1"});
  REQUIRE(by_states({s::running, s::pending, s::delayed}) == names{"h1", "p3", "p2", "r1", "w1", "p1"});
  REQUIRE(by_states({s::dead}) == names{"d2", "d1"});
  REQUIRE(by_states({s::dead, s::running}) == names{"d2", "r1", "d1"});
  REQUIRE(by_states({s::finished, s::cancelled}) == names{"c1", "f1"});
  REQUIRE(by_states({s::dead, s::dead}) == names{"d2", "d1"});
  filter.channel = "biz";
  REQUIRE(listed(*store, filter) == names{"d1"});
  filter.channel = "unknown";
  REQUIRE(listed(*store, filter).empty());
  filter = {};
  filter.channel = "cron";
  REQUIRE(listed(*store, filter) == names{"c1", "d2", "r1"});
  filter = {};
  filter.name_contains = "100%_";
  REQUIRE(listed(*store, filter) == names{"p1"});
  filter = {};
  filter.distinct_key = "k";
  REQUIRE(listed(*store, filter) == names{"p1"});
  filter = {};
  filter.outcome = outcome_kind::cancelled;
  REQUIRE(listed(*store, filter) == names{"c1"});
  filter = {};
  filter.exit_code = 1;
  REQUIRE(listed(*store, filter) == names{"d2", "d1"});
  filter = {};
  filter.ended_from_ms = 20;
  filter.ended_until_ms = 40;
  REQUIRE(listed(*store, filter) == names{"d2", "d1"});
  filter = {};
  filter.created_until_ms = 6;
  REQUIRE(listed(*store, filter) == names{"p2"});
  filter.created_from_ms = 6;
  REQUIRE(listed(*store, filter).empty());
}

STORE_TEST("tasks are listed in every order, those that ended in the same moment too") {
  TestType backend;
  auto store = backend.open();
  add_ended(*store, "a", task_state::finished, 50);
  add_ended(*store, "b", task_state::dead, 20, 0, "cron");
  add_ended(*store, "c", task_state::finished, 30);
  insert(*store, make_task("waits", "biz"));
  for (const char* const id : {"d", "e", "f"}) {
    insert(*store, make_task(id, "biz"));
    REQUIRE(change(*store, cancel_task{id, 30}));
  }
  auto urgent = make_task("urgent", "biz");
  urgent.priority = 9;
  insert(*store, urgent);
  add_ended(*store, "g", task_state::dead, 10);

  REQUIRE(listed(*store, {}, task_order::oldest_first) ==
          names{"a", "b", "c", "waits", "d", "e", "f", "urgent", "g"});
  REQUIRE(listed(*store, {}, task_order::last_ended_first) == names{"a", "f", "e", "d", "c", "b", "g"});
  REQUIRE(listed(*store, {}, task_order::first_ended_first) == names{"g", "b", "c", "d", "e", "f", "a"});
  task_filter filter;
  filter.states = {task_state::dead, task_state::pending};
  REQUIRE(listed(*store, filter, task_order::oldest_first) == names{"b", "waits", "urgent", "g"});
  REQUIRE(listed(*store, filter, task_order::first_ended_first) == names{"g", "b"});
  filter = {};
  filter.channel = "biz";
  filter.ended_from_ms = 20;
  filter.ended_until_ms = 50;
  REQUIRE(listed(*store, filter, task_order::last_ended_first) == names{"f", "e", "d", "c"});
  REQUIRE(listed(*store, filter, task_order::first_ended_first) == names{"c", "d", "e", "f"});
  filter.channel = "unknown";
  REQUIRE(listed(*store, filter, task_order::last_ended_first).empty());
  // What ends meanwhile stands before what goes on from the latest end, or behind what goes on to it.
  const auto page = require_value(store->list_tasks({}, {task_order::last_ended_first}, 2));
  REQUIRE(change(*store, cancel_task{"waits", 60}));
  REQUIRE(ids_of(require_value(store->list_tasks({}, page.next, 9)).tasks) == names{"e", "d", "c", "b", "g"});
}

STORE_TEST("a page goes on where the one before ended") {
  TestType backend;
  auto store = backend.open();
  for (int i = 1; i <= 5; ++i)
    insert(*store, make_task("t" + std::to_string(i), "biz"));
  auto page = require_value(store->list_tasks({}, {}, 2));
  REQUIRE(ids_of(page.tasks) == names{"t5", "t4"});
  REQUIRE(page.next.sequence == 4);
  // What is added or goes away meanwhile moves nothing.
  insert(*store, make_task("t6", "biz"));
  REQUIRE(change(*store, cancel_task{"t4", 1}));
  REQUIRE(change(*store, delete_task{"t4"}));
  page = require_value(store->list_tasks({}, page.next, 2));
  REQUIRE(ids_of(page.tasks) == names{"t3", "t2"});
  page = require_value(store->list_tasks({}, page.next, 2));
  REQUIRE(ids_of(page.tasks) == names{"t1"});
  REQUIRE(page.next.is_beginning());
  REQUIRE(ids_of(require_value(store->list_tasks({}, listing_place{task_order::newest_first, UINT64_MAX}, 0))
                     .tasks) == names{"t6"});
}

STORE_TEST("several tasks are found in the order asked for") {
  TestType backend;
  auto store = backend.open();
  for (const char* const id : {"a", "b", "c"})
    insert(*store, make_task(id));
  REQUIRE(ids_of(require_value(store->find_tasks({"c", "nobody", "a", "c"}))) == names{"c", "a", "c"});
  REQUIRE(require_value(store->find_tasks({})).empty());
}

STORE_TEST("what has ended is purged by age, dead tasks by their own") {
  TestType backend;
  auto store = backend.open();
  add_ended(*store, "dead old", task_state::dead, 10);
  add_ended(*store, "f1", task_state::finished, 30);
  add_ended(*store, "f2", task_state::finished, 20);
  add_ended(*store, "f3", task_state::finished, 40);
  insert(*store, make_task("waiting", "biz"));
  insert(*store, make_task("c", "cron"));
  REQUIRE(change(*store, cancel_task{"c", 25}));
  REQUIRE(purge(*store, {0, 0, 0, 0, 0, 9}).tasks == 0);
  auto answer = purge(*store, {40, 5, 0, 0, 0, 2});
  // The cancelled one never ran: it has no attempt whose output there could be.
  REQUIRE(purged_ids(answer) == names{"f2"});
  REQUIRE(answer.tasks == 2);
  REQUIRE(answer.more);
  REQUIRE_FALSE(require_value(store->find_task("c")));
  answer = purge(*store, {40, 5, 0, 0, 0, 2});
  REQUIRE(purged_ids(answer) == names{"f1"});
  REQUIRE_FALSE(answer.more);
  answer = purge(*store, {0, 11, 0, 0, 0, 2});
  REQUIRE(purged_ids(answer) == names{"dead old"});
  REQUIRE(listed(*store, {}) == names{"waiting", "f3"});
  REQUIRE(require_value(store->totals()).ended == 1);
}

STORE_TEST("what has ended is purged by number, oldest end first") {
  TestType backend;
  auto store = backend.open();
  add_ended(*store, "a", task_state::finished, 50);
  add_ended(*store, "b", task_state::dead, 20);
  add_ended(*store, "c", task_state::cancelled, 30);
  add_ended(*store, "d", task_state::finished, 20);
  REQUIRE(purge(*store, {0, 0, 4, 0, 0, 9}).tasks == 0);
  auto answer = purge(*store, {0, 0, 1, 0, 0, 0});
  REQUIRE(answer.tasks == 0);
  REQUIRE(answer.more);
  answer = purge(*store, {0, 0, 1, 0, 0, 2});
  REQUIRE(purged_ids(answer) == names{"b", "d"});
  REQUIRE(answer.more);
  REQUIRE(purged_ids(purge(*store, {0, 0, 1, 0, 0, 2})) == names{"c"});
  REQUIRE(listed(*store, {}) == names{"a"});
}

STORE_TEST("what has ended is purged by its output, every attempt counting") {
  TestType backend;
  auto store = backend.open();
  // Three attempts of 100, 100 and 7 bytes; the first two count 60 each.
  insert(*store, make_running_task("retried", "biz"));
  for (uint32_t attempt = 1; attempt <= 2; ++attempt) {
    auto end = settled("retried", attempt, task_state::pending);
    end.output_bytes = 100;
    REQUIRE(change(*store, end));
    REQUIRE(change(*store, lease_task{"retried", attempt + 1, 1}));
  }
  auto last = settled("retried", 3, task_state::finished);
  last.output_bytes = 7;
  last.ended_at_ms = 10;
  REQUIRE(change(*store, last));
  add_ended(*store, "small", task_state::finished, 20, 13);
  add_ended(*store, "huge", task_state::dead, 30, uint64_t{1} << 60);
  // Not ended, so it counts nothing yet.
  insert(*store, make_running_task("waits", "biz"));
  auto paused = settled("waits", 1, task_state::delayed);
  paused.output_bytes = 1'000;
  REQUIRE(change(*store, paused));

  const auto rule = [](uint64_t output_bytes_max, uint64_t kept_bytes_max) {
    return purge_ended{0, 0, 0, output_bytes_max, kept_bytes_max, 9};
  };
  REQUIRE(purge(*store, rule(127 + 13 + 60, 60)).tasks == 0);
  // Another bound per attempt counts everything anew: 10 + 10 + 7, 10, 10.
  REQUIRE(purge(*store, rule(47, 10)).tasks == 0);
  // Cancelled while it waited: the attempt that had ended counts once.
  REQUIRE(change(*store, cancel_task{"waits", 40}));
  REQUIRE(purge(*store, rule(57, 10)).tasks == 0);
  // A retry takes its task out of the sum, its end puts it back.
  REQUIRE(change(*store, retry_task{"waits", 50}));
  REQUIRE(purge(*store, rule(47, 10)).tasks == 0);
  REQUIRE(change(*store, cancel_task{"waits", 60}));
  auto answer = purge(*store, rule(56, 10));
  REQUIRE(purged_ids(answer) == names{"retried", "retried.2", "retried.3"});
  REQUIRE(answer.tasks == 1);
  REQUIRE(require_value(store->load_attempts("retried")).empty());
  REQUIRE(purge(*store, rule(30, 10)).tasks == 0);
  REQUIRE(change(*store, delete_task{"huge"}));
  REQUIRE(purge(*store, rule(20, 10)).tasks == 0);
  REQUIRE(purged_ids(purge(*store, rule(19, 10))) == names{"small"});
  REQUIRE(purged_ids(purge(*store, rule(1, 10))) == names{"waits"});
}

TEST_CASE("sqlite: a listing looks at a bounded number of rows for each page") {
  sqlite_backend backend;
  auto store = backend.open();
  constexpr uint64_t number = 50'000;
  insert(*store, make_task("needle", "rare"));
  insert(*store, make_task("waiting", "rare"));
  REQUIRE(change(*store, cancel_task{"needle", 5}));
  add_ended(*store, "dead", task_state::dead, 7, 0, "rare");
  std::vector<store_operation> operations;
  for (uint64_t i = 0; i < number; ++i) {
    const auto id = "t" + std::to_string(i);
    operations.emplace_back(insert_task{make_running_task(id, "common"), std::nullopt});
    operations.emplace_back(settled(id, 1, task_state::finished));
  }
  require_value(store->apply(operations));
  task_filter filter;
  filter.states = {task_state::cancelled};
  auto page = require_value(store->list_tasks(filter, {}, 10));
  REQUIRE(page.tasks.empty());
  REQUIRE(page.next.sequence > number / 2);
  REQUIRE(ids_of(list_all(*store, filter)) == names{"needle"});
  // Dead and unfinished ones are found at once, however much has finished.
  filter.states = {task_state::dead, task_state::pending};
  page = require_value(store->list_tasks(filter, {}, 10));
  REQUIRE(ids_of(page.tasks) == names{"dead", "waiting"});
  REQUIRE(page.next.is_beginning());
  // By the end, rows of other channels are passed over some at a time.
  task_filter rare;
  rare.channel = "rare";
  page = require_value(store->list_tasks(rare, {task_order::last_ended_first}, 10));
  REQUIRE(page.tasks.size() < 2);
  REQUIRE_FALSE(page.next.is_beginning());
  REQUIRE(ids_of(list_all(*store, rare, 10, task_order::last_ended_first)) == names{"dead", "needle"});
}
