// The rules of a queue that need no memory.
#include "actors/queue_rules.hpp"

#include <algorithm>

namespace task_runner {

namespace {

/// Whether this way to fail is one after which another attempt is made.
bool is_retried(const outcome& how, const task_options& effective) {
  if (!effective.retry_on)
    return true;
  return how.kind == outcome_kind::exited && std::find(effective.retry_on->begin(), effective.retry_on->end(),
                                                       how.code) != effective.retry_on->end();
}

void judge_failure(settle_task& settle, const task& value, const task_options& effective, wall_time_ms now) {
  // Attempts since a person last retried it, without those that were lost; this one counts.
  const auto since = value.attempt - std::min(value.attempt, value.attempts_before);
  const auto failures = std::max<uint32_t>(1, since - std::min(since, value.recoveries));
  if (failures >= effective.max_attempts.value_or(max_attempts_default) ||
      !is_retried(settle.how, effective)) {
    settle.state = task_state::dead;
    return;
  }
  const auto pause_ms = backoff_delay_ms(effective, failures, backoff_salt(value.id, value.attempt));
  settle.state = pause_ms > 0 ? task_state::delayed : task_state::pending;
  settle.not_before_ms = pause_ms > 0 ? now + pause_ms : 0;
}

void judge_loss(settle_task& settle, const task_options& effective, uint32_t recoveries_max) {
  ++settle.recoveries;
  if (effective.delivery == delivery_kind::at_most_once) {
    settle.state = task_state::dead;
    return;
  }
  settle.state = task_state::pending;
  if (settle.recoveries <= recoveries_max)
    return;
  settle.state = task_state::dead;
  if (settle.how.error.empty())
    settle.how.error = "lost to a crash " + std::to_string(settle.recoveries) + " times, allowed are " +
                       std::to_string(recoveries_max);
}

} // namespace

std::string distinct_key_of(const task& value) {
  if (value.command.argv.empty())
    return "line:" + value.line();
  std::string key = "argv:";
  for (const auto& argument : value.command.argv) {
    key += std::to_string(argument.size());
    key += ':';
    key += argument;
  }
  return key;
}

std::shared_ptr<const task_options> effective_options(const task& value,
                                                      const std::shared_ptr<const task_options>& defaults) {
  if (!value.options)
    return defaults;
  if (defaults->empty())
    return value.options;
  return std::make_shared<const task_options>(merge(*value.options, *defaults));
}

void resolve_push(task& value, const task_options& defaults, distinct_mode mode, wall_time_ms now) {
  static const task_options nothing;
  const auto& own = value.options ? *value.options : nothing;
  value.priority = own.priority ? *own.priority : defaults.priority.value_or(0);
  const auto& concurrency_key = own.concurrency_key ? own.concurrency_key : defaults.concurrency_key;
  if (concurrency_key && !concurrency_key->empty()) {
    value.concurrency_key = *concurrency_key;
    value.concurrency_max = own.concurrency_max ? *own.concurrency_max
                                                : defaults.concurrency_max.value_or(concurrency_max_default);
  }
  if (const auto expires_ms = own.expires_ms ? own.expires_ms : defaults.expires_ms)
    value.expires_at_ms = (value.created_at_ms != 0 ? value.created_at_ms : now) + *expires_ms;
  if (mode != distinct_mode::off && value.distinct_key.empty())
    value.distinct_key = distinct_key_of(value);
  value.distinct_while_pending = mode == distinct_mode::while_pending;
}

bool expires_unstarted(const task& value, wall_time_ms now) noexcept {
  const bool is_first = value.state == task_state::running ? value.attempt == value.attempts_before + 1
                                                           : value.attempt == value.attempts_before;
  return is_first && value.expires_at_ms != 0 && value.expires_at_ms <= now;
}

settle_task judge_end(const task& value, const task_options& effective, const attempt_ended& event,
                      bool cancel_wanted, uint32_t recoveries_max, wall_time_ms now) {
  settle_task settle;
  settle.id = value.id;
  settle.attempt = value.attempt;
  settle.how = event.how;
  settle.started_at_ms = event.started_at_ms != 0 ? event.started_at_ms : value.started_at_ms;
  settle.ended_at_ms = std::max(event.ended_at_ms, settle.started_at_ms); // the clock may have been set back
  settle.recoveries = value.recoveries;
  settle.output_bytes = event.output_bytes;
  if (event.how.succeeded())
    settle.state = task_state::finished;
  else if (event.how.kind == outcome_kind::lost)
    judge_loss(settle, effective, recoveries_max);
  else if (event.how.kind == outcome_kind::cancelled || event.how.kind == outcome_kind::expired)
    settle.state = task_state::cancelled;
  else
    judge_failure(settle, value, effective, now);
  if (cancel_wanted && settle.state != task_state::finished) {
    settle.state = task_state::cancelled;
    settle.not_before_ms = 0;
  }
  return settle;
}

wall_time_ms earlier(wall_time_ms a, wall_time_ms b) noexcept {
  return a == 0 || b == 0 ? std::max(a, b) : std::min(a, b);
}

bool is_over(wall_time_ms moment, wall_time_ms now, int64_t longest_ms) noexcept {
  return now >= moment || moment - now > longest_ms;
}

error refusal_of(task_verb verb, const std::string& id, task_state state) {
  const auto is = "task " + id + " is " + std::string(to_string(state)) + "; ";
  switch (verb) {
  case task_verb::signal:
    return {error_code::conflict, is + "only a running task takes signals"};
  case task_verb::retry:
    return {error_code::conflict, is + "only a dead or cancelled task can be retried" +
                                      (state == task_state::finished ? "; push it again to repeat it" : "")};
  case task_verb::remove:
    return {error_code::conflict, is + "only an ended task can be deleted; cancel it first"};
  case task_verb::release:
    return {error_code::conflict, is + "it holds no distinct record that could be released"};
  case task_verb::cancel:
    break;
  }
  return {error_code::conflict, is + "it cannot be cancelled now; try again in a second"};
}

error no_such_task(const std::string& id, const std::string& channel) {
  return {error_code::not_found, "there is no task " + id + " in channel " + channel};
}

task unleased(task value) {
  value.state = task_state::pending;
  value.attempt = 0;
  value.started_at_ms = 0;
  value.launcher_id = 0;
  return value;
}

} // namespace task_runner
