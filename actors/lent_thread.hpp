// Threads that bring news for actors run these actors themselves, as long as the actors' own thread sleeps.
// That spares the way over another thread, which on an idle machine takes longer than what the actors do.
#pragma once

#include "services/ports/thread_lender.hpp"

#include <caf/fwd.hpp>

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>

namespace task_runner {

/// From now on threads may be lent to the actors of that system, while `is_busy` says that the machine has
/// processor time to spare. It is called often, by any thread, one at a time. Until then, and in a system
/// with another scheduler, lent_thread does nothing. To be called once.
void allow_lending(caf::actor_system& system, std::function<bool()> is_busy);

/// Lends the calling thread to the actors of a system: what is sent to them while it lives wakes nobody, and
/// is done at its end on this very thread, for lent_time_max at most; then their own thread goes on. Where
/// that thread is awake, or another one is lent already, nothing but the sending happens here; neither on a
/// busy machine.
///
/// REQUIRES: the thread holds no lock that an actor, or what an actor calls, might want; the system outlives
/// it. One inside of another does nothing.
class lent_thread {
public:
  explicit lent_thread(caf::actor_system& system);
  ~lent_thread();
  lent_thread(const lent_thread&) = delete;
  lent_thread& operator=(const lent_thread&) = delete;

private:
  /// The scheduler of the system; null where there is nothing to do.
  void* scheduler_ = nullptr;
};

/// Lends the threads of services, which know no actors. Thread-safe.
class actor_thread_lender final : public thread_lender {
public:
  /// From now on threads are lent to that system.
  void attach(caf::actor_system& system);

  /// From now on none is lent; returns when none is. REQUIRES: not called on a lent thread.
  void detach();

  void lend(const std::function<void()>& tell) override;

private:
  /// Takes a thread off the count when it is back.
  class returning {
  public:
    explicit returning(actor_thread_lender& lender) noexcept
        : lender_(lender) {}
    ~returning();
    returning(const returning&) = delete;
    returning& operator=(const returning&) = delete;

  private:
    actor_thread_lender& lender_;
  };

  std::mutex mutex_;
  std::condition_variable returned_;
  caf::actor_system* system_ = nullptr;
  /// Threads that are lent now.
  size_t lent_ = 0;
};

} // namespace task_runner
