// The messages that actors exchange, as plain aggregates; actors/interfaces.hpp says who takes which.
// They never leave the process, so none of them is serialized.
#pragma once

#include "actors/queue_core.hpp"
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

/// A submission's fate, from the store's thread.
struct store_committed {
  submission_token token = 0;
  result<std::vector<store_answer>> answers{std::vector<store_answer>{}};
};

/// A stretch of the backlog, from the store's thread.
struct window_read {
  result<std::vector<task>> tasks{std::vector<task>{}};
};

/// What the store knows of the channel, from the store's thread.
struct recovery_read {
  result<channel_recovery> found{channel_recovery{}};
};

/// Worker slots granted (positive) or withdrawn (negative), from the executor to its queue.
struct grant_credit {
  int64_t slots = 0;
};

/// A committed lease: run it.
struct run_attempt {
  task value;
};

/// From the launcher, through the runner's thread, to the executor and on to the queue.
struct process_started {
  attempt_started event;
};
struct process_ended {
  attempt_ended event;
};

/// Outcomes that stand in the store.
struct settled_attempts {
  std::vector<attempt_key> keys;
};

/// What the launcher knows of the channel's attempts?
struct get_known_attempts {};
struct known_attempts_reply {
  std::vector<known_attempt> attempts;
};

/// A queue's alarm clock; an alarm of an older number has been replaced.
struct wake_up {
  uint64_t number = 0;
};

// -- settings and status -----------------------------------------------------------

/// New settings of a live channel.
struct configure_queue {
  bool distinct = false;
};
struct set_workers {
  uint32_t count = 0;
};

/// Creates a channel; refused with `conflict` when it exists.
struct create_channel {
  std::string name;
  bool distinct = false;
  std::optional<uint32_t> worker;
};

/// Applies [channel.NAME] sections of the INI.
struct apply_ini {
  std::map<std::string, channel_settings> sections;
};

/// Whether something was done, or why not.
struct action_reply {
  std::optional<error> failure;
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
  bool distinct = false;
  uint32_t worker = 0;
  queue_counts counts;
  /// Running first, then pending in order of execution, then delayed by their moment.
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

/// One task by id, whatever its state.
struct get_task {
  std::string id;
};
struct task_reply {
  std::optional<task> value;
  std::optional<error> failure;
};
struct task_read {
  uint64_t number = 0;
  result<std::optional<task>> value{std::optional<task>{}};
};

/// A channel's record stands in the store, or could not be written.
struct channel_saved {
  uint64_t number = 0;
  result<std::vector<store_answer>> answers{std::vector<store_answer>{}};
};

// -- life of the daemon ---------------------------------------------------------------

/// Take nothing new, start nothing new, say when nothing runs any more.
struct drain {};
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
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::store_committed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::window_read)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::recovery_read)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::grant_credit)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::run_attempt)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::process_started)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::process_ended)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::settled_attempts)
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
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::channel_saved)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::drain)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::queue_quiet)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::all_quiet)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(task_runner::shut_down)
