// The page of metrics that Prometheus reads, put together from what the daemon's services and actors count.
#pragma once

#include "actors/daemon_report.hpp"
#include "actors/probe.hpp"
#include "services/observability/channel_metrics.hpp"

#include <memory>
#include <string>
#include <vector>

namespace task_runner {

/// Everything that the page tells of.
struct metrics_sources {
  daemon_report report;
  /// Those without lines of their own are summed up under `channel="(others)"`, which is no name that a
  /// channel can have.
  channel_overview channels;
  /// By channel, those that are gone too.
  std::map<std::string, int64_t> dead_letters;
  const probe_registry* probes = nullptr;
  wall_time_ms now_ms = 0;
};

/// The page. Thread-safe: what it reads is.
std::string render_metrics(const metrics_sources& from);

} // namespace task_runner
