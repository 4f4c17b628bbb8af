// Messages between actors, with the daemon's scheduler: bare requests, and the way of a task through the
// daemon's own actors. Store and commands are in memory, so that what is left is the actors' share.
#include "actors/gateway/ask.hpp"
#include "actors/intake.hpp"
#include "actors/router.hpp"
#include "actors/scheduler.hpp"
#include "actors/supervisor.hpp"
#include "services/store/group_commit.hpp"
#include "services/store/memory_store.hpp"
#include "test/benchmark/support.hpp"

#include <caf/all.hpp>

#include <deque>
#include <memory>
#include <utility>
#include <vector>

namespace task_runner::benchmarks {

namespace {

// -- bare requests ----------------------------------------------------------------

caf::behavior echo() {
  return {[](uint64_t number) { return number; }};
}

/// Asks again when the answer has come, so many times.
void ask_on(caf::event_based_actor* self, const caf::actor& target, caf::duration timeout, uint64_t left,
            arrivals* done) {
  if (left == 0) {
    done->add();
    return;
  }
  self->request(target, timeout, left).then([=](uint64_t) { ask_on(self, target, timeout, left - 1, done); });
}

caf::behavior questioner(caf::event_based_actor* self, caf::actor target, caf::duration timeout,
                         arrivals* done) {
  return {[=](uint64_t times) { ask_on(self, target, timeout, times, done); }};
}

/// Requests one after the other from one actor to another, and back.
void request_between(benchmark::State& state, caf::duration timeout) {
  constexpr uint64_t times = 1'000;
  arrivals done;
  caf::actor_system_config config;
  configure_scheduler(config);
  caf::actor_system system(config);
  const auto target = system.spawn(echo);
  const auto asking = system.spawn(questioner, target, timeout, &done);
  uint64_t rounds = 0;
  while (state.KeepRunningBatch(static_cast<int64_t>(times))) {
    caf::anon_send(asking, times);
    if (!done.reach(++rounds)) {
      state.SkipWithError("an answer did not come");
      break;
    }
  }
  hold_against(state, cpu);
  state.SetItemsProcessed(state.iterations());
  caf::anon_send_exit(asking, caf::exit_reason::user_shutdown);
  caf::anon_send_exit(target, caf::exit_reason::user_shutdown);
}
BENCHMARK_CAPTURE(request_between, endless, caf::infinite)
    ->Name("actors/request")
    ->MeasureProcessCPUTime()
    ->UseRealTime();
BENCHMARK_CAPTURE(request_between, timed, caf::duration(std::chrono::seconds(30)))
    ->Name("actors/request_with_timeout")
    ->MeasureProcessCPUTime()
    ->UseRealTime();

// -- the daemon's actors ---------------------------------------------------------------

/// Commands that have ended as soon as they are started.
class instant_runner final : public process_runner {
public:
  explicit instant_runner(process_events& events)
      : events_(events) {}

  result<void> start(attempt_start request) override {
    std::vector<attempt_event> events;
    run(std::move(request), events);
    events_.on_events(std::move(events));
    return {};
  }
  /// As the launcher's client does it: what comes together is told of together.
  result<void> hand_over(const std::vector<attempt_key>& outcomes,
                         std::deque<attempt_start>& requests) override {
    for (const auto& key : outcomes)
      settled(key);
    if (requests.empty())
      return {};
    std::vector<attempt_event> events;
    events.reserve(requests.size() * 2);
    for (auto& request : requests)
      run(std::move(request), events);
    requests.clear();
    events_.on_events(std::move(events));
    return {};
  }
  result<void> signal(const attempt_key&, int) override { return gone(); }
  result<void> stop(const attempt_key&, int64_t) override { return gone(); }
  void settled(const attempt_key&) override { settled_.add(); }
  std::vector<known_attempt> known_attempts(const std::string&) const override { return {}; }
  uint64_t launcher_id() const override { return 1; }

  arrivals& settled_count() { return settled_; }

private:
  static void run(attempt_start request, std::vector<attempt_event>& events) {
    attempt_started started;
    started.key = request.key;
    started.channel = request.channel;
    started.pid = 1;
    started.started_at_ms = some_moment_ms;
    events.emplace_back(std::move(started));
    attempt_ended ended;
    ended.key = std::move(request.key);
    ended.channel = std::move(request.channel);
    ended.started_at_ms = some_moment_ms;
    ended.ended_at_ms = some_moment_ms;
    events.emplace_back(std::move(ended));
  }
  static error gone() { return {error_code::not_found, "no such attempt runs"}; }

  process_events& events_;
  arrivals settled_;
};

class still_clock final : public wall_clock {
public:
  wall_time_ms now_ms() const override { return some_moment_ms; }
};

/// Intake, router, the pair of one channel and their surroundings, as the daemon puts them together, over a
/// store in memory behind the real commit thread.
class daemon_actors {
public:
  explicit daemon_actors(uint32_t workers)
      : runner_(bridge_) {
    configure_scheduler(config_);
    channel_record record;
    record.name = "default";
    record.worker = workers;
    auto store = std::make_unique<memory_store>();
    if (auto saved = store->apply({save_channel{record}}); !saved)
      return;
    auto writer = group_commit::start(std::move(store));
    if (!writer)
      return;
    writer_ = std::move(*writer);
    system_ = std::make_unique<caf::actor_system>(config_);
    router_dependencies parts;
    parts.channels = {record};
    parts.writer = writer_.get();
    parts.runner = &runner_;
    parts.bridge = &bridge_;
    parts.probes = &probes_;
    parts.clock = &clock_;
    parts.probe = probes_.add(router_shape());
    router_ = system_->spawn(router, std::move(parts));
    intake_ =
        system_->spawn(intake, intake_dependencies{"default", router_, &clock_, probes_.add(intake_shape())});
    via_ = system_->spawn(asker, probes_.add(asker_shape()));
    supervisor_dependencies watched;
    watched.intake = intake_;
    watched.router = router_;
    watched.asker = via_;
    watched.on_quiet = [] {};
    watched.on_fatal = [](const std::string&) {};
    watched.probe = probes_.add(supervisor_shape());
    supervisor_ = system_->spawn(supervisor, std::move(watched));
    sink_ = std::make_unique<actor_push_sink>(via_, intake_, std::chrono::seconds(60));
  }

  ~daemon_actors() {
    if (system_) {
      caf::anon_send(supervisor_, shut_down{});
      supervisor_ = supervisor_actor{};
      system_->await_all_actors_done();
      bridge_.detach_all();
      sink_.reset();
      via_ = caf::actor{};
      intake_ = intake_actor{};
      router_ = router_actor{};
      system_.reset();
    }
    if (writer_)
      writer_->stop();
  }
  daemon_actors(const daemon_actors&) = delete;
  daemon_actors& operator=(const daemon_actors&) = delete;

  bool works() const noexcept { return sink_ != nullptr; }

  /// Pushes new tasks as one batch, as a source does; the answer counts once, if all were accepted.
  void push(uint64_t count) {
    std::vector<push_item> items(count);
    for (auto& item : items)
      item.name = make_task(++last_number_).name;
    sink_->push(std::move(items), [this](const std::vector<push_reply>& replies) {
      for (const auto& reply : replies)
        if (!reply.accepted)
          return;
      answered_.add();
    });
  }

  arrivals& answered() { return answered_; }
  arrivals& settled() { return runner_.settled_count(); }

private:
  arrivals answered_;
  uint64_t last_number_ = 0;
  still_clock clock_;
  probe_registry probes_;
  runner_bridge bridge_{nullptr};
  instant_runner runner_;
  std::unique_ptr<group_commit> writer_;
  caf::actor_system_config config_;
  std::unique_ptr<caf::actor_system> system_;
  router_actor router_;
  intake_actor intake_;
  caf::actor via_;
  supervisor_actor supervisor_;
  std::unique_ptr<actor_push_sink> sink_;
};

/// Pushes, so many of them waiting for their answers at any time; with workers every task also runs and ends.
void push_through(benchmark::State& state, uint32_t workers, uint64_t batch) {
  const auto at_once = static_cast<uint64_t>(state.range(0));
  daemon_actors daemon(workers);
  if (!daemon.works()) {
    state.SkipWithError("the actors could not be started");
    return;
  }
  // Until the first is answered the queue may still be recovering.
  uint64_t pushed = 1;
  daemon.push(batch);
  bool works = daemon.answered().reach(pushed);
  auto& heard = workers > 0 ? daemon.settled() : daemon.answered();
  for (auto _ : state) {
    daemon.push(batch);
    ++pushed;
    works = works && (pushed <= at_once || heard.reach((pushed - at_once + 1) * (workers > 0 ? batch : 1)));
    if (!works) {
      state.SkipWithError("a push was refused, or an answer did not come");
      break;
    }
  }
  works = works && heard.reach(pushed * (workers > 0 ? batch : 1));
  if (!works)
    state.SkipWithError("a push was refused, or an answer did not come");
  hold_against(state, at_once == 1 && batch == 1 ? wake : cpu);
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(batch));
}
// One at a time is a matter of time; many at once are a matter of what all threads spend on each.
BENCHMARK_CAPTURE(push_through, push_alone, 0, 1)->Name("actors/push")->Arg(1)->UseRealTime();
BENCHMARK_CAPTURE(push_through, push, 0, 1)
    ->Name("actors/push")
    ->Arg(64)
    ->MeasureProcessCPUTime()
    ->UseRealTime();
BENCHMARK_CAPTURE(push_through, batches, 0, 1'000)
    ->Name("actors/push_batch_of_1000")
    ->Arg(2)
    ->MeasureProcessCPUTime()
    ->UseRealTime();
BENCHMARK_CAPTURE(push_through, task_alone, 16, 1)->Name("actors/task")->Arg(1)->UseRealTime();
BENCHMARK_CAPTURE(push_through, tasks, 16, 1)
    ->Name("actors/task")
    ->Arg(64)
    ->MeasureProcessCPUTime()
    ->UseRealTime();

} // namespace

} // namespace task_runner::benchmarks
