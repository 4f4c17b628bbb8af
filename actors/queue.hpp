// The queue actor: translates messages into events of queue_core, and its effects into messages and store
// operations. It decides nothing itself; every decision is in queue_core, where it can be simulated.
#pragma once

#include "actors/interfaces.hpp"
#include "actors/probe.hpp"
#include "services/ports/clock.hpp"
#include "services/ports/store_writer.hpp"

#include <caf/typed_response_promise.hpp>

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace task_runner {

struct queue_dependencies {
  std::string channel;
  bool distinct = false;
  queue_limits limits;
  router_actor router;
  store_writer* writer = nullptr;
  const wall_clock* clock = nullptr;
  std::shared_ptr<actor_probe> probe;
};

struct queue_state {
  static inline const char* name = "queue";

  queue_dependencies dependencies;
  std::optional<queue_core> core;
  executor_actor executor;
  bool distinct = false;
  bool draining = false;
  bool quiet_told = false;
  bool store_failure_told = false;

  batch_token next_batch = 1;
  std::unordered_map<batch_token, caf::typed_response_promise<push_replies>> open_batches;

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

  /// The number of the alarm that counts; 0 when none is set.
  uint64_t alarm = 0;
  uint64_t next_alarm = 1;
  wall_time_ms alarm_at_ms = 0;
};

/// The kinds of message that a queue's probe counts.
enum class queue_message : size_t {
  push,
  status,
  attach,
  recovered,
  committed,
  window,
  status_read,
  credit,
  started,
  ended,
  wake_up,
  configure,
  drain
};
std::vector<std::string_view> queue_message_kinds();

queue_actor::behavior_type queue(queue_actor::stateful_pointer<queue_state> self,
                                 queue_dependencies dependencies);

} // namespace task_runner
