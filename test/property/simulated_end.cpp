// How a history of the simulation ends: the faults stop, every delay passes, and the queues work on until
// nothing changes any more. Only then must every promise have been kept.
#include "test/property/queue_simulation.hpp"

#include <algorithm>
#include <utility>

namespace task_runner::test {

bool queue_simulation::is_settled() const {
  if (!undecided_.empty() || !store_jobs_.empty() || !router_mailbox_.empty())
    return false;
  return std::all_of(channels_.begin(), channels_.end(), [](const channel& of) {
    if (!of.core || !of.mailbox.empty() || !of.untold.empty() || !of.waiting.empty() || !of.queued.empty() ||
        !of.processes.empty() || !of.actions.empty())
      return false;
    const auto counts = of.core->counts();
    return of.core->is_quiet() && counts.pending == 0 && counts.held == 0 && counts.delayed == 0;
  });
}

std::vector<queue_simulation::standing> queue_simulation::how_channels_stand() {
  std::vector<standing> all;
  for (const auto& of : channels_) {
    const auto found = store_.recover_channel(of.record.name);
    demand(static_cast<bool>(found), "the store counts");
    all.push_back({found->pending_count, found->held_count, found->delayed_count, found->running.size(),
                   of.core ? of.core->counts().repairs : 0});
  }
  return all;
}

void queue_simulation::settle_everything() {
  // Three checks in a row that change nothing, neither in a queue nor in the store: what only the store knows
  // of is seen by one and repaired by the next, unless it changed in between.
  constexpr int idle_checks_enough = 3;
  int idle_checks = 0;
  std::vector<standing> before;
  for (size_t i = 0; i < 20'000; ++i) {
    now_ += 1'000;
    const bool settled = is_settled();
    auto standing_now = settled ? how_channels_stand() : std::vector<standing>{};
    if (!settled || standing_now != before)
      idle_checks = 0;
    else if (++idle_checks == idle_checks_enough)
      return;
    before = std::move(standing_now);
    for (auto& of : channels_) {
      if (!undecided_.empty() && &channels_[undecided_.front().channel] == &of && store_jobs_.empty())
        push_some(of);
      if (settled || i % 30 == 0)
        check_when_wanted(of);
      if (settled)
        drain_all();
      deliver(of);
      hand_over(of);
      end_process(of);
      if (of.core && of.core->wake_at() != 0 && now_ >= of.core->wake_at())
        apply(of, of.core->tick(now_));
      check_safety(of);
    }
    work_store();
  }
}

void queue_simulation::finish() {
  faulty_ = false;
  come_to_rest();
  check_explained();
  // Past every delay, also by a clock that was put back again and again.
  now_ += 4 * 86'400'000 + turned_back_ms_;
  if (slots_)
    grant(slots_->set_capacity(std::max<uint64_t>(slots_->capacity(), 1)));
  for (auto& of : channels_) {
    of.record.paused = false;
    if (of.leasing_stopped && of.core)
      kill_queue(of);
    if (of.workers == 0) {
      of.workers = 1;
      of.workers_peak = std::max<int64_t>(of.workers_peak, 1);
      if (of.core)
        apply(of, of.core->credit(1, now_));
    }
    if (of.core)
      apply(of, of.core->configure(of.record, now_));
  }
  settle_everything();
  check_settled();
}

} // namespace task_runner::test
