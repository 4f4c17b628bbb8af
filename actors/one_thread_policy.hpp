// How CAF's one thread for actors gets its work: a policy of CAF's scheduler beside those it has itself.
// CAF's own sharing policy wakes that thread while it holds the lock which the thread then needs first, so
// that each wake costs two more switches; and it takes the lock for every message. Threads that bring
// something for actors may run them themselves while that thread sleeps: see lent_thread.
#pragma once

#include <caf/all.hpp>
#include <caf/policy/unprofiled.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <vector>

namespace task_runner {

/// How long a lent thread runs actors at most before it leaves the rest to their own; looked at between two
/// turns of actors, so one turn may take it beyond.
constexpr std::chrono::microseconds lent_time_max{300};

/// Messages that an actor may take in one turn on a lent thread.
constexpr size_t lent_messages_max = 16;

/// For caf::scheduler::coordinator, with one worker. Actors run in the order in which they got something to
/// do, one at a time, on the worker's thread or on one that is lent; sleeping costs nothing. What is queued
/// is bounded by the number of actors: each stands in it once.
class one_thread_policy : public caf::policy::unprofiled {
public:
  struct coordinator_data {
    explicit coordinator_data(caf::scheduler::abstract_coordinator*) {}

    std::mutex mutex;
    std::condition_variable woken;
    /// What other threads have for the worker.
    std::vector<caf::resumable*> arrived;
    /// Says without the lock whether there is any.
    std::atomic<bool> has_arrived{false};
    /// Nobody has woken the worker yet.
    bool sleeping = false;
    /// Another thread runs actors in its place.
    bool lent = false;

    /// Whether threads may be lent; set before any is.
    std::atomic<bool> lends{false};
    /// Asked with `looking` held, by whoever can have that at once; the others go by what was seen last.
    std::function<bool()> is_busy;
    std::mutex looking;
    std::atomic<bool> was_busy{true};
  };

  struct worker_data {
    explicit worker_data(caf::scheduler::abstract_coordinator*) {}

    /// Touched by the thread alone that runs actors.
    std::deque<caf::resumable*> ready;
  };

  template <class Coordinator>
  void central_enqueue(Coordinator* self, caf::resumable* job) {
    auto& shared = d(self);
    bool wake = false;
    {
      std::lock_guard<std::mutex> guard(shared.mutex);
      shared.arrived.push_back(job);
      shared.has_arrived.store(true, std::memory_order_relaxed);
      // Whoever has lent this thread looks at what has come when he is done with his own.
      wake = shared.sleeping && !shared.lent && lending() != &shared;
      if (wake)
        shared.sleeping = false;
    }
    if (wake)
      shared.woken.notify_one();
  }

  template <class Worker>
  void external_enqueue(Worker* self, caf::resumable* job) {
    central_enqueue(self->parent(), job);
  }

  template <class Worker>
  void internal_enqueue(Worker* self, caf::resumable* job) {
    d(self).ready.push_back(job);
  }

  template <class Worker>
  void resume_job_later(Worker* self, caf::resumable* job) {
    d(self).ready.push_back(job);
  }

  template <class Worker>
  caf::resumable* dequeue(Worker* self) {
    auto& ready = d(self).ready;
    auto& shared = d(self->parent());
    // Others' work is looked for each time: actors that keep each other busy must not keep it waiting.
    if (ready.empty() || shared.has_arrived.load(std::memory_order_relaxed)) {
      std::unique_lock<std::mutex> guard(shared.mutex);
      if (ready.empty()) {
        shared.sleeping = true;
        shared.woken.wait(guard, [&] { return !shared.lent && !(ready.empty() && shared.arrived.empty()); });
        shared.sleeping = false;
      }
      ready.insert(ready.end(), shared.arrived.begin(), shared.arrived.end());
      shared.arrived.clear();
      shared.has_arrived.store(false, std::memory_order_relaxed);
    }
    auto* const job = ready.front();
    ready.pop_front();
    return job;
  }

  /// Whom the calling thread is lent to; null: to nobody.
  static const coordinator_data*& lending() noexcept {
    thread_local const coordinator_data* to = nullptr;
    return to;
  }

  /// Whether threads are to be lent now. Not on a busy machine: each thread gets its share of the processors
  /// there, and fewer threads would get the daemon less of them beside the commands that it runs.
  static bool lends_now(coordinator_data& shared) {
    if (!shared.lends.load(std::memory_order_acquire))
      return false;
    if (const std::unique_lock<std::mutex> look(shared.looking, std::try_to_lock); look)
      shared.was_busy.store(shared.is_busy(), std::memory_order_relaxed);
    return !shared.was_busy.load(std::memory_order_relaxed);
  }

  /// Runs actors on the calling thread, where there is something for them and their own thread sleeps, until
  /// nothing is left or the time is over.
  template <class Coordinator>
  static void run_lent(Coordinator* self) {
    auto& shared = self->data();
    std::unique_lock<std::mutex> guard(shared.mutex);
    if (!shared.sleeping || shared.lent || shared.arrived.empty())
      return;
    shared.lent = true;
    auto* const worker = self->worker_by_id(0);
    auto& ready = worker->data().ready;
    const auto until = std::chrono::steady_clock::now() + lent_time_max;
    for (;;) {
      ready.insert(ready.end(), shared.arrived.begin(), shared.arrived.end());
      shared.arrived.clear();
      shared.has_arrived.store(false, std::memory_order_relaxed);
      if (ready.empty())
        break;
      // What is no actor is the end of the worker, who must meet it himself.
      if (ready.front()->subtype() != caf::resumable::scheduled_actor ||
          std::chrono::steady_clock::now() >= until) {
        shared.sleeping = false;
        shared.woken.notify_one();
        break;
      }
      guard.unlock();
      do {
        auto* const job = ready.front();
        ready.pop_front();
        if (job->resume(worker, lent_messages_max) == caf::resumable::resume_later)
          ready.push_back(job);
        else
          caf::intrusive_ptr_release(job);
      } while (!ready.empty() && !shared.has_arrived.load(std::memory_order_relaxed) &&
               ready.front()->subtype() == caf::resumable::scheduled_actor &&
               std::chrono::steady_clock::now() < until);
      guard.lock();
    }
    shared.lent = false;
  }

  template <class Worker, class Function>
  void foreach_resumable(Worker* self, Function visit) {
    auto& ready = d(self).ready;
    for (; !ready.empty(); ready.pop_front())
      visit(ready.front());
  }

  template <class Coordinator, class Function>
  void foreach_central_resumable(Coordinator* self, Function visit) {
    auto& shared = d(self);
    // What is visited may have work for others.
    for (;;) {
      std::vector<caf::resumable*> left;
      {
        std::lock_guard<std::mutex> guard(shared.mutex);
        left.swap(shared.arrived);
      }
      if (left.empty())
        return;
      for (auto* const job : left)
        visit(job);
    }
  }
};

} // namespace task_runner
