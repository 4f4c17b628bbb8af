// The daemon from the moment it serves: waiting for signals, reloading, draining, and telling how it fares.
// Runs on the main thread, but for request_stop() and the reports, which the gateway asks for.
#include "actors/daemon_process.hpp"
#include "services/observability/log.hpp"

#include <algorithm>
#include <csignal>
#include <utility>

namespace task_runner {

void daemon_process::wait_for_end() {
  while (!failed_) {
    const auto received = signals_->wait();
    if (failed_)
      return;
    if (received && received->number == SIGHUP) {
      reload();
      continue;
    }
    if (received)
      log_event(log_level::info, "draining: nothing new starts, running commands are waited for",
                {{"signal", received->number}, {"sender_pid", received->sender}});
    else if (stop_asked_)
      log_event(log_level::info, "asked to stop: nothing new starts", {{"now", stop_now_asked_.load()}});
    else
      continue;
    drain_until_quiet();
    return;
  }
}

void daemon_process::request_stop(bool now) {
  if (now)
    stop_now_asked_ = true;
  stop_asked_ = true;
  signals_->wake();
}

void daemon_process::stop_now_when_asked() {
  if (!stop_now_asked_ || std::exchange(stop_now_told_, true))
    return;
  log_event(log_level::warning, "stopping now: running commands are ended");
  caf::anon_send(supervisor_, stop_now{});
}

void daemon_process::drain_until_quiet() {
  // Before anybody can see that the daemon drains: a push made after that stands behind it in the mailbox.
  caf::anon_send(gateway_->intake, drain{});
  draining_ = true;
  if (auto told = notifier_.stopping("draining"); !told)
    log_event(log_level::warning, "the service manager was not told", {{"error", told.failure().message}});
  caf::anon_send(supervisor_, drain{});
  stop_now_when_asked();
  if (source_)
    source_->stop();
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(values_.drain_timeout_ms);
  while (!quiet_ && !failed_) {
    int wait_ms = -1;
    if (values_.drain_timeout_ms > 0) {
      const auto left =
          std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
      if (left.count() <= 0) {
        log_event(log_level::warning,
                  "drain-timeout is over; the rest is left to the launcher for the next daemon");
        return;
      }
      wait_ms = static_cast<int>(std::min<int64_t>(left.count() + 1, 60'000));
    }
    const auto received = signals_->wait(wait_ms);
    stop_now_when_asked();
    if (received && received->number != SIGHUP) {
      log_event(log_level::warning, "second signal; the rest is left to the launcher for the next daemon",
                {{"signal", received->number}, {"sender_pid", received->sender}});
      return;
    }
  }
}

void daemon_process::reload() {
  if (auto told = notifier_.reloading(); !told)
    log_event(log_level::warning, "the service manager was not told", {{"error", told.failure().message}});
  if (auto reopened = reopen_log(); !reopened)
    log_event(log_level::error, "reload", {{"error", reopened.failure().message}});
  if (loaded_.config_file.empty()) {
    log_event(log_level::info, "reloaded: the log; there is no configuration file");
  } else if (auto sections = reload_channels(loaded_.config_file); !sections) {
    log_event(log_level::error, "reload refused; everything stays as it was",
              {{"error", sections.failure().message}});
  } else {
    ask<action_reply>(
        gateway_->via, gateway_->router, apply_ini{std::move(*sections)}, ask_timeout,
        [](const action_reply& answer) {
          if (answer.failure)
            log_event(log_level::error, "reload failed", {{"error", answer.failure->message}});
          else
            log_event(log_level::info, "reloaded: channel sections and log");
        },
        [](const error& why) {
          log_event(log_level::error, "reload failed", {{"error", why.message}});
        },
        ask_origin::daemon);
  }
  if (auto told = notifier_.ready("running"); !told)
    log_event(log_level::warning, "the service manager was not told", {{"error", told.failure().message}});
}

daemon_report daemon_process::make_report() const {
  daemon_report report;
  report.started_at_ms = started_at_ms_;
  report.now_ms = clock_.now_ms();
  report.uptime_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began_)
          .count();
  report.draining = draining_;
  report.task_mode = values_.task_mode;
  report.store = store_->counters();
  report.launcher = launcher_->health();
  report.retention = retention_->counters();
  report.workers = facts_->workers();
  report.running_max = running_max_;
  report.failed_channels = facts_->failed();
  if (source_is_made_) {
    report.sources.push_back(source_->status());
    if (report.sources.back().since_ms != source_since_ms_)
      report.sources_worked.push_back(report.sources.back().name);
  }
  const auto& http = http_->counters();
  report.http_connections = http.connections_open;
  report.http_requests = http.requests;
  report.http_refused = http.requests_refused;
  report.http_streams = http.streams_open;
  report.http_streams_refused = http.streams_refused;
  report.http_streams_cut = http.streams_cut;
  return report;
}

std::string daemon_process::describe_metrics() const {
  return render_metrics(
      {make_report(), metrics_->overview(), dead_letters_->all(), &probes_, clock_.now_ms()});
}

readiness daemon_process::describe_readiness() const {
  readiness state;
  for (auto& check : check_health(make_report()))
    state.checks.push_back({std::move(check.name), check.healthy, std::move(check.reason)});
  return state;
}

} // namespace task_runner
