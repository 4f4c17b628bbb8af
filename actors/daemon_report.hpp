// What /status tells of the daemon as a whole, gathered from its services.
#pragma once

#include "services/launcher/launcher_client.hpp"
#include "services/source/source_status.hpp"
#include "services/store/group_commit.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace task_runner {

struct daemon_report {
  wall_time_ms started_at_ms = 0;
  wall_time_ms now_ms = 0;
  bool draining = false;
  bool task_mode = true;
  group_commit_counters store;
  launcher_health launcher;
  std::vector<source_status> sources;
  uint64_t http_connections = 0;
  uint64_t http_requests = 0;
  uint64_t http_refused = 0;
};

/// The `daemon` object of /status.
std::string render_daemon(const daemon_report& report);

} // namespace task_runner
