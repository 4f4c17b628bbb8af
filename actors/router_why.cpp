// Why a task does not run now: the router reads it from the store and asks the queue of its channel.
// Where there is no queue to ask, or nothing to ask about, it answers itself.
#include "actors/router_parts.hpp"

#include <caf/all.hpp>

#include <chrono>
#include <memory>
#include <utility>

namespace task_runner {

namespace {

using caf::typed_response_promise;

/// How long a queue may take for an explanation; it looks at nothing but its memory.
constexpr std::chrono::seconds explain_timeout{5};
/// A task that its queue does not know has mostly just gone on: it is read so often in all.
constexpr uint32_t explain_reads_max = 3;

/// A request for an explanation while it is worked on.
struct explain_job {
  typed_response_promise<explanation_reply> promise;
  std::string id;
  uint32_t reads = 0;
};
using explain_pointer = std::shared_ptr<explain_job>;

void read_again(router_pointer self, const explain_pointer& job);

void refuse(const explain_pointer& job, error why) {
  explanation_reply reply;
  reply.failure = std::move(why);
  job->promise.deliver(std::move(reply));
}

void answer(const explain_pointer& job, task value, explanation why) {
  explanation_reply reply;
  reply.value = std::move(value);
  reply.why = std::move(why);
  job->promise.deliver(std::move(reply));
}

/// An explanation of the router's own, for a task whose queue cannot be asked.
explanation unasked(const task& value, wait_reason reason, std::string_view condition) {
  explanation why;
  why.reason = reason;
  why.state = value.state;
  blocker channel;
  channel.what = blocker::kind::channel;
  channel.name = value.channel;
  channel.condition = condition;
  why.blocked_by.push_back(std::move(channel));
  return why;
}

wait_surroundings surroundings(const router_state& state) {
  wait_surroundings around;
  around.task_mode = state.dependencies.task_mode;
  if (state.slots) {
    around.running_max = state.slots->capacity();
    around.running_used = state.slots->granted();
  }
  return around;
}

void take_reply(router_pointer self, const explain_pointer& job, explanation_reply& reply) {
  const bool has_gone_on = !reply.failure && reply.why.reason == wait_reason::unnoticed;
  if (has_gone_on && job->reads < explain_reads_max)
    read_again(self, job);
  else
    job->promise.deliver(std::move(reply));
}

void explain_found(router_pointer self, const explain_pointer& job, task value) {
  if (is_terminal(value.state)) {
    const auto state = value.state;
    answer(job, std::move(value), explain_ended(state));
    return;
  }
  const auto found = self->state.channels.find(value.channel);
  if (found == self->state.channels.end() || found->second.emptied) {
    // Nothing of the channel is left: the task has ended since it was read.
    if (job->reads < explain_reads_max) {
      read_again(self, job);
      return;
    }
    auto why = unasked(value, wait_reason::channel_closing, "closing");
    answer(job, std::move(value), std::move(why));
    return;
  }
  if (found->second.failed) {
    auto why = unasked(value, wait_reason::channel_down, "down");
    answer(job, std::move(value), std::move(why));
    return;
  }
  auto kept = std::make_shared<task>(value);
  ask_queue(self, found->second, explain_timeout,
            explain_waiting{std::move(value), surroundings(self->state)})
      .then([self, job](explanation_reply& reply) { take_reply(self, job, reply); },
            [job, kept](const caf::error& why) {
              if (why == caf::sec::request_timeout) {
                refuse(job, not_answered(why));
                return;
              }
              // The queue is gone, and another one takes its place.
              auto told = unasked(*kept, wait_reason::recovering, "starting");
              answer(job, std::move(*kept), std::move(told));
            });
}

void read_again(router_pointer self, const explain_pointer& job) {
  ++job->reads;
  auto taken = read_task(self, job->id, false, [self, job](task_read& read) {
    if (!read.value)
      refuse(job, read.value.failure());
    else if (!*read.value)
      refuse(job, {error_code::not_found, "there is no such task"});
    else
      explain_found(self, job, std::move(**read.value));
  });
  if (!taken)
    refuse(job, taken.failure());
}

} // namespace

caf::result<explanation_reply> explain(router_pointer self, explain_task request) {
  auto job = std::make_shared<explain_job>();
  job->promise = self->make_response_promise<explanation_reply>();
  job->id = std::move(request.id);
  auto promise = job->promise;
  read_again(self, job);
  return promise;
}

} // namespace task_runner
