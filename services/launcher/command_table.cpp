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

/// Bytes taken from a pipe at once: what a pipe holds by default.
constexpr size_t read_bytes_max = 65'536;
/// Reads after an exit before the pipe takes its turn with the others again.
constexpr int final_reads_max = 16;
/// Orphans reaped in one turn.
constexpr int orphans_per_turn = 1'024;
/// How long settlements alone may wait to be journalled: one that is lost with the launcher is said again.
constexpr steady_ms settle_pause_ms = 10;
/// While the journal cannot be written it is tried again this often.
constexpr steady_ms journal_retry_ms = 1'000;
/// Longest sleep that is asked for, milliseconds.
constexpr steady_ms sleep_max_ms = 3'600'000;

uint64_t own_realtime_limit() noexcept {
  rlimit limit{};
  return ::getrlimit(RLIMIT_RTTIME, &limit) == 0 ? limit.rlim_max : RLIM_INFINITY;
}

} // namespace

command_table::command_table(const command_table_setting& setting, std::unique_ptr<journal> outcomes,
                             launcher_log& log)
    : setting_(setting)
    , journal_(std::move(outcomes))
    , log_(log)
    , failures_(setting.running_max, owned_descriptor(setting.failure_memory))
    , tags_(own_realtime_limit())
    , stopper_(nullptr)
    , buffer_(read_bytes_max) {
  open_containment();
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
    report_at(0);
    return;
  }
  known_entry& entry = known_[wanted.key];
  entry.attempt.key = wanted.key;
  entry.attempt.channel = wanted.channel;
  entry.ticket = next_number_++;
  waiting_.push_back({std::move(wanted), entry.ticket});
}

void command_table::signal(const attempt_key& key, int number) {
  const auto found = known_.find(key);
  if (found == known_.end() || found->second.attempt.ended)
    return;
  if (found->second.child == 0) {
    found->second.early_signal = number;
    return;
  }
  child_entry& child = children_.at(found->second.child);
  // Should it be killed before it began, this may be why.
  child.again.reset();
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
  report_at(steady_now_ms() + settle_pause_ms);
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
  if (!unborn_.empty())
    see_who_began();
  while (!wake_ups_.empty() && wake_ups_.begin()->first <= now)
    on_wake_up(wake_ups_.begin()->second, now);
  if (!asked_.empty())
    begin_stops(now);
  if (!stopper_.empty())
    go_on_with_stops(now);
  start_waiting(now);
  rewrite_journal_when_due();
}

void command_table::wake_at(uint64_t number, child_entry& child, steady_ms at) {
  if (child.wake_at != 0)
    wake_ups_.erase({child.wake_at, number});
  child.wake_at = at;
  if (at != 0)
    wake_ups_.emplace(at, number);
}

void command_table::on_wake_up(uint64_t number, steady_ms now) {
  child_entry& child = children_.at(number);
  wake_at(number, child, 0);
  if (!child.exited)
    return ask_stop(number, outcome_kind::timed_out, child.grace_ms, now);
  report_end(child);
  linger(number, child);
}

void command_table::end_attempt(known_entry& entry, attempt_ended end) {
  journal_->ended(end);
  events_.add(any_event(end));
  report_at(0);
  entry.attempt.ended = true;
  entry.attempt.end = std::move(end);
  entry.child = 0;
}

bool command_table::read_once(uint64_t number, child_entry& child) {
  if (!child.output)
    return false;
  const ssize_t n = ::read(child.output.get(), buffer_.data(), buffer_.size());
  if (n > 0) {
    if (!child.writer)
      child.writer = std::make_unique<output_writer>(setting_.output_dir, child.key, setting_.output);
    note_open_output(number, child);
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

void command_table::note_open_output(uint64_t number, child_entry& child) {
  if (child.open_output)
    return open_outputs_.splice(open_outputs_.begin(), open_outputs_, *child.open_output);
  child.open_output = open_outputs_.insert(open_outputs_.begin(), number);
  if (open_outputs_.size() <= setting_.open_outputs_max)
    return;
  child_entry& longest_unused = children_.at(open_outputs_.back());
  longest_unused.writer->close_files();
  forget_open_output(longest_unused);
}

void command_table::forget_open_output(child_entry& child) {
  if (child.open_output)
    open_outputs_.erase(*child.open_output);
  child.open_output.reset();
}

void command_table::on_output(uint64_t number) {
  const auto found = children_.find(number);
  if (found == children_.end())
    return;
  child_entry& child = found->second;
  read_once(number, child);
  if (child.output || !child.exited || stopper_.holds(number))
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
  bool never_began = false;
  if (child.failure != nullptr) {
    never_began = *child.failure == child_not_begun;
    if (*child.failure != 0 && !never_began)
      child.how = {outcome_kind::spawn_failed, 0, explain_failure(child.context, *child.failure)};
    failures_.release(child.failure);
    child.failure = nullptr;
  }
  child.exited = true;
  child_of_pid_.erase(child.pid);
  unwatch(child.process);
  if (start_again(number, child, never_began))
    return;
  if (child.lingering) {
    // It could not be killed and was reported; now it is gone all the same.
    if (!child.output)
      forget_child(number);
    return;
  }
  note_end(child);
  // Signals were sent before it ended: whatever it made of them, it is what was asked for. A command that
  // never came to be executed failed before.
  const known_entry& entry = known_.at(child.key);
  if (never_began && child.asked)
    child.how = {*child.asked, 0, {}};
  if (entry.stopping && child.how.kind != outcome_kind::spawn_failed)
    child.how = {*entry.stopping, 0, {}};
  if (stopper_.holds(number))
    stopper_.leader_gone(number, steady_now_ms());
  else
    conclude(number, child);
}

void command_table::conclude(uint64_t number, child_entry& child) {
  for (int i = 0; i < final_reads_max && read_once(number, child); ++i) {
  }
  if (child.output)
    return wake_at(number, child, steady_now_ms() + pipe_grace_ms);
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
  if (!child.output && child.writer) {
    child.writer->finish();
    forget_open_output(child);
  }
  end.output_bytes = child.writer ? child.writer->total_bytes() : 0;
  end.survivors = child.survivors;
  if (cgroups_ && !child.slot.empty()) {
    // Whoever sent that signal may have sent it by the cgroup, which is of no use then (cgroup_pool::kill).
    if (child.how.kind == outcome_kind::signalled && child.how.code == SIGKILL)
      cgroups_->discard(child.slot);
    else
      cgroups_->release(child.slot);
  }
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
  forget_open_output(found->second);
  wake_at(number, found->second, 0);
  lingering_.erase(number);
  child_of_pid_.erase(found->second.pid);
  children_.erase(found);
}

void command_table::reap_orphans() {
  for (int i = 0; i < orphans_per_turn; ++i) {
    siginfo_t info{};
    // WNOWAIT only looks: whose child it is decides who reaps it.
    if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0 ||
        info.si_pid == spared_child_)
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
  steady_ms next = asked_.empty() ? -1 : 0;
  const auto sooner = [&next](steady_ms candidate) {
    candidate = std::clamp<steady_ms>(candidate, 0, sleep_max_ms);
    next = next < 0 ? candidate : std::min(next, candidate);
  };
  if (!wake_ups_.empty())
    sooner(wake_ups_.begin()->first - now);
  if (!stopper_.empty())
    sooner(stopper_.next_step_at() - now);
  if (report_at_)
    sooner(*report_at_ - now);
  if (!waiting_.empty() && running_count() < setting_.running_max)
    sooner(shortage_retry_at_ - now);
  return static_cast<int>(next);
}

void command_table::flush_journal() {
  const result<void> written = journal_->flush();
  if (written)
    return;
  log_.write_once(written.failure().message + "; outcomes are kept in memory meanwhile");
  report_at(steady_now_ms() + journal_retry_ms);
}

std::vector<std::string> command_table::take_events() {
  report_at_.reset();
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
      live.push_back({entry.attempt, entry.process_began_ms, entry.tag, entry.slot, entry.stopping});
  if (const result<void> written = journal_->rewrite(live); !written)
    log_.write_once(written.failure().message);
}

} // namespace task_runner::launcher
