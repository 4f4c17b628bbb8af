// The store port: where queues durably live. enqueue, lease, settle, recover, look up.
// Every store passes the same contract tests (test/contract) and answers operation by operation alike.
#pragma once

#include "services/domain/channel.hpp"
#include "services/domain/push.hpp"
#include "services/domain/result.hpp"
#include "services/domain/task.hpp"
#include "services/ports/dead_letter_counts.hpp"

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace task_runner {

/// Adds a task. Its state is pending, delayed, or running (enqueued and leased in one: `attempt` is 1 and
/// `started_at_ms` is set). A pending or running one whose concurrency key is in full use (as many tasks in
/// line or running as its own `concurrency_max`) is held instead: pending, with no attempt; a running one
/// must then not be started. Answered by insert_answer.
struct insert_task {
  task value;
  std::optional<push_origin> origin;
};

/// Turns a pending task that is not held into a running one; releases the distinct record when that was to
/// last only while the task was pending. Answered by change_answer; when not applied, `after` is the task as
/// it stands (a commit that was reported as failed may have happened: then it runs this very attempt).
struct lease_task {
  std::string id;
  /// The attempt that begins, counted from 1; greater than any before.
  uint32_t attempt = 0;
  wall_time_ms started_at_ms = 0;
  /// See task::launcher_id; below 2^63.
  uint64_t launcher_id = 0;
};

/// Takes back the lease of a first attempt that was never handed out: the task is pending again, in its
/// place, as if it had never been leased. Applies only to a running task of the channel, in its first
/// attempt, whose end is not wanted, without a concurrency key, and whose distinct record did not end with
/// the lease. Answered by change_answer; when not applied, `after` is the task as it stands.
struct return_lease {
  std::string id;
  std::string channel;
};

/// Ends an attempt. Applies only to a running task whose attempt is the given one (a stale speaker is
/// fenced). `state` is finished, dead or cancelled (which releases the distinct record), or pending or
/// delayed for another attempt (which keeps what has ended as an attempt_record). A running task keeps its
/// place under its concurrency key when it turns pending, and gives it up otherwise: then those held under
/// the key get into line, in order, while the first of them has room by its own `concurrency_max`. Answered
/// by change_answer; when not applied, `after` is the task as it stands.
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
  /// For delayed: when the backoff is over. It moves along when the clock is set.
  wall_time_ms not_before_ms = 0;
  uint64_t output_bytes = 0;
};

/// Turns delayed tasks of a channel whose moment has come into pending ones (held, where their concurrency
/// key is in full use), earliest moment first, at most `limit`. Answered by promote_answer.
struct promote_due {
  std::string channel;
  wall_time_ms now_ms = 0;
  uint32_t limit = 0;
};

/// Cancels tasks of a channel that expired before their first attempt started (pending, held or delayed),
/// earliest first, at most `limit`; their outcome is expired. Answered by sweep_answer.
struct expire_due {
  std::string channel;
  wall_time_ms now_ms = 0;
  uint32_t limit = 0;
};

/// Cancels a pending, held or delayed task (outcome cancelled), or notes the wish on a running one
/// (`cancel_requested`). Answered by change_answer: `applied` when the task was cancelled or the wish was
/// noted now; `after` is the task as it stands, in whatever state; without `after` there is no such task.
/// When it was cancelled now, `before` and `was_held` say what it was.
struct cancel_task {
  std::string id;
  wall_time_ms now_ms = 0;
};

/// Cancels held, pending and delayed tasks of a channel, in this order, at most `limit`. Answered by
/// sweep_answer.
struct cancel_channel_tasks {
  std::string channel;
  wall_time_ms now_ms = 0;
  uint32_t limit = 0;
};

/// Turns a dead or cancelled task into a pending one (or a held one), at its old place in the order: its
/// attempts begin to count anew (`attempts_before`), recoveries, delay, expiry and wish to cancel are
/// cleared; what the last attempt was is kept as an attempt_record. Answered by change_answer; not applied
/// when the task is in another state, or when its distinct record would collide (`holder_id`).
struct retry_task {
  std::string id;
  wall_time_ms now_ms = 0;
};

/// Deletes an ended task with its history. Answered by change_answer (`after`: as it stood).
struct delete_task {
  std::string id;
};

/// Releases the distinct record of an unfinished task. Answered by change_answer (`after`: as it stands).
struct release_distinct {
  std::string id;
};

/// Lets held tasks of a channel whose concurrency keys have room into line, at most `limit`. Every operation
/// does this for the keys it touches, so this finds none; it is for checks. Looks at every task with a
/// key. Answered by sweep_answer (`released`).
struct release_held {
  std::string channel;
  uint32_t limit = 0;
};

/// Deletes the oldest ended tasks, by their end, beyond what shall be kept: at most `limit`. Answered by
/// purge_answer.
struct purge_ended {
  /// Finished and cancelled tasks that ended before this moment go; 0: none for their age.
  wall_time_ms ended_before_ms = 0;
  /// The same for dead tasks.
  wall_time_ms dead_before_ms = 0;
  /// Ended tasks beyond this number go; 0: any number is kept.
  uint64_t tasks_max = 0;
  /// Ended tasks go while the output of all ended tasks together is more than this; 0: no bound. What counts
  /// for a task is `output_bytes` of its attempts, each at most `kept_bytes_max` (a tebibyte or less). The
  /// sum is kept along; it is counted anew, over all that has ended, when `kept_bytes_max` is another than
  /// before.
  uint64_t output_bytes_max = 0;
  uint64_t kept_bytes_max = 0;
  uint32_t limit = 0;
};

/// How the wall clock stood against the machine's own: tells whether it was set, across restarts too.
struct clock_mark {
  /// The machine's boot; another boot cannot be compared.
  std::string boot_id;
  /// Wall clock minus the clock since boot, milliseconds.
  int64_t offset_ms = 0;
};

/// Moves the moments of all relative delays and of all expiries, because the wall clock was set, and
/// remembers the clock. Answered by change_answer.
struct adjust_clock {
  /// What is added to `not_before_ms` of delayed tasks with `delay_is_relative`, and to `expires_at_ms` of
  /// what can still expire: both count from a moment that has moved.
  int64_t shift_ms = 0;
  clock_mark mark;
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
  save_channel(channel_record value)
      : record(std::make_shared<const channel_record>(std::move(value))) {}
  /// Never null. Not a plain member, because it would make every operation three times as large.
  std::shared_ptr<const channel_record> record;
};

/// Removes a channel's record; refused (not applied) while it holds unfinished tasks. Ended tasks stay.
/// Answered by change_answer.
struct remove_channel {
  std::string name;
};

/// Most records of requests that may be repeated that a store keeps, and most bytes of their answers
/// together; beyond either the oldest go.
constexpr uint64_t request_records_max = 1'000'000;
constexpr uint64_t request_answers_bytes_max = uint64_t{256} * 1'048'576;

/// Finds or makes the record of a request that may be repeated, under the key that its client gave it.
/// Answered by request_answer.
struct begin_request {
  std::string key;
  /// Tells the request from others with the same key.
  std::string fingerprint;
  /// The id of its task, for a new record.
  std::string task_id;
  wall_time_ms now_ms = 0;
  /// Records that began before this moment count as gone, and some of them go.
  wall_time_ms forget_before_ms = 0;
  /// What is kept at most, see above.
  uint64_t records_max = request_records_max;
  uint64_t bytes_max = request_answers_bytes_max;
};

/// The answer to a request, as it was given.
struct given_answer {
  /// HTTP status.
  int status = 0;
  std::string content_type;
  std::string body;
};

/// Keeps the answer to a request that has been carried out, in its record, and forgets the marks of its
/// pushes. Answered by change_answer; not applied when there is no such record any more.
struct finish_request {
  /// From request_answer.
  uint64_t batch = 0;
  given_answer answer;
};

using store_operation =
    std::variant<insert_task, lease_task, settle_task, promote_due, mark_origin, forget_batch, save_channel,
                 expire_due, cancel_task, cancel_channel_tasks, retry_task, delete_task, release_distinct,
                 release_held, purge_ended, adjust_clock, remove_channel, return_lease, begin_request,
                 finish_request>;

/// What became of an insert_task. An origin of a request is marked only when the task was inserted.
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
    /// The same for an origin of a request: its task was inserted then. Nothing was written.
    inserted_before,
  };
  kind what = kind::inserted;
  /// The task's place in the order of acceptance, when inserted.
  uint64_t sequence = 0;
  std::string holder_id;
  /// For duplicate_id: whether the task that has the id is the same one: channel, name and command.
  bool same_definition = false;
  /// When inserted: whether it is held for its concurrency key, even if it came as running.
  bool held = false;
};

/// Whether a change found what it was to change.
struct change_answer {
  bool applied = false;
  /// See the operation.
  std::optional<task> after;
  /// Why a retry was not applied: the task that holds the distinct key now; otherwise empty.
  std::string holder_id;
  /// Held tasks of the channel that got into line because this one gave up its place: pending from now on.
  std::vector<task> released;
  /// For an applied cancel_task: the state the task had, pending or delayed (running: the wish was noted).
  task_state before = task_state::pending;
  /// For an applied cancel_task: whether the task was held.
  bool was_held = false;
};

/// The tasks that became pending, how many became held, and the moment of the channel's next delayed task
/// (0: none).
struct promote_answer {
  std::vector<task> promoted;
  uint64_t held_count = 0;
  wall_time_ms next_due_ms = 0;
};

/// The tasks that were cancelled, as they stood before (their states tell the counts), those that got into
/// line for it, and the moment at which the channel's next task expires (0: none).
struct sweep_answer {
  std::vector<task> cancelled;
  std::vector<task> released;
  wall_time_ms next_expiry_ms = 0;
};

/// The attempts whose output may be deleted, and whether more is to be purged.
struct purge_answer {
  std::vector<attempt_key> purged;
  uint64_t tasks = 0;
  bool more = false;
};

/// What is known of a request that may be repeated.
struct request_answer {
  enum class kind : uint8_t {
    /// It is new.
    begun,
    /// It began before and has no answer: it may have been carried out, in part or not at all.
    unanswered,
    answered,
    /// The key is another request's.
    another,
  };
  kind what = kind::begun;
  /// For begun and unanswered: what its pushes are to be identified by.
  push_identity identity;
  /// For answered.
  given_answer answer;
};

using store_answer =
    std::variant<insert_answer, change_answer, promote_answer, sweep_answer, purge_answer, request_answer>;

/// Place in a channel's order of execution: higher priority first, then first in, first out.
struct order_key {
  int32_t priority = 0;
  uint64_t sequence = 0;

  bool operator<(const order_key& other) const noexcept {
    return priority != other.priority ? priority > other.priority : sequence < other.sequence;
  }
  bool operator==(const order_key& other) const noexcept {
    return priority == other.priority && sequence == other.sequence;
  }
  bool operator!=(const order_key& other) const noexcept { return !(*this == other); }
};

/// Before every place in the order.
constexpr order_key order_front{std::numeric_limits<int32_t>::max(), 0};

inline order_key order_of(const task& value) noexcept {
  return {value.priority, value.sequence};
}

/// How much a window read may return: it ends at whichever bound is reached first, but has at least one row.
struct window_limits {
  uint32_t tasks_max = 256;
  uint64_t bytes_max = 1'048'576;
};

/// What a queue needs to know of its channel when it begins.
struct channel_recovery {
  std::vector<task> running;
  /// Pending tasks in line; held ones are counted apart.
  uint64_t pending_count = 0;
  uint64_t held_count = 0;
  uint64_t delayed_count = 0;
  /// Moment at which the first task expires; 0 when none does.
  wall_time_ms next_expiry_ms = 0;
  /// Moment of the earliest delayed task; 0 when there is none.
  wall_time_ms next_due_ms = 0;
};

/// Counts over all channels, for start-up messages and checks.
struct store_totals {
  /// In line or held.
  uint64_t pending = 0;
  uint64_t delayed = 0;
  uint64_t running = 0;
  uint64_t ended = 0;
};

/// Which tasks are meant. What is left open admits all.
struct task_filter {
  std::optional<std::string> channel;
  /// Empty: every state.
  std::vector<task_state> states;
  /// Somewhere in the task's name, byte for byte.
  std::string name_contains;
  std::optional<std::string> distinct_key;
  std::optional<outcome_kind> outcome;
  std::optional<int> exit_code;
  /// From (inclusive) and until (exclusive); 0: open.
  wall_time_ms created_from_ms = 0;
  wall_time_ms created_until_ms = 0;
  wall_time_ms ended_from_ms = 0;
  wall_time_ms ended_until_ms = 0;
};

/// The order of a listing.
enum class task_order : uint8_t {
  /// By acceptance, from the highest sequence on.
  newest_first,
  oldest_first,
  /// By the end, then by sequence: only tasks that have ended for good are listed.
  last_ended_first,
  first_ended_first,
};

/// Whether only tasks that have ended for good are listed.
constexpr bool is_by_end(task_order order) noexcept {
  return order == task_order::last_ended_first || order == task_order::first_ended_first;
}

/// A place in a listing: behind the task with this sequence, and this end where the order is by the end.
struct listing_place {
  task_order order = task_order::newest_first;
  /// 0: the beginning of the listing.
  uint64_t sequence = 0;
  wall_time_ms ended_at_ms = 0;

  bool is_beginning() const noexcept { return sequence == 0; }
};

/// The place behind this task.
inline listing_place place_behind(const task& value, task_order order) noexcept {
  return {order, value.sequence, is_by_end(order) ? value.ended_at_ms : 0};
}

/// A stretch of a listing.
struct task_page {
  std::vector<task> tasks;
  /// Where to go on; the beginning: the listing has ended. A page may hold fewer tasks than its limit, even
  /// none, and yet not be the last: a bounded number of rows is looked at for each.
  listing_place next;
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

  /// Pending tasks of a channel that are in line, in order of execution, those behind `after` (order_front:
  /// from the front).
  virtual result<std::vector<task>> load_pending(const std::string& channel, order_key after,
                                                 window_limits limits) = 0;

  /// Held tasks of a channel, in order of acceptance, at most `limit`.
  virtual result<std::vector<task>> load_held(const std::string& channel, uint32_t limit) = 0;

  /// Delayed tasks of a channel, earliest moment first, at most `limit`.
  virtual result<std::vector<task>> load_delayed(const std::string& channel, uint32_t limit) = 0;

  /// One task in whatever state.
  virtual result<std::optional<task>> find_task(const std::string& id) = 0;

  /// Several tasks in whatever state, in the order asked for; ids that are unknown are left out.
  virtual result<std::vector<task>> find_tasks(const std::vector<std::string>& ids) = 0;

  /// The attempts of a task that ended and were followed by another or by a retry, in order. While a task
  /// waits for another attempt, or was cancelled while it did, the last of them is also what its own members
  /// tell of.
  virtual result<std::vector<attempt_record>> load_attempts(const std::string& id) = 0;

  /// Tasks by filter, in the order of `after`, those that come after it, at most `limit`.
  virtual result<task_page> list_tasks(const task_filter& filter, listing_place after, uint32_t limit) = 0;

  /// The clock as last remembered; nothing before the first adjust_clock.
  virtual result<std::optional<clock_mark>> load_clock() = 0;

  /// The positions of a batch that are marked, ascending.
  virtual result<std::vector<uint32_t>> load_marks(uint64_t batch) = 0;

  /// The numbers of all batches of sources with marks, ascending.
  virtual result<std::vector<uint64_t>> load_marked_batches() = 0;

  virtual result<store_totals> totals() = 0;

  /// Commits something that nobody sees, to find out whether commits succeed: `unavailable` while they do
  /// not.
  virtual result<void> try_commit() = 0;

  /// Keeps these counts from now on: sets them, and changes them after each commit.
  virtual result<void> keep_dead_letters(std::shared_ptr<dead_letter_counts> counts) = 0;
};

} // namespace task_runner
