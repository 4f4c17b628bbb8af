// Every actor interface of the system, one line and one sentence per message: reading this is reading the
// architecture. intake -> router -> queue <-> executor carry the tasks; the supervisor watches, the gateway
// asks for HTTP and sources.
#pragma once

#include "actors/messages.hpp"

#include <caf/replies_to.hpp>
#include <caf/typed_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <functional>
#include <memory>

namespace task_runner {

/// Runs a channel's attempts on its worker slots.
using executor_actor = caf::typed_actor<
    // The queue leased attempts, whose commands are started, and settled others durably, which the launcher
    // may forget.
    caf::reacts_to<attempt_work>,
    // The launcher's client had no room a while ago; try again.
    caf::reacts_to<hand_over_again>,
    // Commands were started or have ended; the queue is told.
    caf::reacts_to<attempts_progressed>,
    // The queue wants this attempt ended, with all its processes.
    caf::reacts_to<stop_attempt>,
    // The queue wants this attempt signalled.
    caf::replies_to<signal_attempt>::with<action_reply>,
    // The number of worker slots changes; the difference goes to the queue as credit.
    caf::reacts_to<set_workers>,
    // The queue recovers and asks what the launcher knows.
    caf::replies_to<get_known_attempts>::with<known_attempts_reply>>;

/// Introduces the executor to its queue.
struct attach_executor {
  executor_actor executor;
};

/// Holds the order, the dedup rule and the leases of one channel.
using queue_actor = caf::typed_actor<
    // Checked pushes; answered when each is committed, a duplicate or refused.
    caf::replies_to<admitted_batch>::with<push_replies>,
    // Counts and the first tasks.
    caf::replies_to<get_channel_status>::with<channel_status>,
    // Why a task of this channel does not run now.
    caf::replies_to<explain_waiting>::with<explanation_reply>,
    // The executor of this channel; recovery begins.
    caf::reacts_to<attach_executor>,
    // One verb on one task of this channel.
    caf::replies_to<queue_action>::with<task_reply>,
    // The channel is to go: take nothing more, and answer when nothing is left.
    caf::replies_to<close_queue>::with<action_reply>,
    // Answered when nothing runs.
    caf::replies_to<await_idle>::with<action_reply>,
    // The store told what it has of this channel.
    caf::reacts_to<recovery_read>,
    // The recovery failed a while ago; try again.
    caf::reacts_to<recover_again>,
    // Compare with the store and the launcher, and repair.
    caf::reacts_to<check_due>,
    // Somebody has waited long enough and is answered with what is known.
    caf::reacts_to<patience_over>,
    // The wall clock was set; delays have moved.
    caf::reacts_to<clock_adjusted>,
    // The store committed a submission, or could not.
    caf::reacts_to<store_committed>,
    // The store read a stretch of the backlog.
    caf::reacts_to<window_read>,
    // The store read tasks for a status.
    caf::reacts_to<status_read>,
    // The executor grants or withdraws worker slots.
    caf::reacts_to<grant_credit>,
    // Slots of the common limit were granted.
    caf::reacts_to<slots_given>,
    // Commands have started or ended.
    caf::reacts_to<attempts_progressed>,
    // A delay or a pause is over.
    caf::reacts_to<wake_up>,
    // The channel's settings change.
    caf::reacts_to<configure_queue>,
    // Lease nothing more, and tell the router when nothing runs.
    caf::reacts_to<drain>,
    // The same, and cancel what runs.
    caf::reacts_to<stop_now>>;

/// Watches intake, router and gateway, and leads the shutdown.
using supervisor_actor = caf::typed_actor<
    // Drain intake and queues.
    caf::reacts_to<drain>,
    // The same, and cancel what runs.
    caf::reacts_to<stop_now>,
    // The router says that nothing runs any more.
    caf::reacts_to<all_quiet>,
    // End everything.
    caf::reacts_to<shut_down>>;

/// Introduces the supervisor to the router.
struct attach_supervisor {
  supervisor_actor supervisor;
};

/// Knows the channels, owns their actor pairs and restarts them.
using router_actor = caf::typed_actor<
    // What a queue has and wants of the common limit of running commands.
    caf::reacts_to<slots_reported>,
    // Who is to be told when all is quiet.
    caf::reacts_to<attach_supervisor>,
    // Goes on to the channel's queue, which answers.
    caf::replies_to<admitted_batch>::with<push_replies>,
    // A new channel; answered when it stands in the store.
    caf::replies_to<create_channel>::with<action_reply>,
    // New settings of a channel; answered with the channel when they are in force.
    caf::replies_to<change_channel>::with<channel_reply>,
    // A channel goes; answered when it is gone.
    caf::replies_to<remove_channel_request>::with<action_reply>,
    // Pause, resume or drain a channel; answered with the channel.
    caf::replies_to<act_on_channel>::with<channel_reply>,
    // Sections of the INI, at start and on HUP; answered when they stand in the store.
    caf::replies_to<apply_ini>::with<action_reply>,
    // Counts and tasks of one channel or all.
    caf::replies_to<get_status>::with<status_reply>,
    // One task by id.
    caf::replies_to<get_task>::with<task_reply>,
    // Why one task does not run now; the queue of its channel is asked.
    caf::replies_to<explain_task>::with<explanation_reply>,
    // The store looked up a task.
    caf::reacts_to<task_read>,
    // Tasks by filter.
    caf::replies_to<list_tasks>::with<task_page_reply>,
    // One verb on one task; goes on to the queue of its channel, which answers.
    caf::replies_to<act_on_task>::with<task_reply>,
    // One verb on all tasks that match.
    caf::replies_to<act_on_tasks>::with<tasks_reply>,
    // The store read a page of a listing.
    caf::reacts_to<page_read>,
    // The store did what the router asked for.
    caf::reacts_to<router_committed>,
    // Somebody has waited long enough and is answered with what is known.
    caf::reacts_to<patience_over>,
    // The wall clock was set; goes on to every queue.
    caf::reacts_to<clock_adjusted>,
    // Drain every queue.
    caf::reacts_to<drain>,
    // The same, and cancel what runs.
    caf::reacts_to<stop_now>,
    // A draining queue has nothing left that runs.
    caf::reacts_to<queue_quiet>,
    // End the pairs, then yourself.
    caf::reacts_to<shut_down>>;

/// The one admission point every task passes.
using intake_actor = caf::typed_actor<
    // Checks every item, completes it, and sends it to its channel.
    caf::replies_to<push_batch>::with<push_replies>,
    // Refuse everything from now on.
    caf::reacts_to<drain>>;

/// Reads bodies of many pushes line by line, and hands them to the intake a slice at a time.
using batch_actor = caf::typed_actor<
    // Answered when every line is committed, a duplicate or refused.
    caf::replies_to<push_lines>::with<push_lines_reply>>;

/// Sees to it that what is measured of the channels becomes a history.
using historian_actor = caf::typed_actor<
    // Its own alarm: a step is over, and is kept.
    caf::reacts_to<sample_due>>;

} // namespace task_runner

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::attach_executor)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::attach_supervisor)
