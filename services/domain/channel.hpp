// A channel: a named lane with its own queue, dedup rule and number of workers.
// The record remembers what the INI file last said, so that a change over HTTP stands until the INI changes.
#pragma once

#include "services/domain/task.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace task_runner {

/// The most workers a channel may have.
constexpr uint32_t worker_max = 1024;

/// Most channels of one daemon, however they are made.
constexpr size_t channels_max = 4'096;

/// The settings of one channel that a file or a request may leave open.
struct channel_settings {
  /// Whether two tasks with the same distinct key may not be held at once.
  std::optional<bool> distinct;
  /// Commands run side by side, 1 to `worker_max`; unset (or 0 on the wire) follows `concurrent`.
  std::optional<uint32_t> worker;

  bool operator==(const channel_settings& other) const {
    return distinct == other.distinct && worker == other.worker;
  }
};

/// A channel as the store keeps it.
struct channel_record {
  std::string name;
  bool distinct = false;
  /// 1 to `worker_max`; unset follows the daemon's `concurrent`.
  std::optional<uint32_t> worker;
  /// What the INI said when it was last applied.
  channel_settings from_ini;
  wall_time_ms created_at_ms = 0;
};

} // namespace task_runner
