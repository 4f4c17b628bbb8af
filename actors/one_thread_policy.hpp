// How CAF's one thread for actors gets its work: a policy of CAF's scheduler beside those it has itself.
// CAF's own sharing policy wakes that thread while it holds the lock which the thread then needs first, so
// that each wake costs two more switches; and it takes the lock for every message.
#pragma once

#include <caf/all.hpp>
#include <caf/policy/unprofiled.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <vector>

namespace task_runner {

/// For caf::scheduler::coordinator, with one worker. Actors run in the order in which they got something to
/// do; sleeping costs nothing. What is queued is bounded by the number of actors: each stands in it once.
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
  };

  struct worker_data {
    explicit worker_data(caf::scheduler::abstract_coordinator*) {}

    /// Touched by the worker's own thread alone.
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
      wake = shared.sleeping;
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
        shared.sleeping = shared.arrived.empty();
        shared.woken.wait(guard, [&] { return !shared.arrived.empty(); });
      }
      ready.insert(ready.end(), shared.arrived.begin(), shared.arrived.end());
      shared.arrived.clear();
      shared.has_arrived.store(false, std::memory_order_relaxed);
    }
    auto* const job = ready.front();
    ready.pop_front();
    return job;
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
