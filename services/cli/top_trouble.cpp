// What is in the way of work, the worst first: a daemon that is away, then what it says of itself, then
// channels that have failed, stand still, or are paused.
#include "services/cli/console.hpp"
#include "services/cli/top_state.hpp"

namespace task_runner::cli {

namespace {

/// So long tasks may wait, while none runs and none ends, before a channel is called stalled.
constexpr double still_max_s = 30;
/// So long an answer may take before it is told.
constexpr double silent_max_s = 3;

bool is_paused(const top_channel& channel) noexcept {
  return channel.state == "paused" || channel.state == "draining" || channel.state == "drained";
}

std::string waiting_text(const top_channel& channel) {
  return channel.pending == 1 ? "1 task waits"
                              : grouped(static_cast<uint64_t>(channel.pending)) + " tasks wait";
}

} // namespace

std::optional<top_trouble> top_state::trouble(const top_moment& now) const {
  if (failure_)
    return top_trouble{(is_unreached_ ? "DISCONNECTED for " : "refused for ") +
                           short_duration(now.steady_s - failing_since_s_) + ", trying again: " + *failure_,
                       true};
  if (silent_s_ > silent_max_s)
    return top_trouble{"no answer from the daemon for " + short_duration(silent_s_), true};
  if (daemon_ && !daemon_->state.empty() && daemon_->state != "running")
    return top_trouble{"the daemon is " + daemon_->state, true};
  if (daemon_ && !daemon_->not_ready.empty())
    return top_trouble{"the daemon is not ready: " + daemon_->not_ready.front(), true};
  std::optional<top_trouble> worst;
  int rank = 0;
  size_t others = 0;
  const auto consider = [&](int weight, const std::string& text) {
    others += worst ? 1 : 0;
    if (weight <= rank)
      return;
    worst = top_trouble{text, weight >= 4};
    rank = weight;
  };
  if (daemon_ && !daemon_->runs_tasks)
    consider(5, "the daemon takes tasks and runs none (task-mode is false)");
  for (const auto& one : channels_) {
    const auto name = "channel " + one.name;
    const auto pace = paces_.find(one.name);
    if (one.state == "failed")
      consider(4, name + " has failed: " + one.failure);
    else if (is_paused(one))
      consider(one.pending > 0 ? 2 : 1,
               name + " is " + one.state + (one.pending > 0 ? ", " + waiting_text(one) : std::string()));
    else if (one.workers == 0 && one.pending > 0)
      consider(2, name + " has no workers, " + waiting_text(one));
    else if (pace != paces_.end() && pace->second.still_since_s &&
             now.steady_s - *pace->second.still_since_s > still_max_s)
      consider(3, name + " is stalled for " + short_duration(now.steady_s - *pace->second.still_since_s) +
                      ", " + waiting_text(one));
  }
  if (worst && others > 0)
    worst->text += " (and " + std::to_string(others) + " more)";
  return worst;
}

} // namespace task_runner::cli
