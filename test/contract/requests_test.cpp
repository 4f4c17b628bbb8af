// The contract of requests that may be repeated: one record for each key, pushes that become one task,
// bounds. Each case runs on the store in memory and on the embedded one; what must outlast a crash, on that
// alone.
#include "test/contract/store_support.hpp"

#include <cstdint>
#include <optional>
#include <string>

using namespace task_runner;
using namespace task_runner::test;

using kind = request_answer::kind;

namespace {

request_answer begin(queue_store& store, const std::string& key, const std::string& fingerprint = "print",
                     wall_time_ms now_ms = 1'000, wall_time_ms forget_before_ms = 0) {
  begin_request operation;
  operation.key = key;
  operation.fingerprint = fingerprint;
  operation.task_id = "task-of-" + key + "-" + std::to_string(now_ms);
  operation.now_ms = now_ms;
  operation.forget_before_ms = forget_before_ms;
  return std::get<request_answer>(apply_one(store, operation));
}

bool finish(queue_store& store, const request_answer& of, const std::string& body = "done") {
  return change(store, finish_request{of.identity.batch, {200, "text/plain", body}});
}

} // namespace

STORE_TEST("a request that is repeated finds its record, and then its answer") {
  TestType backend;
  auto store = backend.open();
  const auto first = begin(*store, "k");
  CHECK(first.what == kind::begun);
  CHECK(first.identity.task_id == "task-of-k-1000");
  CHECK(first.identity.batch > request_batches_begin);
  const auto again = begin(*store, "k", "print", 2'000);
  CHECK(again.what == kind::unanswered);
  CHECK(again.identity.task_id == first.identity.task_id);
  CHECK(again.identity.batch == first.identity.batch);
  CHECK(begin(*store, "k", "another print").what == kind::another);
  const auto other = begin(*store, "K");
  CHECK(other.what == kind::begun);
  CHECK(other.identity.batch != first.identity.batch);

  REQUIRE(finish(*store, first, std::string("a\0b", 3)));
  CHECK_FALSE(finish(*store, first, "too late"));
  const auto answered = begin(*store, "k", "print", 3'000);
  CHECK(answered.what == kind::answered);
  CHECK(answered.answer.status == 200);
  CHECK(answered.answer.content_type == "text/plain");
  CHECK(answered.answer.body == std::string("a\0b", 3));
  CHECK(begin(*store, "k", "another print").what == kind::another);
  REQUIRE(finish(*store, other, ""));
  CHECK(begin(*store, "K").answer.body.empty());
  CHECK_FALSE(change(*store, finish_request{request_batches_begin + 99, {200, "", ""}}));
}

STORE_TEST("an outdated key gets a record with a number that none had") {
  TestType backend;
  auto store = backend.open();
  uint64_t latest = begin(*store, "other").identity.batch;
  for (wall_time_ms now_ms = 1'000; now_ms < 5'000; now_ms += 1'000) {
    const auto record = begin(*store, "k", "print " + std::to_string(now_ms), now_ms, now_ms);
    CHECK(record.what == kind::begun);
    CHECK(record.identity.batch > latest);
    latest = record.identity.batch;
  }
}

STORE_TEST("a push of a request becomes one task, even when that is deleted meanwhile") {
  TestType backend;
  auto store = backend.open();
  const auto batch = begin(*store, "k").identity.batch;
  CHECK(insert(*store, make_task("t"), push_origin{batch, 0}).what == insert_answer::kind::inserted);
  CHECK(insert(*store, make_task("t"), push_origin{batch, 0}).what == insert_answer::kind::inserted_before);
  REQUIRE(change(*store, cancel_task{"t", 1}));
  REQUIRE(change(*store, delete_task{"t"}));
  CHECK(insert(*store, make_task("t"), push_origin{batch, 0}).what == insert_answer::kind::inserted_before);
  CHECK_FALSE(require_value(store->find_task("t")));
  // It is no batch of a source, and goes with the answer.
  CHECK(require_value(store->load_marked_batches()).empty());
  CHECK(require_value(store->load_marks(batch)) == std::vector<uint32_t>{0});
  REQUIRE(finish(*store, begin(*store, "k")));
  CHECK(require_value(store->load_marks(batch)).empty());
}

STORE_TEST("a push of a request that was a duplicate is decided anew") {
  TestType backend;
  auto store = backend.open();
  const auto batch = begin(*store, "k").identity.batch;
  insert(*store, make_distinct_task("holder", "biz", "key"));
  for (int i = 0; i < 2; ++i) {
    const auto met = insert(*store, make_distinct_task("t", "biz", "key"), push_origin{batch, 3});
    CHECK(met.what == insert_answer::kind::duplicate_key);
    CHECK(met.holder_id == "holder");
  }
  CHECK(require_value(store->load_marks(batch)).empty());
  REQUIRE(change(*store, cancel_task{"holder", 1}));
  const auto task = make_distinct_task("t", "biz", "key");
  CHECK(insert(*store, task, push_origin{batch, 3}).what == insert_answer::kind::inserted);
  CHECK(insert(*store, task, push_origin{batch, 3}).what == insert_answer::kind::inserted_before);
  CHECK(insert(*store, task, push_origin{batch, 4}).what == insert_answer::kind::duplicate_id);
}

STORE_TEST("many pushes of a request are inserted together, and those that were there before are known") {
  TestType backend;
  auto store = backend.open();
  const auto batch = begin(*store, "k").identity.batch;
  const auto pushes = [&](uint32_t count) {
    std::vector<store_operation> operations;
    for (uint32_t i = 0; i < count; ++i)
      operations.emplace_back(insert_task{make_task("t" + std::to_string(i)), push_origin{batch, i}});
    uint32_t inserted = 0;
    const auto answers = require_value(store->apply(operations));
    for (uint32_t i = 0; i < count; ++i) {
      const auto& one = std::get<insert_answer>(answers[i]);
      REQUIRE(
          (one.what == insert_answer::kind::inserted || one.what == insert_answer::kind::inserted_before));
      inserted += one.what == insert_answer::kind::inserted ? 1 : 0;
    }
    return inserted;
  };
  CHECK(pushes(37) == 37);
  CHECK(pushes(100) == 63);
  CHECK(pushes(100) == 0);
  CHECK(require_value(store->totals()).pending == 100);
}

STORE_TEST("a record goes when it is too old, and its key is free again") {
  TestType backend;
  auto store = backend.open();
  const auto old = begin(*store, "k", "print", 1'000);
  insert(*store, make_task("t"), push_origin{old.identity.batch, 0});
  CHECK(begin(*store, "k", "print", 2'000, 1'000).what == kind::unanswered);
  const auto fresh = begin(*store, "k", "another print", 3'000, 1'001);
  CHECK(fresh.what == kind::begun);
  CHECK(fresh.identity.task_id == "task-of-k-3000");
  CHECK(require_value(store->load_marks(old.identity.batch)).empty());
  REQUIRE(finish(*store, fresh));
  // Others that are too old go a few at a time, whenever a record is made.
  for (int i = 0; i < 20; ++i)
    REQUIRE(finish(*store, begin(*store, "old" + std::to_string(i), "print", 4'000)));
  for (int i = 0; i < 3; ++i)
    begin(*store, "new" + std::to_string(i), "print", 9'000, 5'000);
  for (int i = 0; i < 20; ++i)
    CHECK(begin(*store, "old" + std::to_string(i), "print", 4'000).what == kind::begun);
}

STORE_TEST("beyond their number or the bytes of their answers the oldest records go") {
  TestType backend;
  auto store = backend.open();
  const auto bounded = [&](const std::string& key, uint64_t records_max, uint64_t bytes_max) {
    begin_request operation;
    operation.key = key;
    operation.fingerprint = "print";
    operation.task_id = key;
    operation.now_ms = 1;
    operation.records_max = records_max;
    operation.bytes_max = bytes_max;
    return std::get<request_answer>(apply_one(*store, operation));
  };
  for (const char* const key : {"a", "b", "c", "d"})
    REQUIRE(finish(*store, bounded(key, 3, 1'000), std::string(100, 'x')));
  CHECK(begin(*store, "b").what == kind::answered);
  CHECK(begin(*store, "a").what == kind::begun); // it had gone
  for (const char* const key : {"e", "f"})
    REQUIRE(finish(*store, bounded(key, 100, 250), std::string(100, 'x')));
  CHECK(begin(*store, "f").what == kind::answered);
  CHECK(begin(*store, "e").what == kind::answered);
  CHECK(begin(*store, "b").what == kind::begun);
  CHECK(begin(*store, "c").what == kind::begun);
  begin_request none;
  CHECK_FALSE(store->apply({none}));
  none.key = "k";
  none.task_id = "t";
  none.records_max = 0;
  CHECK_FALSE(store->apply({none}));
  CHECK_FALSE(store->apply({finish_request{5, {200, "", ""}}}));
}

TEST_CASE("store: a request outlasts a crash between its push and its answer") {
  sqlite_backend backend;
  auto store = backend.open();
  const auto first = begin(*store, "k");
  insert(*store, make_task(first.identity.task_id), push_origin{first.identity.batch, 0});
  store = nullptr;
  store = backend.open();
  const auto again = begin(*store, "k", "print", 5'000);
  REQUIRE(again.what == kind::unanswered);
  CHECK(again.identity.task_id == first.identity.task_id);
  CHECK(insert(*store, make_task(again.identity.task_id), push_origin{again.identity.batch, 0}).what ==
        insert_answer::kind::inserted_before);
  REQUIRE(finish(*store, again));
  store = nullptr;
  store = backend.open();
  CHECK(begin(*store, "k", "print", 6'000).what == kind::answered);
  CHECK(require_value(store->totals()).pending == 1);
  store = nullptr;
  require_sound_file(backend.path());
}
