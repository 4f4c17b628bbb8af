// Channels as /status shows them, in a line each with their tasks below.
#pragma once

#include "services/cli/console.hpp"
#include "services/cli/daemon_api.hpp"
#include "services/cli/json_value.hpp"

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace task_runner::cli {

/// Turns channels into text. Remembers what it has found out about their pace. Not thread-safe.
class channel_view {
public:
  channel_view(daemon_api& daemon, const console& terminal)
      : daemon_(daemon)
      , terminal_(terminal) {}

  /// The line of a channel, and one for each of its tasks that the daemon has sent along.
  std::string show(const std::string& name, const json_value& channel);

private:
  using steady = std::chrono::steady_clock;

  struct pace {
    steady::time_point asked_at;
    /// How long a task of the channel runs, on average of the last ones; nothing where none has run.
    std::optional<double> task_s;
  };

  /// When the waiting tasks will have run; nothing where that cannot be told.
  std::optional<double> eta_s(const std::string& name, const json_value& channel);

  daemon_api& daemon_;
  const console& terminal_;
  std::map<std::string, pace> paces_;
};

/// The tasks that are dead now, of a channel's numbers; an older daemon only counts those since its start.
int64_t dead_letters(const json_value& counts);

/// What the signs of a channel mean, a line; empty where there are none.
std::string sign_legend(const console& terminal);

/// Tasks of a listing, grouped by channel; groups and tasks in the order of the listing.
std::string listed_by_channel(const std::vector<json_value>& tasks, const console& terminal);

} // namespace task_runner::cli
