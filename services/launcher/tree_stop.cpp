// The sweep over all processes that finds the members of trees, and the order of signals.
//
// Membership, from the strongest sign to the weakest: the tag, the cgroup, having been seen as a member
// before, being a child of a member, and being in the session or group of a command that has not been reaped.
// The last three matter for processes that took off their tag; they need the whole of /proc and are looked
// for only when a tree is first signalled.
//
// Before they are killed, members are stopped, newest first and round after round until no new one turns up:
// a stopped process cannot fork, and still counts against the limit of processes.
#include "services/launcher/tree_stop.hpp"

#include "services/launcher/cgroup_pool.hpp"
#include "services/launcher/process_table.hpp"
#include "services/launcher/process_tag.hpp"

#include <algorithm>
#include <csignal>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>
#include <unordered_map>

namespace task_runner::launcher {
namespace {

/// Between looks at a tree in its grace: from the first to the second, doubling.
constexpr steady_ms grace_look_min_ms = 5;
constexpr steady_ms grace_look_max_ms = 250;
/// The same after KILL.
constexpr steady_ms kill_look_min_ms = 1;
constexpr steady_ms kill_look_max_ms = 25;
/// Rounds of stopping in one step, and how long a step may take before the loop has its turn.
constexpr int stop_rounds_max = 64;
constexpr steady_ms step_time_max_ms = 20;
/// How long new pids are run after in one look, and how many are looked at one by one.
constexpr steady_ms chase_time_max_ms = 10;
constexpr int chase_pids_max = 4'096;
/// Passes over the processes in which children of children are found.
constexpr int descent_passes_max = 64;

/// One tree in one sweep.
struct swept_tree {
  stopping_tree* stopping = nullptr;
  uint64_t number = 0;
  /// What members get: 0, TERM, STOP (new ones only) or KILL.
  int signal = 0;
  /// Members that have not ended, and how many of them were not known before.
  uint32_t alive = 0;
  uint32_t fresh = 0;
};

/// Whether a pid still means the process that began then.
auto still_began(int pid, uint64_t began) {
  return [pid, began] {
    const std::optional<process_facts> again = look_at_process(pid);
    return again && again->began == began;
  };
}

/// One look at all processes on behalf of many trees.
class sweep {
public:
  sweep(const cgroup_pool* pool, std::vector<swept_tree*> trees)
      : pool_(pool)
      , trees_(std::move(trees))
      , self_(::getpid()) {
    for (swept_tree* one : trees_) {
      one->alive = 0;
      one->fresh = 0;
      if (one->stopping->tree.tag != 0)
        by_tag_.emplace(one->stopping->tree.tag, one);
    }
  }

  void run(bool thorough) {
    // Without a tag and a cgroup relatives are all there is.
    for (const swept_tree* one : trees_)
      thorough = thorough || (one->stopping->tree.tag == 0 && one->stopping->tree.slot.empty());
    const int last = by_tag_.empty() ? 0 : last_pid();
    const std::vector<int> pids = list_processes();
    for (const int pid : pids)
      claim_if_tagged(pid);
    if (last != 0)
      chase(last);
    find_by_cgroup();
    find_known();
    if (thorough)
      find_relatives(pids);
  }

private:
  /// Signals a member and counts it. `still_it` tells whether the pid still means it.
  template <class Check>
  void claim(swept_tree& one, int pid, Check still_it) {
    if (pid == self_ || !claimed_.emplace(pid, &one).second)
      return;
    std::map<int, uint64_t>& members = one.stopping->members;
    const auto known = members.find(pid);
    // First the signal, then the questions: it may be about to fork.
    if (one.signal != 0 && (one.signal != SIGSTOP || known == members.end())) {
      signal_process(pid, one.signal, still_it);
      // A stopped process hears of TERM only when it goes on.
      if (one.signal == SIGTERM)
        signal_process(pid, SIGCONT, still_it);
    }
    const std::optional<process_facts> facts = look_at_process(pid);
    if (!facts || facts->is_dead())
      return;
    ++one.alive;
    if (known == members.end() || known->second != facts->began) {
      members[pid] = facts->began;
      ++one.fresh;
    }
  }

  void claim_if_tagged(int pid) {
    const std::optional<uint64_t> limit = by_tag_.empty() ? std::nullopt : hard_realtime_limit(pid);
    if (!limit)
      return;
    const auto found = by_tag_.lower_bound(*limit);
    if (found == by_tag_.end() || !tag_holds(found->first, *limit))
      return;
    const uint64_t tag = found->first;
    claim(*found->second, pid, [pid, tag] {
      const std::optional<uint64_t> again = hard_realtime_limit(pid);
      return again && tag_holds(tag, *again);
    });
  }

  /// Goes on with the pids that were given out since, until there are none: then no process has escaped by
  /// forking while it was looked for. What has a signal pending forks no more.
  void chase(int last) {
    const steady_ms until = steady_now_ms() + chase_time_max_ms;
    for (int now_last = last_pid(); now_last != last; now_last = last_pid()) {
      if (now_last > last && now_last - last <= chase_pids_max) {
        for (int pid = now_last; pid > last; --pid)
          if (is_process(pid))
            claim_if_tagged(pid);
      } else {
        // They have begun from the bottom again.
        for (const int pid : list_processes())
          claim_if_tagged(pid);
      }
      last = now_last;
      if (steady_now_ms() > until) {
        // Something keeps getting away: nobody can be called gone after this look.
        for (swept_tree* one : trees_)
          ++one->alive;
        return;
      }
    }
  }

  void find_by_cgroup() {
    if (pool_ == nullptr)
      return;
    for (swept_tree* one : trees_) {
      const std::string& slot = one->stopping->tree.slot;
      if (slot.empty())
        continue;
      for (const int pid : pool_->processes(slot))
        claim(*one, pid, [pid, &slot] {
          const std::string now_in = cgroup_of(pid);
          return now_in.compare(0, slot.size(), slot) == 0 &&
                 (now_in.size() == slot.size() || now_in[slot.size()] == '/');
        });
    }
  }

  void find_known() {
    for (swept_tree* one : trees_) {
      const int leader = one->stopping->tree.leader;
      if (leader != 0)
        claim(*one, leader, [] { return true; });
      std::map<int, uint64_t>& members = one->stopping->members;
      for (auto member = members.begin(); member != members.end();) {
        const auto [pid, began] = *member;
        const std::optional<process_facts> facts = look_at_process(pid);
        if (!facts || facts->began != began || facts->is_dead()) {
          member = members.erase(member);
          continue;
        }
        ++member;
        if (claimed_.count(pid) == 0)
          claim(*one, pid, still_began(pid, began));
      }
    }
  }

  void find_relatives(const std::vector<int>& pids) {
    std::vector<process_facts> others;
    for (const int pid : pids)
      if (pid != self_ && pid != 1 && claimed_.count(pid) == 0)
        if (const std::optional<process_facts> facts = look_at_process(pid))
          others.push_back(*facts);
    std::unordered_map<int, swept_tree*> by_leader;
    for (swept_tree* one : trees_)
      if (one->stopping->tree.leader != 0)
        by_leader.emplace(one->stopping->tree.leader, one);
    bool found_more = true;
    for (int pass = 0; found_more && pass < descent_passes_max; ++pass) {
      found_more = false;
      for (const process_facts& facts : others) {
        if (claimed_.count(facts.pid) != 0)
          continue;
        swept_tree* owner = nullptr;
        if (const auto parent = claimed_.find(facts.parent); parent != claimed_.end())
          owner = parent->second;
        else if (const auto session = by_leader.find(facts.session); session != by_leader.end())
          owner = session->second;
        else if (const auto group = by_leader.find(facts.group); group != by_leader.end())
          owner = group->second;
        if (owner == nullptr)
          continue;
        claim(*owner, facts.pid, still_began(facts.pid, facts.began));
        found_more = true;
      }
    }
  }

  const cgroup_pool* pool_;
  std::vector<swept_tree*> trees_;
  int self_;
  std::map<uint64_t, swept_tree*> by_tag_;
  std::unordered_map<int, swept_tree*> claimed_;
};

/// For as long as it lives, and where that is allowed, this process goes before all ordinary ones: a hundred
/// busy processes would otherwise leave it a hundredth of a processor to end them with.
class precedence {
public:
  precedence() noexcept {
    rlimit limit{};
    const bool has_time = ::getrlimit(RLIMIT_RTTIME, &limit) == 0 && limit.rlim_cur >= enough_time_us;
    const sched_param lowest{1};
    if (has_time && ::sched_getscheduler(0) == SCHED_OTHER)
      raised_ = ::sched_setscheduler(0, SCHED_FIFO, &lowest) == 0;
  }
  ~precedence() {
    const sched_param none{0};
    if (raised_)
      ::sched_setscheduler(0, SCHED_OTHER, &none);
  }
  precedence(const precedence&) = delete;
  precedence& operator=(const precedence&) = delete;

private:
  /// Who runs this way longer than the limit allows is killed; a step is far shorter.
  static constexpr rlim_t enough_time_us = 10'000'000;
  bool raised_ = false;
};

void put_off(stopping_tree& tree, steady_ms now, steady_ms shortest, steady_ms longest) {
  tree.look_pause_ms = std::clamp(tree.look_pause_ms * 2, shortest, longest);
  tree.next_look = now + tree.look_pause_ms;
}

} // namespace

void tree_stopper::add(uint64_t number, process_tree tree, steady_ms now, steady_ms grace_ms) {
  stopping_tree& fresh = trees_[number];
  fresh = stopping_tree{};
  fresh.tree = std::move(tree);
  fresh.kill_at = now + grace_ms;
  fresh.next_look = now;
}

void tree_stopper::shorten(uint64_t number, steady_ms now, steady_ms grace_ms) {
  const auto found = trees_.find(number);
  if (found == trees_.end() || now + grace_ms >= found->second.kill_at)
    return;
  found->second.kill_at = now + grace_ms;
  found->second.next_look = std::min(found->second.next_look, found->second.kill_at);
}

void tree_stopper::leader_gone(uint64_t number, steady_ms now) {
  const auto found = trees_.find(number);
  if (found == trees_.end())
    return;
  found->second.tree.leader = 0;
  found->second.next_look = now;
  found->second.look_pause_ms = 0;
}

steady_ms tree_stopper::next_step_at() const noexcept {
  steady_ms next = -1;
  for (const auto& [number, tree] : trees_)
    next = next < 0 ? tree.next_look : std::min(next, tree.next_look);
  return next;
}

std::vector<stopped_tree> tree_stopper::step(steady_ms now) {
  // Those that are nearly due go along: one look at the machine serves all.
  std::vector<swept_tree> due;
  bool any_due = false;
  for (auto& [number, tree] : trees_) {
    any_due = any_due || tree.next_look <= now;
    if (tree.next_look <= now + tree.look_pause_ms / 2)
      due.push_back({&tree, number});
  }
  std::vector<stopped_tree> stopped;
  if (!any_due)
    return stopped;
  const precedence first;

  std::vector<swept_tree*> in_grace;
  std::vector<swept_tree*> to_kill;
  bool first_term = false;
  bool first_kill = false;
  for (swept_tree& one : due) {
    stopping_tree& tree = *one.stopping;
    if (now < tree.kill_at) {
      one.signal = tree.warned ? 0 : SIGTERM;
      first_term = first_term || !tree.warned;
      tree.warned = true;
      in_grace.push_back(&one);
      continue;
    }
    if (tree.give_up_at == 0) {
      tree.give_up_at = now + kill_wait_max_ms;
      tree.look_pause_ms = 0;
      first_kill = true;
    }
    if (pool_ != nullptr && !tree.tree.slot.empty())
      pool_->kill(tree.tree.slot);
    one.signal = SIGSTOP;
    to_kill.push_back(&one);
  }

  if (!in_grace.empty())
    sweep(pool_, in_grace).run(first_term);
  for (const swept_tree* one : in_grace) {
    if (one->alive == 0)
      stopped.push_back({one->number, 0});
    else
      put_off(*one->stopping, now, grace_look_min_ms, grace_look_max_ms);
    one->stopping->next_look = std::min(one->stopping->next_look, one->stopping->kill_at);
  }

  if (!to_kill.empty()) {
    std::map<uint64_t, uint32_t> alive_at_first;
    for (int round = 0; round < stop_rounds_max; ++round) {
      sweep(pool_, to_kill).run(first_kill && round < 2);
      uint32_t fresh = 0;
      for (const swept_tree* one : to_kill) {
        fresh += one->fresh;
        alive_at_first.emplace(one->number, one->alive);
      }
      if (fresh == 0 || steady_now_ms() - now >= step_time_max_ms)
        break;
    }
    std::vector<swept_tree*> still_there;
    for (swept_tree* one : to_kill) {
      if (one->alive == 0 && alive_at_first.at(one->number) == 0) {
        stopped.push_back({one->number, 0});
        continue;
      }
      one->signal = SIGKILL;
      still_there.push_back(one);
    }
    if (!still_there.empty())
      sweep(pool_, still_there).run(false);
    for (const swept_tree* one : still_there) {
      if (one->alive != 0 && now >= one->stopping->give_up_at)
        stopped.push_back({one->number, one->alive});
      else
        put_off(*one->stopping, steady_now_ms(), kill_look_min_ms, kill_look_max_ms);
    }
  }
  for (const stopped_tree& one : stopped)
    trees_.erase(one.number);
  return stopped;
}

} // namespace task_runner::launcher
