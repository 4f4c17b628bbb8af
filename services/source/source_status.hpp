// What a source tells of itself: whether it works, since when, and what it has done.
// A plain value, copied out for /status and the metrics.
#pragma once

#include "services/domain/task.hpp"

#include <cstdint>
#include <string>

namespace task_runner {

/// A snapshot of one source. All counts are since the start of the process, and count messages.
struct source_status {
  std::string name;
  /// `redis` for the Redis list intake.
  std::string kind;
  /// Whether everything that was asked of it works; false until the first success.
  bool healthy = false;
  /// When `healthy` last changed, or the start.
  wall_time_ms since_ms = 0;
  /// The last thing that went wrong, also when it is over; empty when nothing ever did.
  std::string last_error;
  /// Taken from the broker, including `recovered`.
  uint64_t taken = 0;
  /// Found in lists that an earlier run, or a lost connection, had left.
  uint64_t recovered = 0;
  /// Durably in a queue.
  uint64_t accepted = 0;
  uint64_t duplicates = 0;
  uint64_t rejected = 0;
  /// Taken and not decided yet, including `parked`.
  uint64_t in_flight = 0;
  /// Of those, the ones whose channel takes nothing now.
  uint64_t parked = 0;
  /// Times the broker was found again after it was lost.
  uint64_t reconnects = 0;
};

} // namespace task_runner
