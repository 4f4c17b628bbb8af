// Looking on at tasks until they end: their output while it comes, or just their end.
#pragma once

#include "services/cli/output_feed.hpp"
#include "services/cli/verb_call.hpp"

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace task_runner::cli {

/// Most tasks that are followed at a time: each has a stream and a thread of its own.
constexpr size_t followed_max = 256;

/// Shows what the tasks print until all have ended; gives the exit code that stands for their ends. At most
/// `followed_max` tasks. `was_there`: the daemon has answered just now.
int follow_tasks(verb_call& call, const std::vector<std::string>& ids, const follow_start& start,
                 bool was_there);

/// What tasks are waited for with.
struct wait_way {
  /// Unset: as long as it takes.
  std::optional<std::chrono::milliseconds> timeout;
  /// Whether each end is said.
  bool tells = false;
  /// The daemon has answered just now.
  bool was_there = false;
};

/// Waits until all have ended, or until the time is over; gives the exit code.
int wait_for_tasks(verb_call& call, const std::vector<std::string>& ids, const wait_way& way);

/// Bears with a daemon that is away for a while, as during its restart, and with what cannot be answered for
/// a while.
class outage {
public:
  /// `was_there`: the daemon has answered before.
  outage(console& terminal, bool was_there)
      : terminal_(terminal)
      , was_there_(was_there) {}

  /// The daemon has answered.
  void over() noexcept;
  /// The daemon has answered something else: it is there, and what is waited for here is still to come.
  void note_daemon() noexcept { was_there_ = true; }
  /// Whether something is borne with at present.
  bool is_on() const noexcept { return since_.has_value(); }
  /// Whether to go on in spite of this reply: only once the daemon has answered before, where it is away or
  /// starting, or too busy to answer what was only asked, and not for longer than `outage_max`. Says so once
  /// for each outage, unless somebody has said it (`is_told`).
  bool bears(const api_reply& reply, bool is_told = false);

private:
  using steady = std::chrono::steady_clock;

  console& terminal_;
  bool was_there_;
  std::optional<steady::time_point> since_;
};

/// Longest absence of the daemon that is waited out.
constexpr std::chrono::milliseconds outage_max{300'000};

/// The pause between two looks: a tenth of the time that was waited so far, up to half a second. So no end is
/// told much later than it comes.
class look_pause {
public:
  void wait();

private:
  using steady = std::chrono::steady_clock;

  static constexpr std::chrono::milliseconds shortest{20};
  static constexpr std::chrono::milliseconds longest{500};
  const steady::time_point began_ = steady::now();
};

} // namespace task_runner::cli
