// From the process port's thread to the executors.
#include "actors/runner_bridge.hpp"

#include <caf/all.hpp>

namespace task_runner {

void runner_bridge::attach(const std::string& channel, executor_actor executor) {
  std::lock_guard<std::mutex> guard(mutex_);
  executors_[channel] = std::move(executor);
}

void runner_bridge::detach(const std::string& channel) {
  std::lock_guard<std::mutex> guard(mutex_);
  executors_.erase(channel);
}

void runner_bridge::detach_all() {
  std::lock_guard<std::mutex> guard(mutex_);
  executors_.clear();
}

void runner_bridge::on_started(const attempt_started& event) {
  if (auto executor = executor_of(event.channel))
    caf::anon_send(executor, process_started{event});
}

void runner_bridge::on_ended(const attempt_ended& event) {
  if (observer_)
    observer_(event);
  if (auto executor = executor_of(event.channel))
    caf::anon_send(executor, process_ended{event});
}

executor_actor runner_bridge::executor_of(const std::string& channel) const {
  std::lock_guard<std::mutex> guard(mutex_);
  const auto found = executors_.find(channel);
  return found == executors_.end() ? executor_actor{} : found->second;
}

} // namespace task_runner
