// Log lines about rejected messages, at most a few a second, so that a flood cannot fill the disk.
// Every rejected message still stands in its Redis list and in the counts.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace task_runner {

/// Writes warnings up to a bound per second and counts the others, which one line sums up when the second is
/// over. Not thread-safe.
class rejection_log {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// Lines per second; those beyond are counted.
  static constexpr uint32_t lines_per_second_max = 5;

  void add(time_point now, std::string_view intake_key, std::string_view reason);
  /// Writes the sum when its second is over.
  void flush(time_point now);
  /// When `flush` has something to write.
  std::optional<time_point> due() const;

private:
  time_point window_start_{};
  uint32_t lines_ = 0;
  uint64_t suppressed_ = 0;
};

} // namespace task_runner
