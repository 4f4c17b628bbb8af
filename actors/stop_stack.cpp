// Unwinding of services under a watchdog.
#include "actors/stop_stack.hpp"

#include "services/observability/log.hpp"

#include <unistd.h>

namespace task_runner {

void stop_stack::unwind() {
  if (stops_.empty())
    return;
  std::thread watchdog([this] { watch(); });
  while (!stops_.empty()) {
    auto last = std::move(stops_.back());
    stops_.pop_back();
    {
      std::lock_guard<std::mutex> guard(mutex_);
      current_ = last.name;
    }
    log_event(log_level::debug, "stopping", {{"service", last.name}});
    last.stop();
  }
  {
    std::lock_guard<std::mutex> guard(mutex_);
    done_ = true;
  }
  finished_.notify_all();
  watchdog.join();
}

void stop_stack::watch() {
  std::unique_lock<std::mutex> guard(mutex_);
  if (finished_.wait_for(guard, deadline_, [this] { return done_; }))
    return;
  log_event(log_level::error,
            "the shutdown hangs; the process is ended. Running commands are with the launcher.",
            {{"service", current_}});
  flush_log();
  ::_exit(1);
}

} // namespace task_runner
