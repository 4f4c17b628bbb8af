// The writer thread as a thread: its bounds, its end, many callers at once, and what comes from outside.
// group_commit_test.cpp has what it does with a transaction.
#include "test/contract/group_commit_support.hpp"
#include "test/support/wait.hpp"

#include <atomic>
#include <chrono>
#include <future>
#include <pthread.h>
#include <stdexcept>
#include <thread>

using namespace task_runner;
using namespace task_runner::test;

TEST_CASE("group commit: a full queue refuses and calls nobody") {
  group_commit_limits limits;
  limits.queued_operations_max = 5;
  memory_backend backend;
  auto commits = start(backend.open(), limits);
  outcomes fates;
  {
    held_writer held(*commits); // Counts as one.
    REQUIRE(commits->submit({lease_task{"x", 1, 1}, lease_task{"y", 1, 1}, lease_task{"z", 1, 1}},
                            fates.expect("three")));
    REQUIRE(commits->submit({}, fates.expect("empty")));
    REQUIRE(commits->counters().queue_depth == 5);
    const auto refused = commits->submit({lease_task{"x", 1, 1}}, fates.expect("refused"));
    REQUIRE_FALSE(refused);
    REQUIRE(refused.failure().code == error_code::overloaded);
    const auto refused_read = commits->read([](queue_store&) { std::abort(); });
    REQUIRE_FALSE(refused_read);
    REQUIRE(refused_read.failure().code == error_code::overloaded);
    REQUIRE(commits->counters().refused == 2);
  }
  REQUIRE(fates.wait_for(2) == lines{"three ok 3", "empty ok 0"});
  REQUIRE(commits->submit({lease_task{"x", 1, 1}}, fates.expect("later")));
  REQUIRE(fates.wait_for(3).back() == "later ok 1");
  // What can never fit is refused by an empty queue too.
  const auto never =
      commits->submit(std::vector<store_operation>(6, lease_task{"x", 1, 1}), fates.expect("never"));
  REQUIRE_FALSE(never);
  REQUIRE(never.failure().code == error_code::overloaded);
}

TEST_CASE("group commit: bytes are bounded but any one submission passes an empty queue") {
  group_commit_limits limits;
  limits.queued_bytes_max = 50'000;
  memory_backend backend;
  auto commits = start(backend.open(), limits);
  const auto big = [](const std::string& id) {
    auto value = make_task(id);
    value.command.line = std::string(60'000, 'x');
    return std::vector<store_operation>{insert_task{std::move(value), std::nullopt}};
  };
  outcomes fates;
  {
    held_writer held(*commits);
    const auto refused = commits->submit(big("a"), fates.expect("refused"));
    REQUIRE_FALSE(refused);
    REQUIRE(refused.failure().code == error_code::overloaded);
  }
  gate idle;
  REQUIRE(commits->submit({}, [&](result<std::vector<store_answer>>) { idle.open(); }));
  REQUIRE(idle.wait());
  REQUIRE(commits->submit(big("a"), fates.expect("a")));
  REQUIRE(fates.wait_for(1) == lines{"a ok 1"});
}

TEST_CASE("group commit: stopping finishes what is queued") {
  bool closed = false;
  auto commits = start(std::make_unique<scripted_store>(nullptr, &closed));
  constexpr uint64_t number = 200;
  outcomes fates;
  std::atomic<int> refused_inside{0};
  auto held = std::make_unique<held_writer>(*commits);
  for (uint64_t i = 0; i < number; ++i)
    REQUIRE(commits->submit(inserting("t" + std::to_string(i)), fates.expect("t")));
  bool read = false;
  REQUIRE(commits->read([&](queue_store& store) {
    read = store.totals()->pending == number;
    const auto refused = commits->submit({}, nullptr);
    if (!refused && refused.failure().code == error_code::draining)
      ++refused_inside;
  }));
  std::thread first([&] { commits->stop(); });
  std::thread second([&] { commits->stop(); });
  // Poll until one of the two has begun: only then is the next submission refused.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(patience_s);
  uint64_t accepted = 0;
  for (;;) {
    const auto late = commits->submit({}, fates.expect("late"));
    if (!late) {
      CHECK(late.failure().code == error_code::draining);
      break;
    }
    ++accepted;
    if (std::chrono::steady_clock::now() > deadline)
      std::abort();
    std::this_thread::yield();
  }
  held->release();
  first.join();
  second.join();
  REQUIRE(fates.wait_for(number + accepted).size() == number + accepted);
  REQUIRE(read);
  REQUIRE(refused_inside == 1);
  REQUIRE(closed);
  commits->stop();
  REQUIRE(commits->submit({}, nullptr).failure().code == error_code::draining);
  REQUIRE(commits->read([](queue_store&) {}).failure().code == error_code::draining);
}

TEMPLATE_TEST_CASE("group commit: many threads submit, read and look at once", "", memory_backend,
                   sqlite_backend) {
  TestType backend;
  auto commits = start(backend.open());
  constexpr int thread_count = 8;
  constexpr int per_thread = 400;
  event_counter told;
  std::atomic<uint64_t> inserted{0};
  std::atomic<uint64_t> out_of_order{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < thread_count; ++t)
    threads.emplace_back([&, t] {
      auto last = std::make_shared<int>(-1);
      for (int i = 0; i < per_thread; ++i) {
        // Two threads share every id: exactly one of them inserts it.
        const std::string id = "t" + std::to_string(t / 2) + "-" + std::to_string(i);
        const auto taken =
            commits->submit(inserting(id), [&, last, i](result<std::vector<store_answer>> answers) {
              if (*last >= i)
                ++out_of_order;
              *last = i;
              if (answers && std::get<insert_answer>(answers->front()).what == insert_answer::kind::inserted)
                ++inserted;
              told.add();
            });
        if (!taken)
          std::abort();
        if (i % 50 == 0) {
          if (!commits->read([&](queue_store& store) { (void)store.totals(); }))
            std::abort();
          (void)commits->counters();
        }
      }
    });
  for (auto& thread : threads)
    thread.join();
  REQUIRE(told.wait_for(thread_count * per_thread));
  REQUIRE(inserted == thread_count * per_thread / 2);
  REQUIRE(out_of_order == 0);
  commits->stop();
  REQUIRE(commits->counters().operations == thread_count * per_thread);
}

TEST_CASE("group commit: a completion may submit again") {
  memory_backend backend;
  group_commit_limits limits;
  limits.queued_operations_max = 1; // Room exists only because a decided submission has left the queue.
  auto commits = start(backend.open(), limits);
  event_counter told;
  std::function<void(int)> next = [&](int i) {
    if (!commits->submit(inserting("t" + std::to_string(i)), [&, i](result<std::vector<store_answer>>) {
          if (i < 100)
            next(i + 1);
          told.add();
        }))
      std::abort();
  };
  next(1);
  REQUIRE(told.wait_for(100));
  commits->stop();
  REQUIRE(commits->counters().operations == 100);
}

TEST_CASE("group commit: an exception from outside does not end the thread") {
  int asked = 0;
  auto commits = start(std::make_unique<scripted_store>([&](const std::vector<store_operation>&) {
    if (++asked == 2)
      throw std::runtime_error("from the store, on purpose");
    return std::optional<error>{};
  }));
  outcomes fates;
  REQUIRE(commits->submit(inserting("a"), [](result<std::vector<store_answer>>) {
    throw std::runtime_error("from a completion, on purpose");
  }));
  REQUIRE(commits->read([](queue_store&) { throw std::runtime_error("from a read, on purpose"); }));
  REQUIRE(commits->submit(inserting("b"), fates.expect("b")));
  REQUIRE(fates.wait_for(1) == lines{"b internal"});
  REQUIRE(commits->submit(inserting("c"), fates.expect("c")));
  REQUIRE(fates.wait_for(2) == lines{"b internal", "c ok 1"});
}

TEST_CASE("group commit: a store that has failed is tried until it works, though nobody submits") {
  std::atomic<bool> broken{true};
  std::atomic<int> tried{0};
  group_commit_limits limits;
  limits.trial_ms = 1;
  auto commits = start(std::make_unique<scripted_store>([&](const std::vector<store_operation>& operations) {
                         tried += operations.empty() ? 1 : 0;
                         return broken
                                    ? std::optional<error>(error{error_code::unavailable, "the disk is full"})
                                    : std::nullopt;
                       }),
                       limits);
  std::promise<bool> failed;
  REQUIRE(
      commits->submit({insert_task{make_task("t"), std::nullopt}},
                      [&](const result<std::vector<store_answer>>& answers) { failed.set_value(!answers); }));
  REQUIRE(failed.get_future().get());
  REQUIRE(wait_until([&] { return tried > 3; }));
  CHECK(commits->counters().last_commit_failed);
  CHECK(commits->counters().failed_commits == 1);
  broken = false;
  REQUIRE(wait_until([&] { return !commits->counters().last_commit_failed; }));
  // A store that works is left alone; a stop does not wait for a trial.
  const int until_then = tried;
  commits->stop();
  CHECK(tried == until_then);
}

TEST_CASE("group commit: the thread has a name") {
  memory_backend backend;
  auto commits = start(backend.open());
  char name[16] = {};
  gate looked;
  REQUIRE(commits->read([&](queue_store&) {
    pthread_getname_np(pthread_self(), name, sizeof name);
    looked.open();
  }));
  REQUIRE(looked.wait());
  REQUIRE(std::string(name) == "tr-store");
}

TEST_CASE("group commit: its thread is lent to what follows, unless more waits to be committed") {
  struct counting_lender final : thread_lender {
    void lend(const std::function<void()>& tell) override {
      ++lent;
      tell();
    }
    std::atomic<int> lent{0};
  } lender;
  group_commit_limits limits;
  limits.transaction_operations_max = 1;
  memory_backend backend;
  auto commits = start(backend.open(), limits);
  outcomes fates;
  REQUIRE(commits->submit({lease_task{"x", 1, 1}}, fates.expect("before")));
  fates.wait_for(1);
  REQUIRE(lender.lent == 0);
  commits->lend_to(&lender);
  {
    held_writer held(*commits);
    for (const char* name : {"first", "second", "third"})
      REQUIRE(commits->submit({lease_task{"x", 1, 1}}, fates.expect(name)));
  }
  REQUIRE(fates.wait_for(4) == lines{"before ok 1", "first ok 1", "second ok 1", "third ok 1"});
  REQUIRE(lender.lent == 1);
  commits->lend_to(nullptr);
  REQUIRE(commits->submit({lease_task{"x", 1, 1}}, fates.expect("after")));
  fates.wait_for(5);
  REQUIRE(lender.lent == 1);
}
