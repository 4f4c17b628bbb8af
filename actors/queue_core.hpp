// queue_core: every decision of one channel's queue, as a pure machine: (event, now) -> effects.
// No CAF, no threads, no I/O, no clock of its own; the queue actor around it only translates, and the
// simulation in test/property drives it against a fake store and fake processes.
#pragma once

#include "services/domain/channel.hpp"
#include "services/domain/push.hpp"
#include "services/domain/task.hpp"
#include "services/ports/process_runner.hpp"
#include "services/ports/queue_store.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

namespace task_runner {

/// Bounds of one queue. What happens at each bound is said beside it.
struct queue_limits {
  /// How much of the backlog stands in memory; the rest stays in the store.
  window_limits window;
  /// The window is filled up again when it holds fewer tasks than this.
  uint32_t window_low_water = 128;
  /// Most tasks pending or delayed; a push beyond it is refused with `queue_full`.
  uint64_t tasks_max = 100'000'000;
  /// Most pushes waiting for their commit; a push beyond it is refused with `overloaded`.
  uint64_t uncommitted_max = 32'768;
  /// Most delayed tasks promoted by one operation; the rest follows in the next.
  uint32_t promote_batch = 256;
  /// A task whose attempts were lost more often than this is dead.
  uint32_t recoveries_max = 3;
  /// Pause after a failed commit before leases, settles and promotions are tried again, milliseconds.
  int64_t store_retry_ms = 1'000;
};

/// Names a batch of pushes between the core and its actor.
using batch_token = uint64_t;
/// Names a submission to the store between the core and its actor.
using submission_token = uint64_t;

/// One push, checked and completed by the intake: id, channel, name and command are set.
struct admitted_push {
  task value;
  std::optional<push_origin> origin;
};

/// Operations that shall be committed together; answer with queue_core::committed.
struct store_submission {
  submission_token token = 0;
  std::vector<store_operation> operations;
};

/// A stretch of the backlog to be read after all submissions made so far; answer with window_loaded.
struct window_request {
  order_key after = 0;
  window_limits limits;
};

/// All replies of one batch, in the order of its items.
struct batch_answer {
  batch_token token = 0;
  std::vector<push_reply> replies;
};

/// A state change worth a line in the log.
struct task_transition {
  std::string task_id;
  std::string task_name;
  uint32_t attempt = 0;
  task_state state = task_state::pending;
  std::optional<outcome> how;
  wall_time_ms started_at_ms = 0;
  wall_time_ms ended_at_ms = 0;
};

/// What the actor shall do after an event, in this order: submit, load, run, settle, answer.
struct queue_effects {
  std::vector<store_submission> submissions;
  std::optional<window_request> load;
  /// Attempts whose lease is committed: start them.
  std::vector<task> runs;
  /// Attempts whose outcome is committed (or is nobody's business any more): the launcher may forget them.
  std::vector<attempt_key> settled;
  std::vector<batch_answer> answers;
  std::vector<task_transition> transitions;
  /// Inconsistencies found and mended, for the log.
  std::vector<std::string> repairs;
};

/// Counts of one queue; `running` includes leases and settles that are being committed.
struct queue_counts {
  uint64_t pending = 0;
  uint64_t delayed = 0;
  uint64_t running = 0;
  uint64_t finished = 0;
  uint64_t dead = 0;
  uint64_t duplicates = 0;
  uint64_t repairs = 0;
  int64_t credit = 0;
};

/// The queue of one channel. NOT thread-safe: its actor is the only caller. No call throws, but for
/// std::bad_alloc.
///
/// Life of a task: push -> (dedup) -> insert, leased in the same commit when a worker is free and nobody
/// waits before it -> run -> attempt_ended -> settle -> finished | dead, or pending again when the attempt
/// was lost.
class queue_core {
public:
  queue_core(std::string channel, bool distinct, queue_limits limits);

  /// The state found in the store and at the launcher. Must be the first event; pushes and credit that come
  /// earlier are kept and handled afterwards.
  queue_effects recovered(const channel_recovery& found, const std::vector<known_attempt>& known,
                          wall_time_ms now);

  /// A batch of pushes. Each batch gets exactly one batch_answer, at once or later.
  queue_effects push(batch_token token, std::vector<admitted_push> items, wall_time_ms now);

  /// What became of a submission. `answers` matches its operations one by one.
  queue_effects committed(submission_token token, result<std::vector<store_answer>> answers,
                          wall_time_ms now);

  /// The stretch asked for by queue_effects::load.
  queue_effects window_loaded(result<std::vector<task>> tasks, wall_time_ms now);

  /// Worker slots granted (positive) or withdrawn (negative).
  queue_effects credit(int64_t slots, wall_time_ms now);

  /// An attempt ended. Its slot is free again at once; a stale or repeated report changes nothing.
  queue_effects attempt_ended(const task_runner::attempt_ended& event, wall_time_ms now);

  /// The launcher reported the start of an attempt.
  void attempt_started(const task_runner::attempt_started& event);

  /// Time has passed; call it at wake_at() or later.
  queue_effects tick(wall_time_ms now);

  /// The moment at which tick() has something to do; 0 when only an event can change anything.
  wall_time_ms wake_at() const noexcept;

  /// Whether new tasks are deduplicated from now on.
  void set_distinct(bool distinct) noexcept { distinct_ = distinct; }

  /// Nothing is leased any more, for shutdown; what runs is still settled.
  void stop_leasing() noexcept { leasing_stopped_ = true; }

  queue_counts counts() const noexcept;
  bool is_recovered() const noexcept { return recovered_; }
  /// Whether the recovery is done, nothing runs, and nothing waits for a commit.
  bool is_quiet() const noexcept { return recovered_ && running_.empty() && in_flight_.empty(); }

  /// Running tasks in order of their start, at most `limit`.
  std::vector<task> running_tasks(size_t limit) const;
  /// Pending tasks in order of execution as far as they stand in the window, at most `limit`.
  std::vector<task> window_tasks(size_t limit) const;
  /// Whether the window holds every pending task.
  bool window_is_complete() const noexcept { return window_.size() == pending_count_; }

private:
  enum class phase : uint8_t { leasing, running, settling };

  struct running_task {
    task value;
    phase now = phase::running;
    /// Set while the outcome waits for its commit.
    std::optional<settle_task> settle;
  };

  struct batch {
    std::vector<push_reply> replies;
    size_t open = 0;
  };

  // What each operation of a submission was for, in the order of its operations.
  struct insert_context {
    task value;
    batch_token token = 0;
    size_t index = 0;
  };
  struct lease_context {
    std::string id;
  };
  struct settle_context {
    std::string id;
  };
  struct promote_context {};
  struct mark_context {
    batch_token token = 0;
    size_t index = 0;
    push_reply reply;
  };
  using context = std::variant<insert_context, lease_context, settle_context, promote_context, mark_context>;

  struct early_batch {
    batch_token token = 0;
    std::vector<admitted_push> items;
  };

  void admit(batch_token token, std::vector<admitted_push> items, wall_time_ms now, queue_effects& effects);
  void reply(batch_token token, size_t index, push_reply value, queue_effects& effects);
  void refuse(batch_token token, size_t index, const std::string& name, error why, queue_effects& effects);
  void add_operation(store_operation operation, context purpose);
  void take_end(running_task& entry, const task_runner::attempt_ended& event);

  void on_insert(insert_context& purpose, const insert_answer& answer, queue_effects& effects);
  void on_lease(const lease_context& purpose, const change_answer& answer, queue_effects& effects);
  void on_settle(const settle_context& purpose, const change_answer& answer, queue_effects& effects);
  void on_promote(const promote_answer& answer);
  void on_failure(context& purpose, const error& why, queue_effects& effects);

  void enter_window(task value);
  void put_into_window(task value);
  task take_from_window(std::map<order_key, task>::iterator position);
  void leave_index(const task& value);
  void repair(std::string what, queue_effects& effects);
  /// Leases what credit allows, promotes what is due, asks for more of the backlog, closes the submission.
  void advance(wall_time_ms now, queue_effects& effects);

  const std::string channel_;
  bool distinct_;
  const queue_limits limits_;
  bool recovered_ = false;
  bool leasing_stopped_ = false;

  std::map<order_key, task> window_;
  uint64_t window_bytes_ = 0;
  /// Every pending task up to this place stands in the window; what is behind it may be in the store alone.
  order_key window_end_ = 0;
  order_key requested_after_ = 0;
  uint64_t pending_count_ = 0;
  uint64_t delayed_count_ = 0;
  wall_time_ms next_due_ms_ = 0;
  bool loading_ = false;
  bool promoting_ = false;
  int64_t credit_ = 0;
  uint64_t uncommitted_ = 0;
  uint64_t uncommitted_waiting_ = 0;
  /// No lease, settle or promotion before this moment, after the store failed; 0 when it works.
  wall_time_ms store_retry_at_ms_ = 0;

  std::unordered_map<std::string, running_task> running_;
  /// Running tasks whose outcome is to be submitted, for the first time or again after a failed commit.
  std::vector<std::string> unsettled_;
  /// Distinct keys of the committed tasks in the window and running; beyond them the store's constraint
  /// decides.
  std::unordered_map<std::string, std::string> distinct_index_;
  std::unordered_map<batch_token, batch> batches_;
  std::unordered_map<submission_token, std::vector<context>> in_flight_;
  std::vector<early_batch> early_;

  submission_token next_token_ = 1;
  std::vector<store_operation> operations_;
  std::vector<context> contexts_;

  uint64_t finished_ = 0;
  uint64_t dead_ = 0;
  uint64_t duplicates_ = 0;
  uint64_t repairs_ = 0;
};

/// What makes two tasks of a distinct channel the same: their command, whatever it is called.
std::string distinct_key_of(const task& value);

} // namespace task_runner
