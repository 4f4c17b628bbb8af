// The router's parts, which share its state: pairs of actors, changes of channels, and what concerns tasks.
// Everything here runs inside the router actor.
#pragma once

#include "actors/executor.hpp"
#include "actors/queue.hpp"
#include "actors/router.hpp"

#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace task_runner {

using router_pointer = probed_pointer<router_actor, router_state>;
using channel_entry = router_state::channel_entry;

// -- what goes out is counted -----------------------------------------------------------------------------

template <class Message>
void tell_queue(router_pointer self, const channel_entry& entry, Message message) {
  entry.queue_probe->count(queue_edge::from_router);
  self->send(entry.queue, std::move(message));
}

template <class Timeout, class Message>
auto ask_queue(router_pointer self, const channel_entry& entry, const Timeout& timeout, Message message) {
  entry.queue_probe->count(queue_edge::from_router);
  return self->request(entry.queue, timeout, std::move(message));
}

/// The store's writer, for one request.
inline store_writer& ask_store(router_pointer self) {
  self->state.dependencies.probe->count(router_edge::to_store);
  return *self->state.dependencies.writer;
}

// -- pairs (router.cpp) -----------------------------------------------------------------------------------

/// Workers of a channel: its own number, else the daemon's, and none when nothing is to run.
uint32_t effective_workers(const router_dependencies& d, const channel_record& record);

void start_pair(router_pointer self, channel_entry& entry);

/// Tells the supervisor, once, when every queue is quiet after a drain.
void tell_when_quiet(router_pointer self);

/// Counts the workers of all channels and warns when the launcher cannot run so many commands.
void count_workers(router_pointer self);

/// Hands slots of the common limit to the queues that got them.
void pass_on(router_pointer self, const std::vector<slot_grant>& grants);

/// Tells the common limit what the channels weigh.
void share_weights(router_pointer self);

/// Calls `done` in this actor after `time`, unless forget_wait was called with the answered number.
uint64_t wait(router_pointer self, std::chrono::milliseconds time, std::function<void()> done);
void forget_wait(router_pointer self, uint64_t number);

/// Submits operations and calls `done` in this actor; on an error it is not called.
result<void> commit(router_pointer self, std::vector<store_operation> operations,
                    std::function<void(result<std::vector<store_answer>>)> done);

// -- channels (router_channels.cpp) -----------------------------------------------------------------------

caf::result<action_reply> create_one(router_pointer self, const create_channel& request);
caf::result<channel_reply> change_one(router_pointer self, const change_channel& request);
caf::result<action_reply> remove_one(router_pointer self, const remove_channel_request& request);
caf::result<channel_reply> act_on_one(router_pointer self, const act_on_channel& request);
caf::result<action_reply> take_ini(router_pointer self, const apply_ini& request);

/// The pair of a channel that is being removed has ended: its record goes too.
void finish_removal(router_pointer self, const std::string& name);

/// The channel's actors died while it was being emptied: whoever waits is told; the channel stays.
void abandon_removal(router_pointer self, channel_entry& entry);

error no_such_channel(const std::string& name);
error channel_has_failed(const std::string& name);

// -- statuses (router_status.cpp) -------------------------------------------------------------------------

caf::result<status_reply> report(router_pointer self, const get_status& request);
/// One channel's status as its queue tells it.
void describe_channel(router_pointer self, const std::string& name, uint32_t limit,
                      std::function<void(channel_status)> done);

// -- tasks (router_tasks.cpp) -----------------------------------------------------------------------------

caf::result<task_reply> look_up(router_pointer self, const get_task& request);
/// Reads a task from the store and calls `done` in this actor; on an error it is not called.
result<void> read_task(router_pointer self, const std::string& id, bool with_attempts,
                       std::function<void(task_read&)> done);
/// Why a queue gave no answer: `timeout`, or `unavailable` where it is gone.
error not_answered(const caf::error& why);
caf::result<task_page_reply> list(router_pointer self, const list_tasks& request);
caf::result<task_reply> act(router_pointer self, const act_on_task& request);
caf::result<tasks_reply> act_on_many(router_pointer self, const act_on_tasks& request);

// -- why a task does not run (router_why.cpp) -------------------------------------------------------------

caf::result<explanation_reply> explain(router_pointer self, explain_task request);

} // namespace task_runner
