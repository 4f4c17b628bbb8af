// What goes into queue_core and what comes out of it, as plain values: bounds, pushes, actions, effects,
// counts. The queue actor translates these into messages and store operations, the simulation plays both
// sides.
#pragma once

#include "services/domain/channel.hpp"
#include "services/domain/push.hpp"
#include "services/domain/task.hpp"
#include "services/ports/process_runner.hpp"
#include "services/ports/queue_store.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace task_runner {

/// Bounds of one queue. What happens at each bound is said beside it.
struct queue_limits {
  /// How much of the backlog stands in memory; the rest stays in the store.
  window_limits window;
  /// The window is filled up again when it holds fewer tasks than this.
  uint32_t window_low_water = 128;
  /// Most tasks pending (held ones too) or delayed, where the channel does not say; a push beyond it is
  /// refused with `queue_full`.
  uint64_t tasks_max = 100'000'000;
  /// Most pushes waiting for their commit; a push beyond it is refused with `overloaded`.
  uint64_t uncommitted_max = 32'768;
  /// Most actions that wait for their answer; one more is refused with `overloaded`.
  uint64_t actions_max = 4'096;
  /// Most tasks promoted, expired, cancelled or released by one operation; the rest follows in the next.
  uint32_t promote_batch = 256;
  /// A task whose attempts were lost more often than this is dead.
  uint32_t recoveries_max = 3;
  /// Leases whose commit failed, but may have happened, that are remembered until a check has looked; one
  /// more counts as lost, should it turn up with another launcher than it was made for.
  uint32_t unsure_max = 4'096;
  /// As long as so many commands run, what follows from an end may share a later commit, should the machine
  /// be busy (store_submission::patient).
  uint64_t running_enough = 4;
  /// Most tasks that are leased ahead: before a worker is free for them, so that none waits for the commit of
  /// the next lease. 0: none is.
  uint64_t ahead_max = 32;
  /// Only so many are leased ahead as are expected to start within this time, milliseconds.
  int64_t ahead_ms = 25;
  /// When one that was leased ahead has not started after this long, all of them are put back into line,
  /// milliseconds.
  int64_t ahead_kept_ms = 100;
  /// Pause after a failed commit before leases, settles and promotions are tried again, milliseconds.
  int64_t store_retry_ms = 1'000;
};

/// What a person may do to one task.
enum class task_verb : uint8_t {
  /// Pending, delayed or running: cancelled.
  cancel,
  /// A signal to a running one.
  signal,
  /// A dead or cancelled one becomes pending again.
  retry,
  /// An ended one is deleted with its history and output.
  remove,
  /// The distinct record is released before the task's end.
  release,
};

/// Names a batch of pushes between the core and its actor.
using batch_token = uint64_t;
/// Names a submission to the store between the core and its actor.
using submission_token = uint64_t;
/// Names an action on a task between the core and its actor.
using action_token = uint64_t;

/// One push, checked and completed by the intake: id, channel, name and command are set, `options` and
/// `distinct_key` where the push has them.
struct admitted_push {
  task value;
  std::optional<push_origin> origin;
};

/// One verb on one task of the channel.
struct task_action {
  task_verb verb = task_verb::cancel;
  std::string id;
  /// For signal: 1 to 64.
  int signal_number = 0;
  /// For cancel: from TERM to KILL; unset: as the task or its channel says.
  std::optional<int64_t> grace_ms;
  /// For cancel: a running task is answered for when it has ended; otherwise as soon as the wish for its end
  /// is durable, with the task still running.
  bool wait = true;
  /// The state in which the task was found when the action was routed, for messages.
  task_state seen = task_state::pending;
};

/// What the launcher knows of the channel's attempts, those on their way to it included, and which launcher
/// it is (process_runner).
struct launcher_knowledge {
  std::vector<known_attempt> attempts;
  uint64_t launcher_id = 0;
};

/// Operations that shall be committed together; answer with queue_core::committed.
struct store_submission {
  submission_token token = 0;
  std::vector<store_operation> operations;
  /// It may wait a little for others to share its commit (store_writer::submit_patiently): it has nothing but
  /// ends and the leases that follow them, and enough commands run meanwhile to keep the machine busy.
  bool patient = false;
};

/// A stretch of the backlog to be read after all submissions made so far; answer with window_loaded.
struct window_request {
  order_key after = order_front;
  window_limits limits;
};

/// An attempt to be started.
struct attempt_order {
  task value;
  /// What task and channel say together; never null.
  std::shared_ptr<const task_options> effective;
};

/// A running attempt to be ended with its whole process tree (process_runner::stop).
struct attempt_stop {
  attempt_key key;
  int64_t grace_ms = 0;
};

/// A running attempt to be signalled (process_runner::signal), for an action that is answered beside it.
struct attempt_signal {
  action_token token = 0;
  attempt_key key;
  int number = 0;
};

/// All replies of one batch, in the order of its items.
struct batch_answer {
  batch_token token = 0;
  std::vector<push_reply> replies;
};

/// The one answer to an action: the task as it stands afterwards, or why nothing was done: `not_found`,
/// `conflict`, `queue_full`, `overloaded`, or the store's failure (after which it may have been done all the
/// same).
struct action_answer {
  action_token token = 0;
  result<task> value;
};

/// What a queue tells the daemon's common limit of running commands; see slot_allocator.
struct slot_report {
  /// Set in the first report of a queue, and when the limit begins: the slots that its attempts occupy. What
  /// was granted to the channel before counts no more.
  std::optional<uint64_t> occupied;
  /// Slots given back.
  uint64_t returned = 0;
  /// How many slots the queue could use now, those it has included.
  uint64_t wanted = 0;
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
  /// When the task could have run at the earliest, at the end of its first attempt; 0 elsewhere.
  wall_time_ms ready_at_ms = 0;
  /// Whether an attempt has ended by this: one that was handed out to be run.
  bool ended_attempt = false;
  /// The task, which had ended in `state`, was deleted.
  bool deleted = false;
};

/// What the actor shall do after an event, in this order: submit, load, run, stop, signal, settle, remove
/// output, answer, report slots.
struct queue_effects {
  std::vector<store_submission> submissions;
  std::optional<window_request> load;
  /// Attempts whose lease is committed: start them.
  std::vector<attempt_order> runs;
  /// Attempts whose end is wanted. Repeated while they run, so that none is forgotten.
  std::vector<attempt_stop> stops;
  std::vector<attempt_signal> signals;
  /// Attempts whose outcome is committed (or is nobody's business any more): the launcher may forget them.
  std::vector<attempt_key> settled;
  /// Attempts of deleted tasks: their output may be deleted.
  std::vector<attempt_key> removed;
  std::vector<batch_answer> answers;
  std::vector<action_answer> action_answers;
  /// Only while slots are limited.
  std::optional<slot_report> slots;
  std::vector<task_transition> transitions;
  /// Inconsistencies found and mended, for the log.
  std::vector<std::string> repairs;
};

/// What an explanation needs to know besides the queue's own state: the daemon's settings.
struct wait_surroundings {
  /// false: nothing is run at all.
  bool task_mode = true;
  /// The common limit of running commands, 0 where there is none, and how much of it is granted.
  uint64_t running_max = 0;
  uint64_t running_used = 0;
};

/// Counts of one queue. The first group is how many there are, `running` with leases and settles that are
/// being committed; the second how many there were since the queue began.
struct queue_counts {
  /// In line.
  uint64_t pending = 0;
  /// Out of line until a task with the same concurrency key has ended.
  uint64_t held = 0;
  uint64_t delayed = 0;
  uint64_t running = 0;
  int64_t credit = 0;

  uint64_t finished = 0;
  uint64_t dead = 0;
  /// Cancelled for another reason than expiry.
  uint64_t cancelled = 0;
  uint64_t expired = 0;
  /// Failed attempts that are followed by another.
  uint64_t retried = 0;
  /// Lost attempts.
  uint64_t lost = 0;
  uint64_t duplicates = 0;
  uint64_t repairs = 0;

  bool paused = false;
  /// The channel is being removed.
  bool closing = false;
};

} // namespace task_runner
