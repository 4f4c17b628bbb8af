// The queue actor's parts, which share its state: effects on their way out, recovery and check, requests.
// Everything here runs inside the queue actor.
#pragma once

#include "actors/queue.hpp"

#include <chrono>

namespace task_runner {

using queue_pointer = probed_pointer<queue_actor, queue_state>;

/// How long the executor may take to say what the launcher knows, and to pass a signal on.
constexpr std::chrono::seconds known_timeout{10};

// -- what goes out is counted -----------------------------------------------------------------------------

template <class Message>
void tell_executor(queue_pointer self, Message message) {
  self->state.dependencies.probe->count(queue_edge::to_executor);
  self->send(self->state.executor, std::move(message));
}

template <class Message>
auto ask_executor(queue_pointer self, Message message) {
  self->state.dependencies.probe->count(queue_edge::to_executor);
  return self->request(self->state.executor, known_timeout, std::move(message));
}

template <class Message>
void tell_router(queue_pointer self, Message message) {
  self->state.dependencies.probe->count(queue_edge::to_router);
  self->send(self->state.dependencies.router, std::move(message));
}

/// The store's writer, for one request.
inline store_writer& ask_store(queue_pointer self) {
  self->state.dependencies.probe->count(queue_edge::to_store);
  return *self->state.dependencies.writer;
}

// -- effects (queue_effects.cpp) ---------------------------------------------------------------------------

/// Does what the core wants done, sets the alarm, and answers who waits for the state that was reached.
void apply_effects(queue_pointer self, queue_effects effects);

/// Answers an action, unless that was done when its patience was over.
void answer_action(queue_pointer self, action_token token, result<task> value);

/// Answers those who wait for a state of the queue that it has reached.
void answer_waiting(queue_pointer self);

/// A check is due in a while, if it could find anything: an empty queue sleeps.
void arm_check(queue_pointer self);

// -- requests (queue_requests.cpp) -------------------------------------------------------------------------

/// Answers with counts and the first tasks: at once, after the recovery, or when the store has read them.
void report_status(queue_pointer self, caf::typed_response_promise<channel_status> promise, uint32_t limit);
void finish_status(queue_pointer self, status_read& message);

/// A status that says why there is none.
channel_status failed_status(const queue_state& state, error why);

/// Why a task does not run now.
explanation_reply explain(const queue_state& state, explain_waiting request);

/// A batch that comes while the channel cannot be read is refused at once.
push_replies refuse_batch(const admitted_batch& batch, const error& why);

void begin_action(queue_pointer self, caf::typed_response_promise<task_reply> promise, task_action action);

/// Who waits for the end of a task that still runs is told how it stands.
void end_patience(queue_pointer self, uint64_t number);

void begin_await(queue_pointer self, caf::typed_response_promise<action_reply> promise, int64_t wait_ms);
void begin_close(queue_pointer self, caf::typed_response_promise<action_reply> promise, bool force);

} // namespace task_runner
