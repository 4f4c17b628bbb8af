// The routes of the HTTP API: each handler decodes, asks an actor, and encodes the reply.
// A new endpoint is one more entry here.
#pragma once

#include "actors/gateway/ask.hpp"
#include "services/http/route_table.hpp"

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace task_runner {

/// Longest wait of an HTTP request for the actors.
constexpr std::chrono::milliseconds ask_timeout{30'000};

/// What the handlers need. Filled while the daemon starts, then `open` is set; until then they answer 503.
/// `open` is cleared before the actors end.
struct gateway {
  std::atomic<bool> open{false};
  caf::actor via;
  intake_actor intake;
  router_actor router;
  const probe_registry* probes = nullptr;
  std::string state_dir;
  /// Renders the `daemon` object of /status.
  std::function<std::string()> describe_daemon;
};

/// All routes of the API, over `shared`.
route_table make_routes(std::shared_ptr<gateway> shared);

} // namespace task_runner
