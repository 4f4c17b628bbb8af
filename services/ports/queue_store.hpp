// The store port: where queues durably live. enqueue, lease, settle, recover, look up.
// Every store passes the same contract tests (test/contract) and answers operation by operation alike.
#pragma once

#include "services/domain/channel.hpp"
#include "services/domain/push.hpp"
#include "services/domain/result.hpp"
#include "services/domain/task.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace task_runner {

/// Adds a task. Its state is pending, delayed, or running (enqueued and leased in one: `attempt` is 1 and
/// `started_at_ms` is set). Answered by insert_answer.
struct insert_task {
  task value;
  std::optional<push_origin> origin;
};

/// Turns a pending task into a running one. Answered by change_answer.
struct lease_task {
  std::string id;
  /// The attempt that begins, counted from 1.
  uint32_t attempt = 0;
  wall_time_ms started_at_ms = 0;
};

/// Ends an attempt. Applies only to a running task whose attempt is the given one (a stale speaker is
/// fenced). `state` is finished, dead or cancelled (which releases the distinct record), or pending for
/// another attempt. Answered by change_answer.
struct settle_task {
  std::string id;
  uint32_t attempt = 0;
  task_state state = task_state::finished;
  outcome how;
  /// Start of the attempt as the launcher saw it; 0 leaves the lease's moment.
  wall_time_ms started_at_ms = 0;
  wall_time_ms ended_at_ms = 0;
  /// The new count of lost attempts.
  uint32_t recoveries = 0;
};

/// Turns delayed tasks of a channel whose moment has come into pending ones, earliest moment first, at most
/// `limit`. Answered by promote_answer.
struct promote_due {
  std::string channel;
  wall_time_ms now_ms = 0;
  uint32_t limit = 0;
};

/// Records that the message at this place was decided without a new task (a duplicate). Answered by
/// change_answer (`applied` false when it was recorded already).
struct mark_origin {
  push_origin origin;
};

/// Forgets all marks of a batch, once its list is gone. Answered by change_answer.
struct forget_batch {
  uint64_t batch = 0;
};

/// Creates or overwrites a channel. Answered by change_answer.
struct save_channel {
  channel_record record;
};

using store_operation =
    std::variant<insert_task, lease_task, settle_task, promote_due, mark_origin, forget_batch, save_channel>;

/// What became of an insert_task.
struct insert_answer {
  enum class kind : uint8_t {
    inserted,
    /// A task with this id exists, in whatever state; `holder_id` is that id. Nothing was written.
    duplicate_id,
    /// An unfinished task of the channel holds the distinct key; `holder_id` names it. If an origin was
    /// given, it has been marked.
    duplicate_key,
    /// The origin is marked already: this very message was decided before a crash. Nothing was written.
    duplicate_origin,
  };
  kind what = kind::inserted;
  /// The task's place in the order of acceptance, when inserted.
  uint64_t sequence = 0;
  std::string holder_id;
  /// For duplicate_id: whether the task that has the id is the same one: channel, name and command.
  bool same_definition = false;
};

/// Whether a change found what it was to change.
struct change_answer {
  bool applied = false;
};

/// The tasks that became pending, and the moment of the channel's next delayed task (0: none).
struct promote_answer {
  std::vector<task> promoted;
  wall_time_ms next_due_ms = 0;
};

using store_answer = std::variant<insert_answer, change_answer, promote_answer>;

/// Place in a channel's order of execution: first in, first out.
using order_key = uint64_t;

/// How much a window read may return: it ends at whichever bound is reached first, but has at least one row.
struct window_limits {
  uint32_t tasks_max = 256;
  uint64_t bytes_max = 1'048'576;
};

/// What a queue needs to know of its channel when it begins.
struct channel_recovery {
  std::vector<task> running;
  uint64_t pending_count = 0;
  uint64_t delayed_count = 0;
  /// Moment of the earliest delayed task; 0 when there is none.
  wall_time_ms next_due_ms = 0;
};

/// Counts over all channels, for start-up messages and checks.
struct store_totals {
  uint64_t pending = 0;
  uint64_t delayed = 0;
  uint64_t running = 0;
  uint64_t ended = 0;
};

/// Where queues durably live. NOT thread-safe: one owner calls it (see services/store/group_commit.hpp).
/// Every call may fail with `unavailable` (disk full, locked, damaged), and then nothing has changed.
class queue_store {
public:
  virtual ~queue_store() = default;

  /// Applies all operations in order in one atomic, durable transaction: all of them or, on an error, none.
  /// Answers one by one, in the same order.
  virtual result<std::vector<store_answer>> apply(const std::vector<store_operation>& operations) = 0;

  /// All channels, by name.
  virtual result<std::vector<channel_record>> load_channels() = 0;

  /// Running tasks, counts and the next due moment of one channel.
  virtual result<channel_recovery> recover_channel(const std::string& channel) = 0;

  /// Pending tasks of a channel in order of execution, those behind `after` (0: from the front).
  virtual result<std::vector<task>> load_pending(const std::string& channel, order_key after,
                                                 window_limits limits) = 0;

  /// Delayed tasks of a channel, earliest moment first, at most `limit`.
  virtual result<std::vector<task>> load_delayed(const std::string& channel, uint32_t limit) = 0;

  /// One task in whatever state.
  virtual result<std::optional<task>> find_task(const std::string& id) = 0;

  /// The positions of a batch that are marked, ascending.
  virtual result<std::vector<uint32_t>> load_marks(uint64_t batch) = 0;

  /// The numbers of all batches with marks, ascending.
  virtual result<std::vector<uint64_t>> load_marked_batches() = 0;

  virtual result<store_totals> totals() = 0;
};

} // namespace task_runner
