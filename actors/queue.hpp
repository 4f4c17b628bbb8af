// The queue actor: translates messages into events of queue_core, and its effects into messages and store
// operations. It decides nothing itself; every decision is in queue_core, where it can be simulated.
#pragma once

#include "actors/interfaces.hpp"
#include "actors/probed_actor.hpp"
#include "actors/queue_core.hpp"
#include "services/observability/channel_metrics.hpp"
#include "services/ports/clock.hpp"
#include "services/ports/history.hpp"
#include "services/ports/store_writer.hpp"
#include "services/ports/task_observer.hpp"

#include <caf/typed_response_promise.hpp>

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace task_runner {

struct queue_dependencies {
  channel_record record;
  queue_limits limits;
  /// Whether the commands of all channels together are limited, and each needs a slot from the router.
  bool slots_limited = false;
  router_actor router;
  store_writer* writer = nullptr;
  const wall_clock* clock = nullptr;
  /// May be null: then nobody tidies up.
  history_keeper* history = nullptr;
  /// May be null: then nobody watches.
  task_observer* observer = nullptr;
  std::shared_ptr<actor_probe> probe;
  /// What is measured of the channel; outlives this queue.
  std::shared_ptr<channel_metrics> metrics;
};

struct queue_state {
  static inline const char* name = "queue";

  queue_state() = default;
  /// Whoever still waits for an answer of this queue is told that it is gone.
  ~queue_state();
  queue_state(const queue_state&) = delete;
  queue_state& operator=(const queue_state&) = delete;

  void measure(actor_probe& probe, size_t asked) const;

  queue_dependencies dependencies;
  std::optional<queue_core> core;
  executor_actor executor;
  bool draining = false;
  bool stopping_now = false;
  bool quiet_told = false;
  bool store_failure_told = false;
  /// What the core had counted when its counts were last added to the metrics.
  queue_counts counted;
  /// Why the recovery failed the last time; it is tried again until it succeeds.
  std::optional<error> recovery_failure;
  uint32_t recovery_failures = 0;

  batch_token next_batch = 1;
  std::unordered_map<batch_token, caf::typed_response_promise<push_replies>> open_batches;

  action_token next_action = 1;
  struct open_action {
    caf::typed_response_promise<task_reply> promise;
    std::string task_id;
  };
  std::unordered_map<action_token, open_action> open_actions;

  struct open_status {
    caf::typed_response_promise<channel_status> promise;
    channel_status so_far;
    uint32_t limit = 0;
  };
  uint64_t next_status = 1;
  std::unordered_map<uint64_t, open_status> open_statuses;

  struct early_status {
    caf::typed_response_promise<channel_status> promise;
    uint32_t limit = 0;
  };
  /// Asked for before the recovery was done; answered after it, for until then nobody knows what waits.
  std::vector<early_status> early_statuses;

  /// Who waits until nothing is left, after close_queue.
  std::vector<caf::typed_response_promise<action_reply>> open_closings;
  /// Who waits until nothing runs, by number.
  std::unordered_map<uint64_t, caf::typed_response_promise<action_reply>> open_idles;

  /// The number of the alarm that counts; 0 when none is set.
  uint64_t alarm = 0;
  uint64_t next_alarm = 1;
  wall_time_ms alarm_at_ms = 0;
  /// A check_due is on its way, or a check is being made.
  bool check_armed = false;

  /// What a patience_over is for.
  struct patience {
    action_token action = 0;
    uint64_t idle = 0;
  };
  std::unordered_map<uint64_t, patience> open_patience;
  uint64_t next_patience = 1;
};

/// The kinds of message that a queue's probe counts.
enum class queue_message : size_t {
  push,
  action,
  close,
  idle,
  status,
  attach,
  recovered,
  check,
  committed,
  window,
  status_read,
  credit,
  slots,
  progress,
  wake_up,
  patience,
  clock,
  configure,
  drain,
  explain
};
std::vector<std::string_view> queue_message_kinds();

/// What a queue's probe counts.
enum class queue_edge : size_t { from_router, to_router, to_executor, to_store, from_store };
const probe_shape& queue_shape();

queue_actor::behavior_type queue(probed_pointer<queue_actor, queue_state> self,
                                 queue_dependencies dependencies);

} // namespace task_runner
