// Services are started in order, and each pushes its own stop; the stack unwinds them in reverse, named.
// A watchdog ends the process when one of them hangs, and says which.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace task_runner {

/// Not thread-safe but for the watchdog inside. Unwinds at the latest when destroyed.
class stop_stack {
public:
  /// `deadline`: how long unwinding as a whole may take before the process is ended with exit code 1.
  explicit stop_stack(std::chrono::seconds deadline)
      : deadline_(deadline) {}
  ~stop_stack() { unwind(); }
  stop_stack(const stop_stack&) = delete;
  stop_stack& operator=(const stop_stack&) = delete;

  void push(std::string name, std::function<void()> stop) {
    stops_.push_back({std::move(name), std::move(stop)});
  }

  /// Runs and removes all stops, last pushed first.
  void unwind();

private:
  struct entry {
    std::string name;
    std::function<void()> stop;
  };

  void watch();

  const std::chrono::seconds deadline_;
  std::vector<entry> stops_;
  std::mutex mutex_;
  std::condition_variable finished_;
  bool done_ = false;
  std::string current_;
};

} // namespace task_runner
