// Threads that are lent to actors: with the daemon's own scheduler, and real threads.
#include "actors/lent_thread.hpp"
#include "actors/scheduler.hpp"
#include "test/support/wait.hpp"

#include <caf/all.hpp>
#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

using namespace task_runner;
using namespace task_runner::test;

namespace {

/// What actors of a test did, and on which threads.
struct journal {
  std::atomic<uint64_t> handled{0};
  std::atomic<uint64_t> out_of_order{0};
  std::atomic<uint64_t> overlapping{0};
  std::atomic<bool> inside{false};
  std::mutex mutex;
  std::vector<std::thread::id> threads;
};

/// Handles (sender, number), where each sender counts up from 1.
caf::behavior counter(caf::event_based_actor*, journal* notes) {
  auto last = std::make_shared<std::vector<uint64_t>>(16);
  return {[=](uint64_t sender, uint64_t number) {
    if (notes->inside.exchange(true))
      ++notes->overlapping;
    if (++(*last)[sender] != number)
      ++notes->out_of_order;
    {
      const std::lock_guard lock(notes->mutex);
      notes->threads.push_back(std::this_thread::get_id());
    }
    notes->inside = false;
    ++notes->handled;
  }};
}

/// Sends itself so many messages, one after the other.
caf::behavior busybody(caf::event_based_actor* self, journal* notes) {
  return {[=](uint64_t left) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(20);
    while (std::chrono::steady_clock::now() < until) {
    }
    {
      const std::lock_guard lock(notes->mutex);
      notes->threads.push_back(std::this_thread::get_id());
    }
    ++notes->handled;
    if (left > 0)
      self->send(self, left - 1);
  }};
}

caf::behavior passer(caf::event_based_actor*, std::function<void()> act) {
  return {[act = std::move(act)](uint64_t) { act(); }};
}

/// A system with the daemon's scheduler that has come to rest.
struct scheduled_system {
  explicit scheduled_system(bool busy = false) {
    configure_scheduler(config);
    system = std::make_unique<caf::actor_system>(config);
    allow_lending(*system, [this, busy] {
      ++looks;
      return busy;
    });
  }

  /// Until the actors' own thread sleeps: only then there is anything to lend a thread for.
  void wait_for_rest() {
    auto& shared = dynamic_cast<caf::scheduler::coordinator<one_thread_policy>&>(system->scheduler()).data();
    REQUIRE(wait_until([&] {
      const std::lock_guard lock(shared.mutex);
      return shared.sleeping && !shared.lent;
    }));
  }

  std::atomic<uint64_t> looks{0};
  caf::actor_system_config config;
  std::unique_ptr<caf::actor_system> system;
};

} // namespace

TEST_CASE("what is sent on a lent thread is done there, at its end") {
  const auto is_done_here = [] {
    journal notes;
    scheduled_system own;
    const auto target = own.system->spawn(counter, &notes);
    own.wait_for_rest();
    {
      const lent_thread lent(*own.system);
      caf::anon_send(target, uint64_t{0}, uint64_t{1});
      {
        const lent_thread within(*own.system);
        caf::anon_send(target, uint64_t{0}, uint64_t{2});
      }
      CHECK(notes.handled == 0);
    }
    const bool is_done = notes.handled == 2;
    REQUIRE(wait_until([&] { return notes.handled == 2; }));
    return is_done && notes.threads == std::vector<std::thread::id>(2, std::this_thread::get_id());
  };
  // On a slow machine a loan may be over before its last message is done; another one is not.
  CHECK(wait_until(is_done_here));
}

TEST_CASE("no thread is lent on a busy machine, nor before it is allowed") {
  journal notes;
  scheduled_system own(true);
  const auto target = own.system->spawn(counter, &notes);
  own.wait_for_rest();
  {
    const lent_thread lent(*own.system);
    caf::anon_send(target, uint64_t{0}, uint64_t{1});
  }
  REQUIRE(wait_until([&] { return notes.handled == 1; }));
  CHECK(own.looks == 1);

  caf::actor_system_config config;
  configure_scheduler(config);
  caf::actor_system other(config);
  const auto there = other.spawn(counter, &notes);
  {
    const lent_thread lent(other);
    caf::anon_send(there, uint64_t{0}, uint64_t{1});
  }
  REQUIRE(wait_until([&] { return notes.handled == 2; }));
  const std::lock_guard lock(notes.mutex);
  for (const auto& thread : notes.threads)
    CHECK(thread != std::this_thread::get_id());
}

TEST_CASE("a thread is lent for a bounded time; the actors' own goes on") {
  journal notes;
  scheduled_system own;
  const auto target = own.system->spawn(busybody, &notes);
  constexpr uint64_t count = 500;
  own.wait_for_rest();
  {
    const lent_thread lent(*own.system);
    caf::anon_send(target, count - 1);
  }
  const auto here = notes.handled.load();
  CHECK(here >= 1);
  CHECK(here < count);
  REQUIRE(wait_until([&] { return notes.handled == count; }));
  const std::lock_guard lock(notes.mutex);
  CHECK(notes.threads.front() == std::this_thread::get_id());
  CHECK(notes.threads.back() != std::this_thread::get_id());
}

TEST_CASE("actors run one at a time and in order, whoever lends threads") {
  journal notes;
  scheduled_system own;
  const auto first = own.system->spawn(counter, &notes);
  const auto second = own.system->spawn(counter, &notes);
  constexpr uint64_t senders = 4;
  constexpr uint64_t each = 5'000;
  std::vector<std::thread> threads;
  for (uint64_t sender = 0; sender < senders; ++sender)
    threads.emplace_back([&, sender] {
      for (uint64_t number = 1; number <= each; ++number) {
        if (sender % 2 == 0) {
          const lent_thread lent(*own.system);
          caf::anon_send(first, sender, number);
          caf::anon_send(second, sender, number);
        } else {
          caf::anon_send(first, sender, number);
          caf::anon_send(second, sender, number);
        }
      }
    });
  for (auto& one : threads)
    one.join();
  CHECK(wait_until([&] { return notes.handled == 2 * senders * each; }));
  CHECK(notes.out_of_order == 0);
  CHECK(notes.overlapping == 0);
}

TEST_CASE("a system ends while threads are lent to it") {
  for (int cycle = 0; cycle < 50; ++cycle) {
    journal notes;
    actor_thread_lender lender;
    scheduled_system own;
    lender.attach(*own.system);
    const auto target = own.system->spawn(counter, &notes);
    std::atomic<bool> ended{false};
    std::atomic<uint64_t> told{0};
    std::thread service([&, to = target]() mutable {
      for (uint64_t number = 1; !ended; ++number)
        lender.lend([&] {
          if (to)
            caf::anon_send(to, uint64_t{0}, number);
          // No handle may outlive the system.
          if (ended)
            to = caf::actor{};
          ++told;
        });
      to = caf::actor{};
    });
    REQUIRE(wait_until([&] { return told > 20; }));
    lender.detach();
    ended = true;
    service.join();
    CHECK(notes.out_of_order == 0);
  }
}

TEST_CASE("what a lent thread does may send, ask for a thread, and end actors") {
  scheduled_system own;
  journal notes;
  const auto target = own.system->spawn(counter, &notes);
  const auto first = own.system->spawn(passer, [&] {
    const lent_thread within(*own.system);
    caf::anon_send(target, uint64_t{0}, uint64_t{1});
    caf::anon_send_exit(target, caf::exit_reason::user_shutdown);
  });
  own.wait_for_rest();
  {
    const lent_thread lent(*own.system);
    caf::anon_send(first, uint64_t{0});
  }
  // On a slow machine the loan may be over before its last message is done: the actors' own thread goes on
  // then.
  REQUIRE(wait_until([&] { return notes.handled == 1; }));
}
