// Rendering of the daemon's report.
#include "actors/daemon_report.hpp"

#include "services/domain/time_text.hpp"
#include "services/wire/json_text.hpp"

#include <unistd.h>

namespace task_runner {

std::string render_daemon(const daemon_report& report) {
  std::string text;
  json_writer json(text);
  json.begin_object()
      .member("version", TASK_RUNNER_VERSION)
      .member("pid", ::getpid())
      .member("state", report.draining ? "draining" : "running")
      .member("task_mode", report.task_mode)
      .member("started_at", format_time(report.started_at_ms))
      .member("uptime_s", static_cast<double>(report.now_ms - report.started_at_ms) / 1000.0);
  const auto& store = report.store;
  json.key("store")
      .begin_object()
      .member("kind", "embedded")
      .member("healthy", !store.last_commit_failed)
      .member("commits", store.commits)
      .member("operations", store.operations)
      .member("failed_commits", store.failed_commits)
      .member("queue_depth", store.queue_depth)
      .member("last_error", store.last_error)
      .end_object();
  const auto& launcher = report.launcher;
  json.key("launcher")
      .begin_object()
      .member("healthy", launcher.connected)
      .member("pid", launcher.launcher_pid)
      .member("running", launcher.running)
      .member("queued", launcher.queued)
      .member("restarts", launcher.restarts)
      .member("last_error", launcher.last_error)
      .end_object();
  json.key("http")
      .begin_object()
      .member("connections", report.http_connections)
      .member("requests", report.http_requests)
      .member("refused", report.http_refused)
      .end_object();
  json.key("sources").begin_array();
  for (const auto& source : report.sources)
    json.begin_object()
        .member("name", source.name)
        .member("kind", source.kind)
        .member("healthy", source.healthy)
        .member("since", format_time(source.since_ms))
        .member("last_error", source.last_error)
        .member("taken", source.taken)
        .member("recovered", source.recovered)
        .member("accepted", source.accepted)
        .member("duplicates", source.duplicates)
        .member("rejected", source.rejected)
        .member("in_flight", source.in_flight)
        .member("reconnects", source.reconnects)
        .end_object();
  json.end_array().end_object();
  return text;
}

} // namespace task_runner
