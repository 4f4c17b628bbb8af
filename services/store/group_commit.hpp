// The thread that owns the store: submissions from any thread, as many as wait share one durable transaction.
// While one transaction is being made durable the next one gathers; what nobody waits for gathers a bit
// longer.
#pragma once

#include "services/domain/result.hpp"
#include "services/ports/queue_store.hpp"
#include "services/ports/store_writer.hpp"
#include "services/ports/thread_lender.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace task_runner {

/// The bounds of a group_commit. What is queued and what is being committed count together.
struct group_commit_limits {
  /// Operations (and reads, one each) that may wait; beyond it `overloaded`.
  uint64_t queued_operations_max = 65'536;
  /// Bytes of their texts; beyond it `overloaded`, but an empty queue takes any one submission.
  uint64_t queued_bytes_max = uint64_t{256} * 1'048'576;
  /// A transaction takes no further submission that would bring it over either number. One submission is
  /// never divided.
  uint64_t transaction_operations_max = 4'096;
  uint64_t transaction_bytes_max = uint64_t{16} * 1'048'576;
  /// What was submitted patiently waits until this long after the commit before, microseconds, or until so
  /// many operations wait, or something else does; but only while `is_busy` says that the machine has no
  /// processor time to spare: otherwise what follows from the commit would be held up for nothing. Null: it
  /// never waits. Called by the writer's thread alone.
  int64_t patience_us = 8'000;
  uint64_t patient_operations_max = 128;
  /// While the latest commit has failed and nobody submits, the store is tried this often, milliseconds, so
  /// that its recovery shows.
  int64_t trial_ms = 3'000;
  std::function<bool()> is_busy;
};

/// What the writer thread has done so far, and how it fares. One consistent moment.
struct group_commit_counters {
  /// Transactions that were committed, and the operations in them.
  uint64_t commits = 0;
  uint64_t operations = 0;
  /// Attempts to commit that failed.
  uint64_t failed_commits = 0;
  uint64_t reads = 0;
  /// Submissions and reads refused as `overloaded`.
  uint64_t refused = 0;
  /// Operations and bytes that wait or are being committed.
  uint64_t queue_depth = 0;
  uint64_t queue_bytes = 0;
  /// Whether the latest attempt to commit failed because the store was `unavailable`: then the daemon is not
  /// ready. The next commit that succeeds clears it, which may be a trial.
  bool last_commit_failed = false;
  /// The message of the latest failure, kept after it is over; empty when there was none.
  std::string last_error;
};

/// Owns a store and its one thread, "tr-store". All members are thread-safe.
///
/// When a shared transaction fails, nobody's operations have been applied. If the store is `unavailable`
/// (full, busy, damaged), that is nobody's fault and every submission in the transaction gets that error at
/// once: trying a sick disk again for each of them would only make all wait longer, and they may be submitted
/// again. Any other error (`invalid_argument`, `too_large`, `internal`) lies in one submission: each is then
/// tried alone, in order, and the faulty one alone fails.
class group_commit final : public store_writer {
public:
  /// Takes the store over and starts the thread. `unavailable` when the system gives no thread.
  static result<std::unique_ptr<group_commit>> start(std::unique_ptr<queue_store> store,
                                                     group_commit_limits limits = {});

  /// Stops.
  ~group_commit() override;
  group_commit(const group_commit&) = delete;
  group_commit& operator=(const group_commit&) = delete;

  /// Queues operations that are applied in order and together: all or none. `done` is called exactly once
  /// when this succeeds, in order of submission, after the commit; it is never called when this fails:
  /// `overloaded` at a bound (submit again later, or in smaller parts), `draining` after stop().
  /// Never blocks on the disk.
  result<void> submit(std::vector<store_operation> operations, store_completion done) override;

  /// As submit; see group_commit_limits::patience_us.
  result<void> submit_patiently(std::vector<store_operation> operations, store_completion done) override;

  /// Queues a job that sees everything that was submitted before it and nothing submitted later. Errors as
  /// submit.
  result<void> read(store_read_job job) override;

  /// From now on completions are called on a thread that is lent to what follows from them, unless something
  /// waits to be committed by then. Null: no longer. It must live until the thread has ended.
  void lend_to(thread_lender* lender) noexcept { lender_.store(lender, std::memory_order_release); }

  group_commit_counters counters() const;

  /// Takes nothing new, finishes everything queued, ends the thread and closes the store. Idempotent; returns
  /// when the file is closed, whoever called first. REQUIRES: not called on the writer thread.
  void stop();

private:
  /// One thing to do, in the order of arrival.
  struct entry {
    std::vector<store_operation> operations;
    store_completion done;
    /// Set for a read; then there are no operations.
    store_read_job job;
    bool patient = false;
    /// What it counts against the bounds; an empty submission counts as one.
    uint64_t weight = 1;
    uint64_t bytes = 0;
  };

  group_commit(std::unique_ptr<queue_store> store, group_commit_limits limits);

  static entry make_entry(std::vector<store_operation> operations, store_completion done);
  result<void> enqueue(entry item);
  void run();
  /// Takes the next read, or as many submissions as fit one transaction. Empty when it is time to end, or to
  /// try the store.
  std::vector<entry> next_group();
  void perform_read(entry item);
  void commit_group(std::vector<entry> group);
  bool is_stopping() const;
  /// Commits what nobody sees.
  void try_store();
  /// Something was committed. REQUIRES: mutex_ is held.
  void note_success();
  /// Calls `news`, which completes entries; on a thread that is lent, unless more waits to be committed.
  void tell(const std::function<void()>& news);
  /// One transaction, with the counters kept.
  result<std::vector<store_answer>> commit(const std::vector<store_operation>& operations);
  /// Takes the entry off the bounds, then tells its owner.
  void complete(entry& item, result<std::vector<store_answer>> answers);
  void release(const entry& item);

  const group_commit_limits limits_;
  std::atomic<thread_lender*> lender_{nullptr};
  /// Used by the writer thread only, once it runs.
  std::unique_ptr<queue_store> store_;
  std::chrono::steady_clock::time_point last_commit_{};

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<entry> queue_;
  /// Entries in the queue that are not patient.
  uint64_t impatient_ = 0;
  /// The thread waits for more to share a commit with what is patient.
  bool gathering_ = false;
  bool stopping_ = false;
  group_commit_counters counters_;

  /// Held while joining, so that every caller of stop() returns after the end.
  std::mutex join_mutex_;
  std::thread thread_;
};

} // namespace task_runner
