// The writer thread: order, atomicity, bounds, draining, and who pays for whose fault.
// Free of CAF and Pistache, so that ThreadSanitizer's word counts.
#include "services/store/group_commit.hpp"
#include "services/store/memory_store.hpp"
#include "test/contract/store_support.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <pthread.h>
#include <stdexcept>
#include <thread>

using namespace task_runner;
using namespace task_runner::test;

namespace {

/// A store in memory that a test can make fail, and that counts what is asked of it.
class scripted_store final : public queue_store {
public:
  using script = std::function<std::optional<error>(const std::vector<store_operation>&)>;

  explicit scripted_store(script failing, bool* closed = nullptr)
      : failing_(std::move(failing))
      , closed_(closed) {}
  ~scripted_store() override {
    if (closed_ != nullptr)
      *closed_ = true;
  }

  result<std::vector<store_answer>> apply(const std::vector<store_operation>& operations) override {
    if (failing_)
      if (auto failure = failing_(operations))
        return *failure;
    return inner_.apply(operations);
  }
  result<std::vector<channel_record>> load_channels() override { return inner_.load_channels(); }
  result<channel_recovery> recover_channel(const std::string& c) override {
    return inner_.recover_channel(c);
  }
  result<std::vector<task>> load_pending(const std::string& c, order_key after,
                                         window_limits limits) override {
    return inner_.load_pending(c, after, limits);
  }
  result<std::vector<task>> load_delayed(const std::string& c, uint32_t limit) override {
    return inner_.load_delayed(c, limit);
  }
  result<std::optional<task>> find_task(const std::string& id) override { return inner_.find_task(id); }
  result<std::vector<task>> find_tasks(const std::vector<std::string>& ids) override {
    return inner_.find_tasks(ids);
  }
  result<std::vector<attempt_record>> load_attempts(const std::string& id) override {
    return inner_.load_attempts(id);
  }
  result<task_page> list_tasks(const task_filter& filter, uint64_t before, uint32_t limit) override {
    return inner_.list_tasks(filter, before, limit);
  }
  result<std::optional<clock_mark>> load_clock() override { return inner_.load_clock(); }
  result<std::vector<uint32_t>> load_marks(uint64_t batch) override { return inner_.load_marks(batch); }
  result<std::vector<uint64_t>> load_marked_batches() override { return inner_.load_marked_batches(); }
  result<store_totals> totals() override { return inner_.totals(); }

private:
  memory_store inner_;
  script failing_;
  bool* closed_;
};

std::unique_ptr<group_commit> start(std::unique_ptr<queue_store> store, group_commit_limits limits = {}) {
  return require_value(group_commit::start(std::move(store), limits));
}

std::vector<store_operation> inserting(const std::string& id) {
  return {insert_task{make_task(id), std::nullopt}};
}

/// Holds the writer thread until destroyed or released, so that what is submitted meanwhile gathers.
class held_writer {
public:
  explicit held_writer(group_commit& commits) {
    REQUIRE(commits.read([held = doors_](queue_store&) {
      held->entered.open();
      if (!held->released.wait())
        std::abort(); // A test that forgot to release would otherwise hang until its time limit.
    }));
    REQUIRE(doors_->entered.wait());
  }
  ~held_writer() { release(); }
  void release() { doors_->released.open(); }

private:
  struct doors {
    gate entered;
    gate released;
  };
  /// Shared with the job, which may still be leaving when this is gone.
  std::shared_ptr<doors> doors_ = std::make_shared<doors>();
};

/// Collects the fate of submissions by name. Thread-safe.
class outcomes {
public:
  store_completion expect(const std::string& name) {
    return [this, name](result<std::vector<store_answer>> answers) {
      {
        const std::lock_guard lock(mutex_);
        lines_.push_back(name + (answers ? " ok " + std::to_string(answers->size())
                                         : " " + std::string(to_string(answers.failure().code))));
      }
      told_.add();
    };
  }
  std::vector<std::string> wait_for(uint64_t number) {
    REQUIRE(told_.wait_for(number));
    const std::lock_guard lock(mutex_);
    return lines_;
  }

private:
  std::mutex mutex_;
  std::vector<std::string> lines_;
  event_counter told_;
};

using lines = std::vector<std::string>;

} // namespace

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
