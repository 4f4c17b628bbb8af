// How attempts are ended before their time: by a request, by their timeout, or because the launcher that ran
// them has died. The trees themselves are tree_stopper's business; here stands what becomes of the outcome.
#include "services/domain/time_text.hpp"
#include "services/launcher/command_table.hpp"
#include "services/launcher/process_table.hpp"

#include <algorithm>
#include <cstdio>
#include <poll.h>
#include <sys/stat.h>
#include <utility>

namespace task_runner::launcher {
namespace {

/// How far a process's start may lie from the journalled moment and still be the same process, milliseconds:
/// the kernel counts in hundredths of a second.
constexpr uint64_t process_began_slack_ms = 100;

/// Whether the process that was journalled is still the one with this pid.
bool still_runs(const journalled_attempt& attempt) {
  const int pid = attempt.attempt.pid;
  if (pid <= 0 || attempt.process_began_ms == 0)
    return false;
  const std::optional<process_facts> facts = look_at_process(pid);
  if (!facts || facts->is_dead())
    return false;
  const uint64_t began = began_ms(*facts);
  const uint64_t expected = attempt.process_began_ms;
  if ((began > expected ? began - expected : expected - began) > process_began_slack_ms)
    return false;
  if (attempt.tag == 0)
    return true;
  // After the machine has started anew, another process may have this pid at about this time.
  const std::optional<uint64_t> limit = hard_realtime_limit(pid);
  return (limit && tag_holds(attempt.tag, *limit)) ||
         (!attempt.slot.empty() && cgroup_of(pid) == attempt.slot);
}

std::string name_of(const attempt_key& key) {
  return key.task_id + "." + std::to_string(key.attempt);
}

} // namespace

void command_table::open_containment() {
  std::string why_not = "not wanted";
  struct stat output {};
  if (setting_.containment != "tag" && ::fstat(setting_.output_dir, &output) == 0) {
    // The same name for every launcher of a state directory, so that each finds what the one before has left.
    char name[64];
    std::snprintf(name, sizeof(name), "%llx-%llx", static_cast<unsigned long long>(output.st_dev),
                  static_cast<unsigned long long>(output.st_ino));
    cgroups_ = cgroup_pool::open(name, why_not);
    if (cgroups_)
      cgroups_->keep_open(setting_.open_cgroups_max);
  }
  stopper_ = tree_stopper(cgroups_.get());
  containment_ = cgroups_ ? "cgroup" : tags_.available() ? "tag" : "process-group";
  if (!cgroups_ && setting_.containment != "tag")
    log_.write("process trees are found by " + containment_ + ", without cgroups: " + why_not);
}

void command_table::end_lost_trees(std::vector<journalled_attempt>& lost) {
  const steady_ms began = steady_now_ms();
  for (size_t i = 0; i < lost.size(); ++i) {
    process_tree tree;
    tree.leader = still_runs(lost[i]) ? lost[i].attempt.pid : 0;
    tree.tag = lost[i].tag;
    tree.slot = cgroups_ ? lost[i].slot : std::string();
    if (tree.leader != 0 || tree.tag != 0 || !tree.slot.empty())
      stopper_.add(i, std::move(tree), began, 0);
  }
  // Nobody is connected yet and nothing runs: there is no loop to hold up.
  while (!stopper_.empty()) {
    for (const stopped_tree& one : stopper_.step(steady_now_ms()))
      lost[one.number].attempt.end.survivors = one.survivors;
    if (!stopper_.empty())
      ::poll(nullptr, 0,
             static_cast<int>(std::clamp<steady_ms>(stopper_.next_step_at() - steady_now_ms(), 0, 100)));
  }
  if (cgroups_)
    for (const journalled_attempt& one : lost)
      cgroups_->remove_elsewhere(one.slot);
}

void command_table::adopt(std::vector<journalled_attempt> attempts) {
  std::vector<journalled_attempt> lost;
  for (journalled_attempt& one : attempts) {
    if (!one.attempt.ended) {
      lost.push_back(std::move(one));
      continue;
    }
    known_entry& entry = known_[one.attempt.key];
    entry.attempt = std::move(one.attempt);
    entry.process_began_ms = one.process_began_ms;
  }
  if (lost.empty())
    return;
  log_.write("an earlier launcher died with " + std::to_string(lost.size()) +
             " attempts running: they are lost, and what is left of them is killed");
  end_lost_trees(lost);
  const wall_time_ms now = system_now_ms();
  for (journalled_attempt& one : lost) {
    known_entry& entry = known_[one.attempt.key];
    entry.attempt = std::move(one.attempt);
    entry.process_began_ms = one.process_began_ms;
    finish_leftover_output(setting_.output_dir, entry.attempt.key);
    attempt_ended end;
    end.key = entry.attempt.key;
    end.channel = entry.attempt.channel;
    end.how.kind = one.stopping.value_or(outcome_kind::lost);
    end.started_at_ms = entry.attempt.started_at_ms;
    end.ended_at_ms = now;
    end.survivors = entry.attempt.end.survivors;
    if (end.survivors > 0)
      log_.write("attempt " + name_of(end.key) + " is given up: " + std::to_string(end.survivors) +
                 " of its processes could not be killed");
    end_attempt(entry, std::move(end));
  }
}

void command_table::stop(const attempt_key& key, int64_t grace_ms) {
  const auto found = known_.find(key);
  if (found == known_.end() || found->second.attempt.ended)
    return;
  const int64_t grace = std::clamp<int64_t>(grace_ms, 0, grace_ms_max);
  if (found->second.child != 0)
    return ask_stop(found->second.child, outcome_kind::cancelled, grace, steady_now_ms());
  attempt_ended end;
  end.key = key;
  end.channel = found->second.attempt.channel;
  end.how.kind = outcome_kind::cancelled;
  end.ended_at_ms = system_now_ms();
  const auto waits = std::find_if(waiting_.begin(), waiting_.end(),
                                  [&](const waiting_start& one) { return one.request.key == key; });
  if (waits != waiting_.end())
    waiting_.erase(waits);
  end_attempt(found->second, std::move(end));
}

void command_table::ask_stop(uint64_t number, outcome_kind reason, int64_t grace_ms, steady_ms now) {
  child_entry& child = children_.at(number);
  if (stopper_.holds(number))
    return stopper_.shorten(number, now, grace_ms);
  if (child.exited || child.lingering)
    return;
  if (child.asked) {
    child.asked_grace_ms = std::min(child.asked_grace_ms, grace_ms);
    return;
  }
  child.asked = reason;
  child.asked_grace_ms = grace_ms;
  asked_.push_back(number);
}

void command_table::begin_stops(steady_ms now) {
  bool any = false;
  for (const uint64_t number : std::exchange(asked_, {})) {
    const auto found = children_.find(number);
    if (found == children_.end())
      continue;
    // What has ended by itself keeps its own outcome.
    collect_exit(number, found->second);
    const auto still = children_.find(number);
    if (still == children_.end() || still->second.exited)
      continue;
    child_entry& child = still->second;
    known_entry& entry = known_.at(child.key);
    entry.stopping = *child.asked;
    journal_->stopping(child.key, *child.asked);
    wake_at(number, child, 0);
    stopper_.add(number, {child.pid, child.tag, child.slot}, now, child.asked_grace_ms);
    any = true;
  }
  // Should we die after the first signal, the next launcher knows whose doing it was.
  if (any)
    flush_journal();
}

void command_table::go_on_with_stops(steady_ms now) {
  const std::vector<stopped_tree> stopped = stopper_.step(now);
  if (stopped.empty())
    return;
  // What was killed with its parents is ours to reap.
  reap_orphans();
  for (const stopped_tree& one : stopped)
    finish_stop(one.number, one.survivors);
}

void command_table::finish_stop(uint64_t number, uint32_t survivors) {
  const auto found = children_.find(number);
  if (found == children_.end())
    return;
  found->second.survivors = survivors;
  if (survivors > 0)
    log_.write("attempt " + name_of(found->second.key) + " is given up: " + std::to_string(survivors) +
               " of its processes could not be killed");
  if (!found->second.exited)
    collect_exit(number, found->second);
  else
    conclude(number, found->second);
  const auto still = children_.find(number);
  if (still == children_.end() || still->second.exited)
    return;
  // Killed, and yet there: it hangs in the kernel. It is reaped whenever it comes out.
  child_entry& child = still->second;
  child.how.kind = known_.at(child.key).stopping.value_or(outcome_kind::lost);
  note_end(child);
  report_end(child);
  linger(number, child);
}

} // namespace task_runner::launcher
