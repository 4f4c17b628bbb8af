// Unwinding of services under a watchdog.
#include "actors/stop_stack.hpp"

#include "services/observability/log.hpp"

#include <exception>
#include <unistd.h>

namespace task_runner {

stop_stack::stop_stack(std::chrono::seconds deadline)
    : deadline_(deadline)
    , watchdog_([this] { watch(); }) {}

stop_stack::~stop_stack() {
  unwind();
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    over_ = true;
  }
  changed_.notify_all();
  watchdog_.join();
}

void stop_stack::guard(const std::string& name, const std::function<void()>& step) {
  struct disarming {
    stop_stack& stack;
    ~disarming() { stack.disarm(); }
  } const at_the_end{*this};
  arm(name);
  step();
}

void stop_stack::unwind() {
  if (stops_.empty())
    return;
  arm(stops_.back().name);
  while (!stops_.empty()) {
    const auto last = std::move(stops_.back());
    stops_.pop_back();
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      current_ = last.name;
    }
    log_event(log_level::debug, "stopping", {{"service", last.name}});
    try {
      last.stop();
    } catch (const std::exception& failure) {
      log_event(log_level::error, "a service did not stop cleanly",
                {{"service", last.name}, {"reason", failure.what()}});
    }
  }
  disarm();
}

void stop_stack::arm(const std::string& doing) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    armed_ = true;
    until_ = std::chrono::steady_clock::now() + deadline_;
    current_ = doing;
  }
  changed_.notify_all();
}

void stop_stack::disarm() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    armed_ = false;
  }
  changed_.notify_all();
}

void stop_stack::watch() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (!over_) {
    if (!armed_) {
      changed_.wait(lock);
    } else if (changed_.wait_until(lock, until_) == std::cv_status::timeout && armed_ &&
               std::chrono::steady_clock::now() >= until_) {
      log_event(
          log_level::error,
          "the start or the shutdown hangs; the process is ended. Running commands are with the launcher.",
          {{"service", current_}});
      flush_log();
      ::_exit(1);
    }
  }
}

} // namespace task_runner
