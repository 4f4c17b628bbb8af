// A channel: a named lane with its own queue, dedup rule and number of workers.
// The record remembers what the INI file last said, so that a change over HTTP stands until the INI changes.
#pragma once

#include "services/domain/task.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace task_runner {

/// The most workers a channel may have.
constexpr uint32_t worker_max = 1024;

/// Most channels of one daemon, however they are made.
constexpr size_t channels_max = 4'096;

/// How long a task keeps others with the same distinct key out. The numbers are stored: never renumber.
enum class distinct_mode : uint8_t {
  /// Never: any number of tasks may have the same key.
  off = 0,
  /// Until it has ended, whatever its outcome.
  until_finished = 1,
  /// Until its first attempt starts.
  while_pending = 2,
};

/// The mode's name on the wire: off, until-finished, while-pending.
std::string_view to_string(distinct_mode mode) noexcept;
/// The mode of a name; `true` and `false` mean until-finished and off.
std::optional<distinct_mode> parse_distinct_mode(std::string_view text) noexcept;

/// Most commands of one channel's share, relative to others (see channel_record::weight).
constexpr uint32_t weight_max = 1'000;

/// The settings of one channel that a file or a request may leave open.
struct channel_settings {
  std::optional<distinct_mode> distinct;
  /// Commands run side by side, 0 (run nothing) to `worker_max`; unset follows `concurrent`.
  std::optional<uint32_t> worker;
  std::optional<uint32_t> weight;
  /// Most tasks pending or delayed, from 1.
  std::optional<uint64_t> tasks_max;
  /// What its tasks have in common.
  task_options defaults;

  bool operator==(const channel_settings& other) const {
    return distinct == other.distinct && worker == other.worker && weight == other.weight &&
           tasks_max == other.tasks_max && defaults == other.defaults;
  }
};

/// A channel as the store keeps it.
struct channel_record {
  std::string name;
  distinct_mode distinct = distinct_mode::off;
  /// 0 (accept, run nothing) to `worker_max`; unset follows the daemon's `concurrent`.
  std::optional<uint32_t> worker;
  /// The channel's share when all channels together want more than `running-max`: 1 to `weight_max`.
  uint32_t weight = 1;
  /// Most tasks pending or delayed; unset: the daemon's bound.
  std::optional<uint64_t> tasks_max;
  /// Nothing new starts until it is resumed.
  bool paused = false;
  /// What its tasks have in common.
  task_options defaults;
  /// What the INI said when it was last applied.
  channel_settings from_ini;
  wall_time_ms created_at_ms = 0;
};

} // namespace task_runner
