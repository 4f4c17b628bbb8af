// Lending of threads, on top of one_thread_policy.
#include "actors/lent_thread.hpp"

#include "actors/scheduler.hpp"

#include <caf/all.hpp>

#include <utility>

namespace task_runner {

namespace {

using coordinator = caf::scheduler::coordinator<one_thread_policy>;

/// Null for a scheduler of another kind, as tests have it.
coordinator* coordinator_of(caf::actor_system& system) {
  return dynamic_cast<coordinator*>(&system.scheduler());
}

} // namespace

void allow_lending(caf::actor_system& system, std::function<bool()> is_busy) {
  auto* const scheduler = coordinator_of(system);
  if (scheduler == nullptr)
    return;
  auto& shared = scheduler->data();
  {
    const std::lock_guard look(shared.looking);
    shared.is_busy = std::move(is_busy);
  }
  shared.lends.store(true, std::memory_order_release);
}

lent_thread::lent_thread(caf::actor_system& system) {
  auto* const scheduler = coordinator_of(system);
  auto& to = one_thread_policy::lending();
  if (scheduler == nullptr || to != nullptr || !one_thread_policy::lends_now(scheduler->data()))
    return;
  scheduler_ = scheduler;
  to = &scheduler->data();
}

lent_thread::~lent_thread() {
  if (scheduler_ == nullptr)
    return;
  one_thread_policy::run_lent(static_cast<coordinator*>(scheduler_));
  one_thread_policy::lending() = nullptr;
}

void actor_thread_lender::attach(caf::actor_system& system) {
  const std::lock_guard lock(mutex_);
  system_ = &system;
}

void actor_thread_lender::detach() {
  std::unique_lock lock(mutex_);
  system_ = nullptr;
  returned_.wait(lock, [this] { return lent_ == 0; });
}

void actor_thread_lender::lend(const std::function<void()>& tell) {
  caf::actor_system* system = nullptr;
  {
    const std::lock_guard lock(mutex_);
    system = system_;
    lent_ += system != nullptr ? 1 : 0;
  }
  if (system == nullptr) {
    tell();
    return;
  }
  const returning back(*this);
  const lent_thread lent(*system);
  tell();
}

actor_thread_lender::returning::~returning() {
  // Told with the lock held: whoever waits for it may destroy the lender right after.
  const std::lock_guard lock(lender_.mutex_);
  if (--lender_.lent_ == 0)
    lender_.returned_.notify_all();
}

} // namespace task_runner
