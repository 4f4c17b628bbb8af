// The router: knows the channels, sends each task to its queue, and owns the queue and executor actors.
// When one of a pair dies it ends the other and starts both again; a restart runs the same recovery as a
// boot.
#pragma once

#include "actors/interfaces.hpp"
#include "actors/probe.hpp"
#include "actors/runner_bridge.hpp"
#include "services/ports/clock.hpp"
#include "services/ports/store_writer.hpp"

#include <caf/typed_response_promise.hpp>

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace task_runner {

/// A pair that dies more often than this within `restart_window` stays down: the channel has failed.
constexpr size_t restarts_max = 5;
constexpr std::chrono::seconds restart_window{10};

struct router_dependencies {
  /// Workers of a channel that has no number of its own.
  uint32_t concurrent = 5;
  /// false: accept and store, run nothing.
  bool task_mode = true;
  queue_limits limits;
  std::vector<channel_record> channels;
  store_writer* writer = nullptr;
  process_runner* runner = nullptr;
  runner_bridge* bridge = nullptr;
  probe_registry* probes = nullptr;
  const wall_clock* clock = nullptr;
  std::shared_ptr<actor_probe> probe;
};

struct router_state {
  static inline const char* name = "router";

  struct channel_entry {
    channel_record record;
    queue_actor queue;
    executor_actor executor;
    std::shared_ptr<actor_probe> queue_probe;
    std::shared_ptr<actor_probe> executor_probe;
    bool queue_down = false;
    bool executor_down = false;
    std::deque<std::chrono::steady_clock::time_point> restarts;
    uint64_t restart_count = 0;
    bool failed = false;
    bool quiet = false;
  };

  /// A change of channels on its way to the store.
  struct open_save {
    std::vector<channel_record> records;
    caf::typed_response_promise<action_reply> promise;
  };

  router_dependencies dependencies;
  supervisor_actor supervisor;
  std::map<std::string, channel_entry> channels;
  std::unordered_map<uint64_t, open_save> open_saves;
  std::unordered_map<uint64_t, caf::typed_response_promise<task_reply>> open_lookups;
  uint64_t next_number = 1;
  bool draining = false;
  bool quiet_told = false;
  bool ending = false;
};

enum class router_message : size_t {
  push,
  create,
  ini,
  status,
  task,
  task_read,
  saved,
  drain,
  quiet,
  end,
  attach
};
std::vector<std::string_view> router_message_kinds();

router_actor::behavior_type router(router_actor::stateful_pointer<router_state> self,
                                   router_dependencies dependencies);

} // namespace task_runner
