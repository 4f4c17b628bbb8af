// The writer thread.
// It sleeps on a condition variable while there is nothing to do, and waits for more only where nobody waits
// for what it has.
#include "services/store/group_commit.hpp"

#include "services/observability/log.hpp"
#include "services/store/store_rules.hpp"

#include <algorithm>
#include <cassert>
#include <exception>
#include <iterator>
#include <pthread.h>
#include <system_error>
#include <utility>

namespace task_runner {

namespace {

/// As `ps -L` and debuggers show it; at most 15 characters.
constexpr const char* thread_name = "tr-store";

/// Runs code that belongs to someone else. Letting its exception end the thread would take the store away
/// from everybody, so the defect is reported and the thread goes on.
template <class Work>
void run_foreign(const char* whose, const Work& work) noexcept {
  try {
    work();
  } catch (const std::exception& failure) {
    log_event(log_level::error, "defect: an exception on the store's thread",
              {{"thrown_by", whose}, {"exception", failure.what()}});
  }
}

} // namespace

result<std::unique_ptr<group_commit>> group_commit::start(std::unique_ptr<queue_store> store,
                                                          group_commit_limits limits) {
  assert(store != nullptr);
  std::unique_ptr<group_commit> made(new group_commit(std::move(store), std::move(limits)));
  try {
    made->thread_ = std::thread([raw = made.get()] { raw->run(); });
  } catch (const std::system_error& failure) {
    return error{error_code::unavailable, std::string("the store's thread cannot be started: ") +
                                              failure.what() + "; raise the limit of processes (ulimit -u)"};
  }
  return made;
}

group_commit::group_commit(std::unique_ptr<queue_store> store, group_commit_limits limits)
    : limits_(std::move(limits))
    , store_(std::move(store)) {}

group_commit::~group_commit() {
  stop();
}

void group_commit::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  const std::lock_guard joining(join_mutex_);
  assert(thread_.get_id() != std::this_thread::get_id());
  if (thread_.joinable())
    thread_.join();
}

group_commit::entry group_commit::make_entry(std::vector<store_operation> operations, store_completion done) {
  entry item;
  item.weight = std::max<uint64_t>(operations.size(), 1);
  for (const auto& operation : operations)
    item.bytes += counted_bytes(operation);
  item.operations = std::move(operations);
  item.done = std::move(done);
  return item;
}

result<void> group_commit::submit(std::vector<store_operation> operations, store_completion done) {
  return enqueue(make_entry(std::move(operations), std::move(done)));
}

result<void> group_commit::submit_patiently(std::vector<store_operation> operations, store_completion done) {
  auto item = make_entry(std::move(operations), std::move(done));
  item.patient = true;
  return enqueue(std::move(item));
}

result<void> group_commit::read(store_read_job job) {
  entry item;
  item.job = std::move(job);
  return enqueue(std::move(item));
}

result<void> group_commit::enqueue(entry item) {
  bool wake = true;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_)
      return error{error_code::draining, "the daemon is stopping; the store takes nothing new"};
    const bool too_many = item.weight > limits_.queued_operations_max ||
                          counters_.queue_depth > limits_.queued_operations_max - item.weight;
    const bool too_large =
        counters_.queue_depth > 0 && counters_.queue_bytes + item.bytes > limits_.queued_bytes_max;
    if (too_many || too_large) {
      ++counters_.refused;
      return error{error_code::overloaded,
                   "the store's queue is full: " + std::to_string(counters_.queue_depth) + " operations of " +
                       std::to_string(counters_.queue_bytes) + " bytes wait, " + std::to_string(item.weight) +
                       " of " + std::to_string(item.bytes) + " bytes were to be added, " +
                       std::to_string(limits_.queued_operations_max) + " and " +
                       std::to_string(limits_.queued_bytes_max) + " are allowed; try again shortly"};
    }
    counters_.queue_depth += item.weight;
    counters_.queue_bytes += item.bytes;
    if (!item.patient)
      ++impatient_;
    // Nothing would come of it otherwise: the thread would look, and wait on.
    wake = !gathering_ || !item.patient || counters_.queue_depth >= limits_.patient_operations_max;
    queue_.push_back(std::move(item));
  }
  if (wake)
    wake_.notify_one();
  return {};
}

group_commit_counters group_commit::counters() const {
  const std::lock_guard lock(mutex_);
  return counters_;
}

void group_commit::run() {
  pthread_setname_np(pthread_self(), thread_name);
  for (;;) {
    auto group = next_group();
    if (group.empty()) {
      if (is_stopping())
        break;
      try_store();
      continue;
    }
    if (group.front().job)
      perform_read(std::move(group.front()));
    else
      commit_group(std::move(group));
  }
  // Closed here, on the thread that used it, so that the file is complete when stop() returns.
  store_.reset();
}

std::vector<group_commit::entry> group_commit::next_group() {
  std::vector<entry> group;
  std::unique_lock lock(mutex_);
  const auto has_work = [this] { return stopping_ || !queue_.empty(); };
  if (!counters_.last_commit_failed)
    wake_.wait(lock, has_work);
  else if (!wake_.wait_for(lock, std::chrono::milliseconds(limits_.trial_ms), has_work))
    return group;
  const auto hurried = [this] {
    return stopping_ || impatient_ > 0 || counters_.queue_depth >= limits_.patient_operations_max;
  };
  const auto patient_until = last_commit_ + std::chrono::microseconds(limits_.patience_us);
  if (limits_.is_busy && !hurried() && std::chrono::steady_clock::now() < patient_until) {
    // It reads a file, which nobody who submits has to wait for.
    lock.unlock();
    const bool busy = limits_.is_busy();
    lock.lock();
    if (busy) {
      gathering_ = true;
      wake_.wait_until(lock, patient_until, hurried);
      gathering_ = false;
    }
  }
  uint64_t weight = 0;
  uint64_t bytes = 0;
  while (!queue_.empty()) {
    entry& next = queue_.front();
    const bool fits = weight + next.weight <= limits_.transaction_operations_max &&
                      bytes + next.bytes <= limits_.transaction_bytes_max && !next.job;
    if (!group.empty() && !fits)
      break;
    weight += next.weight;
    bytes += next.bytes;
    if (!next.patient)
      --impatient_;
    group.push_back(std::move(next));
    queue_.pop_front();
    if (group.front().job)
      break;
  }
  return group;
}

void group_commit::perform_read(entry item) {
  run_foreign("a read", [&] { item.job(*store_); });
  const std::lock_guard lock(mutex_);
  ++counters_.reads;
  counters_.queue_depth -= item.weight;
}

bool group_commit::is_stopping() const {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

void group_commit::try_store() {
  result<void> tried = error{error_code::internal, "defect: the store threw an exception"};
  run_foreign("the store", [&] { tried = store_->try_commit(); });
  const std::lock_guard lock(mutex_);
  if (tried)
    note_success();
  else
    counters_.last_error = tried.failure().message;
}

void group_commit::note_success() {
  if (std::exchange(counters_.last_commit_failed, false))
    log_event(log_level::info, "the store works again");
}

result<std::vector<store_answer>> group_commit::commit(const std::vector<store_operation>& operations) {
  // What a store throws against its word (memory ran out, say) must not cost the daemon its store.
  result<std::vector<store_answer>> answers =
      error{error_code::internal, "defect: the store threw an exception; nothing was changed"};
  run_foreign("the store", [&] { answers = store_->apply(operations); });
  last_commit_ = std::chrono::steady_clock::now();
  const std::lock_guard lock(mutex_);
  if (answers) {
    ++counters_.commits;
    counters_.operations += operations.size();
    note_success();
  } else {
    ++counters_.failed_commits;
    // A faulty submission says nothing about the store: what it was before, it still is.
    if (answers.failure().code == error_code::unavailable)
      counters_.last_commit_failed = true;
    counters_.last_error = answers.failure().message;
  }
  return answers;
}

void group_commit::release(const entry& item) {
  const std::lock_guard lock(mutex_);
  counters_.queue_depth -= item.weight;
  counters_.queue_bytes -= item.bytes;
}

void group_commit::complete(entry& item, result<std::vector<store_answer>> answers) {
  // First off the bounds, then told: who submits again from the completion finds room.
  release(item);
  if (item.done)
    run_foreign("a completion", [&] { item.done(std::move(answers)); });
}

void group_commit::tell(const std::function<void()>& news) {
  auto* const lender = lender_.load(std::memory_order_acquire);
  bool has_more = false;
  if (lender != nullptr) {
    const std::lock_guard lock(mutex_);
    has_more = !queue_.empty();
  }
  if (lender != nullptr && !has_more)
    run_foreign("what follows from a commit", [&] { lender->lend(news); });
  else
    news();
}

void group_commit::commit_group(std::vector<entry> group) {
  if (group.size() == 1) {
    auto answers = commit(group.front().operations);
    tell([&] { complete(group.front(), std::move(answers)); });
    return;
  }

  std::vector<size_t> sizes;
  std::vector<store_operation> together;
  sizes.reserve(group.size());
  for (const auto& item : group)
    sizes.push_back(item.operations.size());
  for (auto& item : group)
    together.insert(together.end(), std::make_move_iterator(item.operations.begin()),
                    std::make_move_iterator(item.operations.end()));
  auto shared = commit(together);

  if (shared) {
    tell([&] {
      auto next = std::make_move_iterator(shared->begin());
      for (size_t i = 0; i < group.size(); ++i) {
        const auto end = next + static_cast<std::ptrdiff_t>(sizes[i]);
        complete(group[i], std::vector<store_answer>(next, end));
        next = end;
      }
    });
    return;
  }

  error why = shared.failure();
  auto next = std::make_move_iterator(together.begin());
  for (size_t i = 0; i < group.size(); ++i) {
    const auto end = next + static_cast<std::ptrdiff_t>(sizes[i]);
    if (why.code == error_code::unavailable) {
      complete(group[i], why);
    } else {
      auto alone = commit(std::vector<store_operation>(next, end));
      // Should the store fail meanwhile, the rest shares its error.
      if (!alone && alone.failure().code == error_code::unavailable)
        why = alone.failure();
      complete(group[i], std::move(alone));
    }
    next = end;
  }
}

} // namespace task_runner
