// Rendering of the daemon's report.
#include "actors/daemon_report.hpp"

#include "services/domain/time_text.hpp"
#include "services/wire/json_text.hpp"

#include <algorithm>
#include <unistd.h>
#include <utility>

namespace task_runner {

namespace {

health_check check(std::string name, bool healthy, const std::string& reason) {
  return {std::move(name), healthy, healthy ? std::string() : reason};
}

} // namespace

std::vector<health_check> check_health(const daemon_report& report) {
  std::vector<health_check> checks;
  checks.push_back(check("daemon", !report.draining, "it is stopping"));
  checks.push_back(check("store", !report.store.last_commit_failed, report.store.last_error));
  const auto& launcher = report.launcher;
  checks.push_back(check("launcher", launcher.healthy(), launcher.reason()));
  for (const auto& channel : report.failed_channels)
    checks.push_back(check("channel " + channel, false, "its actors died too often; restart the daemon"));
  const auto& worked = report.sources_worked;
  for (const auto& source : report.sources)
    if (std::find(worked.begin(), worked.end(), source.name) != worked.end())
      checks.push_back(check(source.name, source.healthy, source.last_error));
  return checks;
}

std::string render_daemon(const daemon_report& report) {
  std::string text;
  json_writer json(text);
  json.begin_object()
      .member("version", TASK_RUNNER_VERSION)
      .member("pid", ::getpid())
      .member("state", report.draining ? "draining" : "running")
      .member("task_mode", report.task_mode)
      .member("started_at", format_time(report.started_at_ms))
      .member("now", format_time(report.now_ms))
      .member("uptime_s", static_cast<double>(report.uptime_ms) / 1000.0);
  const auto checks = check_health(report);
  json.member("ready", std::all_of(checks.begin(), checks.end(), [](const auto& one) { return one.healthy; }))
      .key("not_ready")
      .begin_array();
  for (const auto& one : checks)
    if (!one.healthy)
      json.value(one.name + ": " + one.reason);
  json.end_array().member("workers", report.workers).member("running_max", report.running_max);
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
      .member("healthy", launcher.healthy())
      .member("pid", launcher.launcher_pid)
      .member("version", launcher.launcher_version)
      .member("containment", launcher.containment)
      .member("running_max", launcher.running_max)
      .member("enough_for_workers", launcher.running_max == 0 || report.workers <= launcher.running_max)
      .member("running", launcher.running)
      .member("queued", launcher.queued)
      .member("restarts", launcher.restarts)
      .member("upgrades", launcher.upgrades)
      .member("upgrade_failure", launcher.upgrade_failure)
      .member("last_error", launcher.reason())
      .end_object();
  const auto& retention = report.retention;
  json.key("retention")
      .begin_object()
      .member("tasks_purged", retention.tasks_purged)
      .member("outputs_deleted", retention.outputs_deleted)
      .member("orphans_deleted", retention.orphans_deleted)
      .member("last_error", retention.last_error)
      .end_object();
  json.key("http")
      .begin_object()
      .member("connections", report.http_connections)
      .member("requests", report.http_requests)
      .member("refused", report.http_refused)
      .member("streams", report.http_streams)
      .member("streams_refused", report.http_streams_refused)
      .member("streams_cut", report.http_streams_cut)
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
        .member("parked", source.parked)
        .member("reconnects", source.reconnects)
        .end_object();
  json.end_array().end_object();
  return text;
}

} // namespace task_runner
