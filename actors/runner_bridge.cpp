// From the process port's thread to the executors.
#include "actors/runner_bridge.hpp"

#include <caf/all.hpp>

#include <utility>
#include <variant>

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
  on_events({event});
}

void runner_bridge::on_ended(const attempt_ended& event) {
  on_events({event});
}

void runner_bridge::on_events(std::vector<attempt_event> events) {
  std::unordered_map<std::string, attempts_progressed> by_channel;
  for (auto& one : events) {
    if (const auto* ended = std::get_if<attempt_ended>(&one); ended != nullptr && observer_)
      observer_(*ended);
    const auto& channel =
        std::visit([](const auto& event) -> const std::string& { return event.channel; }, one);
    auto& part = by_channel[channel].events;
    part.push_back(std::move(one));
  }
  const auto tell = [&] {
    for (auto& [channel, part] : by_channel)
      if (auto executor = executor_of(channel))
        caf::anon_send(executor, std::move(part));
  };
  if (lender_ != nullptr)
    lender_->lend(tell);
  else
    tell();
}

executor_actor runner_bridge::executor_of(const std::string& channel) const {
  std::lock_guard<std::mutex> guard(mutex_);
  const auto found = executors_.find(channel);
  return found == executors_.end() ? executor_actor{} : found->second;
}

} // namespace task_runner
