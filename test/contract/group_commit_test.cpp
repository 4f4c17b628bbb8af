// The writer thread: order, what shares a transaction, and who pays for whose fault.
// group_commit_life_test.cpp has its bounds, its end and its threads.
#include "test/contract/group_commit_support.hpp"

#include <algorithm>
#include <atomic>

using namespace task_runner;
using namespace task_runner::test;

TEMPLATE_TEST_CASE("group commit: completions come in the order of submission", "", memory_backend,
                   sqlite_backend) {
  TestType backend;
  auto commits = start(backend.open());
  constexpr uint64_t number = 3'000;
  std::vector<uint64_t> order; // Touched by the writer thread only, until stop() has joined it.
  std::atomic<uint64_t> inserted{0};
  for (uint64_t i = 0; i < number; ++i)
    REQUIRE(commits->submit(inserting("t" + std::to_string(i)),
                            [&, i](result<std::vector<store_answer>> answers) {
                              order.push_back(i);
                              if (answers && std::get<insert_answer>(answers->front()).sequence == i + 1)
                                ++inserted;
                            }));
  commits->stop();
  REQUIRE(order.size() == number);
  REQUIRE(std::is_sorted(order.begin(), order.end()));
  REQUIRE(inserted == number);
  const auto counters = commits->counters();
  REQUIRE(counters.operations == number);
  REQUIRE(counters.commits <= number);
  REQUIRE(counters.queue_depth == 0);
  REQUIRE(counters.queue_bytes == 0);
  REQUIRE_FALSE(counters.last_commit_failed);
  REQUIRE(counters.last_error.empty());
}

TEST_CASE("group commit: a lone submission is committed at once") {
  memory_backend backend;
  auto commits = start(backend.open());
  outcomes fates;
  REQUIRE(commits->submit(inserting("a"), fates.expect("a")));
  REQUIRE(fates.wait_for(1) == lines{"a ok 1"});
  REQUIRE(commits->submit({}, fates.expect("nothing")));
  REQUIRE(fates.wait_for(2) == lines{"a ok 1", "nothing ok 0"});
}

TEST_CASE("group commit: what waits shares a transaction up to the limits") {
  std::vector<size_t> sizes;
  group_commit_limits limits;
  limits.transaction_operations_max = 10;
  auto commits = start(std::make_unique<scripted_store>([&](const std::vector<store_operation>& operations) {
                         sizes.push_back(operations.size());
                         return std::optional<error>{};
                       }),
                       limits);
  outcomes fates;
  {
    held_writer held(*commits);
    for (int i = 0; i < 8; ++i)
      REQUIRE(commits->submit({insert_task{make_task("a" + std::to_string(i)), std::nullopt},
                               insert_task{make_task("b" + std::to_string(i)), std::nullopt},
                               insert_task{make_task("c" + std::to_string(i)), std::nullopt}},
                              fates.expect(std::to_string(i))));
    // More than a whole transaction: it goes alone, undivided.
    std::vector<store_operation> many;
    for (int i = 0; i < 25; ++i)
      many.push_back(insert_task{make_task("m" + std::to_string(i)), std::nullopt});
    REQUIRE(commits->submit(std::move(many), fates.expect("many")));
  }
  REQUIRE(fates.wait_for(9).back() == "many ok 25");
  commits->stop();
  REQUIRE(sizes == std::vector<size_t>{9, 9, 6, 25});
  REQUIRE(commits->counters().commits == 4);
  REQUIRE(commits->counters().operations == 49);
}

TEST_CASE("group commit: large texts end a transaction early") {
  std::vector<size_t> sizes;
  group_commit_limits limits;
  limits.transaction_bytes_max = 100'000;
  auto commits = start(std::make_unique<scripted_store>([&](const std::vector<store_operation>& operations) {
                         sizes.push_back(operations.size());
                         return std::optional<error>{};
                       }),
                       limits);
  outcomes fates;
  {
    held_writer held(*commits);
    for (int i = 0; i < 5; ++i) {
      auto value = make_task("t" + std::to_string(i));
      value.command.line = std::string(40'000, 'x');
      REQUIRE(commits->submit({insert_task{std::move(value), std::nullopt}}, fates.expect("big")));
    }
  }
  fates.wait_for(5);
  commits->stop();
  REQUIRE(sizes == std::vector<size_t>{2, 2, 1});
}

TEMPLATE_TEST_CASE("group commit: a faulty submission fails alone and whole", "", memory_backend,
                   sqlite_backend) {
  TestType backend;
  auto commits = start(backend.open());
  outcomes fates;
  auto ended = make_task("ended");
  ended.state = task_state::dead;
  {
    held_writer held(*commits);
    REQUIRE(commits->submit(inserting("a"), fates.expect("a")));
    REQUIRE(commits->submit({insert_task{make_task("half"), std::nullopt}, insert_task{ended, std::nullopt}},
                            fates.expect("faulty")));
    REQUIRE(commits->submit({insert_task{make_task("b"), std::nullopt}, lease_task{"a", 1, 5}},
                            fates.expect("b")));
  }
  REQUIRE(fates.wait_for(3) == lines{"a ok 1", "faulty invalid_argument", "b ok 2"});
  std::optional<task> half;
  std::optional<task> leased;
  gate looked;
  REQUIRE(commits->read([&](queue_store& store) {
    half = *store.find_task("half");
    leased = *store.find_task("a");
    looked.open();
  }));
  REQUIRE(looked.wait());
  REQUIRE_FALSE(half);
  REQUIRE(leased);
  REQUIRE(leased->state == task_state::running);
  const auto counters = commits->counters();
  REQUIRE(counters.commits == 2);
  REQUIRE(counters.failed_commits == 2);
  REQUIRE(counters.operations == 3);
  REQUIRE_FALSE(counters.last_commit_failed);
  REQUIRE_FALSE(counters.last_error.empty());
}

TEST_CASE("group commit: a store that is unavailable is asked once for all that share") {
  std::atomic<int> asked{0};
  std::atomic<bool> broken{true};
  auto commits = start(std::make_unique<scripted_store>([&](const std::vector<store_operation>&) {
    ++asked;
    return broken ? std::optional<error>(error{error_code::unavailable, "the disk is full"}) : std::nullopt;
  }));
  outcomes fates;
  {
    held_writer held(*commits);
    for (const char* id : {"a", "b", "c"})
      REQUIRE(commits->submit(inserting(id), fates.expect(id)));
  }
  REQUIRE(fates.wait_for(3) == lines{"a unavailable", "b unavailable", "c unavailable"});
  REQUIRE(asked == 1);
  REQUIRE(commits->counters().last_commit_failed);
  REQUIRE(commits->counters().failed_commits == 1);
  REQUIRE(commits->counters().last_error == "the disk is full");
  broken = false;
  REQUIRE(commits->submit(inserting("a"), fates.expect("again")));
  REQUIRE(fates.wait_for(4).back() == "again ok 1");
  REQUIRE_FALSE(commits->counters().last_commit_failed);
  REQUIRE(commits->counters().last_error == "the disk is full");
}

TEST_CASE("group commit: a store that fails between retries fails the rest") {
  int asked = 0;
  auto commits = start(std::make_unique<scripted_store>([&](const std::vector<store_operation>&) {
    ++asked;
    if (asked == 1)
      return std::optional<error>(error{error_code::internal, "one of them is at fault"});
    if (asked == 3)
      return std::optional<error>(error{error_code::unavailable, "the disk is full"});
    return std::optional<error>{};
  }));
  outcomes fates;
  {
    held_writer held(*commits);
    for (const char* id : {"a", "b", "c", "d"})
      REQUIRE(commits->submit(inserting(id), fates.expect(id)));
  }
  REQUIRE(fates.wait_for(4) == lines{"a ok 1", "b unavailable", "c unavailable", "d unavailable"});
  commits->stop();
  REQUIRE(asked == 3);
}

TEMPLATE_TEST_CASE("group commit: a read sees what was submitted before it and nothing later", "",
                   memory_backend, sqlite_backend) {
  TestType backend;
  auto commits = start(backend.open());
  constexpr uint64_t rounds = 200;
  std::vector<uint64_t> seen;
  {
    held_writer held(*commits);
    for (uint64_t i = 0; i < rounds; ++i) {
      REQUIRE(commits->submit(inserting("a" + std::to_string(i)), nullptr));
      REQUIRE(commits->submit(inserting("b" + std::to_string(i)), nullptr));
      REQUIRE(commits->read([&](queue_store& store) { seen.push_back(store.totals()->pending); }));
    }
  }
  commits->stop();
  REQUIRE(seen.size() == rounds);
  for (uint64_t i = 0; i < rounds; ++i)
    REQUIRE(seen[i] == 2 * (i + 1));
  REQUIRE(commits->counters().reads == rounds + 1);
  REQUIRE(commits->counters().commits == rounds);
}
