// The codes and sentences of the reasons why a task does not run now.
#include "actors/wait_reason.hpp"

#include <cassert>

namespace task_runner {

std::string_view to_string(wait_reason why) noexcept {
  switch (why) {
  case wait_reason::finished:
    return "finished";
  case wait_reason::dead:
    return "dead";
  case wait_reason::cancelled:
    return "cancelled";
  case wait_reason::running:
    return "running";
  case wait_reason::starting:
    return "starting";
  case wait_reason::ending:
    return "ending";
  case wait_reason::cancelling:
    return "cancelling";
  case wait_reason::being_leased:
    return "being_leased";
  case wait_reason::next:
    return "next";
  case wait_reason::delayed:
    return "delayed";
  case wait_reason::backoff:
    return "backoff";
  case wait_reason::due:
    return "due";
  case wait_reason::expiring:
    return "expiring";
  case wait_reason::concurrency_key:
    return "concurrency_key";
  case wait_reason::behind_others:
    return "behind_others";
  case wait_reason::running_limit:
    return "running_limit";
  case wait_reason::no_workers:
    return "no_workers";
  case wait_reason::paused:
    return "paused";
  case wait_reason::channel_closing:
    return "channel_closing";
  case wait_reason::draining:
    return "draining";
  case wait_reason::task_mode_off:
    return "task_mode_off";
  case wait_reason::store_unavailable:
    return "store_unavailable";
  case wait_reason::recovering:
    return "recovering";
  case wait_reason::channel_down:
    return "channel_down";
  case wait_reason::unnoticed:
    return "unnoticed";
  }
  return "unknown";
}

std::string_view sentence_of(wait_reason why) noexcept {
  switch (why) {
  case wait_reason::finished:
    return "it has ended: its command succeeded; push it again to repeat it";
  case wait_reason::dead:
    return "it has ended without success, and no attempt is left; retry it to run it again";
  case wait_reason::cancelled:
    return "it has ended: it was cancelled, or not started in time; retry it to run it again";
  case wait_reason::running:
    return "its command is running";
  case wait_reason::starting:
    return "it has a worker, and its command is being started";
  case wait_reason::ending:
    return "its attempt is over, and how it ended is being recorded";
  case wait_reason::cancelling:
    return "it is being cancelled; a command that runs has until its grace is over";
  case wait_reason::being_leased:
    return "its turn has come, and its start is being recorded";
  case wait_reason::next:
    return "its turn has come, and a worker is free for it";
  case wait_reason::delayed:
    return "it is not to be started before its time";
  case wait_reason::backoff:
    return "its last attempt failed, and the next one follows when the backoff is over";
  case wait_reason::due:
    return "its time has come, and it is getting into line";
  case wait_reason::expiring:
    return "it was not started in time, and is being cancelled as expired";
  case wait_reason::concurrency_key:
    return "as many tasks with its concurrency key as are allowed are in line or running; it gets into line "
           "when one of them has ended";
  case wait_reason::behind_others:
    return "it waits for a worker of its channel";
  case wait_reason::running_limit:
    return "running-max limits the commands of all channels together, and its channel waits for a slot";
  case wait_reason::no_workers:
    return "its channel has no workers; give it some by changing \"worker\"";
  case wait_reason::paused:
    return "its channel is paused; resume the channel";
  case wait_reason::channel_closing:
    return "its channel is being removed, and what waits there is being cancelled";
  case wait_reason::draining:
    return "the daemon is stopping and starts nothing new; the task keeps its place for the next start";
  case wait_reason::task_mode_off:
    return "the daemon takes tasks and starts none; start it without -task-mode=false";
  case wait_reason::store_unavailable:
    return "the store could not be written or read, and is tried again; /readyz says what is wrong with it";
  case wait_reason::recovering:
    return "its channel is just starting: the queue is reading what the store has; ask again in a second";
  case wait_reason::channel_down:
    return "its channel is out of service; restart the daemon, and look at its log";
  case wait_reason::unnoticed:
    return "the store has it, but its queue has not heard of that; the check every 30 seconds puts it right";
  }
  return "nobody knows";
}

std::vector<wait_reason> all_wait_reasons() {
  std::vector<wait_reason> all;
  for (int i = 0; i <= static_cast<int>(wait_reason::unnoticed); ++i)
    all.push_back(static_cast<wait_reason>(i));
  return all;
}

std::string_view to_string(blocker::kind what) noexcept {
  switch (what) {
  case blocker::kind::task:
    return "task";
  case blocker::kind::channel:
    return "channel";
  case blocker::kind::limit:
    return "limit";
  case blocker::kind::time:
    return "time";
  case blocker::kind::store:
    return "store";
  case blocker::kind::daemon:
    return "daemon";
  }
  return "unknown";
}

explanation explain_ended(task_state state) {
  assert(is_terminal(state));
  explanation why;
  why.state = state;
  why.reason = state == task_state::finished ? wait_reason::finished
               : state == task_state::dead   ? wait_reason::dead
                                             : wait_reason::cancelled;
  return why;
}

std::string message_of(const explanation& why, const std::optional<outcome>& last_outcome) {
  std::string message(sentence_of(why.reason));
  if (last_outcome && (why.reason == wait_reason::dead || why.reason == wait_reason::backoff))
    message += ". How its last attempt ended: " + describe(*last_outcome);
  if (why.reason != wait_reason::behind_others && why.reason != wait_reason::running_limit)
    return message;
  const auto place = why.position ? why.position : why.position_at_least;
  if (place && *place > 1)
    message += std::string("; ") + (why.position ? "" : "at least ") + std::to_string(*place - 1) +
               (*place == 2 ? " task stands" : " tasks stand") + " before it in line";
  else if (why.position)
    message += "; it is the first in line";
  return message;
}

} // namespace task_runner
