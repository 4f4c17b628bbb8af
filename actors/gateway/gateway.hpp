// What the handlers of the HTTP API share: whom they ask, and what they need of the daemon around them.
// Filled by the daemon while it starts.
#pragma once

#include "actors/gateway/ask.hpp"
#include "actors/gateway/keyed_requests.hpp"
#include "actors/gateway/push_gathering.hpp"
#include "services/observability/statistics_history.hpp"
#include "services/ports/output_reader.hpp"
#include "services/streaming/event_hub.hpp"
#include "services/streaming/output_followers.hpp"

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace task_runner {

/// Longest wait of an HTTP request for the actors. Longer than the longest of their own waits (a cancelled
/// task's end, 25 s), shorter than that of the HTTP server (60 s).
constexpr std::chrono::milliseconds ask_timeout{30'000};

/// Longest `wait_s` of a drain, milliseconds.
constexpr int64_t drain_wait_max_ms = 25'000;

/// One thing that must be well for the daemon to do its work.
struct readiness_check {
  /// "store", "launcher", "redis", "channel mail"…
  std::string name;
  bool healthy = true;
  /// What is wrong, in a sentence for a person; empty when healthy.
  std::string reason;
};

/// Whether the daemon can do its work now: every check is healthy.
struct readiness {
  std::vector<readiness_check> checks;
};

/// What the handlers need. Filled while the daemon starts, then `open` is set; until then they answer 503.
/// `open` is cleared before the actors end.
struct gateway {
  std::atomic<bool> open{false};
  /// Set when `open` is, and stays.
  std::atomic<bool> started{false};
  caf::actor via;
  intake_actor intake;
  router_actor router;
  batch_actor batch;
  /// The way of single pushes to the intake.
  std::shared_ptr<push_gathering> pushes = std::make_shared<push_gathering>();
  /// Those with an Idempotency-Key.
  std::shared_ptr<keyed_requests> keyed;
  const probe_registry* probes = nullptr;
  /// What was measured of the channels, step by step.
  statistics_history* statistics = nullptr;
  /// Reads the output of tasks.
  output_reader* outputs = nullptr;
  /// Streams it while it is written.
  output_followers* followers = nullptr;
  /// Tells what happens to tasks and channels.
  event_hub* events = nullptr;
  /// Groupings of dead letters that are worked at.
  std::atomic<uint32_t> groupings{0};
  /// Renders the `daemon` object of /status.
  std::function<std::string()> describe_daemon;
  /// The page of metrics. Called from any thread, must not block.
  std::function<std::string()> describe_metrics;
  /// Tells the daemon to stop: with `now` running commands are ended, otherwise they are waited for. Called
  /// from any thread, may be called repeatedly, must not block.
  std::function<void(bool now)> request_stop;
  /// What /readyz answers. Called from any thread, must not block.
  std::function<readiness()> describe_readiness;
};

using gateway_pointer = std::shared_ptr<gateway>;

} // namespace task_runner
