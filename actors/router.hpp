// The router: knows the channels, sends each task to its queue, and owns the queue and executor actors.
// When one of a pair dies it ends the other and starts both again; a restart runs the same recovery as a
// boot.
#pragma once

#include "actors/channel_facts.hpp"
#include "actors/interfaces.hpp"
#include "actors/probed_actor.hpp"
#include "actors/runner_bridge.hpp"
#include "actors/slot_allocator.hpp"
#include "services/observability/channel_metrics.hpp"
#include "services/ports/clock.hpp"
#include "services/ports/dead_letter_counts.hpp"
#include "services/ports/history.hpp"
#include "services/ports/store_writer.hpp"
#include "services/ports/task_observer.hpp"

#include <caf/typed_response_promise.hpp>

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace task_runner {

/// A pair that dies more often than this within `restart_window` stays down: the channel has failed.
constexpr size_t restarts_max = 5;
constexpr std::chrono::seconds restart_window{10};
/// Most requests that wait for the store at once; one more is `overloaded`.
constexpr size_t open_reads_max = 4'096;
/// Most changes of channels that wait for their turn; one more is `overloaded`.
constexpr size_t changes_max = 1'024;
/// Most tasks of one act_on_tasks.
constexpr uint32_t bulk_max = 10'000;
/// Tasks that a bulk request reads at a time, and most of its actions that are open at once.
constexpr uint32_t bulk_page = 500;
constexpr size_t bulk_open_max = 64;
/// How long a bulk request works; then it answers with what is done, and `more`.
constexpr std::chrono::seconds bulk_patience{20};
/// How long a removal is waited for; it goes on when the answer has been given.
constexpr std::chrono::seconds removal_patience{25};

struct router_dependencies {
  /// Where pushes without a channel go; it cannot be removed.
  std::string channel_default = "default";
  /// Workers of a channel that has no number of its own.
  uint32_t concurrent = 5;
  /// false: accept and store, run nothing.
  bool task_mode = true;
  queue_limits limits;
  /// Most commands that run at once over all channels; 0: no such limit.
  uint32_t running_max = 0;
  std::vector<channel_record> channels;
  /// The channels that have a section in the INI file, as it was read last.
  std::set<std::string> ini_channels;
  store_writer* writer = nullptr;
  process_runner* runner = nullptr;
  runner_bridge* bridge = nullptr;
  probe_registry* probes = nullptr;
  const wall_clock* clock = nullptr;
  /// May be null: then nobody tidies up.
  history_keeper* history = nullptr;
  /// May be null: then nobody watches.
  task_observer* observer = nullptr;
  std::shared_ptr<channel_facts> facts = std::make_shared<channel_facts>();
  std::shared_ptr<channel_metrics_registry> metrics = std::make_shared<channel_metrics_registry>();
  /// The store's.
  std::shared_ptr<const dead_letter_counts> dead_letters = std::make_shared<dead_letter_counts>();
  /// Most commands that the launcher can run at once, 0 when it is not known. Thread-safe.
  std::function<uint64_t()> capacity = [] { return uint64_t{0}; };
  std::shared_ptr<actor_probe> probe;
};

struct router_state {
  static inline const char* name = "router";

  void measure(actor_probe& probe, size_t asked) const;

  struct channel_entry {
    channel_record record;
    queue_actor queue;
    executor_actor executor;
    std::shared_ptr<channel_metrics> metrics;
    std::shared_ptr<actor_probe> queue_probe;
    std::shared_ptr<actor_probe> executor_probe;
    bool queue_down = false;
    bool executor_down = false;
    std::deque<std::chrono::steady_clock::time_point> restarts;
    uint64_t restart_count = 0;
    bool failed = false;
    bool quiet = false;
    /// It is being removed: pushes are refused as if it were gone.
    bool removing = false;
    /// It is being removed, and holds nothing any more: its pair ends, then its record goes.
    bool emptied = false;
  };

  /// A change of channels: what is to be committed, and what follows. One at a time, so that each sees the
  /// channels as the one before left them.
  struct channel_change {
    std::function<result<std::vector<store_operation>>()> plan;
    std::function<void(result<std::vector<store_answer>>)> done;
  };

  router_dependencies dependencies;
  supervisor_actor supervisor;
  /// Only while the commands of all channels together are limited.
  std::optional<slot_allocator> slots;
  std::map<std::string, channel_entry> channels;

  std::deque<channel_change> changes;
  bool change_open = false;

  /// What is to be done with what the store answers, by number.
  std::unordered_map<uint64_t, std::function<void(result<std::vector<store_answer>>)>> open_commits;
  std::unordered_map<uint64_t, std::function<void(task_read&)>> open_lookups;
  std::unordered_map<uint64_t, std::function<void(result<task_page>)>> open_pages;
  /// What is to be done when somebody has waited long enough, by number.
  std::unordered_map<uint64_t, std::function<void()>> open_waits;
  /// Who waits for the end of a channel, by its name.
  std::unordered_map<std::string, std::vector<caf::typed_response_promise<action_reply>>> open_removals;

  uint64_t next_number = 1;
  bool draining = false;
  bool stopping_now = false;
  bool quiet_told = false;
  bool ending = false;
};

enum class router_message : size_t {
  push,
  create,
  change,
  remove,
  act_on_channel,
  ini,
  status,
  task,
  task_read,
  list,
  act_on_task,
  act_on_tasks,
  page_read,
  committed,
  patience,
  slots,
  clock,
  drain,
  stop_now,
  quiet,
  end,
  attach,
  explain
};
std::vector<std::string_view> router_message_kinds();

/// What a router's probe counts; what goes to a channel's pair is counted by the pair's probes.
enum class router_edge : size_t { to_store, from_store, to_supervisor, from_clock };
const probe_shape& router_shape();

router_actor::behavior_type router(probed_pointer<router_actor, router_state> self,
                                   router_dependencies dependencies);

} // namespace task_runner
