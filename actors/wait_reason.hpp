// Why a task does not run now, as plain values: the reasons that there are, what stands in the way, the place
// in line. queue_core finds them, the router where no queue can be asked; the API shows them.
#pragma once

#include "services/domain/task.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace task_runner {

/// Every reason why a task does not run now, or that it does, or has ended. A task has one at any moment.
/// `to_string` and `sentence_of` cover every value.
enum class wait_reason : uint8_t {
  // It has ended.
  finished,
  dead,
  cancelled,
  // A worker is its own.
  /// Its command has been started, and has not ended.
  running,
  /// Handed to the launcher, or on the way there: there is no process yet.
  starting,
  /// It has come to its end, which does not stand in the store yet.
  ending,
  /// Its end is wanted and has not come yet.
  cancelling,
  // Its turn has come.
  /// The lease is on its way to the store.
  being_leased,
  /// A worker is free for it.
  next,
  // It waits for something of its own.
  /// For the moment that it was given.
  delayed,
  /// A failed attempt is followed by another when its backoff is over.
  backoff,
  /// Its moment has come, and the store does not have it in line yet.
  due,
  /// It was not started in time, and does not stand in the store as cancelled yet.
  expiring,
  /// Its concurrency key is in full use.
  concurrency_key,
  // It waits in line.
  /// The workers of the channel are busy, or will be with those that stand before it.
  behind_others,
  /// The limit over all channels has no slot for its channel.
  running_limit,
  // Its channel starts nothing.
  no_workers,
  paused,
  channel_closing,
  // The daemon starts nothing, or nothing of the channel.
  draining,
  task_mode_off,
  /// A commit failed; nothing is leased until the store is tried again.
  store_unavailable,
  /// The queue does not know yet what its channel holds.
  recovering,
  channel_down,
  /// The store has it, in a way that its queue has not heard of: a commit that was reported as failed had
  /// happened. The periodic check puts that right.
  unnoticed,
};

/// The code of a reason, stable: paused, behind_others. Never empty.
std::string_view to_string(wait_reason why) noexcept;

/// What the reason means for a task, and what to do where something can be done.
std::string_view sentence_of(wait_reason why) noexcept;

/// All reasons, in their order.
std::vector<wait_reason> all_wait_reasons();

/// Most tasks that an explanation names as being in the way.
constexpr size_t blocking_tasks_max = 10;

/// One thing that stands in the way of a task.
struct blocker {
  enum class kind : uint8_t {
    /// A task that occupies what this one waits for.
    task,
    /// The task's channel, for what it does.
    channel,
    /// A number that is reached: worker, running-max, concurrency_max.
    limit,
    /// A moment that has not come.
    time,
    store,
    daemon,
  };
  kind what = kind::limit;
  /// Of a task its id, of channel and limit their name.
  std::string name;
  /// What the channel does or is (paused, closing, starting, down), the daemon (draining, task_mode_off), the
  /// state of a task.
  std::string_view condition;
  /// Of a limit: what it is.
  uint64_t value = 0;
  /// Of a limit: how much of it is in use, where that is known.
  std::optional<uint64_t> used;
  /// Of time: the moment; of the store: when it is tried again. 0: not known.
  wall_time_ms until_ms = 0;
};

/// The name of a kind: task, channel, limit, time, store, daemon.
std::string_view to_string(blocker::kind what) noexcept;

/// Why a task does not run now.
struct explanation {
  wait_reason reason = wait_reason::recovering;
  /// As the queue knows it; where it does not know, as the store had it.
  task_state state = task_state::pending;
  /// What stands in the way, what the reason is about first.
  std::vector<blocker> blocked_by;
  /// Of a task in line: 1 for the one that starts next.
  std::optional<uint64_t> position;
  /// Of a task in line that stands farther back than the queue can see: its position is this or a later one.
  std::optional<uint64_t> position_at_least;
  /// It is not started before this moment; 0: no moment is known.
  wall_time_ms may_start_at_ms = 0;
};

/// The explanation of a task that has ended. The state must be terminal.
explanation explain_ended(task_state state);

/// The sentence for a person: sentence_of the reason, and what is added to it by the place in line, or by how
/// the last attempt ended where that is why it does not run.
std::string message_of(const explanation& why, const std::optional<outcome>& last_outcome = std::nullopt);

} // namespace task_runner
