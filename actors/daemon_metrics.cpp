// The metrics of the daemon: names, units and labels. Base units; `_total` for counters alone; never a
// command or a task's id as a label.
#include "actors/daemon_metrics.hpp"

#include "services/observability/metrics_page.hpp"
#include "services/os/process_usage.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <string_view>

namespace task_runner {

namespace {

/// One channel's figures, or the sum of those that have no lines of their own.
struct channel_figures {
  std::string channel;
  /// Of one channel, not a sum.
  bool is_alone = false;
  /// Channels that were added.
  size_t channels = 0;
  channel_counts counts;
  uint64_t workers = 0;
  double next_wait_s = 0;
  channel_tally counted;
  int64_t dead_letters = 0;
};

void add(channel_figures& to, const channel_metrics& one, wall_time_ms now_ms) {
  const auto counts = one.counts();
  to.counts.pending += counts.pending;
  to.counts.held += counts.held;
  to.counts.delayed += counts.delayed;
  to.counts.running += counts.running;
  // A sum is paused where all of it is; what waits in a paused channel says nothing of the others.
  const bool is_first = to.channels++ == 0;
  to.counts.paused = counts.paused && (is_first || to.counts.paused);
  if (counts.next_ready_at_ms != 0 && (to.is_alone || !counts.paused))
    to.next_wait_s = std::max(
        to.next_wait_s, static_cast<double>(std::max<int64_t>(now_ms - counts.next_ready_at_ms, 0)) / 1000.0);
  to.workers += one.workers();
  to.counted.add(one.tally());
}

std::vector<channel_figures> figures_of(const channel_overview& all,
                                        std::map<std::string, int64_t> dead_letters, wall_time_ms now_ms) {
  std::vector<channel_figures> figures;
  channel_figures others;
  others.channel = "(others)";
  others.counted = all.gone.value_or(channel_tally{});
  bool has_others = all.gone.has_value();
  for (const auto& one : all.channels) {
    if (!one->has_lines()) {
      has_others = true;
      add(others, *one, now_ms);
      continue;
    }
    auto& its = figures.emplace_back();
    its.channel = one->channel();
    its.is_alone = true;
    add(its, *one, now_ms);
    if (auto of_it = dead_letters.extract(its.channel); !of_it.empty())
      its.dead_letters = of_it.mapped();
  }
  // Of channels without lines of their own, and of those that are gone.
  for (const auto& [channel, count] : dead_letters) {
    has_others = true;
    others.dead_letters += count;
  }
  if (has_others)
    figures.push_back(std::move(others));
  return figures;
}

void write_channels(metrics_page& page, const std::vector<channel_figures>& figures) {
  const auto each = [&](const std::function<void(const channel_figures&)>& write) {
    for (const auto& one : figures)
      write(one);
  };
  each([&](const auto& one) {
    const auto write = [&](const char* state, uint64_t count) {
      page.gauge("task_runner_tasks", "Unfinished tasks by channel and state.",
                 {{"channel", one.channel}, {"state", state}}, static_cast<double>(count));
    };
    write("pending", one.counts.pending);
    write("held", one.counts.held);
    write("delayed", one.counts.delayed);
    write("running", one.counts.running);
  });
  each([&](const auto& one) {
    page.gauge("task_runner_dead_letters", "Tasks that are dead, to be retried or deleted.",
               {{"channel", one.channel}}, static_cast<double>(one.dead_letters));
  });
  each([&](const auto& one) {
    page.gauge("task_runner_workers", "Commands that the channel may run at once.",
               {{"channel", one.channel}}, static_cast<double>(one.workers));
  });
  each([&](const auto& one) {
    page.gauge("task_runner_channel_paused", "1 while the channel is paused.", {{"channel", one.channel}},
               one.counts.paused ? 1 : 0);
  });
  each([&](const auto& one) {
    page.gauge("task_runner_next_task_wait_seconds",
               "How long the task that is next in line has been waiting; 0 when none is.",
               {{"channel", one.channel}}, one.next_wait_s);
  });
  const auto count = [&](const char* name, const char* help, uint64_t channel_tally::*member) {
    each([&](const auto& one) {
      page.counter(name, help, {{"channel", one.channel}}, static_cast<double>(one.counted.*member));
    });
  };
  count("task_runner_tasks_pushed_total", "Tasks that were accepted.", &channel_tally::pushed);
  count("task_runner_tasks_duplicate_total",
        "Pushes that were not accepted, as an equal task was unfinished.", &channel_tally::duplicates);
  each([&](const auto& one) {
    const auto write = [&](const char* state, uint64_t ended) {
      page.counter("task_runner_tasks_ended_total", "Tasks that ended, by how.",
                   {{"channel", one.channel}, {"state", state}}, static_cast<double>(ended));
    };
    write("finished", one.counted.finished);
    write("dead", one.counted.dead);
    write("cancelled", one.counted.cancelled);
    write("expired", one.counted.expired);
  });
  each([&](const auto& one) {
    for (size_t i = 0; i < attempt_ends_count; ++i)
      page.counter(
          "task_runner_attempts_ended_total", "Attempts that ended, by how.",
          {{"channel", one.channel}, {"outcome", std::string(to_string(static_cast<attempt_end>(i)))}},
          static_cast<double>(one.counted.attempts_ended[i]));
  });
  count("task_runner_attempts_retried_total", "Failed attempts that another one follows.",
        &channel_tally::retried);
  count("task_runner_repairs_total", "Differences between queue, store and processes that were mended.",
        &channel_tally::repairs);
  each([&](const auto& one) {
    page.histogram("task_runner_task_wait_seconds",
                   "From the moment at which a task could run to the start of its first attempt.",
                   {{"channel", one.channel}}, one.counted.wait);
  });
  each([&](const auto& one) {
    page.histogram("task_runner_attempt_run_seconds", "From the start of an attempt to its end.",
                   {{"channel", one.channel}}, one.counted.run);
  });
}

void write_store(metrics_page& page, const group_commit_counters& store) {
  page.gauge("task_runner_store_up", "1 unless the latest commit failed.", {},
             store.last_commit_failed ? 0 : 1);
  page.gauge("task_runner_store_queued_operations", "Operations that wait to be committed.", {},
             static_cast<double>(store.queue_depth));
  page.counter("task_runner_store_commits_total", "Durable commits.", {}, static_cast<double>(store.commits));
  page.counter("task_runner_store_commits_failed_total", "Commits that failed.", {},
               static_cast<double>(store.failed_commits));
  page.counter("task_runner_store_operations_total", "Operations in those commits.", {},
               static_cast<double>(store.operations));
}

void write_launcher(metrics_page& page, const launcher_health& launcher) {
  page.gauge("task_runner_launcher_up", "1 while commands can be started.", {}, launcher.healthy() ? 1 : 0);
  page.gauge("task_runner_launcher_commands", "Commands that the launcher knows of, by whether they run.",
             {{"state", "running"}}, static_cast<double>(launcher.running));
  page.gauge("task_runner_launcher_commands", "Commands that the launcher knows of, by whether they run.",
             {{"state", "queued"}}, static_cast<double>(launcher.queued));
  page.counter("task_runner_launcher_restarts_total", "Launchers that took the place of one that died.", {},
               static_cast<double>(launcher.restarts));
}

void write_http(metrics_page& page, const daemon_report& report) {
  page.gauge("task_runner_http_connections", "Open connections.", {},
             static_cast<double>(report.http_connections));
  page.counter("task_runner_http_requests_total", "Requests that were read.", {},
               static_cast<double>(report.http_requests));
  page.counter("task_runner_http_requests_refused_total", "Requests that no handler saw.", {},
               static_cast<double>(report.http_refused));
  page.gauge("task_runner_http_streams", "Streams of output and events that are open.", {},
             static_cast<double>(report.http_streams));
  page.counter("task_runner_http_streams_refused_total", "Streams that were one too many.", {},
               static_cast<double>(report.http_streams_refused));
  page.counter("task_runner_http_streams_cut_total",
               "Streams that were cut off as their clients did not read.", {},
               static_cast<double>(report.http_streams_cut));
}

void write_sources(metrics_page& page, const std::vector<source_status>& sources) {
  for (const auto& one : sources)
    page.gauge("task_runner_source_up", "1 while the source can be reached.", {{"source", one.name}},
               one.healthy ? 1 : 0);
  for (const auto& one : sources) {
    const auto write = [&](const char* how, uint64_t count) {
      page.counter("task_runner_source_messages_total", "Messages that were decided, by how.",
                   {{"source", one.name}, {"result", how}}, static_cast<double>(count));
    };
    write("accepted", one.accepted);
    write("duplicate", one.duplicates);
    write("rejected", one.rejected);
  }
  for (const auto& one : sources) {
    const auto write = [&](const char* where, uint64_t count) {
      page.gauge("task_runner_source_undecided", "Messages that were taken and are not decided yet.",
                 {{"source", one.name}, {"state", where}}, static_cast<double>(count));
    };
    write("in_flight", one.in_flight);
    write("parked", one.parked);
  }
  for (const auto& one : sources)
    page.counter("task_runner_source_reconnects_total", "Connections that had to be made again.",
                 {{"source", one.name}}, static_cast<double>(one.reconnects));
}

void write_retention(metrics_page& page, const retention_counters& retention) {
  page.counter("task_runner_retention_tasks_purged_total",
               "Ended tasks that were deleted by age, count or bytes.", {},
               static_cast<double>(retention.tasks_purged));
  page.counter("task_runner_retention_outputs_deleted_total", "Output files that were deleted with them.", {},
               static_cast<double>(retention.outputs_deleted));
}

/// Actors by kind: there are two for each channel.
void write_actors(metrics_page& page, const probe_registry& probes) {
  const auto by_kind = probes.sums();
  const auto each = [&](const std::function<void(const metric_labels&, const actor_sums&)>& write) {
    for (const auto& [kind, one] : by_kind)
      write({{"kind", std::string(kind)}}, one);
  };
  each([&](const auto& labels, const auto& one) {
    page.gauge("task_runner_actors", "Actors by kind.", labels, static_cast<double>(one.actors));
  });
  each([&](const auto& labels, const auto& one) {
    page.gauge("task_runner_actor_mailbox_messages", "Messages that wait for actors of a kind.", labels,
               static_cast<double>(one.depth));
  });
  each([&](const auto& labels, const auto& one) {
    page.counter("task_runner_actor_messages_total", "Messages that actors have handled.", labels,
                 static_cast<double>(one.handled));
  });
  each([&](const auto& labels, const auto& one) {
    page.counter("task_runner_actor_restarts_total", "Actors that took the place of one that died.", labels,
                 static_cast<double>(one.restarts));
  });
}

void write_process(metrics_page& page, const daemon_report& report) {
  const auto used = read_process_usage();
  if (!used)
    return; // it says nothing of the daemon, and is found missing
  page.counter("process_cpu_seconds_total", "Processor time of the daemon, without its commands.", {},
               used->processor_s);
  page.gauge("process_resident_memory_bytes", "Memory of the daemon.", {},
             static_cast<double>(used->resident_bytes));
  page.gauge("process_virtual_memory_bytes", "Address space of the daemon.", {},
             static_cast<double>(used->virtual_bytes));
  page.gauge("process_open_fds", "Open descriptors of the daemon.", {},
             static_cast<double>(used->descriptors));
  page.gauge("process_max_fds", "Descriptors that it may open.", {},
             static_cast<double>(used->descriptors_max));
  page.gauge("process_start_time_seconds", "When the daemon was started, seconds since 1970.", {},
             static_cast<double>(report.started_at_ms) / 1000.0);
}

} // namespace

std::string render_metrics(const metrics_sources& from) {
  metrics_page page;
  const auto& report = from.report;
  const auto checks = check_health(report);
  page.gauge("task_runner_build_info", "The daemon's version.", {{"version", TASK_RUNNER_VERSION}}, 1);
  page.gauge("task_runner_ready", "1 while the daemon takes and runs tasks.", {},
             std::all_of(checks.begin(), checks.end(), [](const auto& one) { return one.healthy; }) ? 1 : 0);
  for (const auto& one : checks)
    page.gauge("task_runner_healthy", "What must be well for that, and whether it is.", {{"check", one.name}},
               one.healthy ? 1 : 0);
  page.gauge("task_runner_draining", "1 while the daemon ends.", {}, report.draining ? 1 : 0);
  page.gauge("task_runner_running_max", "Most commands at once over all channels; 0 for no limit.", {},
             static_cast<double>(report.running_max));
  write_channels(page, figures_of(from.channels, from.dead_letters, from.now_ms));
  write_store(page, report.store);
  write_launcher(page, report.launcher);
  write_sources(page, report.sources);
  write_http(page, report);
  write_retention(page, report.retention);
  if (from.probes != nullptr)
    write_actors(page, *from.probes);
  write_process(page, report);
  return page.text();
}

} // namespace task_runner
