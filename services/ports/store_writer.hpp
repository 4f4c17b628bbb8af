// The store as the actors see it: operations go in, answers come back by callback, nobody waits.
// Implemented by the group commit thread, which owns the queue_store behind it.
#pragma once

#include "services/ports/queue_store.hpp"

#include <functional>
#include <utility>
#include <vector>

namespace task_runner {

/// Hears of one submission: the answers one by one, or why none of its operations was applied. Called once,
/// on the writer's thread, after the commit; must not block or throw. May submit and read.
using store_completion = std::function<void(result<std::vector<store_answer>>)>;

/// Uses the store on the writer's thread; must be short and not throw. May submit and read.
using store_read_job = std::function<void(queue_store&)>;

/// Takes operations and reads for the store. Thread-safe; never blocks.
class store_writer {
public:
  virtual ~store_writer() = default;

  /// Operations to be committed together, after everything submitted before them. On an error (`overloaded`:
  /// the bounded queue is full; `draining`: stopped) `done` is not called.
  virtual result<void> submit(std::vector<store_operation> operations, store_completion done) = 0;

  /// As submit, for what nobody waits for at the moment: when there was a commit just now and the machine is
  /// busy, the next one may be put off by some milliseconds, so that more shares it. Any other submission
  /// ends the wait.
  virtual result<void> submit_patiently(std::vector<store_operation> operations, store_completion done) {
    return submit(std::move(operations), std::move(done));
  }

  /// A read, after everything submitted before it has been committed. The job runs on the writer's thread and
  /// holds up commits meanwhile: keep it short. Errors as for submit.
  virtual result<void> read(store_read_job job) = 0;
};

} // namespace task_runner
