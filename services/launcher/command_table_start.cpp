// How an attempt is started: made ready, journalled, forked, watched.
// The journal comes before the fork, so that a launcher that dies in between leaves a name, a tag and a
// cgroup behind by which the next one finds whatever has come to life.
#include "services/domain/time_text.hpp"
#include "services/launcher/command_table.hpp"
#include "services/launcher/packet_socket.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <sys/epoll.h>

namespace task_runner::launcher {
namespace {

/// Starts in one turn of the loop. Each takes a few tenths of a millisecond; between turns output is read.
constexpr size_t starts_per_turn = 8;
/// While processes, memory or descriptors are short, starts are tried again this often, and given up after
/// that.
constexpr steady_ms shortage_retry_ms = 100;
constexpr steady_ms shortage_wait_max_ms = 60'000;
/// As much of a program's name as messages show.
constexpr size_t program_name_length_max = 512;

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
    if (launch(*one, now) != start_step::short_of_resources)
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
  } else if (!batch.empty()) {
    shortage_retry_at_ = 0;
    shortage_since_ = 0;
  }
}

bool command_table::still_waits_for(const std::string& reason, steady_ms now) {
  log_.write_once("starts wait for resources: " + reason);
  if (shortage_since_ == 0)
    shortage_since_ = now;
  return now - shortage_since_ < shortage_wait_max_ms;
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
    if (!input)
      return still_waits_for(input.failure().message, now)
                 ? start_step::short_of_resources
                 : refuse("cannot keep the command's input: " + input.failure().message);
    prepared.input = std::move(*input);
  }
  prepared.failure = failures_.acquire();
  if (prepared.failure == nullptr)
    return refuse("the launcher could not get memory to share with its children");
  prepared.tag = tags_.next();
  if (cgroups_) {
    prepared.slot = cgroups_->acquire();
    if (!prepared.slot.empty())
      prepared.cgroup = cgroups_->open_for_child(prepared.slot);
    if (!prepared.cgroup) {
      log_.write_once(std::string("an attempt does without a cgroup: ") + std::strerror(errno));
      cgroups_->discard(prepared.slot);
      prepared.slot.clear();
    }
  }
  prepared.started_at_ms = system_now_ms();

  known_entry& entry = known_.at(wanted.key);
  entry.tag = prepared.tag;
  entry.slot = prepared.slot;
  journalled_attempt intent;
  intent.attempt = entry.attempt;
  intent.attempt.started_at_ms = prepared.started_at_ms;
  intent.tag = entry.tag;
  intent.slot = entry.slot;
  journal_->started(intent);
  prepared.waiting = std::move(waiting);
  return start_step::ready;
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
  setting.cgroup = prepared.cgroup.get();
  setting.enters_cgroup = cgroups_ && !cgroups_->clones_into();
  return spawn(prepared.plan, setting);
}

command_table::start_step command_table::launch(prepared_start& prepared, steady_ms now) {
  const attempt_start& wanted = prepared.waiting.request;
  const uint64_t began_ms = milliseconds_since_boot();
  spawned_child spawned = spawn_prepared(prepared);
  if (spawned.pid == 0 && spawned.cgroup_refused) {
    log_.write_once("the cgroup " + prepared.slot + " takes no process: " + spawned.error);
    cgroups_->discard(prepared.slot);
    prepared.slot.clear();
    prepared.cgroup.reset();
    spawned = spawn_prepared(prepared);
  }
  if (spawned.pid != 0) {
    watch_child(prepared, std::move(spawned), began_ms);
    return start_step::ready;
  }
  if (spawned.out_of_resources && still_waits_for(spawned.error, now))
    return start_step::short_of_resources;
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
  if (entry.early_signal != 0)
    signal(wanted.key, entry.early_signal);
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
