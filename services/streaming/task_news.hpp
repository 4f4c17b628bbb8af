// One observer of tasks for several.
#pragma once

#include "services/ports/task_observer.hpp"

#include <utility>
#include <vector>

namespace task_runner {

/// Hands events on to those who are interested. Thread-safe; the observers must outlive it.
class task_news final : public task_observer {
public:
  explicit task_news(std::vector<task_observer*> observers)
      : observers_(std::move(observers)) {}

  bool is_interested() const noexcept override {
    for (const auto* one : observers_)
      if (one->is_interested())
        return true;
    return false;
  }

  void on_task_events(const std::vector<task_event>& events) override {
    for (auto* one : observers_)
      if (one->is_interested())
        one->on_task_events(events);
  }

private:
  const std::vector<task_observer*> observers_;
};

} // namespace task_runner
