// The life of an attempt inside the launcher, from its start request to the moment it is settled.
// Order matters in one place: the journal hears of a change before the daemon does (take_events).
#include "services/launcher/command_table.hpp"

#include "services/domain/time_text.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace task_runner::launcher {
namespace {

/// Starts in one turn of the loop. Each takes a few tenths of a millisecond; between turns output is read.
constexpr int starts_per_turn = 8;
/// Bytes taken from a pipe at once: what a pipe holds by default.
constexpr size_t read_bytes_max = 65'536;
/// Reads after an exit before the pipe takes its turn with the others again.
constexpr int final_reads_max = 16;
/// While processes, memory or descriptors are short, starts are tried again this often, and given up after
/// that.
constexpr steady_ms shortage_retry_ms = 100;
constexpr steady_ms shortage_wait_max_ms = 60'000;
/// Orphans reaped in one turn.
constexpr int orphans_per_turn = 1'024;
/// How far a process's start may lie from the journalled moment and still be the same process, milliseconds:
/// the kernel counts in hundredths of a second.
constexpr uint64_t process_began_slack_ms = 100;
/// As much of a program's name as messages show.
constexpr size_t program_name_length_max = 512;

uint64_t milliseconds_of(clockid_t clock) noexcept {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000 + static_cast<uint64_t>(now.tv_nsec) / 1'000'000;
}

/// Whether the process that was journalled is still the one with this pid.
bool still_runs(int pid, uint64_t began_ms) {
  if (pid <= 0 || began_ms == 0)
    return false;
  const std::string path = "/proc/" + std::to_string(pid) + "/stat";
  std::FILE* file = std::fopen(path.c_str(), "re");
  if (file == nullptr)
    return false;
  char line[1'024];
  const size_t length = std::fread(line, 1, sizeof(line) - 1, file);
  std::fclose(file);
  line[length] = '\0';
  // The name in parentheses may hold anything; field 22 is counted from behind it.
  const char* rest = std::strrchr(line, ')');
  unsigned long long ticks = 0;
  if (rest == nullptr ||
      std::sscanf(rest + 1,
                  " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
                  &ticks) != 1)
    return false;
  const uint64_t ms = ticks * 1'000 / static_cast<uint64_t>(::sysconf(_SC_CLK_TCK));
  return (ms > began_ms ? ms - began_ms : began_ms - ms) <= process_began_slack_ms;
}

} // namespace

steady_ms steady_now_ms() noexcept {
  return static_cast<steady_ms>(milliseconds_of(CLOCK_MONOTONIC));
}

command_table::command_table(const command_table_setting& setting, std::unique_ptr<journal> outcomes,
                             launcher_log& log)
    : setting_(setting)
    , journal_(std::move(outcomes))
    , log_(log)
    , failures_(setting.running_max)
    , buffer_(read_bytes_max) {}

void command_table::adopt(std::vector<journalled_attempt> attempts) {
  const wall_time_ms now = system_now_ms();
  size_t lost = 0;
  for (journalled_attempt& one : attempts) {
    known_entry& entry = known_[one.attempt.key];
    entry.attempt = std::move(one.attempt);
    entry.process_began_ms = one.process_began_ms;
    if (entry.attempt.ended)
      continue;
    ++lost;
    finish_leftover_output(setting_.output_dir, entry.attempt.key);
    // Nobody can tell any more how it ends, and another attempt may follow: the two must not run side by
    // side.
    if (still_runs(entry.attempt.pid, entry.process_began_ms)) {
      ::kill(-entry.attempt.pid, SIGKILL);
      log_.write("attempt " + entry.attempt.key.task_id + "." + std::to_string(entry.attempt.key.attempt) +
                 " is reported lost; its process group " + std::to_string(entry.attempt.pid) + " was killed");
    }
    attempt_ended end;
    end.key = entry.attempt.key;
    end.channel = entry.attempt.channel;
    end.how.kind = outcome_kind::lost;
    end.started_at_ms = entry.attempt.started_at_ms;
    end.ended_at_ms = now;
    end_attempt(entry, std::move(end));
  }
  if (lost > 0)
    log_.write("an earlier launcher died with " + std::to_string(lost) + " attempts running: they are lost");
}

void command_table::start(attempt_start wanted) {
  if (known_.count(wanted.key) != 0)
    return;
  if (known_.size() >= known_attempts_max) {
    attempt_ended refused;
    refused.key = wanted.key;
    refused.channel = wanted.channel;
    refused.how.kind = outcome_kind::spawn_failed;
    refused.how.error = "the launcher holds " + std::to_string(known_attempts_max) +
                        " attempts that were not settled and takes no more";
    refused.ended_at_ms = system_now_ms();
    events_.add(any_event(std::move(refused)));
    return;
  }
  known_entry& entry = known_[wanted.key];
  entry.attempt.key = wanted.key;
  entry.attempt.channel = wanted.channel;
  waiting_.push_back(std::move(wanted));
}

void command_table::signal(const attempt_key& key, int number) {
  const auto found = known_.find(key);
  if (found == known_.end() || found->second.attempt.ended)
    return;
  if (found->second.child == 0) {
    found->second.early_signal = number;
    return;
  }
  const child_entry& child = children_.at(found->second.child);
  // The leader has not been reaped, so the number still names its group. A leader that has not made its
  // session yet, or that moved to another group of its own accord, is reached by its pidfd.
  if (!child.exited && ::kill(-child.pid, number) != 0 && errno == ESRCH)
    ::syscall(SYS_pidfd_send_signal, child.process.get(), number, nullptr, 0);
}

void command_table::settle(const attempt_key& key) {
  const auto found = known_.find(key);
  if (found == known_.end() || !found->second.attempt.ended)
    return;
  journal_->settled(key);
  known_.erase(found);
}

void command_table::watch(int descriptor, epoll_source source, uint64_t number) {
  epoll_event interest{};
  interest.events = EPOLLIN;
  interest.data.u64 = make_epoll_tag(source, number);
  // Fails only for lack of kernel memory or of /proc/sys/fs/epoll/max_user_watches.
  if (::epoll_ctl(setting_.epoll, EPOLL_CTL_ADD, descriptor, &interest) != 0)
    log_.write_once(std::string("cannot watch a descriptor: ") + std::strerror(errno));
}

void command_table::unwatch(owned_descriptor& descriptor) {
  // Before close: a child between clone and execve may still hold the description, and its events would go
  // on.
  ::epoll_ctl(setting_.epoll, EPOLL_CTL_DEL, descriptor.get(), nullptr);
  descriptor.reset();
}

void command_table::work(steady_ms now) {
  while (!graces_.empty() && graces_.front().until <= now) {
    const uint64_t number = graces_.front().child;
    graces_.pop_front();
    const auto found = children_.find(number);
    if (found == children_.end() || found->second.lingering)
      continue;
    report_end(found->second);
    linger(number, found->second);
  }
  start_waiting(now);
  rewrite_journal_when_due();
}

void command_table::start_waiting(steady_ms now) {
  if (shortage_retry_at_ > now)
    return;
  for (int i = 0; i < starts_per_turn && !waiting_.empty() && running_count() < setting_.running_max; ++i) {
    if (!start_one(waiting_.front(), now)) {
      shortage_retry_at_ = now + shortage_retry_ms;
      return;
    }
    waiting_.pop_front();
    shortage_retry_at_ = 0;
    shortage_since_ = 0;
  }
}

bool command_table::start_one(const attempt_start& wanted, steady_ms now) {
  if (wanted.argv.empty() && wanted.line.empty()) {
    fail_start(wanted.key, "there is nothing to run: neither a command line nor an argv");
    return true;
  }
  const command_plan plan = wanted.argv.empty() ? plan_line(wanted.line, environment_.search_path())
                                                : plan_argv(wanted.argv, environment_.search_path());
  if (const std::optional<std::string> obstacle = find_obstacle(plan)) {
    fail_start(wanted.key, *obstacle);
    return true;
  }
  volatile int* failure = failures_.acquire();
  if (failure == nullptr) {
    fail_start(wanted.key, "the launcher could not get memory to share with its children");
    return true;
  }
  spawn_setting setting;
  setting.failure = failure;
  setting.environment = environment_.for_attempt(wanted);
  setting.null_input = setting_.null_input;
  setting.descriptors = setting_.command_descriptors;
  const wall_time_ms started_at_ms = system_now_ms();
  const uint64_t began_ms = milliseconds_of(CLOCK_BOOTTIME);
  spawned_child spawned = spawn(plan, setting);
  if (spawned.pid == 0) {
    failures_.release(failure);
    if (spawned.out_of_resources) {
      log_.write_once("starts wait for resources: " + spawned.error);
      if (shortage_since_ == 0)
        shortage_since_ = now;
      if (now - shortage_since_ < shortage_wait_max_ms)
        return false;
    }
    fail_start(wanted.key, spawned.error);
    return true;
  }

  const uint64_t number = next_number_++;
  known_entry& entry = known_.at(wanted.key);
  entry.attempt.pid = spawned.pid;
  entry.attempt.started_at_ms = started_at_ms;
  entry.process_began_ms = began_ms;
  entry.child = number;
  child_entry& child = children_[number];
  child.key = wanted.key;
  child.pid = spawned.pid;
  child.failure = failure;
  if (!plan.shell_line)
    child.program = wanted.argv.front().substr(0, program_name_length_max);
  child.process = std::move(spawned.process);
  child.output = std::move(spawned.output);
  child_of_pid_[child.pid] = number;
  watch(child.output.get(), epoll_source::output, number);
  watch(child.process.get(), epoll_source::process, number);
  journal_->started({entry.attempt, began_ms});
  events_.add(any_event(attempt_started{wanted.key, wanted.channel, child.pid, started_at_ms}));
  if (entry.early_signal != 0)
    signal(wanted.key, entry.early_signal);
  return true;
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

void command_table::end_attempt(known_entry& entry, attempt_ended end) {
  journal_->ended(end);
  events_.add(any_event(end));
  entry.attempt.ended = true;
  entry.attempt.end = std::move(end);
  entry.child = 0;
}

bool command_table::read_once(child_entry& child) {
  if (!child.output)
    return false;
  const ssize_t n = ::read(child.output.get(), buffer_.data(), buffer_.size());
  if (n > 0) {
    if (!child.writer)
      child.writer = std::make_unique<output_writer>(setting_.output_dir, child.key, setting_.output);
    const uint64_t failed_before = child.writer->failed_bytes();
    child.writer->append({buffer_.data(), static_cast<size_t>(n)});
    if (child.writer->failed_bytes() != failed_before)
      log_.write_once(std::string("output cannot be written and is dropped: ") + std::strerror(errno));
    return true;
  }
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return false;
  unwatch(child.output);
  return false;
}

void command_table::on_output(uint64_t number) {
  const auto found = children_.find(number);
  if (found == children_.end())
    return;
  child_entry& child = found->second;
  read_once(child);
  if (child.output || !child.exited)
    return;
  if (!child.lingering)
    report_end(child);
  forget_child(number);
}

void command_table::on_process(uint64_t number) {
  const auto found = children_.find(number);
  if (found != children_.end())
    collect_exit(number, found->second);
}

void command_table::collect_exit(uint64_t number, child_entry& child) {
  if (child.exited)
    return;
  siginfo_t info{};
  if (::waitid(P_PIDFD, static_cast<id_t>(child.process.get()), &info, WEXITED | WNOHANG) != 0) {
    if (errno == EINTR)
      return;
    // Nobody else reaps our children; should it happen all the same, the truth is that nobody can say.
    child.how.kind = outcome_kind::lost;
  } else if (info.si_pid == 0) {
    return;
  } else if (info.si_code == CLD_EXITED) {
    child.how = {outcome_kind::exited, info.si_status, {}};
  } else {
    child.how = {outcome_kind::signalled, info.si_status, {}};
  }
  if (*child.failure != 0)
    child.how = {outcome_kind::spawn_failed, 0, explain_failure(child.program, *child.failure)};
  failures_.release(child.failure);
  child.failure = nullptr;
  child.exited = true;
  child.ended_at_ms = system_now_ms();
  child_of_pid_.erase(child.pid);
  unwatch(child.process);
  for (int i = 0; i < final_reads_max && read_once(child); ++i) {
  }
  if (child.output) {
    graces_.push_back({steady_now_ms() + pipe_grace_ms, number});
    return;
  }
  report_end(child);
  forget_child(number);
}

void command_table::report_end(child_entry& child) {
  const auto found = known_.find(child.key);
  if (found == known_.end())
    return;
  attempt_ended end;
  end.key = child.key;
  end.channel = found->second.attempt.channel;
  end.how = child.how;
  end.started_at_ms = child.how.kind == outcome_kind::spawn_failed ? 0 : found->second.attempt.started_at_ms;
  end.ended_at_ms = child.ended_at_ms;
  // Joined before the daemon hears of the end, so that a reader finds the final file. A lingering pipe keeps
  // the pair open; readers understand that too.
  if (!child.output && child.writer)
    child.writer->finish();
  end.output_bytes = child.writer ? child.writer->total_bytes() : 0;
  end_attempt(found->second, std::move(end));
}

void command_table::linger(uint64_t number, child_entry& child) {
  child.lingering = true;
  lingering_.insert(number);
  if (lingering_.size() <= lingering_pipes_max)
    return;
  const uint64_t oldest = *lingering_.begin();
  log_.write_once("more than " + std::to_string(lingering_pipes_max) +
                  " background processes hold the output of ended attempts: the oldest is cut off");
  child_entry& cut = children_.at(oldest);
  unwatch(cut.output);
  forget_child(oldest);
}

void command_table::forget_child(uint64_t number) {
  const auto found = children_.find(number);
  if (found == children_.end())
    return;
  if (found->second.writer)
    found->second.writer->finish();
  lingering_.erase(number);
  children_.erase(found);
}

void command_table::reap_orphans() {
  for (int i = 0; i < orphans_per_turn; ++i) {
    siginfo_t info{};
    // WNOWAIT only looks: whose child it is decides who reaps it.
    if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0)
      return;
    const auto found = child_of_pid_.find(info.si_pid);
    if (found != child_of_pid_.end()) {
      on_process(found->second);
    } else {
      siginfo_t ignored{};
      ::waitid(P_PID, static_cast<id_t>(info.si_pid), &ignored, WEXITED | WNOHANG);
    }
  }
}

int command_table::next_work_ms(steady_ms now) const noexcept {
  steady_ms next = -1;
  const auto sooner = [&next](steady_ms candidate) {
    candidate = std::max<steady_ms>(candidate, 0);
    next = next < 0 ? candidate : std::min(next, candidate);
  };
  if (!graces_.empty())
    sooner(graces_.front().until - now);
  if (!waiting_.empty() && running_count() < setting_.running_max)
    sooner(shortage_retry_at_ - now);
  return static_cast<int>(next);
}

void command_table::flush_journal() {
  if (const result<void> written = journal_->flush(); !written)
    log_.write_once(written.failure().message + "; outcomes are kept in memory meanwhile");
}

std::vector<std::string> command_table::take_events() {
  flush_journal();
  return events_.take();
}

std::vector<std::string> command_table::listing() const {
  packet_batch batch(packet_batch::kind::listing);
  for (const auto& [key, entry] : known_)
    batch.add(entry.attempt);
  return batch.take();
}

void command_table::rewrite_journal_when_due() {
  if (!journal_->wants_rewrite(known_.size()))
    return;
  std::vector<journalled_attempt> live;
  live.reserve(known_.size());
  for (const auto& [key, entry] : known_)
    if (entry.attempt.ended || entry.attempt.pid != 0)
      live.push_back({entry.attempt, entry.process_began_ms});
  if (const result<void> written = journal_->rewrite(live); !written)
    log_.write_once(written.failure().message);
}

} // namespace task_runner::launcher
