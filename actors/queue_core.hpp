// queue_core: every decision of one channel's queue, as a pure machine: (event, now) -> effects.
// No CAF, no threads, no I/O, no clock of its own; the queue actor around it only translates, and the
// simulation in test/property drives it against a fake store and fake processes.
#pragma once

#include "actors/queue_rules.hpp"
#include "actors/queue_turnover.hpp"
#include "actors/queue_values.hpp"
#include "actors/queue_window.hpp"
#include "actors/wait_reason.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <variant>
#include <vector>

namespace task_runner {

/// The queue of one channel. NOT thread-safe: its actor is the only caller. No call throws, but for
/// std::bad_alloc.
///
/// Life of a task: push -> (dedup) -> insert, leased in the same commit when a worker is free and nobody
/// waits before it -> run -> attempt_ended -> settle -> finished | dead | cancelled, or delayed when it
/// failed with attempts left, or pending again when the attempt was lost.
///
/// Where attempts end quickly one after the other, the next tasks in line are leased ahead, before a worker
/// is free for them: then a worker goes on at once, and the commits of many ends and leases are one. Such a
/// task is handed out when a worker is free, in its place of the line, and counts as pending until then; a
/// later push of higher priority comes behind it. It goes back into line when its turn does not come soon,
/// the channel is paused or the daemon stops. Only first attempts are, of tasks that nothing else depends on:
/// no expiry, no concurrency key, no record that ends with the start, and not those that may run only once
/// (the power may fail before they have begun).
///
/// Answers of the store (committed, window_loaded, store_checked) must come in the order in which the store
/// did the work. Each holds exactly what was submitted before it.
///
/// A command that ends while its cancelling is wanted: the task is finished when it had succeeded, else it is
/// cancelled, and its outcome stays what it was.
class queue_core {
public:
  /// `record` says the channel's name and settings; its `worker` and `weight` are not the queue's business.
  queue_core(channel_record record, queue_limits limits);

  /// The state found in the store and at the launcher. Must be the first event; pushes, actions and credit
  /// that come earlier are kept and handled afterwards.
  ///
  /// A lease without a process is lost, unless it was made for this very launcher: then its command has never
  /// begun. Such an attempt is handed out now, under its own number, as often as it takes: it counts neither
  /// as a failure nor as a loss, and a task that may run at most once runs too. Another launcher cannot tell:
  /// the attempt may have ended with the former one, and its journal may have been damaged or lost.
  queue_effects recovered(const channel_recovery& found, const launcher_knowledge& known, wall_time_ms now);

  /// A batch of pushes. Each batch gets exactly one batch_answer, at once or later.
  queue_effects push(batch_token token, std::vector<admitted_push> items, wall_time_ms now);

  /// One verb on one task. Each action gets exactly one action_answer, at once or later: a cancelled running
  /// task when its end is settled, unless `wait` is off.
  queue_effects act(action_token token, task_action action, wall_time_ms now);

  /// What became of a submission. `answers` matches its operations one by one.
  queue_effects committed(submission_token token, result<std::vector<store_answer>> answers,
                          wall_time_ms now);

  /// The stretch asked for by queue_effects::load.
  queue_effects window_loaded(result<std::vector<task>> tasks, wall_time_ms now);

  /// Worker slots granted (positive) or withdrawn (negative).
  queue_effects credit(int64_t slots, wall_time_ms now);

  /// Whether an attempt needs a slot of the daemon's common limit besides a credit. May be called before the
  /// recovery. Off at first; while it is off no slots are exchanged.
  queue_effects limit_slots(bool limited, wall_time_ms now);

  /// Slots of the common limit granted.
  queue_effects slots_granted(uint64_t slots, wall_time_ms now);

  /// An attempt ended. Its slot is free again at once; a stale or repeated report changes nothing.
  queue_effects attempt_ended(const task_runner::attempt_ended& event, wall_time_ms now);

  /// Several starts and ends in one: what follows from them is committed together.
  queue_effects attempts_progressed(const std::vector<attempt_event>& events, wall_time_ms now);

  /// The launcher reported the start of an attempt.
  void attempt_started(const task_runner::attempt_started& event);

  /// Time has passed; call it at wake_at() or later.
  queue_effects tick(wall_time_ms now);

  /// The moment at which tick() has something to do; 0 when only an event can change anything.
  wall_time_ms wake_at() const noexcept;

  /// New settings, in force at once; what was decided for tasks when they were pushed stays.
  queue_effects configure(channel_record record, wall_time_ms now);

  /// The wall clock was set by `shift_ms` and the store has moved (or has been told to move) the delays and
  /// expiries: those at hand move too, and the next due moment is asked for again.
  queue_effects clock_adjusted(int64_t shift_ms, wall_time_ms now);

  /// First half of the periodic check: what the store has of the channel, read after everything submitted
  /// before, and handed over in the order of the store's answers. Ignored before the recovery.
  void store_checked(const channel_recovery& found);

  /// Second half: the launcher's attempts of the channel, asked for after store_checked and through the same
  /// way as queue_effects::runs. Repairs what was wrong in the check before in the same way; a change in
  /// between is never taken for a fault. Also repeats stops, and looks for tasks that could be let into line.
  queue_effects check(const launcher_knowledge& known, wall_time_ms now);

  /// Nothing is leased any more, for shutdown; what runs is still settled.
  queue_effects stop_leasing(wall_time_ms now);

  /// Every running task is cancelled, as by task_verb::cancel; for an immediate stop of the daemon, after
  /// stop_leasing().
  queue_effects cancel_running(wall_time_ms now);

  /// The channel is removed: pushes and retries are refused with `not_found`, all that waits is cancelled,
  /// and so is all that runs. For good; is_empty() tells when nothing is left.
  queue_effects close(wall_time_ms now);

  queue_counts counts() const noexcept;
  bool is_recovered() const noexcept { return recovered_; }
  /// Whether the recovery is done, nothing runs, and nothing waits for a commit. A lease that will not be
  /// handed out any more, because leasing has been stopped, and that could not be put back into line, is left
  /// to the next recovery and does not count.
  bool is_quiet() const noexcept;
  /// Whether the recovery is done and no command runs or is about to: a lease that has no worker (its channel
  /// was paused before it could be handed out) does not count.
  bool is_idle() const noexcept;
  /// Whether the recovery is done and no task is or may be unfinished: none is counted, none waits for its
  /// commit, and, when closing, the store has said so.
  bool is_empty() const noexcept;
  bool is_closing() const noexcept { return closing_; }
  /// Whether a check could find anything: there are tasks, or a commit has failed and may have happened, so
  /// that the store has tasks that the queue knows nothing of. Otherwise an empty queue needs none.
  bool wants_check() const noexcept;

  /// Why a task of the channel does not run now, or that it does. `value` is the task as the store had it a
  /// moment ago; where the queue has heard of more since, that counts. Changes nothing, costs no more than a
  /// look at what stands in memory.
  explanation explain(const task& value, const wait_surroundings& around, wall_time_ms now) const;

  /// When the task that is next in line could have run at the earliest; 0 when none stands in the window.
  wall_time_ms next_ready_at_ms() const noexcept;

  /// Running tasks in order of their start, at most `limit`.
  std::vector<task> running_tasks(size_t limit) const;
  /// Pending tasks in order of execution as far as they stand in the window or are leased ahead, at most
  /// `limit`.
  std::vector<task> waiting_tasks(size_t limit) const;
  /// Whether the window holds every pending task that is in line.
  bool window_is_complete() const noexcept { return window_.is_complete(); }

  /// Workers that are free; below zero while more are withdrawn than are free.
  int64_t free_workers() const noexcept { return credit_; }
  /// Attempts that occupy a worker.
  uint64_t occupied_workers() const noexcept { return occupied_; }
  /// Attempts that are leased ahead.
  uint64_t leased_ahead() const noexcept { return ahead_; }
  /// Tasks that stand in the window.
  size_t window_size() const noexcept { return window_.size(); }
  /// Submissions that wait for their commit.
  size_t open_submissions() const noexcept { return in_flight_.size(); }

private:
  /// `returning`: leased ahead, and on the way back into line.
  enum class phase : uint8_t { leasing, running, settling, returning };

  struct running_task {
    task value;
    phase now = phase::running;
    /// Whether it occupies a worker.
    bool placed = false;
    /// Whether it is leased ahead, and has no worker yet.
    bool ahead = false;
    /// Whether the attempt was handed out to be run, by this core or an earlier one.
    bool handed = false;
    /// Whether the launcher has said that its command was started.
    bool begun = false;
    /// Whether it was cancelled in the store while its lease was on the way there.
    bool gone = false;
    /// Cancellations that wait for their commit: until then a fresh lease is not handed out.
    uint32_t cancels_open = 0;
    /// The shortest grace that a canceller has asked for; -1 when none has.
    int64_t grace_ms = -1;
    /// The number of the event that changed it last; see check.
    uint64_t changed = 0;
    /// Set while the outcome waits for its commit.
    std::optional<settle_task> settle;
    /// Whether that commit is under way.
    bool submitted = false;
  };
  using running_tasks_map = std::unordered_map<std::string, running_task>;

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
    attempt_key key;
    /// Whether there was no worker for it when it was submitted.
    bool ahead = false;
  };
  struct return_context {
    attempt_key key;
  };
  struct settle_context {
    attempt_key key;
  };
  struct promote_context {};
  struct expire_context {};
  struct sweep_context {};
  struct release_context {};
  struct mark_context {
    batch_token token = 0;
    size_t index = 0;
    push_reply reply;
  };
  struct action_context {
    /// 0: the core's own wish.
    action_token token = 0;
    task_action action;
  };
  using context = std::variant<insert_context, lease_context, settle_context, promote_context, expire_context,
                               sweep_context, release_context, mark_context, action_context, return_context>;

  struct early_batch {
    batch_token token = 0;
    std::vector<admitted_push> items;
  };
  struct early_action {
    action_token token = 0;
    task_action action;
  };

  /// What a check found wrong; acted upon when the next check finds the same.
  struct check_findings {
    /// Leases in the store that the queue does not know.
    std::map<attempt_key, task> unknown_leases;
    /// Attempts of the queue that nobody runs, with the event that changed them last.
    std::map<attempt_key, uint64_t> unattended;
    /// Attempts that ended long ago without the queue having heard of it.
    std::map<attempt_key, uint64_t> unheard;
    /// Ended and running attempts at the launcher that belong to no lease.
    std::set<attempt_key> leftover;
    std::set<attempt_key> strangers;
    /// What the store counts above (below) the queue.
    int64_t pending_off = 0;
    int64_t held_off = 0;
    int64_t delayed_off = 0;
  };

  // Pushes (queue_core.cpp).
  void admit(batch_token token, std::vector<admitted_push> items, wall_time_ms now, queue_effects& effects);
  void reply(batch_token token, size_t index, push_reply value, queue_effects& effects);
  void reply_duplicate(batch_token token, size_t index, push_reply value, queue_effects& effects);
  void refuse(batch_token token, size_t index, const std::string& name, error why, queue_effects& effects);
  std::optional<error> refusal_of_push() const;
  uint64_t tasks_max() const noexcept { return record_.tasks_max.value_or(limits_.tasks_max); }

  // Answers of the store (queue_answers.cpp).
  void on_answer(context& purpose, const store_answer& answer, wall_time_ms now, queue_effects& effects);
  void on_insert(insert_context& purpose, const insert_answer& answer, queue_effects& effects);
  void on_lease(const lease_context& purpose, const change_answer& answer, wall_time_ms now,
                queue_effects& effects);
  void on_settle(const settle_context& purpose, const change_answer& answer, queue_effects& effects);
  void on_return(const return_context& purpose, const change_answer& answer, wall_time_ms now,
                 queue_effects& effects);
  void remember_unsure(const attempt_key& key);
  void on_lease_failure(const lease_context& purpose);
  void on_promote(const promote_answer& answer, queue_effects& effects);
  void on_failure(context& purpose, const error& why, queue_effects& effects);

  // Running tasks (queue_leases.cpp).
  running_tasks_map::iterator find_attempt(const attempt_key& key);
  running_task& begin_entry(task value);
  bool join_lease(const task& value);
  void hand_out(running_task& entry, queue_effects& effects);
  void take_end(running_task& entry, const task_runner::attempt_ended& event, wall_time_ms now);
  void take_end_unstarted(running_task& entry, outcome_kind kind, wall_time_ms now);
  /// When it could have run at the earliest, had nothing stood before it.
  static wall_time_ms ready_at(const task& value) noexcept;
  void settled_as(running_task& entry, const settle_task& settle, queue_effects& effects);
  void forget_settled(const std::string& id, queue_effects& effects);
  void drop_superseded(running_tasks_map::iterator position, const std::optional<task>& now_is,
                       queue_effects& effects);

  // Actions and removal of the channel (queue_actions.cpp).
  void begin(action_token token, task_action action, wall_time_ms now, queue_effects& effects);
  void begin_signal(action_token token, const task_action& action, queue_effects& effects);
  void want_cancelled(running_task& entry);
  void on_action(const action_context& purpose, const change_answer& answer, wall_time_ms now,
                 queue_effects& effects);
  void on_cancel(const action_context& purpose, const change_answer& answer, wall_time_ms now,
                 queue_effects& effects);
  void on_wish_noted(const action_context& purpose, const task& value, wall_time_ms now,
                     queue_effects& effects);
  void on_retry(const action_context& purpose, const change_answer& answer, queue_effects& effects);
  void on_remove(const action_context& purpose, const change_answer& answer, queue_effects& effects);
  void on_release(const action_context& purpose, const change_answer& answer, queue_effects& effects);
  void on_action_failure(action_context& purpose, const error& why, queue_effects& effects);
  void on_expired(const sweep_answer& answer, wall_time_ms now, queue_effects& effects);
  void on_swept(const sweep_answer& answer, wall_time_ms now, queue_effects& effects);
  void take_sweep(const sweep_answer& answer, outcome_kind why, wall_time_ms now, queue_effects& effects);
  void leave_waiting(const task& value, task_state before, bool was_held);
  void stop(running_task& entry, queue_effects& effects);
  void answer(action_token token, result<task> value, queue_effects& effects);
  std::vector<action_token> take_waiters(const std::string& id);
  void answer_waiters(const task& value, queue_effects& effects);
  void cancel_if_awaited(const std::string& id);

  // Recovery and check (queue_check.cpp).
  bool is_certain_of(const task& value) const noexcept;
  void take_over(task value, const known_attempt* known, bool never_handed, wall_time_ms now,
                 queue_effects& effects);
  void compare_attempts(const launcher_knowledge& known, queue_effects& effects);
  bool repair_attempts(const launcher_knowledge& known, wall_time_ms now, queue_effects& effects);
  void repair_counts(queue_effects& effects);
  void forget_window(uint64_t count);
  void repair(std::string what, queue_effects& effects);

  /// Puts an explanation together (queue_why.cpp).
  class explaining;

  // Waiting tasks and leasing (queue_leases.cpp).
  void add_operation(store_operation operation, context purpose);
  void enter_line(task value);
  void enter_line(const std::vector<task>& values, queue_effects& effects);
  void leave_line(order_key key);
  void enter_delayed(wall_time_ms not_before_ms);
  void leave_index(const task& value);
  bool may_lease() const noexcept;
  bool has_place() const noexcept;
  bool may_lease_ahead(const task& value) const;
  /// Whether a lease of it can be taken back, as if it had never been, as long as its attempt has not begun.
  bool may_return(const task& value) const;
  wall_time_ms return_at() const noexcept;
  void return_leases(wall_time_ms now);
  void take_place() noexcept;
  void free_place() noexcept;
  void leave_place(running_task& entry) noexcept;
  void hand_out_unplaced(wall_time_ms now, queue_effects& effects);
  void submit_ends(wall_time_ms now);
  void lease_from_window(wall_time_ms now);
  void ask_for_waiting(wall_time_ms now);
  void read_backlog(queue_effects& effects);
  void report_slots(queue_effects& effects);
  /// Whether the operations gathered so far may wait for others (store_submission::patient).
  bool may_wait() const noexcept;
  /// Leases what credit allows, promotes what is due, asks for more of the backlog, closes the submission.
  void advance(wall_time_ms now, queue_effects& effects);

  channel_record record_;
  std::shared_ptr<const task_options> defaults_;
  const queue_limits limits_;
  bool recovered_ = false;
  bool leasing_stopped_ = false;
  /// Everything that runs, or turns out to run, is to be cancelled.
  bool cancel_all_ = false;
  bool closing_ = false;
  /// Whether the store has said, since the last task came or went, that nothing waits in a closing channel.
  bool swept_ = false;

  queue_window window_;
  uint64_t held_count_ = 0;
  uint64_t delayed_count_ = 0;
  wall_time_ms next_due_ms_ = 0;
  wall_time_ms next_expiry_ms_ = 0;
  order_key requested_after_ = order_front;
  uint64_t requested_generation_ = 0;
  bool loading_ = false;
  bool promoting_ = false;
  bool expiring_ = false;
  /// Up to when the store is being asked what has expired.
  wall_time_ms expiring_until_ms_ = 0;
  bool sweeping_ = false;
  /// The next due moment is to be asked for, whatever is known of it.
  bool ask_due_ = false;
  /// Held tasks are to be let into line, where there is room.
  bool ask_release_ = false;
  bool releasing_ = false;
  /// Attempts with a lease and without a worker, in order, never handed out before: leased ahead, or found by
  /// the recovery or a check. Some may have ended, or got a worker, meanwhile.
  std::deque<attempt_key> unplaced_;
  turnover turnover_;
  /// Attempts that are leased ahead.
  uint64_t ahead_ = 0;
  /// Of these: attempts on the way back into line. What is in line waits for them, as it may come behind
  /// them.
  uint64_t returning_ = 0;
  /// Attempts whose way back into line is to be submitted again, after a failed commit.
  std::vector<attempt_key> unreturned_;

  /// The launcher, as far as the last recovery or check knows: the name that leases are made under.
  uint64_t launcher_id_ = 0;

  int64_t credit_ = 0;
  /// Attempts that occupy a worker: leased or running.
  uint64_t occupied_ = 0;
  bool slots_limited_ = false;
  /// Set until the first report has been made.
  bool slots_unreported_ = false;
  uint64_t slots_free_ = 0;
  uint64_t slots_returned_ = 0;
  uint64_t slots_wanted_ = 0;
  /// Attempts that occupy a worker but no slot: they were taken over by a check, uncounted by the allocator.
  uint64_t slotless_ = 0;

  uint64_t uncommitted_ = 0;
  uint64_t uncommitted_waiting_ = 0;
  /// Of those that occupy a worker: whose lease is on its way to the store.
  uint64_t uncommitted_leases_ = 0;
  /// Leases on their way to the store that had no worker when they were submitted.
  uint64_t uncommitted_ahead_ = 0;
  /// No lease, settle or promotion before this moment, after the store failed; 0 when it works.
  wall_time_ms store_retry_at_ms_ = 0;

  running_tasks_map running_;
  /// Running tasks whose outcome is to be submitted, for the first time or again after a failed commit.
  std::vector<std::string> unsettled_;
  /// Tasks whose cancelling is the core's own wish and is to be submitted, for the first time or again.
  std::vector<std::string> uncancelled_;
  /// Leases whose commit failed, but may have happened. They were never handed out.
  std::set<attempt_key> unsure_;
  /// Distinct keys of the committed tasks in the window and running; beyond them the store's constraint
  /// decides.
  std::unordered_map<std::string, std::string> distinct_index_;
  std::unordered_map<batch_token, batch> batches_;
  std::unordered_map<submission_token, std::vector<context>> in_flight_;
  std::vector<early_batch> early_;
  std::vector<early_action> early_actions_;
  /// Who waits for the end of a running task.
  std::unordered_map<std::string, std::vector<action_token>> waiters_;
  /// Actions that have not been answered.
  uint64_t actions_open_ = 0;

  /// The event at which a commit last failed; 0: none since a check has found the store to agree. It may have
  /// happened, so that the store has tasks that were never counted, or others in line than the window, even
  /// where their number is the same: then the window is read anew.
  uint64_t unsure_since_ = 0;
  /// Whether the store has been checked and the launcher has not.
  bool checking_ = false;
  /// The event at which the store was checked.
  uint64_t checked_at_ = 0;
  /// What the check under way and the one before found.
  check_findings fresh_;
  check_findings found_before_;
  /// Attempts that run without a lease and have been told of.
  std::set<attempt_key> strangers_;
  /// Counts events, so that a check knows what has changed meanwhile.
  uint64_t event_ = 0;

  submission_token next_token_ = 1;
  std::vector<store_operation> operations_;
  std::vector<context> contexts_;

  queue_counts totals_;
};

} // namespace task_runner
