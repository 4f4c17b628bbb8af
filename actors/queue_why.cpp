// Why a task does not run now, out of its row in the store and the state of its queue.
// What the queue knows of the very task counts first, then what the task waits for itself, then what keeps
// its whole channel, and at last its place in line.
#include "actors/queue_core.hpp"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace task_runner {

/// One explanation while it is put together. The first reason that is noted counts; what is in the way beside
/// it is told as well.
class queue_core::explaining {
public:
  explaining(const queue_core& core, const wait_surroundings& around, wall_time_ms now)
      : core_(core)
      , around_(around)
      , now_(now) {}

  explanation explain(const task& value) {
    told_.state = value.state;
    if (!core_.recovered_)
      explain_recovering();
    else if (const auto entry = core_.running_.find(value.id); entry != core_.running_.end())
      explain_leased(entry->second);
    else if (const auto* const in_line = find_in_line(value); in_line != nullptr)
      explain_waiting(*in_line, true);
    else
      explain_waiting(value, false);
    told_.reason = reason_.value_or(wait_reason::unnoticed);
    return std::move(told_);
  }

private:
  void note(wait_reason why) {
    if (!reason_)
      reason_ = why;
  }

  void add_limit(std::string name, uint64_t value, std::optional<uint64_t> used) {
    blocker limit;
    limit.what = blocker::kind::limit;
    limit.name = std::move(name);
    limit.value = value;
    limit.used = used;
    told_.blocked_by.push_back(std::move(limit));
  }

  void add_condition(blocker::kind what, std::string_view condition) {
    blocker one;
    one.what = what;
    if (what == blocker::kind::channel)
      one.name = core_.record_.name;
    one.condition = condition;
    told_.blocked_by.push_back(std::move(one));
  }

  void add_moment(blocker::kind what, wall_time_ms until_ms) {
    blocker one;
    one.what = what;
    one.until_ms = until_ms;
    told_.blocked_by.push_back(std::move(one));
  }

  void not_before(wall_time_ms moment) noexcept {
    told_.may_start_at_ms = std::max(told_.may_start_at_ms, moment);
  }

  /// The first of these tasks, by their start and their place.
  void add_tasks(std::vector<const task*> tasks) {
    const auto count = std::min(tasks.size(), blocking_tasks_max);
    std::partial_sort(tasks.begin(), tasks.begin() + static_cast<std::ptrdiff_t>(count), tasks.end(),
                      [](const task* a, const task* b) {
                        if (a->state != b->state)
                          return a->state == task_state::running;
                        return a->state == task_state::running && a->started_at_ms != b->started_at_ms
                                   ? a->started_at_ms < b->started_at_ms
                                   : order_of(*a) < order_of(*b);
                      });
    for (size_t i = 0; i < count; ++i) {
      blocker one;
      one.what = blocker::kind::task;
      one.name = tasks[i]->id;
      one.condition = to_string(tasks[i]->state);
      told_.blocked_by.push_back(std::move(one));
    }
  }

  bool store_fails() const noexcept { return core_.store_retry_at_ms_ != 0; }

  /// No farther ahead than it ever is, should the clock have been set back since.
  wall_time_ms store_retry_at() const noexcept {
    return std::min(core_.store_retry_at_ms_, now_ + core_.limits_.store_retry_ms);
  }

  void add_store() {
    if (store_fails())
      add_moment(blocker::kind::store, store_retry_at());
  }

  /// Whether it has a lease and no worker: it waits, before everything in line.
  static bool is_unplaced(const running_task& entry) noexcept {
    return !entry.placed && !entry.gone && (entry.now == phase::running || entry.now == phase::leasing);
  }

  /// The task as the queue has it in line; nullptr when it does not stand in the window.
  const task* find_in_line(const task& value) const noexcept {
    const auto* const found = core_.window_.find(order_of(value));
    return found != nullptr && found->id == value.id ? found : nullptr;
  }

  /// How many of those that are leased start before what stands at this place in line.
  uint64_t leased_before(order_key key) const noexcept {
    return static_cast<uint64_t>(
        std::count_if(core_.running_.begin(), core_.running_.end(), [key](const auto& item) {
          const auto& entry = item.second;
          const bool comes_back = entry.now == phase::returning && !entry.gone;
          return is_unplaced(entry) || (comes_back && order_of(entry.value) < key);
        }));
  }

  /// The place of a lease without a worker: those are handed out in the order in which they were leased.
  uint64_t place_of_unplaced(const task& value) const {
    uint64_t place = 1;
    for (const auto& key : core_.unplaced_) {
      if (key.task_id == value.id && key.attempt == value.attempt)
        break;
      const auto found = core_.running_.find(key.task_id);
      if (found != core_.running_.end() && found->second.value.attempt == key.attempt &&
          is_unplaced(found->second))
        ++place;
    }
    return place;
  }

  void explain_recovering() {
    note(wait_reason::recovering);
    add_condition(blocker::kind::channel, "starting");
  }

  void explain_leased(const running_task& entry) {
    told_.state = task_state::running;
    if (entry.now == phase::settling) {
      note(wait_reason::ending);
      add_store();
    } else if (entry.gone || entry.value.cancel_requested || entry.cancels_open > 0) {
      note(wait_reason::cancelling);
      add_store();
    } else if (entry.placed) {
      explain_placed(entry);
    } else {
      if (entry.ahead)
        told_.state = task_state::pending; // as it counts, until it is handed out
      if (entry.now == phase::returning)
        take_place(1 + leased_before(order_of(entry.value)) +
                   core_.window_.count_before(order_of(entry.value)));
      else
        take_place(place_of_unplaced(entry.value));
    }
  }

  void explain_placed(const running_task& entry) {
    if (entry.now == phase::leasing) {
      told_.state = task_state::pending;
      note(wait_reason::being_leased);
    } else {
      note(entry.begun ? wait_reason::running : wait_reason::starting);
    }
  }

  void explain_waiting(const task& value, bool in_line) {
    const auto key = order_of(value);
    if (in_line)
      told_.state = task_state::pending;
    else if (value.state == task_state::running)
      return; // a lease that the queue does not know of
    if (core_.closing_) {
      note(wait_reason::channel_closing);
      add_condition(blocker::kind::channel, "closing");
      add_store();
    } else if (expires_unstarted(value, now_)) {
      note(wait_reason::expiring);
      add_store();
    } else if (in_line) {
      take_place(1 + leased_before(key) + core_.window_.count_before(key));
    } else if (value.state == task_state::delayed) {
      explain_delayed(value);
    } else if (value.held) {
      explain_held(value);
    } else if (!core_.window_.holds_up_to(key)) {
      explain_unseen(key);
    }
  }

  /// In line behind the window: what is leased and the window are before it, and what else is, only the store
  /// knows.
  void explain_unseen(order_key key) {
    const auto& window = core_.window_;
    const auto place = 1 + leased_before(key) + window.size();
    if (window.size() + 1 == window.count()) {
      take_place(place);
      return;
    }
    told_.position_at_least = place;
    add_channel();
    add_places(std::numeric_limits<uint64_t>::max());
  }

  void explain_delayed(const task& value) {
    if (value.not_before_ms > now_) {
      note(value.attempt > value.attempts_before ? wait_reason::backoff : wait_reason::delayed);
      add_moment(blocker::kind::time, value.not_before_ms);
      not_before(value.not_before_ms);
    } else {
      note(store_fails() ? wait_reason::store_unavailable : wait_reason::due);
    }
    add_channel();
  }

  void explain_held(const task& value) {
    note(wait_reason::concurrency_key);
    add_limit("concurrency_max", value.concurrency_max, std::nullopt);
    std::vector<const task*> holders;
    for (const auto& [id, entry] : core_.running_)
      if (entry.value.concurrency_key == value.concurrency_key)
        holders.push_back(&entry.value);
    for (auto at = core_.window_.begin(); at != core_.window_.end_of_tasks(); ++at)
      if (at->second.concurrency_key == value.concurrency_key)
        holders.push_back(&at->second);
    add_tasks(std::move(holders));
    add_channel();
  }

  /// It stands in line at this place.
  void take_place(uint64_t place) {
    told_.position = place;
    add_channel();
    add_places(place);
  }

  int64_t workers() const noexcept { return core_.credit_ + static_cast<int64_t>(core_.occupied_); }

  /// What keeps the channel from starting anything.
  void add_channel() {
    if (core_.leasing_stopped_) {
      note(wait_reason::draining);
      add_condition(blocker::kind::daemon, "draining");
    }
    if (!around_.task_mode) {
      note(wait_reason::task_mode_off);
      add_condition(blocker::kind::daemon, "task_mode_off");
    }
    if (core_.record_.paused) {
      note(wait_reason::paused);
      add_condition(blocker::kind::channel, "paused");
    }
    if (store_fails()) {
      note(wait_reason::store_unavailable);
      add_store();
      not_before(store_retry_at());
    }
    if (around_.task_mode && workers() <= 0) {
      note(wait_reason::no_workers);
      add_limit("worker", 0, core_.occupied_);
    }
  }

  /// What keeps the one at this place in line from starting, in a channel that does start tasks.
  void add_places(uint64_t place) {
    if (workers() <= 0)
      return;
    const auto free = static_cast<uint64_t>(std::max<int64_t>(core_.credit_, 0));
    const auto places = core_.slots_limited_ ? std::min(free, core_.slots_free_) : free;
    if (free > 0 && places == 0) {
      note(wait_reason::running_limit);
      add_limit("running-max", around_.running_max, around_.running_used);
    } else if (place <= places) {
      note(wait_reason::next);
    } else {
      note(wait_reason::behind_others);
      add_limit("worker", static_cast<uint64_t>(workers()), core_.occupied_);
      if (reason_ == wait_reason::behind_others)
        add_running();
    }
  }

  /// The tasks that occupy workers.
  void add_running() {
    std::vector<const task*> running;
    for (const auto& [id, entry] : core_.running_)
      if (entry.placed)
        running.push_back(&entry.value);
    add_tasks(std::move(running));
  }

  const queue_core& core_;
  const wait_surroundings& around_;
  const wall_time_ms now_;
  explanation told_;
  std::optional<wait_reason> reason_;
};

explanation queue_core::explain(const task& value, const wait_surroundings& around, wall_time_ms now) const {
  if (is_terminal(value.state))
    return explain_ended(value.state);
  return explaining(*this, around, now).explain(value);
}

} // namespace task_runner
