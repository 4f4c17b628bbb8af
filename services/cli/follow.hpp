// Looking on at tasks until they end: their output while it comes, or just their end.
#pragma once

#include "services/cli/verb_call.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace task_runner::cli {

/// Where in a task's output to begin.
struct follow_start {
  uint64_t offset = 0;
  /// 0: the attempt that runs, or the last one.
  uint64_t attempt = 0;
};

/// Shows what the tasks print until all have ended; gives the exit code that stands for their ends.
int follow_tasks(verb_call& call, const std::vector<std::string>& ids, const follow_start& start);

/// Waits until all have ended, or until the time is over; gives the exit code. With `tell` each end is said.
int wait_for_tasks(verb_call& call, const std::vector<std::string>& ids,
                   std::optional<std::chrono::milliseconds> timeout, bool tell);

/// Bears with a daemon that is away for a while, as during its restart.
class outage {
public:
  explicit outage(console& terminal)
      : terminal_(terminal) {}

  /// The daemon has answered.
  void over() noexcept;
  /// Whether to go on in spite of this reply: only once the daemon has answered before, where it is away or
  /// starting, and not for longer than `outage_max`. Says so once for each outage.
  bool bears(const api_reply& reply);

private:
  using steady = std::chrono::steady_clock;

  console& terminal_;
  bool was_there_ = false;
  std::optional<steady::time_point> since_;
};

/// Longest absence of the daemon that is waited out.
constexpr std::chrono::milliseconds outage_max{300'000};

/// The pause between two looks: short while something happens, up to half a second when nothing does.
class look_pause {
public:
  /// Waits; the next pause is longer.
  void wait();
  void shorten() noexcept { time_ = shortest; }

private:
  static constexpr std::chrono::milliseconds shortest{30};
  static constexpr std::chrono::milliseconds longest{500};
  std::chrono::milliseconds time_ = shortest;
};

} // namespace task_runner::cli
