// A service's thread that has news for others lets them do there what follows from it.
// Without one, news goes to a thread of theirs, which has to be woken first.
#pragma once

#include <functional>

namespace task_runner {

/// Takes the calling thread for a moment. Thread-safe.
class thread_lender {
public:
  virtual ~thread_lender() = default;

  /// Calls `tell`, once and on this thread, which hands over the news; then does here, for a bounded time,
  /// what follows from it. REQUIRES: no lock is held that is taken by anything a service offers to actors.
  virtual void lend(const std::function<void()>& tell) = 0;
};

} // namespace task_runner
