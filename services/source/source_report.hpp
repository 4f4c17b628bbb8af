// The health and the counts of a source: kept by its thread, read by others, told to the log once per change.
#pragma once

#include "services/source/source_status.hpp"

#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace task_runner {

/// What happened since the last call of `count`.
struct source_counts {
  uint64_t taken = 0;
  uint64_t recovered = 0;
  uint64_t accepted = 0;
  uint64_t duplicates = 0;
  uint64_t rejected = 0;
  int64_t in_flight = 0;
  int64_t parked = 0;
  uint64_t reconnects = 0;
};

/// `snapshot` is thread-safe; everything else is for the source's own thread.
class source_report {
public:
  source_report(std::string name, std::string kind);

  /// Something (`place`: the connection, a key, the store) does not work. Logged as a warning when it is new
  /// there, or of another `nature` than before; otherwise only remembered.
  void trouble(const std::string& place, std::string_view nature, const std::string& message);
  /// It works again; logged when there was a trouble. True in that case.
  bool clear(const std::string& place);
  /// A channel takes no messages now, while others do. The source is as healthy as before. Remembered as
  /// the last error, and logged as a warning once a minute for each channel.
  void parked(const std::string& channel, const std::string& message);
  /// No message is parked any more; logged when `parked` had logged.
  void none_parked();
  /// From here on the source is healthy while there is no trouble.
  void set_working();
  void count(const source_counts& more);

  source_status snapshot() const;

private:
  /// A trouble's `message` shows together with what it means for the health.
  void update_health(const std::string* message = nullptr);

  /// The nature of each trouble, by place.
  std::map<std::string, std::string> troubles_;
  /// When the parking of each channel's messages was logged, within the last minute.
  std::map<std::string, std::chrono::steady_clock::time_point> told_parked_;
  bool parking_logged_ = false;
  bool working_ = false;
  mutable std::mutex mutex_;
  source_status status_;
};

} // namespace task_runner
