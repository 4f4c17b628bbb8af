// Starts and stops everything in order: state directory, store, launcher, HTTP, actors, sources.
#include "actors/daemon.hpp"

#include "actors/channel_plan.hpp"
#include "actors/daemon_report.hpp"
#include "actors/gateway/routes.hpp"
#include "actors/intake.hpp"
#include "actors/router.hpp"
#include "actors/runner_bridge.hpp"
#include "actors/stop_stack.hpp"
#include "actors/supervisor.hpp"
#include "services/http/http_server.hpp"
#include "services/launcher/launcher_client.hpp"
#include "services/launcher/output_file.hpp"
#include "services/observability/log.hpp"
#include "services/os/pid_file.hpp"
#include "services/os/signals.hpp"
#include "services/os/state_dir.hpp"
#include "services/os/system_clock.hpp"
#include "services/source/redis_list_source.hpp"
#include "services/store/group_commit.hpp"
#include "services/store/sqlite_store.hpp"
#include "services/store/store_intake_journal.hpp"

#include <caf/all.hpp>

#include <csignal>
#include <cstdio>
#include <future>
#include <optional>
#include <unistd.h>

namespace task_runner {

namespace {

/// Threads that run actors. They never block, so more than this helps nobody.
constexpr size_t actor_threads = 2;
/// Threads that serve HTTP.
constexpr uint32_t http_threads = 2;
/// How long the orderly end as a whole may take once running commands are no longer waited for.
constexpr std::chrono::seconds stop_deadline{30};
/// How long a source waits for a batch to be decided before it submits it again.
constexpr std::chrono::milliseconds source_timeout{60'000};
/// How much of a command's output goes into the log at level debug.
constexpr size_t logged_output_max = 16'384;

log_options log_options_of(const settings& values) {
  log_options options;
  options.level = values.log_level == "debug"     ? log_level::debug
                  : values.log_level == "warning" ? log_level::warning
                  : values.log_level == "error"   ? log_level::error
                                                  : log_level::info;
  options.format = values.log_format == "json" ? log_format::json : log_format::text;
  options.file = values.log_file;
  options.colour = values.colorful_tty;
  return options;
}

/// At level debug, what a command wrote, line by line. Runs on the launcher client's thread.
void log_output(const std::string& state_dir, const attempt_ended& event) {
  if (!log_enabled(log_level::debug) || event.output_bytes == 0)
    return;
  const auto output = read_output(state_dir, event.key, 0, logged_output_max);
  if (!output)
    return;
  size_t at = 0;
  while (at < output->size()) {
    const auto end = std::min(output->find('\n', at), output->size());
    log_event(log_level::debug, "output",
              {{"task_id", event.key.task_id},
               {"attempt", event.key.attempt},
               {"line", output->substr(at, end - at)}});
    at = end + 1;
  }
}

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
  result<void> open_state();
  result<void> open_store();
  result<void> load_channels();
  result<void> start_launcher();
  result<void> start_http();
  void start_actors();
  result<void> start_source();

  void wait_for_end();
  void reload();
  void drain_until_quiet();
  std::string describe() const;

  const loaded_settings& loaded_;
  const settings& values_;
  const service_notifier& notifier_;
  const system_wall_clock clock_;
  const wall_time_ms started_at_ms_ = system_now_ms();

  std::optional<signal_waiter> signals_;
  std::optional<state_dir> state_;
  std::optional<pid_file> pid_;
  std::unique_ptr<group_commit> store_;
  std::vector<channel_record> channels_;
  std::unique_ptr<runner_bridge> bridge_;
  std::unique_ptr<launcher_client> launcher_;
  probe_registry probes_;
  std::shared_ptr<gateway> gateway_ = std::make_shared<gateway>();
  std::unique_ptr<http_server> http_;
  caf::actor_system_config actor_config_;
  std::unique_ptr<caf::actor_system> actors_;
  supervisor_actor supervisor_;
  std::unique_ptr<store_intake_journal> journal_;
  std::unique_ptr<actor_push_sink> sink_;
  std::unique_ptr<redis_list_source> source_;

  std::atomic<bool> draining_{false};
  std::atomic<bool> quiet_{false};
  std::atomic<bool> failed_{false};

  /// Last, so that it unwinds first.
  stop_stack stops_;
};

int daemon_process::run() {
  if (auto configured = configure_log(log_options_of(values_)); !configured) {
    std::fprintf(stderr, "task-runner: %s\n", configured.failure().message.c_str());
    return 2;
  }
  for (const auto& warning : loaded_.warnings)
    log_event(log_level::warning, warning);
  if (auto started = start(); !started) {
    const auto code = started.failure().code;
    std::fprintf(stderr, "task-runner: %s\n", started.failure().message.c_str());
    stops_.unwind();
    // What it was given cannot be used (2), or something failed that should have worked (1).
    return code == error_code::conflict || code == error_code::invalid_argument ? 2 : 1;
  }
  wait_for_end();
  stops_.unwind();
  log_event(log_level::info, "stopped");
  flush_log();
  return failed_ ? 1 : 0;
}

result<void> daemon_process::start() {
  auto waiter = signal_waiter::create();
  if (!waiter)
    return waiter.failure();
  signals_.emplace(std::move(*waiter));
  for (const auto step :
       {&daemon_process::open_state, &daemon_process::open_store, &daemon_process::load_channels,
        &daemon_process::start_http, &daemon_process::start_launcher})
    if (auto done = (this->*step)(); !done)
      return done;
  start_actors();
  if (auto done = start_source(); !done)
    return done;
  log_event(log_level::info, "listening",
            {{"address", (values_.http_host.find(':') == std::string::npos ? values_.http_host
                                                                           : "[" + values_.http_host + "]") +
                             ":" + std::to_string(http_->port())},
             {"pid", ::getpid()},
             {"version", TASK_RUNNER_VERSION},
             {"state_dir", values_.state_dir}});
  if (auto told = notifier_.ready("running"); !told)
    log_event(log_level::warning, "the service manager was not told", {{"error", told.failure().message}});
  return {};
}

result<void> daemon_process::open_state() {
  auto state = state_dir::open(values_.state_dir);
  if (!state)
    return state.failure();
  state_.emplace(std::move(*state));
  stops_.push("state directory", [this] { state_.reset(); });
  for (const auto& warning : state_->warnings())
    log_event(log_level::warning, warning);
  auto pid = pid_file::acquire(values_.pidfile);
  if (!pid)
    return pid.failure();
  pid_.emplace(std::move(*pid));
  stops_.push("pid file", [this] { pid_.reset(); });
  return {};
}

result<void> daemon_process::open_store() {
  auto store = open_sqlite_store(values_.state_dir + "/task-runner.db");
  if (!store)
    return store.failure();
  auto writer = group_commit::start(std::move(*store));
  if (!writer)
    return writer.failure();
  store_ = std::move(*writer);
  stops_.push("store", [this] { store_->stop(); });
  return {};
}

/// Reads the channels, makes the first ones at a first start, and applies the INI's sections, all durably.
result<void> daemon_process::load_channels() {
  std::promise<result<std::vector<channel_record>>> found;
  auto asked = store_->read([&found](queue_store& store) { found.set_value(store.load_channels()); });
  if (!asked)
    return asked.failure();
  auto stored = found.get_future().get();
  if (!stored)
    return stored.failure();
  std::map<std::string, channel_record> by_name;
  std::vector<store_operation> saves;
  const auto keep = [&](channel_record record) {
    saves.emplace_back(save_channel{record});
    by_name[record.name] = std::move(record);
  };
  for (auto& record : *stored)
    by_name.emplace(record.name, record);
  if (by_name.empty())
    for (auto& record : first_channels(values_.channel_default, clock_.now_ms()))
      keep(std::move(record));
  if (by_name.count(values_.channel_default) == 0) {
    channel_record record;
    record.name = values_.channel_default;
    record.created_at_ms = clock_.now_ms();
    keep(std::move(record));
  }
  for (auto& record : merge_ini(by_name, values_.channels, clock_.now_ms()))
    keep(std::move(record));
  if (by_name.size() > channels_max)
    return too_many_channels(by_name.size());
  if (!saves.empty()) {
    std::promise<result<std::vector<store_answer>>> saved;
    auto submitted = store_->submit(std::move(saves), [&saved](result<std::vector<store_answer>> answers) {
      saved.set_value(std::move(answers));
    });
    if (!submitted)
      return submitted.failure();
    if (auto answers = saved.get_future().get(); !answers)
      return answers.failure();
  }
  for (auto& [name, record] : by_name)
    channels_.push_back(std::move(record));
  return {};
}

result<void> daemon_process::start_http() {
  http_server_options options;
  options.host = values_.http_host;
  options.port = values_.http_port;
  options.threads = http_threads;
  options.body_max = values_.http_body_max;
  options.allow_hosts = values_.http_allow_hosts;
  options.legacy_200 = values_.http_legacy_200;
  http_ = std::make_unique<http_server>(std::move(options));
  gateway_->probes = &probes_;
  gateway_->state_dir = values_.state_dir;
  gateway_->describe_daemon = [this] { return describe(); };
  for (auto& route : make_routes(gateway_))
    if (auto added = http_->route(route.method, route.pattern, std::move(route.handler)); !added)
      return added;
  if (auto started = http_->start(); !started)
    return started;
  stops_.push("http", [this] { http_->stop(); });
  return {};
}

result<void> daemon_process::start_launcher() {
  bridge_ = std::make_unique<runner_bridge>(
      [this](const attempt_ended& event) { log_output(values_.state_dir, event); });
  launcher_client_options options;
  options.state_dir = values_.state_dir;
  launcher_ = std::make_unique<launcher_client>(std::move(options));
  if (auto started = launcher_->start_service(*bridge_); !started)
    return started;
  stops_.push("launcher client", [this] { launcher_->stop(); });
  return {};
}

void daemon_process::start_actors() {
  // Work stealing, the default, burns CPU while idle; sharing waits on a condition.
  actor_config_.set("scheduler.policy", caf::atom("sharing"));
  actor_config_.set("scheduler.max-threads", actor_threads);
  actors_ = std::make_unique<caf::actor_system>(actor_config_);
  router_dependencies router_parts;
  router_parts.concurrent = values_.concurrent;
  router_parts.task_mode = values_.task_mode;
  router_parts.channels = std::move(channels_);
  router_parts.writer = store_.get();
  router_parts.runner = launcher_.get();
  router_parts.bridge = bridge_.get();
  router_parts.probes = &probes_;
  router_parts.clock = &clock_;
  router_parts.probe = probes_.add("router", "router", router_message_kinds());
  gateway_->router = actors_->spawn(router, std::move(router_parts));
  gateway_->intake =
      actors_->spawn(intake, intake_dependencies{values_.channel_default, gateway_->router, &clock_,
                                                 probes_.add("intake", "intake", intake_message_kinds())});
  gateway_->via = actors_->spawn(asker, probes_.add("gateway", "gateway", asker_message_kinds()));
  supervisor_dependencies watched;
  watched.intake = gateway_->intake;
  watched.router = gateway_->router;
  watched.asker = gateway_->via;
  watched.on_quiet = [this] {
    quiet_ = true;
    signals_->wake();
  };
  watched.on_fatal = [this](const std::string&) {
    failed_ = true;
    signals_->wake();
  };
  watched.probe = probes_.add("supervisor", "supervisor", supervisor_message_kinds());
  supervisor_ = actors_->spawn(supervisor, std::move(watched));
  gateway_->open.store(true, std::memory_order_release);
  stops_.push("actors", [this] {
    gateway_->open.store(false, std::memory_order_release);
    caf::anon_send(supervisor_, shut_down{});
    supervisor_ = supervisor_actor{};
    actors_->await_all_actors_done();
    bridge_->detach_all();
    // No handle may outlive the actor system.
    gateway_->via = caf::actor{};
    gateway_->intake = intake_actor{};
    gateway_->router = router_actor{};
    sink_.reset();
  });
  // HTTP goes before the actors that its handlers ask, though it was started earlier to hold the address.
  stops_.push("http", [this] { http_->stop(); });
}

result<void> daemon_process::start_source() {
  if (!values_.redis_intake)
    return {};
  journal_ = std::make_unique<store_intake_journal>(*store_);
  sink_ = std::make_unique<actor_push_sink>(gateway_->via, gateway_->intake, source_timeout);
  redis_source_options options;
  options.endpoint.host = values_.redis_host;
  options.endpoint.port = values_.redis_port;
  options.endpoint.password = values_.redis_password;
  options.endpoint.db = values_.redis_db;
  options.keys = values_.intake_keys;
  options.node_id = state_->node_id();
  source_ = std::make_unique<redis_list_source>(std::move(options), *sink_, *journal_);
  if (auto started = source_->start(); !started)
    return started;
  stops_.push("redis intake", [this] { source_->stop(); });
  return {};
}

void daemon_process::wait_for_end() {
  while (!failed_) {
    const auto received = signals_->wait();
    if (failed_ || !received)
      continue;
    if (received->number == SIGHUP) {
      reload();
      continue;
    }
    log_event(log_level::info, "draining: nothing new starts, running commands are waited for",
              {{"signal", received->number}, {"sender_pid", received->sender}});
    drain_until_quiet();
    return;
  }
}

void daemon_process::drain_until_quiet() {
  draining_ = true;
  if (auto told = notifier_.stopping("draining"); !told)
    log_event(log_level::warning, "the service manager was not told", {{"error", told.failure().message}});
  caf::anon_send(supervisor_, drain{});
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
        });
  }
  if (auto told = notifier_.ready("running"); !told)
    log_event(log_level::warning, "the service manager was not told", {{"error", told.failure().message}});
}

std::string daemon_process::describe() const {
  daemon_report report;
  report.started_at_ms = started_at_ms_;
  report.now_ms = clock_.now_ms();
  report.draining = draining_;
  report.task_mode = values_.task_mode;
  report.store = store_->counters();
  report.launcher = launcher_->health();
  if (source_)
    report.sources.push_back(source_->status());
  const auto& http = http_->counters();
  report.http_connections = http.connections_open;
  report.http_requests = http.requests;
  report.http_refused = http.requests_refused;
  return render_daemon(report);
}

} // namespace

int run_daemon(const loaded_settings& loaded, const service_notifier& notifier) {
  daemon_process process(loaded, notifier);
  return process.run();
}

} // namespace task_runner
