// The messages that actors exchange, as plain aggregates; actors/interfaces.hpp says who takes which.
// They never leave the process, so none of them is serialized.
#pragma once

#include "actors/queue_values.hpp"
#include "actors/wait_reason.hpp"
#include "services/domain/channel.hpp"
#include "services/domain/push.hpp"
#include "services/ports/process_runner.hpp"
#include "services/ports/queue_store.hpp"

#include <caf/allowed_unsafe_message_type.hpp>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace task_runner {

// -- the way of a task ---------------------------------------------------------

/// Tasks as a source submits them.
struct push_batch {
  std::vector<push_item> items;
};

/// Checked tasks of one channel.
struct admitted_batch {
  std::string channel;
  std::vector<admitted_push> items;
};

/// One reply per item, in the same order.
struct push_replies {
  std::vector<push_reply> replies;
};

/// Many pushes as text, one JSON object per line.
struct push_lines {
  std::shared_ptr<const std::string> text;
  /// Set when the request may be repeated: each line is the same push then, and carried out once.
  std::optional<push_identity> identity = std::nullopt;
};

/// What became of them.
struct push_lines_reply {
  uint64_t accepted = 0;
  uint64_t duplicates = 0;
  uint64_t refused = 0;
  /// Whether a line was refused for the moment only: the same body, sent again, may bring it in.
  bool is_undecided = false;
  /// A JSON array with an object for every line that is not blank, in their order.
  std::string results;
  /// Set when one answer does for all lines; `results` is empty then.
  std::optional<error> failure;
  /// Kept until the answer is written: it counts against the bound of those that are not.
  std::shared_ptr<void> unsent = nullptr;
};

/// A submission's fate, from the store's thread.
struct store_committed {
  submission_token token = 0;
  result<std::vector<store_answer>> answers{std::vector<store_answer>{}};
};

/// A stretch of the backlog, from the store's thread.
struct window_read {
  result<std::vector<task>> tasks{std::vector<task>{}};
};

/// What the store knows of the channel, from the store's thread: for the recovery, or for a check.
struct recovery_read {
  bool is_check = false;
  result<channel_recovery> found{channel_recovery{}};
};

/// A failed recovery is to be tried again.
struct recover_again {};

/// It is time to compare what the queue, the store and the launcher say.
struct check_due {};

/// Worker slots granted (positive) or withdrawn (negative), from the executor to its queue.
struct grant_credit {
  int64_t slots = 0;
};

/// Committed leases to be run, and outcomes that stand in the store.
struct attempt_work {
  std::vector<attempt_order> runs;
  std::vector<attempt_key> settled;
};

/// Attempts that could not be handed to the launcher are to be handed over again.
struct hand_over_again {};

/// From the launcher, through the runner's thread, to the executor and on to the queue.
struct attempts_progressed {
  std::vector<attempt_event> events;
};

/// A running attempt is to end with its whole process tree: TERM, after the grace KILL.
struct stop_attempt {
  attempt_key key;
  int64_t grace_ms = 0;
};

/// A running attempt is to get a signal; answered with what the launcher's client says.
struct signal_attempt {
  attempt_key key;
  int number = 0;
};

/// What the launcher knows of the channel's attempts?
struct get_known_attempts {};
struct known_attempts_reply {
  launcher_knowledge known;
};

/// A queue's alarm clock; an alarm of an older number has been replaced.
struct wake_up {
  uint64_t number = 0;
};

// -- settings and status -----------------------------------------------------------

/// New settings of a live channel.
struct configure_queue {
  channel_record record;
};
struct set_workers {
  uint32_t count = 0;
};

/// Creates a channel; refused with `conflict` when it exists. Its moment of creation is set by the router.
struct create_channel {
  channel_record record;
};

/// Changes the settings of a channel: `apply` is given the record as it stands, and answers with an error to
/// refuse. It runs on the router; it must be pure.
struct change_channel {
  std::string name;
  std::function<result<void>(channel_record&)> apply;
};

/// Removes a channel. While it holds tasks it is refused with `conflict`, unless `force`: then they are
/// cancelled first, running ones killed. Answered when the channel is gone.
struct remove_channel_request {
  std::string name;
  bool force = false;
};

enum class channel_verb : uint8_t {
  /// Start nothing new; what runs goes on; pushes are accepted.
  pause,
  resume,
  /// Pause, and answer when nothing of the channel runs any more, or after `wait_ms`.
  drain,
};
struct act_on_channel {
  std::string name;
  channel_verb verb = channel_verb::pause;
  int64_t wait_ms = 0;
};

/// Applies [channel.NAME] sections of the INI.
struct apply_ini {
  std::map<std::string, channel_settings> sections;
};

/// Whether something was done, or why not.
struct action_reply {
  std::optional<error> failure;
  /// For remove_channel_request: the INI file names the channel, so that its next reading makes it again.
  bool stands_in_ini = false;
};

/// The channel is to be removed: the queue takes nothing more. While it holds tasks it refuses with
/// `conflict`, unless `force`: then it cancels them, and answers when nothing is left.
struct close_queue {
  bool force = false;
};

/// Answered when nothing of the channel runs any more, or after `wait_ms`.
struct await_idle {
  int64_t wait_ms = 0;
};

/// A wait of the queue or the router, named by its number, has lasted long enough.
struct patience_over {
  uint64_t number = 0;
};

/// What a queue tells the common limit of running commands, and what it is granted.
struct slots_reported {
  std::string channel;
  slot_report report;
};
struct slots_given {
  uint64_t count = 0;
};

/// The wall clock was set; the store has moved relative delays and expiries by this much.
struct clock_adjusted {
  int64_t shift_ms = 0;
};

/// Counts and the first tasks of one channel, or of all.
struct get_channel_status {
  uint32_t limit = 0;
};
struct get_status {
  /// Empty means every channel.
  std::string channel;
  uint32_t limit = 0;
};
struct channel_status {
  std::string channel;
  /// As the router has it; workers resolved in `worker`.
  channel_record record;
  uint32_t worker = 0;
  queue_counts counts;
  /// Tasks of the channel that are dead now; `counts` has those that died since the start.
  uint64_t dead_letters = 0;
  /// Running first, then pending in order of execution, then held ones, then delayed by their moment.
  std::vector<task> tasks;
  /// Set when the channel's actors could not answer.
  std::optional<error> failure;
};
struct status_reply {
  std::vector<channel_status> channels;
  std::optional<error> failure;
};

/// Tasks read for a status that the window could not answer.
struct status_read {
  uint64_t number = 0;
  result<std::vector<task>> tasks{std::vector<task>{}};
};

/// A channel after an action on it, or why there was none.
struct channel_reply {
  std::optional<channel_status> status;
  std::optional<error> failure;
};

/// One task by id, whatever its state.
struct get_task {
  std::string id;
};
/// A task with its earlier attempts (the last one is in the task itself), or why there is none.
struct task_reply {
  std::optional<task> value;
  std::vector<attempt_record> attempts;
  std::optional<error> failure;
  /// From the router: how many attempts the task has, by what it says itself, else by its channel as it is
  /// set now.
  uint32_t max_attempts = max_attempts_default;
};
struct task_read {
  uint64_t number = 0;
  result<std::optional<task>> value{std::optional<task>{}};
  std::vector<attempt_record> attempts;
};

/// Why one task does not run now, whatever its state.
struct explain_task {
  std::string id;
};
/// What the router passes to the queue of the task's channel: the task as the store has it, not ended.
struct explain_waiting {
  task value;
  wait_surroundings around;
};
/// The task as the store had it, and why it does not run; or why that cannot be told.
struct explanation_reply {
  task value;
  explanation why;
  std::optional<error> failure;
};

/// Tasks by filter, in the order of the place after which they are listed.
struct list_tasks {
  task_filter filter;
  listing_place after;
  uint32_t limit = 0;
};
struct task_page_reply {
  task_page page;
  std::optional<error> failure;
};

/// One verb on one task. Answered with the task as it stands afterwards; `cancel` of a running task is
/// answered when it has ended, or when the grace and 5 s are over, at the latest after 25 s: then with the
/// task still running and `cancel_requested`.
struct act_on_task {
  task_verb verb = task_verb::cancel;
  std::string id;
  /// For signal: 1 to 64.
  int signal_number = 0;
  /// For cancel: from TERM to KILL; unset: as the task or its channel says.
  std::optional<int64_t> grace_ms;
};

/// What the router passes to the queue of the task's channel.
struct queue_action {
  task_action action;
};

/// One verb on all tasks that match, newest first, at most `limit`, or on those that are named; `dry_run`
/// only counts. Without states in the filter those are meant that the verb is for. Answered at the latest
/// after 20 s, with `more` if work is left; the ends of running tasks that are cancelled are not waited for.
struct act_on_tasks {
  /// Without id.
  act_on_task what;
  task_filter filter;
  bool dry_run = false;
  uint32_t limit = 0;
  /// Where this names any, it is these that are meant, in this order, in whatever state; filter and limit do
  /// not count. At most `named_tasks_max`, none twice.
  std::vector<std::string> ids = {};
};
/// Most tasks that one act_on_tasks names.
constexpr size_t named_tasks_max = 1'000;
struct tasks_reply {
  /// How many were found; for `dry_run` that is all.
  uint64_t matched = 0;
  uint64_t done = 0;
  /// Whether more match than `limit`, or there was no time for some, or they could not be read.
  bool more = false;
  /// The first refusals: id and reason. Of tasks that were named, all for which the verb was not carried out.
  std::vector<std::pair<std::string, error>> refused;
  std::optional<error> failure;
};

/// What the store answered to operations of the router's own.
struct router_committed {
  uint64_t number = 0;
  result<std::vector<store_answer>> answers{std::vector<store_answer>{}};
};

/// A page of a listing, from the store's thread.
struct page_read {
  uint64_t number = 0;
  result<task_page> page{task_page{}};
};

/// A step of the history of what is measured is over.
struct sample_due {};

// -- life of the daemon ---------------------------------------------------------------

/// Take nothing new, start nothing new, say when nothing runs any more.
struct drain {};
/// Drain, and end what runs: every running task is cancelled, its process tree gets TERM, after its grace
/// KILL.
struct stop_now {};
/// A queue holds no running task and waits for no commit.
struct queue_quiet {
  std::string channel;
};
/// Every queue is quiet.
struct all_quiet {};
/// End all children and then yourself.
struct shut_down {};

} // namespace task_runner

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::push_batch)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::admitted_batch)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::push_replies)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::push_lines)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::push_lines_reply)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::store_committed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::window_read)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::recovery_read)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::grant_credit)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::attempt_work)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::attempts_progressed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::get_known_attempts)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::known_attempts_reply)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::wake_up)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::configure_queue)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::set_workers)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::create_channel)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::apply_ini)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::action_reply)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::get_channel_status)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::get_status)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::channel_status)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::status_reply)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::status_read)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::get_task)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::task_reply)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::task_read)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::explain_task)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::explain_waiting)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::explanation_reply)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::router_committed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::drain)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::queue_quiet)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::all_quiet)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::shut_down)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::change_channel)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::remove_channel_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::act_on_channel)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::channel_reply)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::list_tasks)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::task_page_reply)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::act_on_task)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::act_on_tasks)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::tasks_reply)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::recover_again)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::check_due)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::stop_attempt)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::signal_attempt)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::close_queue)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::await_idle)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::patience_over)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::clock_adjusted)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::queue_action)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::page_read)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::stop_now)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::hand_over_again)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::slots_reported)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::slots_given)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::sample_due)
