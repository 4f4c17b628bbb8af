// The stretch of a channel's backlog that stands in memory, in order of execution.
// It knows where it ends and how many tasks wait in all, so that memory does not grow with the backlog.
#pragma once

#include "services/ports/queue_store.hpp"

#include <cstdint>
#include <iterator>
#include <map>
#include <utility>
#include <vector>

namespace task_runner {

/// Invariant: it holds every pending task in line up to end() in the order of execution, and is complete
/// exactly when it holds as many as are counted. NOT thread-safe.
class queue_window {
public:
  using tasks = std::map<order_key, task>;

  explicit queue_window(window_limits limits)
      : limits_(limits) {}

  /// Forgets the tasks, so that they are read anew, and counts this many in the store.
  void reset(uint64_t count);

  /// Counts a task that has become pending, and takes it in unless it stands behind the window. What finds no
  /// room, or is pushed out or replaced by it, is handed to `left`; the store has it.
  template <class Function>
  void enter(task value, Function left) {
    const bool complete = is_complete();
    ++count_;
    const auto key = order_of(value);
    if (!complete && end_ < key) {
      left(value);
      return;
    }
    if (end_ < key)
      end_ = key;
    if (const auto present = tasks_.find(key); present != tasks_.end())
      left(extract(present));
    put(std::move(value));
    while (tasks_.size() > 1 && (tasks_.size() > limits_.tasks_max || bytes_ > limits_.bytes_max)) {
      left(extract(std::prev(tasks_.end())));
      end_ = tasks_.rbegin()->first;
    }
  }

  /// Takes in a task that has been read behind the window and is counted already.
  void append(task value);
  /// What was read reaches up to here.
  void extend(order_key end) noexcept;

  /// Takes a task out; it no longer counts.
  task take(tasks::iterator position);
  /// A pending task that may stand behind the window no longer counts; takes it out where it does not.
  void remove(order_key key);

  tasks::iterator begin() noexcept { return tasks_.begin(); }
  tasks::iterator end_of_tasks() noexcept { return tasks_.end(); }
  tasks::const_iterator begin() const noexcept { return tasks_.begin(); }
  tasks::const_iterator end_of_tasks() const noexcept { return tasks_.end(); }
  /// The first task, or nullptr.
  const task* front() const noexcept { return tasks_.empty() ? nullptr : &tasks_.begin()->second; }
  /// The task at this place, or nullptr.
  task* find(order_key key) noexcept;
  const task* find(order_key key) const noexcept;
  /// How many tasks of the window stand before this place: all that do where the window reaches up to it
  /// (holds_up_to), the least that do elsewhere.
  uint64_t count_before(order_key key) const noexcept;
  /// The first tasks, at most `limit`.
  std::vector<task> first(size_t limit) const;

  size_t size() const noexcept { return tasks_.size(); }
  bool empty() const noexcept { return tasks_.empty(); }
  /// Pending tasks in line, in the window and behind it.
  uint64_t count() const noexcept { return count_; }
  void set_count(uint64_t count) noexcept { count_ = count; }
  bool is_complete() const noexcept { return tasks_.size() == count_; }
  order_key end() const noexcept { return end_; }
  /// Whether every task in line up to this place stands in the window.
  bool holds_up_to(order_key key) const noexcept { return is_complete() || !(end_ < key); }
  /// Changes with every reset: what was read for an older one is not for this window.
  uint64_t generation() const noexcept { return generation_; }

private:
  void put(task value);
  task extract(tasks::iterator position);

  window_limits limits_;
  tasks tasks_;
  uint64_t bytes_ = 0;
  /// Every pending task up to this place stands in the window; what is behind it may be in the store alone.
  order_key end_ = order_front;
  uint64_t count_ = 0;
  uint64_t generation_ = 0;
};

} // namespace task_runner
