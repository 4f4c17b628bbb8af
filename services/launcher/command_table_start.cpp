// How an attempt is started: made ready, journalled, forked, watched.
// The journal comes before the fork, so that a launcher that dies in between leaves a name, a tag and a
// cgroup behind by which the next one finds whatever has come to life.
#include "services/domain/time_text.hpp"
#include "services/launcher/command_table.hpp"
#include "services/launcher/packet_socket.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <sys/epoll.h>

namespace task_runner::launcher {
namespace {

/// Starts in one turn of the loop. Each takes a few tenths of a millisecond; between turns output is read.
constexpr size_t starts_per_turn = 8;
/// While processes, memory or descriptors are short, starts are tried again this often, for as long as that
/// lasts: nothing is wrong with these commands, and an attempt that failed for it would be spent for nothing.
/// What waits can be stopped, and is bounded by the workers of the channels.
constexpr steady_ms shortage_retry_ms = 100;
/// Children of one start that were killed before they began, until it does without a cgroup.
constexpr int stillbirths_max = 2;
/// Cgroups that are tried for one start.
constexpr int cgroup_tries = 3;
/// As much of a program's name as messages show.
constexpr size_t program_name_length_max = 512;
/// How long starts and settlements alone may wait to be journalled and told: nothing follows from them but
/// what statuses show, the intent stands in the journal already, the end of a short command takes them along,
/// and the child has the processor to itself meanwhile.
constexpr steady_ms report_pause_ms = 2;
/// The wall clock is steered by less than this; more means that it was set.
constexpr int64_t steering_max_ms = 1'000;

uint64_t milliseconds_since_boot() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000 + static_cast<uint64_t>(now.tv_nsec) / 1'000'000;
}

} // namespace

void command_table::start_waiting(steady_ms now) {
  if (shortage_retry_at_ > now)
    return;
  std::vector<prepared_start> batch;
  bool is_short = false;
  bool any_started = false;
  while (!is_short && batch.size() < starts_per_turn && !waiting_.empty() &&
         running_count() + batch.size() < setting_.running_max) {
    const auto found = known_.find(waiting_.front().request.key);
    // Stopped while it waited.
    if (found == known_.end() || found->second.ticket != waiting_.front().ticket ||
        found->second.attempt.ended) {
      waiting_.pop_front();
      continue;
    }
    prepared_start prepared;
    switch (prepare(waiting_.front(), prepared, now)) {
    case start_step::ready:
      batch.push_back(std::move(prepared));
      waiting_.pop_front();
      break;
    case start_step::failed:
      waiting_.pop_front();
      break;
    case start_step::short_of_resources:
      is_short = true;
      break;
    }
  }
  if (!batch.empty())
    flush_journal();
  for (auto one = batch.begin(); one != batch.end(); ++one) {
    const start_step step = launch(*one, now);
    any_started = any_started || step == start_step::ready;
    if (step != start_step::short_of_resources)
      continue;
    // Back to where they were, in their order.
    is_short = true;
    for (auto last = batch.end(); last != one;) {
      --last;
      abandon(*last);
      waiting_.push_front(std::move(last->waiting));
    }
    break;
  }
  if (is_short) {
    shortage_retry_at_ = now + shortage_retry_ms;
    // What goes on, however slowly, is not held up.
    if (any_started)
      shortage_since_ = now;
  } else if (!batch.empty() || waiting_.empty()) {
    shortage_retry_at_ = 0;
    shortage_since_ = 0;
    shortage_.clear();
  }
}

command_table::start_step command_table::wait_for_resources(const std::string& reason, steady_ms now) {
  log_.write_once("starts wait for resources: " + reason);
  if (shortage_since_ == 0)
    shortage_since_ = now;
  shortage_ = reason;
  return start_step::short_of_resources;
}

pong_message command_table::answer_ping(steady_ms now) const {
  pong_message pong;
  pong.waiting = static_cast<uint32_t>(waiting_.size());
  // Where as many run as may run, that is what the others wait for.
  if (shortage_since_ == 0 || waiting_.empty() || running_count() >= setting_.running_max)
    return pong;
  pong.shortage = shortage_;
  pong.shortage_ms = static_cast<uint64_t>(now - shortage_since_);
  return pong;
}

bool command_table::enter_cgroup_for(prepared_start& prepared) {
  for (int tries = 0; tries < cgroup_tries; ++tries) {
    prepared.slot = cgroups_->acquire();
    if (prepared.slot.empty())
      break;
    errno = 0;
    prepared.cgroup = cgroups_->enter(prepared.slot);
    if (prepared.cgroup)
      return true;
    if (is_shortage(errno))
      return false;
    // Somebody has removed it, and others may have gone with it.
    cgroups_->discard(prepared.slot);
    cgroups_->discard_idle();
    prepared.slot.clear();
  }
  log_.write_once(std::string("an attempt does without a cgroup: ") + std::strerror(errno));
  return true;
}

command_table::start_step command_table::prepare(waiting_start& waiting, prepared_start& prepared,
                                                 steady_ms now) {
  const attempt_start& wanted = waiting.request;
  const execution_environment& surroundings = wanted.environment;
  const auto refuse = [&](const std::string& reason) {
    fail_start(wanted.key, reason);
    return start_step::failed;
  };
  if (wanted.argv.empty() && wanted.line.empty())
    return refuse("there is nothing to run: neither a command line nor an argv");
  if (surroundings.user) {
    result<user_identity> user = users_.find(*surroundings.user);
    if (!user && user.failure().code == error_code::overloaded)
      return wait_for_resources(user.failure().message, now);
    if (!user)
      return refuse(user.failure().message);
    prepared.user = std::move(*user);
  }
  const std::optional<std::string>& search_path = environment_.search_path_for(wanted);
  const bool moves = surroundings.directory.has_value();
  prepared.plan =
      wanted.argv.empty() ? plan_line(wanted.line, search_path, moves) : plan_argv(wanted.argv, search_path);
  // Names relative to a directory that the child has yet to enter are for the child to try.
  if (!moves || is_absolute(prepared.plan))
    if (const std::optional<std::string> obstacle = find_obstacle(prepared.plan))
      return refuse(*obstacle);
  if (surroundings.input) {
    result<owned_descriptor> input = make_memfd("tr-stdin", *surroundings.input);
    if (!input && input.failure().code == error_code::overloaded)
      return wait_for_resources(input.failure().message, now);
    if (!input)
      return refuse(input.failure().message);
    prepared.input = std::move(*input);
  }
  prepared.failure = failures_.acquire();
  if (prepared.failure == nullptr)
    return wait_for_resources("memory to share with children", now);
  prepared.tag = tags_.next();
  if (cgroups_ && waiting.stillbirths < stillbirths_max && !enter_cgroup_for(prepared)) {
    const std::string reason = std::string("cannot open a cgroup: ") + std::strerror(errno);
    abandon(prepared);
    return wait_for_resources(reason, now);
  }
  prepared.started_at_ms = system_now_ms();
  prepared.waiting = std::move(waiting);
  journal_intent(prepared);
  return start_step::ready;
}

void command_table::journal_intent(const prepared_start& prepared) {
  known_entry& entry = known_.at(prepared.waiting.request.key);
  entry.tag = prepared.tag;
  entry.slot = prepared.slot;
  journalled_attempt intent;
  intent.attempt = entry.attempt;
  intent.attempt.started_at_ms = prepared.started_at_ms;
  intent.tag = entry.tag;
  intent.slot = entry.slot;
  journal_->started(intent);
}

void command_table::abandon(prepared_start& prepared) {
  if (prepared.failure != nullptr)
    failures_.release(prepared.failure);
  prepared.failure = nullptr;
  if (cgroups_ && !prepared.slot.empty())
    cgroups_->release(prepared.slot);
  prepared.slot.clear();
}

spawned_child command_table::spawn_prepared(prepared_start& prepared) {
  const attempt_start& wanted = prepared.waiting.request;
  const execution_environment& surroundings = wanted.environment;
  const user_identity* user = prepared.user ? &*prepared.user : nullptr;
  spawn_setting setting;
  setting.environment = environment_.for_attempt(wanted, user);
  setting.input = prepared.input ? prepared.input.get() : setting_.null_input;
  setting.descriptors = setting_.command_descriptors;
  setting.failure = prepared.failure;
  setting.directory = surroundings.directory ? surroundings.directory->c_str() : nullptr;
  setting.user = user;
  setting.nice = surroundings.nice;
  setting.file_mask = surroundings.file_mask.value_or(file_mask_);
  setting.limits = surroundings.limits;
  setting.tag = prepared.tag;
  setting.cgroup = prepared.cgroup.descriptor;
  setting.enters_cgroup = cgroups_ && !cgroups_->clones_into();
  return spawner_.spawn(prepared.plan, std::move(setting));
}

command_table::start_step command_table::launch(prepared_start& prepared, steady_ms now) {
  const attempt_start& wanted = prepared.waiting.request;
  const uint64_t began_ms = milliseconds_since_boot();
  spawned_child spawned = spawn_prepared(prepared);
  for (int tries = 1; spawned.pid == 0 && spawned.cgroup_refused; ++tries) {
    log_.write_once("the cgroup " + prepared.slot + " takes no process: " + spawned.error);
    // Somebody has removed it, and others may have gone with it.
    prepared.cgroup = {};
    cgroups_->discard(prepared.slot);
    cgroups_->discard_idle();
    prepared.slot.clear();
    if (tries < cgroup_tries) {
      if (!enter_cgroup_for(prepared))
        return wait_for_resources(std::string("cannot open a cgroup: ") + std::strerror(errno), now);
      journal_intent(prepared);
      flush_journal();
    }
    spawned = spawn_prepared(prepared);
  }
  if (spawned.pid != 0) {
    watch_child(prepared, std::move(spawned), began_ms);
    return start_step::ready;
  }
  if (spawned.out_of_resources)
    return wait_for_resources(spawned.error, now);
  abandon(prepared);
  fail_start(wanted.key, spawned.error);
  return start_step::failed;
}

void command_table::watch_child(prepared_start& prepared, spawned_child spawned, uint64_t began_ms) {
  const attempt_start& wanted = prepared.waiting.request;
  const uint64_t number = next_number_++;
  known_entry& entry = known_.at(wanted.key);
  entry.attempt.pid = spawned.pid;
  entry.attempt.started_at_ms = prepared.started_at_ms;
  entry.process_began_ms = began_ms;
  entry.slot = prepared.slot;
  entry.child = number;
  child_entry& child = children_[number];
  child.key = wanted.key;
  child.pid = spawned.pid;
  child.failure = prepared.failure;
  child.tag = prepared.tag;
  child.slot = prepared.slot;
  if (!prepared.plan.shell_line)
    child.context.program = wanted.argv.front().substr(0, program_name_length_max);
  child.context.directory = wanted.environment.directory.value_or(std::string());
  child.context.user = wanted.environment.user.value_or(std::string());
  child.process = std::move(spawned.process);
  child.output = std::move(spawned.output);
  child.grace_ms = wanted.grace_ms;
  child_of_pid_[child.pid] = number;
  watch(child.output.get(), epoll_source::output, number);
  watch(child.process.get(), epoll_source::process, number);
  if (wanted.timeout_ms > 0) {
    child.timeout_at = steady_now_ms() + wanted.timeout_ms;
    wake_at(number, child, child.timeout_at);
  }
  journalled_attempt started;
  started.attempt = entry.attempt;
  started.process_began_ms = began_ms;
  started.tag = entry.tag;
  started.slot = entry.slot;
  journal_->started(started);
  events_.add(any_event(attempt_started{wanted.key, wanted.channel, child.pid, prepared.started_at_ms}));
  // What has neither a tag nor a cgroup is found again by its pid alone: that must not wait.
  report_at(entry.tag != 0 || !entry.slot.empty() ? steady_now_ms() + report_pause_ms : 0);
  if (!child.slot.empty()) {
    child.again = std::make_unique<waiting_start>(std::move(prepared.waiting));
    unborn_.push_back(number);
  }
  if (entry.early_signal != 0)
    signal(entry.attempt.key, entry.early_signal);
}

void command_table::see_who_began() {
  const auto has_begun = [this](uint64_t number) {
    const auto found = children_.find(number);
    if (found == children_.end() || !found->second.again)
      return true;
    child_entry& child = found->second;
    if (child.failure != nullptr && *child.failure == child_not_begun)
      return false;
    child.again.reset();
    return true;
  };
  unborn_.erase(std::remove_if(unborn_.begin(), unborn_.end(), has_begun), unborn_.end());
}

bool command_table::start_again(uint64_t number, child_entry& child, bool never_began) {
  // One that lingers has been reported, and may be settled and forgotten.
  if (!never_began || !child.again || child.lingering)
    return false;
  known_entry& entry = known_.at(child.key);
  if (child.asked || entry.stopping)
    return false;
  // Some kernels (cgroup_pool::kill) kill what is made in a cgroup that somebody has killed before; then the
  // others that are at hand may be of no use either.
  log_.write("a command was killed before it began, in " + child.slot + ": it is started again in another");
  cgroups_->discard(child.slot);
  cgroups_->discard_idle();
  entry.child = 0;
  entry.attempt.pid = 0;
  entry.attempt.started_at_ms = 0;
  entry.slot.clear();
  entry.ticket = child.again->ticket;
  ++child.again->stillbirths;
  waiting_.push_front(std::move(*child.again));
  unwatch(child.output);
  forget_child(number);
  return true;
}

void command_table::note_end(child_entry& child) {
  child.ended_at_ms = system_now_ms();
  known_entry& entry = known_.at(child.key);
  const auto lasted_ms = static_cast<int64_t>(milliseconds_since_boot() - entry.process_began_ms);
  const wall_time_ms started_at_ms = child.ended_at_ms - lasted_ms;
  // Otherwise a command could have ended before it started, or have run for a day.
  if (std::abs(started_at_ms - entry.attempt.started_at_ms) > steering_max_ms)
    entry.attempt.started_at_ms = started_at_ms;
}

void command_table::fail_start(const attempt_key& key, const std::string& reason) {
  known_entry& entry = known_.at(key);
  attempt_ended end;
  end.key = key;
  end.channel = entry.attempt.channel;
  end.how.kind = outcome_kind::spawn_failed;
  end.how.error = reason;
  end.ended_at_ms = system_now_ms();
  end_attempt(entry, std::move(end));
}

} // namespace task_runner::launcher
