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
  /// `deadline`: how long unwinding as a whole, or one guarded step, may take before the process is ended
  /// with exit code 1. Starts the watchdog's thread now, because when the time to unwind comes, the reason
  /// may be that there are no more threads to be had. Throws std::system_error when there is none already.
  explicit stop_stack(std::chrono::seconds deadline);
  ~stop_stack();
  stop_stack(const stop_stack&) = delete;
  stop_stack& operator=(const stop_stack&) = delete;

  void push(std::string name, std::function<void()> stop) {
    stops_.push_back({std::move(name), std::move(stop)});
  }

  /// Runs a step of the start that may hang when resources are short. Exceptions pass through.
  void guard(const std::string& name, const std::function<void()>& step);

  /// Runs and removes all stops, last pushed first. A stop that throws is reported and counts as done.
  void unwind();

private:
  struct entry {
    std::string name;
    std::function<void()> stop;
  };

  void watch();
  /// Arms the watchdog for what is called `doing`, from now.
  void arm(const std::string& doing);
  void disarm();

  const std::chrono::seconds deadline_;
  std::vector<entry> stops_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool armed_ = false;
  bool over_ = false;
  std::chrono::steady_clock::time_point until_{};
  std::string current_;
  std::thread watchdog_;
};

} // namespace task_runner
