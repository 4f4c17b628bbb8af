// Dead letters by what they died of: how they ended, and the error that their output tells of.
// Put together on demand, from the store's pages and the ends of outputs, one piece after the other.
#pragma once

#include "actors/gateway/gateway.hpp"
#include "services/domain/result.hpp"
#include "services/domain/task.hpp"
#include "services/observability/error_fingerprint.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace task_runner {

/// The bounds of a grouping.
struct grouping_limits {
  /// The newest dead letters that are looked at; older ones are left out, and the answer says so.
  size_t tasks_max = 5'000;
  /// What has not been looked at by then is left out as well. Shorter than an HTTP request may take.
  std::chrono::milliseconds time_max{20'000};
  /// How long a page of the list may take; with `time_max` it is less than an HTTP request may take.
  std::chrono::milliseconds page_time_max{30'000};
  /// The newest tasks of a group that are named, as many as one verb takes.
  size_t ids_max = 1'000;
  /// Channels of a group that are named.
  size_t channels_max = 100;
  /// Groupings at a time; one more is `overloaded`.
  uint32_t at_once_max = 4;
};

/// Dead letters that died of the same.
struct dead_group {
  outcome how;
  /// Of the newest task; empty where nothing was written and nothing is known.
  error_fingerprint fingerprint;
  uint64_t count = 0;
  /// By name, the first of them.
  std::set<std::string> channels;
  wall_time_ms oldest_ended_at_ms = 0;
  wall_time_ms newest_ended_at_ms = 0;
  /// Newest first.
  std::vector<std::string> ids;
};

/// What was found.
struct dead_groups {
  /// The largest first.
  std::vector<dead_group> groups;
  /// Dead letters that were looked at.
  uint64_t looked_at = 0;
  /// Those among them whose output could not be read.
  uint64_t unread = 0;
  /// There are more, or may be: the bound of tasks or of time was reached.
  bool truncated = false;
};

/// Called exactly once, from any thread. Must not block.
using grouping_completion = std::function<void(result<dead_groups>)>;

/// Groups the dead letters that the filter admits, whatever states it has. Never blocks. Errors: `overloaded`
/// when too many are grouped at once or wait for the disk, `draining` at the end of the daemon, and what
/// speaks against listing the tasks.
void group_dead_letters(const gateway_pointer& shared, task_filter filter, grouping_completion done,
                        grouping_limits limits = {});

/// Puts tasks into groups, newest first. Pure.
class dead_letter_sorter {
public:
  explicit dead_letter_sorter(const grouping_limits& limits)
      : limits_(limits) {}

  void add(const task& value, const error_fingerprint& fingerprint);
  /// The largest first, then the one that was hit last.
  std::vector<dead_group> take();

private:
  struct key {
    outcome_kind kind;
    int code;
    std::string hash;

    bool operator<(const key& other) const;
  };

  const grouping_limits limits_;
  std::map<key, dead_group> groups_;
};

} // namespace task_runner
