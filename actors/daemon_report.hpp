// What /status tells of the daemon as a whole, gathered from its services.
#pragma once

#include "services/launcher/launcher_client.hpp"
#include "services/source/source_status.hpp"
#include "services/store/group_commit.hpp"
#include "services/store/retention.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace task_runner {

struct daemon_report {
  wall_time_ms started_at_ms = 0;
  /// The daemon's clock when it was asked.
  wall_time_ms now_ms = 0;
  /// By a clock that cannot be set.
  int64_t uptime_ms = 0;
  bool draining = false;
  bool task_mode = true;
  group_commit_counters store;
  launcher_health launcher;
  retention_counters retention;
  /// The workers of all channels together, and the common limit of running commands (0: none).
  uint64_t workers = 0;
  uint64_t running_max = 0;
  std::vector<std::string> failed_channels;
  std::vector<source_status> sources;
  /// Names of sources that worked before in this run.
  std::vector<std::string> sources_worked;
  uint64_t http_connections = 0;
  uint64_t http_requests = 0;
  uint64_t http_refused = 0;
  /// Streams that are open now, that were one too many, and that were cut off as their clients did not read.
  uint64_t http_streams = 0;
  uint64_t http_streams_refused = 0;
  uint64_t http_streams_cut = 0;
};

/// One thing that must be well for the daemon to take and run tasks.
struct health_check {
  std::string name;
  bool healthy = true;
  /// What is wrong, in a sentence; empty when healthy.
  std::string reason;
};

/// What must be well, and whether it is. A source counts only once it has worked in this run: a daemon that
/// never had a broker is ready for everybody else.
std::vector<health_check> check_health(const daemon_report& report);

/// The `daemon` object of /status.
std::string render_daemon(const daemon_report& report);

} // namespace task_runner
