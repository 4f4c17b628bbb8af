// How many dead letters each channel has, for whoever shows it: the store counts them, and says so after each
// commit that changed it. Nobody has to wait for the store, or for a disk, to know it.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>

namespace task_runner {

/// Tasks in the state dead, by channel, those of removed channels too. Thread-safe. As large as there are
/// channels with such tasks.
class dead_letter_counts {
public:
  /// So many more, or fewer, are there now.
  void add(const std::string& channel, int64_t change) {
    const std::lock_guard lock(mutex_);
    const auto at = counts_.try_emplace(channel, 0).first;
    at->second += change;
    if (at->second == 0)
      counts_.erase(at);
  }

  /// These are all there are.
  void set(std::map<std::string, int64_t> counts) {
    const std::lock_guard lock(mutex_);
    counts_ = std::move(counts);
  }

  uint64_t of(const std::string& channel) const {
    const std::lock_guard lock(mutex_);
    const auto at = counts_.find(channel);
    return at == counts_.end() ? 0 : static_cast<uint64_t>(at->second);
  }

  /// Channels that have some.
  std::map<std::string, int64_t> all() const {
    const std::lock_guard lock(mutex_);
    return counts_;
  }

private:
  mutable std::mutex mutex_;
  std::map<std::string, int64_t> counts_;
};

} // namespace task_runner
