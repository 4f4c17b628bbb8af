// What the router knows of the channels as a whole, readable from any thread without asking it.
// Readiness and /status must not depend on an actor that may be the one in trouble.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace task_runner {

/// Thread-safe.
class channel_facts {
public:
  /// The workers of all channels together.
  void set_workers(uint64_t count) noexcept { workers_.store(count, std::memory_order_relaxed); }
  uint64_t workers() const noexcept { return workers_.load(std::memory_order_relaxed); }

  /// Whether a channel is out of service, and works again.
  void set_failed(const std::string& channel, bool failed) {
    const std::lock_guard lock(mutex_);
    if (failed)
      failed_.insert(channel);
    else
      failed_.erase(channel);
  }
  std::vector<std::string> failed() const {
    const std::lock_guard lock(mutex_);
    return {failed_.begin(), failed_.end()};
  }

private:
  std::atomic<uint64_t> workers_{0};
  mutable std::mutex mutex_;
  std::set<std::string> failed_;
};

} // namespace task_runner
