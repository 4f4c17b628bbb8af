// The real actors on CAF's deterministic scheduler, over a store, a launcher and a clock that the test moves
// by hand. Nothing happens by itself: the test says when a commit lands, a command ends and time passes.
#pragma once

#include "actors/gateway/ask.hpp"
#include "actors/intake.hpp"
#include "actors/router.hpp"
#include "actors/supervisor.hpp"
#include "services/store/memory_store.hpp"

#include <caf/all.hpp>
#include <caf/scheduler/test_coordinator.hpp>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace task_runner::test {

/// A clock that stands still until it is moved.
class hand_clock final : public wall_clock {
public:
  wall_time_ms now_ms() const override { return now; }
  wall_time_ms now = 1'800'000'000'000;
};

/// A store thread that works when it is told to.
class hand_writer final : public store_writer {
public:
  result<void> submit(std::vector<store_operation> operations, store_completion done) override;
  result<void> read(store_read_job job) override;

  /// Works off what is waiting; answers how much that was.
  size_t work();

  memory_store store;
  /// The next commits fail while it is set.
  bool broken = false;
  /// The next commits happen while it is set, and yet are reported as failed.
  bool unheard = false;
  /// Commits with an operation of which this is true fail.
  std::function<bool(const store_operation&)> refuses;
  /// The next reads find the store unavailable while it is set.
  bool unreadable = false;
  /// Refuses submissions, as a full queue does, while it is set.
  bool full = false;
  std::vector<std::vector<store_operation>> commits;

private:
  std::deque<std::function<void()>> jobs_;
};

/// A launcher whose commands run until the test ends them.
class hand_runner final : public process_runner {
public:
  result<void> start(attempt_start request) override;
  result<void> signal(const attempt_key& key, int signal_number) override;
  result<void> stop(const attempt_key& key, int64_t grace_ms) override;
  void settled(const attempt_key& key) override;
  std::vector<known_attempt> known_attempts(const std::string& channel) const override;
  uint64_t launcher_id() const override { return launcher; }

  /// Ends a running command.
  void end(const attempt_key& key, int exit_code);
  void end(const attempt_key& key, outcome how);

  process_events* events = nullptr;
  uint64_t launcher = 1;
  /// Whether commands end when they are stopped.
  bool obedient = true;
  /// Refuses starts, as a full queue does, while it is set.
  bool full = false;
  /// In the order in which they were started.
  std::vector<attempt_start> started;
  std::vector<attempt_stop> stopped;
  std::vector<std::pair<attempt_key, int>> signals;
  std::map<attempt_key, known_attempt> known;
  std::vector<attempt_key> forgotten;
};

/// Remembers what the queues tell the history.
class hand_history final : public history_keeper {
public:
  void task_ended() noexcept override { ++ended; }
  void discard(std::vector<attempt_key> attempts) override {
    discarded.insert(discarded.end(), attempts.begin(), attempts.end());
  }

  size_t ended = 0;
  std::vector<attempt_key> discarded;
};

/// The whole actor system of the daemon.
class actor_fixture {
public:
  /// `running_max`: the common limit of running commands; 0: none.
  explicit actor_fixture(std::vector<channel_record> channels = {make_channel("default", false, 2)},
                         uint32_t running_max = 0);
  ~actor_fixture();

  static channel_record make_channel(std::string name, bool distinct, uint32_t worker);

  /// Lets actors and store work until nothing is left to do.
  void settle();

  /// Lets the actors alone work.
  void run_actors();

  /// Lets time pass on the actors' clock, while the store does not work.
  void wait(std::chrono::milliseconds time);

  /// Lets time pass, on both clocks.
  void pass(std::chrono::milliseconds time);

  /// Pushes one item; the reply stands in the answer once it has come.
  std::shared_ptr<std::optional<push_reply>> push(push_item item);
  std::shared_ptr<std::optional<push_replies>> push_all(std::vector<push_item> items);
  static push_item item(std::string name, std::string channel = {});

  channel_status status(const std::string& channel, uint32_t limit = 100);
  action_reply create(channel_record record);
  channel_reply change(const std::string& channel, std::function<void(channel_record&)> apply);
  action_reply remove(const std::string& channel, bool force);

  /// Asks the router; the reply stands in the answer once it has come.
  template <class Reply, class Request>
  std::shared_ptr<std::optional<Reply>> request(Request what,
                                                std::chrono::milliseconds timeout = std::chrono::hours(1)) {
    auto slot = std::make_shared<std::optional<Reply>>();
    ask<Reply>(
        via, router_handle, std::move(what), timeout, [slot](Reply& reply) { *slot = std::move(reply); },
        [slot](const error& why) {
          slot->emplace();
          (*slot)->failure = why;
        },
        ask_origin::http);
    scheduler().run();
    return slot;
  }

  /// One verb on one task.
  std::shared_ptr<std::optional<task_reply>> act(task_verb verb, const std::string& id);

  /// The task as the store has it.
  task stored(const std::string& id);
  /// Ends the actors of a channel as a bug in them would.
  void break_executor(const std::string& channel);

  hand_clock clock;
  hand_writer writer;
  hand_runner runner;
  hand_history history;
  std::shared_ptr<channel_facts> facts = std::make_shared<channel_facts>();
  std::shared_ptr<channel_metrics_registry> metrics = std::make_shared<channel_metrics_registry>();
  runner_bridge bridge{nullptr};
  probe_registry probes;
  bool quiet = false;
  std::string died;

  caf::actor_system_config config;
  std::unique_ptr<caf::actor_system> system;
  intake_actor intake_handle;
  router_actor router_handle;
  supervisor_actor supervisor_handle;
  caf::actor via;

private:
  caf::scheduler::test_coordinator& scheduler();
};

} // namespace task_runner::test
