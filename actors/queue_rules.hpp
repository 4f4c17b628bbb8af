// The rules of a queue that need no memory: what a push's options mean, how an attempt's end is judged, which
// sentence refuses an action. Pure functions, so that each can be read and tested alone.
#pragma once

#include "actors/queue_values.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace task_runner {

/// What makes two tasks of a distinct channel the same, where the push does not say: their command, whatever
/// it is called.
std::string distinct_key_of(const task& value);

/// What task and channel say together; never null. Copies nothing where one of them says nothing.
std::shared_ptr<const task_options> effective_options(const task& value,
                                                      const std::shared_ptr<const task_options>& defaults);

/// Fixes what is decided when a task is pushed: priority, concurrency key, expiry and distinct key, from its
/// own options and the channel's.
void resolve_push(task& value, const task_options& defaults, distinct_mode mode, wall_time_ms now);

/// Whether a task is too late for its first attempt.
bool expires_unstarted(const task& value, wall_time_ms now) noexcept;

/// What follows the end of an attempt. `cancel_wanted`: somebody asked for the task's end.
settle_task judge_end(const task& value, const task_options& effective, const attempt_ended& event,
                      bool cancel_wanted, uint32_t recoveries_max, wall_time_ms now);

/// The earlier of two moments, where 0 is none.
wall_time_ms earlier(wall_time_ms a, wall_time_ms b) noexcept;

/// Whether a pause of at most `longest_ms` until `moment` is over; also when the clock has been set back.
bool is_over(wall_time_ms moment, wall_time_ms now, int64_t longest_ms) noexcept;

/// Why a verb cannot be done to a task in this state: `conflict`, and what to do.
error refusal_of(task_verb verb, const std::string& id, task_state state);

/// No such task: `not_found`.
error no_such_task(const std::string& id, const std::string& channel);

/// The task as it was before its first lease.
task unleased(task value);

} // namespace task_runner
