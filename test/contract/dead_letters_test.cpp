// The contract of the counts of dead letters: they follow every commit, for whoever wants to know them.
// Each case runs on the store in memory and on the embedded one and demands the same.
#include "test/contract/store_support.hpp"

#include <map>

using namespace task_runner;
using namespace task_runner::test;

STORE_TEST("dead letters are counted by channel as they come and go") {
  TestType backend;
  auto store = backend.open();
  const auto counts = std::make_shared<dead_letter_counts>();
  using letters = std::map<std::string, int64_t>;
  for (const std::string id : {"a", "b", "c", "d"})
    insert(*store, make_running_task(id, id == "d" ? "other" : "biz"));
  REQUIRE(change(*store, settled("a", 1, task_state::dead)));
  // Those that are there when somebody wants to know, and all that follow.
  REQUIRE(store->keep_dead_letters(counts));
  CHECK(counts->all() == letters{{"biz", 1}});
  REQUIRE(change(*store, settled("b", 1, task_state::dead)));
  REQUIRE(change(*store, settled("c", 1, task_state::finished)));
  REQUIRE(change(*store, settled("d", 1, task_state::dead)));
  CHECK_FALSE(change(*store, settled("d", 1, task_state::dead)));
  CHECK(counts->all() == letters{{"biz", 2}, {"other", 1}});
  CHECK(counts->of("biz") == 2);
  CHECK(counts->of("nowhere") == 0);
  // Several at once, and nothing where one of them is refused.
  CHECK_FALSE(store->apply({retry_task{"a", 200}, remove_channel{""}}));
  CHECK(counts->of("biz") == 2);
  CHECK(store->apply({retry_task{"a", 200}, delete_task{"d"}, cancel_task{"a", 201}}));
  CHECK(counts->all() == letters{{"biz", 1}});
  REQUIRE(change(*store, retry_task{"b", 202}));
  CHECK(counts->all().empty());
  insert(*store, make_running_task("e", "biz"));
  REQUIRE(change(*store, settled("e", 1, task_state::dead)));
  CHECK(counts->of("biz") == 1);
  // By age: only dead ones.
  CHECK(std::get<purge_answer>(apply_one(*store, purge_ended{0, 1'000, 0, 0, 0, 10})).tasks == 1);
  CHECK(counts->all().empty());
}
