// Starts and stops everything in order: state directory, store, launcher, HTTP, actors, sources.
#include "actors/channel_plan.hpp"
#include "actors/clock_keeper.hpp"
#include "actors/daemon_process.hpp"
#include "actors/gateway/batch.hpp"
#include "actors/gateway/following.hpp"
#include "actors/intake.hpp"
#include "actors/router.hpp"
#include "actors/scheduler.hpp"
#include "services/launcher/output_file.hpp"
#include "services/observability/log.hpp"
#include "services/os/processor_load.hpp"
#include "services/os/resources.hpp"
#include "services/store/sqlite_store.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <exception>
#include <future>
#include <thread>
#include <unistd.h>
#include <utility>

namespace task_runner {

namespace {

/// Threads that serve HTTP.
constexpr uint32_t http_threads = 2;
/// All threads of the daemon but its first one: the store's, the launcher client's, the listener's and those
/// of HTTP, the actors', CAF's clock and printer, the Redis intake's, those of retention, output, its
/// followers, events and clock, and two to spare.
constexpr unsigned threads_needed = 3 + http_threads + actor_threads + 2 + 1 + 5 + 2;
/// Open files without which the daemon could not serve: some 40 of its own, and room for connections.
constexpr uint64_t descriptors_needed = 96;
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

/// What the launcher can run is a limit for all channels as well: what was handed over beyond it would stand
/// in line there, out of reach of priority and expiry. On machines where it cannot be reached nobody counts
/// for it.
uint32_t common_limit(uint32_t wanted, uint32_t capacity, uint64_t workers) noexcept {
  if (capacity == 0)
    return wanted;
  if (wanted != 0)
    return std::min(wanted, capacity);
  return workers > capacity || capacity < worker_max ? capacity : 0;
}

} // namespace

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
  try {
    return start_services();
  } catch (const std::exception& failure) {
    // What libraries throw where threads, memory or descriptors run out. What was started is unwound.
    return error{error_code::unavailable, std::string("cannot start: ") + failure.what() +
                                              "; look at the limits on memory, processes and open files"};
  }
}

result<void> daemon_process::start_services() {
  // Before anything is touched: some libraries cannot go back when they get one thread of two.
  if (auto enough = require_descriptors(descriptors_needed); !enough)
    return enough;
  if (auto enough = rehearse_threads(threads_needed); !enough)
    return enough;
  auto waiter = signal_waiter::create();
  if (!waiter)
    return waiter.failure();
  signals_.emplace(std::move(*waiter));
  for (const auto step :
       {&daemon_process::open_state, &daemon_process::open_store, &daemon_process::load_channels,
        &daemon_process::compare_clock, &daemon_process::start_http, &daemon_process::start_launcher,
        &daemon_process::start_retention, &daemon_process::start_output_reading,
        &daemon_process::start_following})
    if (auto done = (this->*step)(); !done)
      return done;
  start_actors();
  for (const auto step : {&daemon_process::watch_clock, &daemon_process::start_source})
    if (auto done = (this->*step)(); !done)
      return done;
  const auto address =
      (values_.http_host.find(':') == std::string::npos ? values_.http_host : "[" + values_.http_host + "]") +
      ":" + std::to_string(http_->port());
  log_event(log_level::info, "listening",
            {{"address", address},
             {"dashboard", "http://" + address + "/"},
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
  if (auto counted = (*store)->keep_dead_letters(dead_letters_); !counted)
    return counted.failure();
  group_commit_limits limits;
  limits.is_busy = [load = processor_load()]() mutable { return load.is_busy(processor_load::clock::now()); };
  auto writer = group_commit::start(std::move(*store), std::move(limits));
  if (!writer)
    return writer.failure();
  store_ = std::move(*writer);
  store_->lend_to(&lender_);
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
  workers_at_start_ = workers_of(by_name, values_.concurrent);
  for (auto& [name, record] : by_name)
    channels_.push_back(std::move(record));
  return {};
}

/// Before any queue reads its delays: the clock may have been set while the daemon was down.
result<void> daemon_process::compare_clock() {
  auto mark = read_clock_mark();
  if (!mark) {
    log_event(log_level::warning, "delays do not follow when the clock is set",
              {{"reason", mark.failure().message}});
    return {};
  }
  clock_mark_ = std::move(*mark);
  clock_.keep(clock_mark_->offset_ms);
  return settle_clock(*store_, *clock_mark_, clock_step_ms);
}

result<void> daemon_process::watch_clock() {
  if (!clock_mark_)
    return {};
  auto watch = clock_watch::start(*clock_mark_, [this](int64_t step_ms, const clock_mark& now) {
    // The clock goes first: what is asked of the store by the new time stands behind the moving of the
    // delays.
    clock_.keep(now.offset_ms);
    const bool moved = take_clock_step(*store_, step_ms, now, [this](int64_t step) {
      caf::anon_send(gateway_->router, clock_adjusted{step});
    });
    if (!moved)
      clock_.keep(now.offset_ms - step_ms);
    return moved;
  });
  if (!watch)
    return watch.failure();
  clock_watch_ = std::move(*watch);
  clock_.report_to(clock_watch_.get());
  stops_.push("clock watch", [this] { clock_watch_->stop(); });
  return {};
}

result<void> daemon_process::start_retention() {
  outputs_ = std::make_unique<output_directory>(values_.state_dir);
  retention_options options;
  options.age_ms = values_.retention_age_ms;
  options.dead_age_ms = values_.retention_dead_age_ms;
  options.count = values_.retention_count;
  options.bytes = values_.retention_bytes;
  options.kept_bytes_max = values_.output_head + values_.output_tail;
  retention_ = std::make_unique<retention>(options, *store_, *outputs_, clock_);
  if (auto started = retention_->start(); !started)
    return started;
  stops_.push("retention", [this] { retention_->stop(); });
  return {};
}

result<void> daemon_process::start_http() {
  http_server_options options;
  options.host = values_.http_host;
  options.port = values_.http_port;
  options.threads = http_threads;
  options.body_max = values_.http_body_max;
  options.allow_hosts = values_.http_allow_hosts;
  if (values_.http_legacy_200)
    options.legacy_200_paths = predecessor_paths();
  http_ = std::make_unique<http_server>(std::move(options));
  gateway_->probes = &probes_;
  gateway_->statistics = &statistics_;
  gateway_->describe_daemon = [this] { return render_daemon(make_report()); };
  gateway_->describe_metrics = [this] { return describe_metrics(); };
  gateway_->describe_readiness = [this] { return describe_readiness(); };
  gateway_->request_stop = [this](bool now) { request_stop(now); };
  for (auto& route : make_routes(gateway_))
    if (auto added = http_->route(route.method, route.pattern, std::move(route.handler)); !added)
      return added;
  if (auto started = http_->start(); !started)
    return started;
  stops_.push("http", [this] { http_->stop(); });
  return {};
}

result<void> daemon_process::start_output_reading() {
  output_reading_ = std::make_unique<output_reading>(values_.state_dir);
  if (auto started = output_reading_->start(); !started)
    return started;
  stops_.push("output reading", [this] { output_reading_->stop(); });
  gateway_->outputs = output_reading_.get();
  return {};
}

result<void> daemon_process::start_following() {
  output_stretches_ = std::make_unique<output_stretches>(values_.state_dir, values_.output_head);
  output_followers_ = std::make_unique<output_followers>(
      *output_stretches_, [this](const std::string& task_id) { look_up_followed(gateway_, task_id); });
  if (auto started = output_followers_->start(); !started)
    return started;
  stops_.push("followers of output", [this] { output_followers_->stop(); });
  gateway_->followers = output_followers_.get();
  // The moment of its start tells this daemon from those before.
  event_hub_ = std::make_unique<event_hub>(std::to_string(started_at_ms_), metrics_, dead_letters_);
  if (auto started = event_hub_->start(); !started)
    return started;
  stops_.push("events", [this] { event_hub_->stop(); });
  gateway_->events = event_hub_.get();
  task_news_ =
      std::make_unique<task_news>(std::vector<task_observer*>{output_followers_.get(), event_hub_.get()});
  return {};
}

result<void> daemon_process::start_launcher() {
  bridge_ = std::make_unique<runner_bridge>(
      [this](const attempt_ended& event) { log_output(values_.state_dir, event); }, &lender_);
  launcher_client_options options;
  options.state_dir = values_.state_dir;
  options.launcher_arguments = {"--containment",         values_.containment,
                                "--head-bytes",          std::to_string(values_.output_head),
                                "--tail-bytes",          std::to_string(values_.output_tail),
                                "--command-descriptors", std::to_string(descriptors_given_)};
  launcher_ = std::make_unique<launcher_client>(std::move(options));
  if (auto started = launcher_->start_service(*bridge_); !started)
    return started;
  stops_.push("launcher client", [this] { launcher_->stop(); });
  return {};
}

void daemon_process::start_actors() {
  configure_scheduler(actor_config_);
  stops_.guard("actors", [this] { actors_ = std::make_unique<caf::actor_system>(actor_config_); });
  stops_.push("actors", [this] { stop_actors(); });
  allow_lending(*actors_,
                [load = processor_load()]() mutable { return load.is_busy(processor_load::clock::now()); });
  lender_.attach(*actors_);
  for (const auto* service : {"clock", "daemon", "http", "launcher", "store"})
    probes_.add_service(service);
  router_dependencies router_parts;
  router_parts.channel_default = values_.channel_default;
  router_parts.concurrent = values_.concurrent;
  router_parts.task_mode = values_.task_mode;
  router_parts.limits.tasks_max = values_.tasks_max;
  router_parts.limits.recoveries_max = values_.recoveries_max;
  // One for each core to run, and one for each to follow.
  router_parts.limits.running_enough =
      std::max<uint64_t>(router_parts.limits.running_enough, 2 * std::thread::hardware_concurrency());
  router_parts.running_max =
      common_limit(values_.running_max, launcher_->health().running_max, workers_at_start_);
  running_max_ = router_parts.running_max;
  router_parts.channels = std::move(channels_);
  for (const auto& [name, said] : values_.channels)
    router_parts.ini_channels.insert(name);
  router_parts.writer = store_.get();
  router_parts.runner = launcher_.get();
  router_parts.bridge = bridge_.get();
  router_parts.probes = &probes_;
  router_parts.clock = &clock_;
  router_parts.history = retention_.get();
  router_parts.observer = task_news_.get();
  router_parts.facts = facts_;
  router_parts.metrics = metrics_;
  router_parts.dead_letters = dead_letters_;
  router_parts.capacity = [this] { return uint64_t{launcher_->health().running_max}; };
  router_parts.probe = probes_.add(router_shape());
  gateway_->router = actors_->spawn(router, std::move(router_parts));
  gateway_->intake = actors_->spawn(intake, intake_dependencies{values_.channel_default, gateway_->router,
                                                                &clock_, probes_.add(intake_shape())});
  gateway_->via = actors_->spawn(asker, probes_.add(asker_shape()));
  gateway_->batch =
      actors_->spawn(batch, batch_dependencies{gateway_->intake, gateway_->via, probes_.add(batch_shape()),
                                               values_.channel_default});
  historian_ = actors_->spawn(
      historian, historian_dependencies{&statistics_, gateway_->via, probes_.add(historian_shape())});
  gateway_->keyed =
      std::make_shared<keyed_requests>(*store_, clock_, values_.idempotency_keep_ms, gateway_->via);
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
  watched.probe = probes_.add(supervisor_shape());
  supervisor_ = actors_->spawn(supervisor, std::move(watched));
  gateway_->open.store(true, std::memory_order_release);
  gateway_->started.store(true, std::memory_order_release);
  // They go before the actors that they ask, though they were started earlier: HTTP to hold the address.
  stops_.push("followers of output", [this] { output_followers_->stop(); });
  stops_.push("http", [this] { http_->stop(); });
}

/// Also where the start came to a halt between two of them.
void daemon_process::stop_actors() {
  lender_.detach();
  gateway_->open.store(false, std::memory_order_release);
  if (gateway_->keyed)
    gateway_->keyed->close();
  if (supervisor_) {
    caf::anon_send(supervisor_, shut_down{});
  } else {
    caf::anon_send_exit(gateway_->via, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(gateway_->intake, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(gateway_->router, caf::exit_reason::user_shutdown);
  }
  supervisor_ = supervisor_actor{};
  actors_->await_all_actors_done();
  bridge_->detach_all();
  // No handle may outlive the actor system.
  gateway_->via = caf::actor{};
  gateway_->intake = intake_actor{};
  gateway_->router = router_actor{};
  gateway_->batch = batch_actor{};
  historian_ = historian_actor{};
  sink_.reset();
}

result<void> daemon_process::start_source() {
  if (!values_.redis_intake)
    return {};
  probes_.add_service("redis");
  journal_ = std::make_unique<store_intake_journal>(*store_);
  sink_ = std::make_unique<actor_push_sink>(gateway_->via, gateway_->intake, source_timeout);
  redis_source_options options;
  options.endpoint.host = values_.redis_host;
  options.endpoint.port = values_.redis_port;
  options.endpoint.password = values_.redis_password;
  options.endpoint.db = values_.redis_db;
  options.keys = values_.intake_keys;
  options.channel_default = values_.channel_default;
  options.node_id = state_->node_id();
  source_ = std::make_unique<redis_list_source>(std::move(options), *sink_, *journal_);
  source_since_ms_ = source_->status().since_ms;
  source_is_made_ = true;
  if (auto started = source_->start(); !started)
    return started;
  stops_.push("redis intake", [this] { source_->stop(); });
  return {};
}

int run_daemon(const loaded_settings& loaded, const service_notifier& notifier) {
  daemon_process process(loaded, notifier);
  return process.run();
}

} // namespace task_runner
