// The window onto a channel's backlog.
#include "actors/queue_window.hpp"

#include <algorithm>
#include <utility>

namespace task_runner {

namespace {

/// What a task weighs against window_limits::bytes_max, roughly.
uint64_t weight_of(const task& value) {
  uint64_t bytes =
      sizeof(task) + value.name.size() + value.command.line.size() + 2 * value.distinct_key.size();
  for (const auto& argument : value.command.argv)
    bytes += sizeof(std::string) + argument.size();
  if (value.options && value.options->environment.input)
    bytes += value.options->environment.input->size();
  return bytes;
}

} // namespace

void queue_window::reset(uint64_t count) {
  tasks_.clear();
  bytes_ = 0;
  end_ = order_front;
  count_ = count;
  ++generation_;
}

void queue_window::append(task value) {
  const auto key = order_of(value);
  extend(key);
  if (const auto present = tasks_.find(key); present != tasks_.end())
    extract(present);
  put(std::move(value));
}

void queue_window::extend(order_key end) noexcept {
  if (end_ < end)
    end_ = end;
}

task queue_window::take(tasks::iterator position) {
  --count_;
  return extract(position);
}

void queue_window::remove(order_key key) {
  const auto found = tasks_.find(key);
  if (found != tasks_.end())
    take(found);
  else if (!is_complete())
    --count_;
}

task* queue_window::find(order_key key) noexcept {
  const auto found = tasks_.find(key);
  return found == tasks_.end() ? nullptr : &found->second;
}

const task* queue_window::find(order_key key) const noexcept {
  const auto found = tasks_.find(key);
  return found == tasks_.end() ? nullptr : &found->second;
}

uint64_t queue_window::count_before(order_key key) const noexcept {
  return static_cast<uint64_t>(std::distance(tasks_.begin(), tasks_.lower_bound(key)));
}

std::vector<task> queue_window::first(size_t limit) const {
  std::vector<task> found;
  found.reserve(std::min(limit, tasks_.size()));
  for (const auto& [key, value] : tasks_) {
    if (found.size() == limit)
      break;
    found.push_back(value);
  }
  return found;
}

void queue_window::put(task value) {
  const auto key = order_of(value);
  bytes_ += weight_of(value);
  value.state = task_state::pending;
  tasks_.emplace(key, std::move(value));
}

task queue_window::extract(tasks::iterator position) {
  auto value = std::move(tasks_.extract(position).mapped());
  bytes_ -= weight_of(value);
  return value;
}

} // namespace task_runner
