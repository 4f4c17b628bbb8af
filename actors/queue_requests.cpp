// What a queue is asked for: statuses, actions on tasks, the wait for quiet, the end of the channel.
#include "actors/queue_parts.hpp"

#include <caf/all.hpp>

#include <algorithm>
#include <chrono>
#include <utility>

namespace task_runner {

namespace {

/// Who cancels a running task is answered this long after the grace, and at the latest after the second.
constexpr int64_t cancel_slack_ms = 5'000;
constexpr int64_t cancel_wait_ms_max = 25'000;
/// Most requests that wait until nothing runs; one more is refused.
constexpr size_t open_idles_max = 64;
/// Most statuses that wait for the store at once; one more is answered from the window alone.
constexpr size_t open_statuses_max = 64;
/// Most statuses that wait for the recovery; one more is told to come again.
constexpr size_t early_statuses_max = 1'024;
/// Most bytes of tasks that are read for one status.
constexpr uint64_t read_bytes_max = 4'194'304;

} // namespace

channel_status failed_status(const queue_state& state, error why) {
  channel_status status;
  status.channel = state.dependencies.record.name;
  status.failure = std::move(why);
  return status;
}

namespace {

channel_status describe(const queue_state& state, uint32_t limit) {
  channel_status status;
  status.channel = state.dependencies.record.name;
  status.counts = state.core->counts();
  status.tasks = state.core->running_tasks(limit);
  auto waiting = state.core->waiting_tasks(limit - std::min<size_t>(limit, status.tasks.size()));
  std::move(waiting.begin(), waiting.end(), std::back_inserter(status.tasks));
  return status;
}

/// Reads the first pending tasks, then held and then delayed ones, as many as a status still lacks.
result<std::vector<task>> read_waiting(queue_store& store, const std::string& channel, uint32_t limit) {
  auto waiting = store.load_pending(channel, order_front, window_limits{limit, read_bytes_max});
  for (const auto load : {&queue_store::load_held, &queue_store::load_delayed}) {
    if (!waiting || waiting->size() >= limit)
      return waiting;
    auto more = (store.*load)(channel, limit - static_cast<uint32_t>(waiting->size()));
    if (!more)
      return more;
    std::move(more->begin(), more->end(), std::back_inserter(*waiting));
  }
  return waiting;
}

} // namespace

void report_status(queue_pointer self, caf::typed_response_promise<channel_status> promise, uint32_t limit) {
  auto& state = self->state;
  if (!state.core->is_recovered()) {
    if (state.recovery_failure)
      promise.deliver(failed_status(state, *state.recovery_failure));
    else if (state.early_statuses.size() < early_statuses_max)
      state.early_statuses.push_back({std::move(promise), limit});
    else
      promise.deliver(caf::make_error(caf::sec::request_timeout));
    return;
  }
  auto status = describe(state, limit);
  const auto& counts = status.counts;
  const bool whole = status.tasks.size() >= std::min<uint64_t>(limit, counts.running + counts.pending +
                                                                          counts.held + counts.delayed);
  if (whole || state.open_statuses.size() >= open_statuses_max) {
    promise.deliver(std::move(status));
    return;
  }
  const auto number = state.next_status++;
  const queue_actor me{self};
  auto taken =
      ask_store(self).read([me, number, limit, channel = state.dependencies.record.name](queue_store& store) {
        caf::anon_send(me, status_read{number, read_waiting(store, channel, limit)});
      });
  if (!taken)
    promise.deliver(std::move(status));
  else
    state.open_statuses.emplace(number,
                                queue_state::open_status{std::move(promise), std::move(status), limit});
}

void finish_status(queue_pointer self, status_read& message) {
  auto node = self->state.open_statuses.extract(message.number);
  if (node.empty())
    return;
  auto& open = node.mapped();
  if (message.tasks) {
    auto& tasks = open.so_far.tasks;
    tasks.erase(std::remove_if(tasks.begin(), tasks.end(),
                               [](const task& value) { return value.state != task_state::running; }),
                tasks.end());
    for (auto& value : *message.tasks) {
      if (tasks.size() >= open.limit)
        break;
      tasks.push_back(std::move(value));
    }
  }
  open.promise.deliver(std::move(open.so_far));
}

explanation_reply explain(const queue_state& state, explain_waiting request) {
  explanation_reply reply;
  reply.value = std::move(request.value);
  reply.why = state.core->explain(reply.value, request.around, state.dependencies.clock->now_ms());
  // The channel is read again and again; until that works the store is what is in the way.
  if (reply.why.reason == wait_reason::recovering && state.recovery_failure) {
    reply.why.reason = wait_reason::store_unavailable;
    blocker store;
    store.what = blocker::kind::store;
    reply.why.blocked_by = {std::move(store)};
  }
  return reply;
}

push_replies refuse_batch(const admitted_batch& batch, const error& why) {
  push_replies refused;
  for (const auto& item : batch.items) {
    push_reply reply;
    reply.task_name = item.value.name;
    reply.failure = why;
    // Other channels can be read.
    reply.channel_only = true;
    refused.replies.push_back(std::move(reply));
  }
  return refused;
}

void begin_action(queue_pointer self, caf::typed_response_promise<task_reply> promise, task_action action) {
  auto& state = self->state;
  if (state.recovery_failure) {
    task_reply refused;
    refused.failure = state.recovery_failure;
    promise.deliver(std::move(refused));
    return;
  }
  const auto token = state.next_action++;
  state.open_actions.emplace(token, queue_state::open_action{std::move(promise), action.id});
  const bool waits = action.verb == task_verb::cancel && action.wait;
  const auto grace_ms = action.grace_ms.value_or(cancel_wait_ms_max);
  apply_effects(self, state.core->act(token, std::move(action), state.dependencies.clock->now_ms()));
  if (!waits || state.open_actions.count(token) == 0)
    return;
  const auto number = state.next_patience++;
  state.open_patience.emplace(number, queue_state::patience{token, 0});
  const auto patience_ms =
      std::clamp<int64_t>(grace_ms + cancel_slack_ms, cancel_slack_ms, cancel_wait_ms_max);
  self->delayed_send(self, std::chrono::milliseconds(patience_ms), patience_over{number});
}

void end_patience(queue_pointer self, uint64_t number) {
  auto& state = self->state;
  auto node = state.open_patience.extract(number);
  if (node.empty())
    return;
  const auto waited = node.mapped();
  if (auto idle = state.open_idles.extract(waited.idle); !idle.empty())
    idle.mapped().deliver(action_reply{error{error_code::timeout, "commands of the channel still run"}});
  const auto open = state.open_actions.find(waited.action);
  if (open == state.open_actions.end())
    return;
  auto running = state.core->running_tasks(state.core->counts().running);
  const auto found = std::find_if(running.begin(), running.end(),
                                  [&](const task& value) { return value.id == open->second.task_id; });
  if (found != running.end())
    answer_action(self, waited.action, std::move(*found));
  else
    answer_action(self, waited.action,
                  error{error_code::timeout, "the task could not be cancelled in time; look at it again"});
}

void begin_await(queue_pointer self, caf::typed_response_promise<action_reply> promise, int64_t wait_ms) {
  auto& state = self->state;
  if (state.open_idles.size() >= open_idles_max) {
    promise.deliver(
        action_reply{error{error_code::overloaded, "too many requests wait for the channel to drain"}});
    return;
  }
  const auto number = state.next_patience++;
  state.open_idles.emplace(number, std::move(promise));
  state.open_patience.emplace(number, queue_state::patience{0, number});
  self->delayed_send(self, std::chrono::milliseconds(std::max<int64_t>(wait_ms, 0)), patience_over{number});
  answer_waiting(self);
}

void begin_close(queue_pointer self, caf::typed_response_promise<action_reply> promise, bool force) {
  auto& state = self->state;
  const auto& channel = state.dependencies.record.name;
  if (!force && !state.core->is_empty()) {
    const auto counts = state.core->counts();
    const auto held = counts.pending + counts.held + counts.delayed + counts.running;
    promise.deliver(action_reply{
        state.core->is_recovered()
            ? error{error_code::conflict, "channel " + channel + " holds " + std::to_string(held) +
                                              " tasks; wait for them, cancel them, or use force"}
            : error{error_code::unavailable, "channel " + channel + " is still starting; try again soon"}});
    return;
  }
  state.open_closings.push_back(std::move(promise));
  apply_effects(self, state.core->close(state.dependencies.clock->now_ms()));
}

} // namespace task_runner
