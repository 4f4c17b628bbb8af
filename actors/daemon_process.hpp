// The daemon as an object: what it consists of, in the order in which its parts are made and unmade.
// daemon.cpp starts it, daemon_end.cpp waits for its end and reports meanwhile; nobody else includes this.
#pragma once

#include "actors/channel_facts.hpp"
#include "actors/daemon.hpp"
#include "actors/daemon_metrics.hpp"
#include "actors/daemon_report.hpp"
#include "actors/gateway/routes.hpp"
#include "actors/historian.hpp"
#include "actors/lent_thread.hpp"
#include "actors/runner_bridge.hpp"
#include "actors/stop_stack.hpp"
#include "actors/supervisor.hpp"
#include "services/domain/time_text.hpp"
#include "services/http/http_server.hpp"
#include "services/launcher/launcher_client.hpp"
#include "services/launcher/output_archive.hpp"
#include "services/launcher/output_reading.hpp"
#include "services/launcher/output_stretches.hpp"
#include "services/os/clock_watch.hpp"
#include "services/os/descriptor_limit.hpp"
#include "services/os/kept_clock.hpp"
#include "services/os/pid_file.hpp"
#include "services/os/signals.hpp"
#include "services/os/state_dir.hpp"
#include "services/source/redis_list_source.hpp"
#include "services/store/group_commit.hpp"
#include "services/store/retention.hpp"
#include "services/store/store_intake_journal.hpp"
#include "services/streaming/event_hub.hpp"
#include "services/streaming/output_followers.hpp"
#include "services/streaming/task_news.hpp"

#include <caf/all.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <vector>

namespace task_runner {

/// How long the orderly end as a whole may take once running commands are no longer waited for.
constexpr std::chrono::seconds stop_deadline{30};

/// One run of the daemon. run() belongs to the main thread.
class daemon_process {
public:
  daemon_process(const loaded_settings& loaded, const service_notifier& notifier)
      : loaded_(loaded)
      , values_(loaded.values)
      , notifier_(notifier)
      , stops_(stop_deadline) {}

  int run();

private:
  result<void> start();
  /// The steps of start(), in order.
  result<void> start_services();
  result<void> open_state();
  result<void> open_store();
  result<void> load_channels();
  result<void> compare_clock();
  result<void> start_launcher();
  result<void> start_http();
  result<void> start_retention();
  result<void> start_output_reading();
  result<void> start_following();
  void start_actors();
  void stop_actors();
  result<void> watch_clock();
  result<void> start_source();

  void wait_for_end();
  void reload();
  void drain_until_quiet();
  /// For the gateway: the daemon ends, as by TERM; `now` ends the running commands too. Thread-safe.
  void request_stop(bool now);
  /// Tells the actors to stop now, if that was asked for and has not been told.
  void stop_now_when_asked();
  daemon_report make_report() const;
  readiness describe_readiness() const;
  std::string describe_metrics() const;

  const loaded_settings& loaded_;
  const settings& values_;
  const service_notifier& notifier_;
  /// The soft limit on open files as it was given to the daemon: commands keep it.
  const uint64_t descriptors_given_ = raise_descriptor_limit();
  kept_wall_clock clock_;
  const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  const wall_time_ms started_at_ms_ = system_now_ms();

  std::optional<signal_waiter> signals_;
  std::optional<state_dir> state_;
  std::optional<pid_file> pid_;
  actor_thread_lender lender_;
  std::unique_ptr<group_commit> store_;
  std::optional<clock_mark> clock_mark_;
  std::vector<channel_record> channels_;
  uint64_t workers_at_start_ = 0;
  /// How many commands run at once at most, in all channels together; 0: nobody counts. Read by requests
  /// while the daemon starts.
  std::atomic<uint32_t> running_max_{0};
  std::unique_ptr<runner_bridge> bridge_;
  std::unique_ptr<launcher_client> launcher_;
  probe_registry probes_;
  std::shared_ptr<gateway> gateway_ = std::make_shared<gateway>();
  std::unique_ptr<http_server> http_;
  std::unique_ptr<output_directory> outputs_;
  std::unique_ptr<retention> retention_;
  std::unique_ptr<output_reading> output_reading_;
  std::unique_ptr<output_stretches> output_stretches_;
  std::unique_ptr<output_followers> output_followers_;
  std::unique_ptr<event_hub> event_hub_;
  std::unique_ptr<task_news> task_news_;
  const std::shared_ptr<channel_facts> facts_ = std::make_shared<channel_facts>();
  const std::shared_ptr<dead_letter_counts> dead_letters_ = std::make_shared<dead_letter_counts>();
  const std::shared_ptr<channel_metrics_registry> metrics_ = std::make_shared<channel_metrics_registry>();
  statistics_history statistics_{metrics_, {}, [this] {
                                   auto now = read_history_moment();
                                   now.wall_ms = clock_.now_ms();
                                   return now;
                                 }};
  caf::actor_system_config actor_config_;
  std::unique_ptr<caf::actor_system> actors_;
  supervisor_actor supervisor_;
  historian_actor historian_;
  std::unique_ptr<store_intake_journal> journal_;
  std::unique_ptr<actor_push_sink> sink_;
  std::unique_ptr<redis_list_source> source_;
  /// Reports are asked for before it is there.
  std::atomic<bool> source_is_made_{false};
  /// The source's `since` before it was started: it has worked once when it is another.
  wall_time_ms source_since_ms_ = 0;
  std::unique_ptr<clock_watch> clock_watch_;

  std::atomic<bool> stop_asked_{false};
  std::atomic<bool> stop_now_asked_{false};
  bool stop_now_told_ = false;
  std::atomic<bool> draining_{false};
  std::atomic<bool> quiet_{false};
  std::atomic<bool> failed_{false};

  /// Last, so that it unwinds first.
  stop_stack stops_;
};

} // namespace task_runner
