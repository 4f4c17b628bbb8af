// The way in, as a source sees it: a batch of pushes, and one completion when every one of them is decided.
// Implemented by the actor system; tests of sources use a fake.
#pragma once

#include "services/domain/push.hpp"

#include <vector>

namespace task_runner {

/// Takes pushes from a source's own thread. Thread-safe; never blocks.
class push_sink {
public:
  virtual ~push_sink() = default;

  /// Submits a batch. `done` is called exactly once, when each item is durably accepted, found to be a
  /// duplicate, or refused; from any thread, also from the caller's own before this returns: no lock that
  /// `done` takes may be held meanwhile. A reply with failure `unavailable`, `overloaded`, `draining`,
  /// `timeout` or `queue_full` means: not decided, submit it again later.
  virtual void push(std::vector<push_item> items, push_completion done) = 0;
};

} // namespace task_runner
