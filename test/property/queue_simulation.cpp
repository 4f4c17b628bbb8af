// What happens in the simulation: who pushes, cancels, configures and fails when.
#include "test/property/queue_simulation.hpp"

#include <algorithm>
#include <iterator>
#include <set>
#include <string>

namespace task_runner::test {

namespace {

constexpr uint64_t command_count = 6;
/// Keys with their own maximum, the same for all tasks.
constexpr uint64_t concurrency_keys = 2;
constexpr uint64_t distinct_keys = 2;

queue_limits small_limits() {
  queue_limits limits;
  limits.window.tasks_max = 8; // small, so that the backlog overflows it all the time
  limits.window_low_water = 4;
  limits.promote_batch = 3;
  limits.uncommitted_max = 64;
  limits.actions_max = 32;
  limits.ahead_max = 3;
  limits.ahead_ms = 1'000; // time passes quickly here, and few commands end in it
  return limits;
}

} // namespace

void queue_simulation::tally::add(const tally& other) {
  accepted += other.accepted;
  starts += other.starts;
  returned += other.returned;
  finished += other.finished;
  retried_by_queue += other.retried_by_queue;
  retried_by_person += other.retried_by_person;
  cancelled_waiting += other.cancelled_waiting;
  cancelled_running += other.cancelled_running;
  cancelled_unstarted += other.cancelled_unstarted;
  expired += other.expired;
  held += other.held;
  lost += other.lost;
  handed_again += other.handed_again;
  repairs += other.repairs;
  signals += other.signals;
  removed += other.removed;
  released += other.released;
  closed += other.closed;
  slots_granted += other.slots_granted;
  reasons.insert(other.reasons.begin(), other.reasons.end());
}

queue_simulation::queue_simulation(uint64_t seed, simulation_faults faults, bool in_step)
    : engine_(seed)
    , faults_(faults)
    , in_step_(in_step) {
  const size_t count = !in_step_ && one_in(3) ? 2 + random(2) : 1;
  channels_.resize(count);
  if (count > 1 || (!in_step_ && one_in(4))) {
    slots_.emplace(1 + random(4));
    capacity_peak_ = slots_->capacity();
  }
  for (size_t i = 0; i < count; ++i) {
    auto& of = channels_[i];
    of.record = random_record("channel-" + std::to_string(i));
    of.distinct_ever = of.record.distinct != distinct_mode::off;
    of.workers = in_step_ ? 1 : static_cast<int64_t>(random(5));
    of.workers_peak = of.workers;
  }
  start_queues();
}

channel_record queue_simulation::random_record(const std::string& name) {
  channel_record record;
  record.name = name;
  record.weight = static_cast<uint32_t>(1 + random(3));
  record.distinct = static_cast<distinct_mode>(one_in(2) ? 0 : 1 + random(2));
  if (one_in(4))
    record.tasks_max = 5 + random(20);
  auto& defaults = record.defaults;
  if (one_in(2))
    defaults.max_attempts = static_cast<uint32_t>(1 + random(3));
  if (one_in(6))
    defaults.delivery = delivery_kind::at_most_once;
  if (one_in(3)) {
    defaults.backoff = static_cast<backoff_kind>(random(3));
    defaults.backoff_ms = static_cast<int64_t>(in_step_ ? 1 + random(500) : random(500));
  }
  if (one_in(8))
    defaults.expires_ms = static_cast<int64_t>(500 + random(5'000));
  if (one_in(4))
    defaults.grace_ms = static_cast<int64_t>(random(3'000));
  return record;
}

task_options queue_simulation::random_options() {
  task_options options;
  if (one_in(2))
    options.priority = static_cast<int32_t>(random(4)) - 1;
  if (one_in(3))
    options.max_attempts = static_cast<uint32_t>(1 + random(4));
  if (one_in(4))
    options.retry_on = std::vector<uint8_t>{1};
  if (one_in(4))
    options.backoff_ms = static_cast<int64_t>(in_step_ ? 1 + random(2'000) : random(2'000));
  if (one_in(6))
    options.expires_ms = static_cast<int64_t>(1 + random(2'000));
  if (one_in(8))
    options.delivery = delivery_kind::at_most_once;
  if (one_in(3)) {
    const auto key = random(concurrency_keys);
    options.concurrency_key = "key " + std::to_string(key);
    options.concurrency_max = static_cast<uint32_t>(1 + key);
  }
  return options;
}

void queue_simulation::start_queue(channel& of) {
  ++of.epoch;
  of.mailbox.clear();
  of.untold.clear();
  of.batches.clear(); // their askers hear nothing: neither accepted nor refused
  of.actions.clear();
  of.checking = false;
  of.leasing_stopped = false;
  for (auto at = submitted_.begin(); at != submitted_.end();) {
    if (&channels_[at->second.channel] != &of) {
      ++at;
      continue;
    }
    undecided_.push_back(at->second);
    at = submitted_.erase(at);
  }
  of.core = std::make_unique<queue_core>(of.record, small_limits());
  if (slots_)
    apply(of, of.core->limit_slots(true, now_));
  apply(of, of.core->credit(of.workers, now_));
  if (of.closed)
    apply(of, of.core->close(now_));
  // Like the real one: the store's thread reads after everything submitted before.
  store_jobs_.push_back([this, &of, epoch = of.epoch] {
    auto found = store_.recover_channel(of.record.name);
    demand(static_cast<bool>(found), "the store recovers");
    if (epoch == of.epoch)
      answer_later(of, [this, &of, found = std::move(*found)] {
        apply(of, of.core->recovered(found, known(of), now_));
      });
  });
}

void queue_simulation::start_queues() {
  for (auto& of : channels_) {
    if (slots_)
      slots_->await_report(of.record.name);
    start_queue(of);
  }
  if (slots_)
    for (auto& of : channels_)
      grant(slots_->set_weight(of.record.name, of.record.weight));
}

void queue_simulation::kill_queue(channel& of) {
  // What its executor had not given to the launcher's client dies with it.
  of.core.reset();
  ++of.epoch;
  of.mailbox.clear();
  of.untold.clear();
  of.waiting.clear();
  router_mailbox_.push_back([this, &of] {
    if (slots_)
      grant(slots_->queue_lost(of.record.name));
    start_queue(of);
  });
}

void queue_simulation::kill_daemon() {
  for (auto& of : channels_) {
    of.core.reset();
    ++of.epoch;
    of.mailbox.clear();
    of.untold.clear();
    of.waiting.clear();
    of.queued.clear();
    for (auto at = of.ended.begin(); at != of.ended.end();) // of these the client alone knew
      at = started_ever_.count(at->first) > 0 ? std::next(at) : of.ended.erase(at);
  }
  router_mailbox_.clear();
  // Some of it was committed, and nobody heard.
  for (auto jobs = random(store_jobs_.size() + 1); jobs > 0; --jobs)
    run_store_job();
  store_jobs_.clear();
  if (faults_.launcher_dies > 0 && one_in(3)) {
    if (chance(faults_.journal_lost))
      lose_journal();
    kill_launcher();
  }
  if (slots_)
    slots_.emplace(slots_->capacity());
  start_queues();
}

admitted_push queue_simulation::random_push(channel& of) {
  admitted_push item;
  auto& value = item.value;
  value.id = std::to_string(next_id_++);
  if (one_in(40) && !of.ids.empty()) // given twice
    if (const auto& used = of.ids[random(of.ids.size())]; used.front() != 'm' && !tasks_[used].remove_asked)
      value.id = used;
  value.channel = of.record.name;
  value.name = "command " + std::to_string(random(command_count * 2));
  if (one_in(4)) {
    sourced_message message{{1, next_position_}, value.name, static_cast<size_t>(&of - channels_.data())};
    if (undecided_.empty() || &channels_[undecided_.front().channel] != &of) {
      ++next_position_;
    } else {
      message = undecided_.front();
      undecided_.pop_front();
    }
    value.id = "m" + std::to_string(next_id_++); // a fresh one every time
    value.name = message.name;
    item.origin = message.origin;
    submitted_[value.id] = message;
    ids_of_message_[message.origin.position].insert(value.id);
  } else if (one_in(6)) {
    value.distinct_key = "given " + std::to_string(random(distinct_keys));
  }
  if (one_in(2)) {
    auto options = random_options();
    if (!options.empty())
      value.options = std::make_shared<const task_options>(std::move(options));
  }
  value.created_at_ms = now_;
  if (one_in(5)) {
    value.not_before_ms = now_ + static_cast<wall_time_ms>(random(5'000));
    value.delay_is_relative = one_in(2);
  }
  return item;
}

void queue_simulation::push_some(channel& of) {
  if (!of.core)
    return;
  std::vector<admitted_push> items;
  std::vector<std::string> ids;
  for (auto count = 1 + random(4); count > 0; --count) {
    items.push_back(random_push(of));
    ids.push_back(items.back().value.id);
    tasks_[ids.back()];
    of.ids.push_back(ids.back());
  }
  const auto token = next_token_++;
  of.batches[token] = std::move(ids);
  apply(of, of.core->push(token, std::move(items), now_));
}

void queue_simulation::act_on_some(channel& of) {
  if (!of.core || of.ids.empty())
    return;
  task_action action;
  static constexpr task_verb verbs[] = {task_verb::cancel, task_verb::cancel,  task_verb::cancel,
                                        task_verb::signal, task_verb::retry,   task_verb::retry,
                                        task_verb::retry,  task_verb::release, task_verb::remove};
  action.verb = verbs[random(std::size(verbs))];
  const bool on_running = action.verb == task_verb::signal || (action.verb == task_verb::cancel && one_in(2));
  // Otherwise mostly what is recent, for that is what waits.
  const auto among = action.verb == task_verb::retry || one_in(3) ? of.ids.size() : 40;
  action.id = of.ids[of.ids.size() - 1 - random(std::min(of.ids.size(), among))];
  if (one_in(30)) {
    action.id = "nobody";
  } else if (on_running && !of.processes.empty()) {
    auto at = of.processes.begin();
    std::advance(at, static_cast<std::ptrdiff_t>(random(of.processes.size())));
    action.id = at->first.task_id;
  }
  const auto seen = *store_.find_task(action.id);
  if (seen && seen->channel != of.record.name)
    return; // it would have gone to another queue
  if (seen)
    action.seen = seen->state;
  auto& past = tasks_[action.id];
  switch (action.verb) {
  case task_verb::signal:
    action.signal_number = 10;
    break;
  case task_verb::retry:
    past.retry_asked = true;
    past.cancel_answered = false;
    break;
  case task_verb::remove:
    past.remove_asked = true;
    break;
  case task_verb::release:
    break;
  case task_verb::cancel:
    action.wait = !one_in(4);
    if (one_in(3))
      action.grace_ms = static_cast<int64_t>(random(2'000));
    past.cancel_asked = true;
  }
  const auto token = next_token_++;
  of.actions[token] = action;
  apply(of, of.core->act(token, action, now_));
}

void queue_simulation::change_settings(channel& of) {
  auto fresh = random_record(of.record.name);
  // What the promises are computed from stays.
  fresh.defaults.max_attempts = of.record.defaults.max_attempts;
  fresh.defaults.delivery = of.record.defaults.delivery;
  fresh.paused = one_in(4);
  fresh.weight = of.record.weight;
  of.record = fresh;
  of.distinct_ever = of.distinct_ever || of.record.distinct != distinct_mode::off;
  if (of.core)
    apply(of, of.core->configure(of.record, now_));
}

void queue_simulation::change_workers(channel& of) {
  const auto wanted = in_step_ ? 1 : static_cast<int64_t>(random(6));
  const auto difference = wanted - of.workers;
  of.workers = wanted;
  of.workers_peak = std::max(of.workers_peak, of.workers);
  if (of.core)
    apply(of, of.core->credit(difference, now_));
}

void queue_simulation::check(channel& of) {
  if (!of.core || of.checking || !of.core->is_recovered())
    return;
  of.checking = true;
  store_jobs_.push_back([this, &of, epoch = of.epoch] {
    if (epoch != of.epoch)
      return;
    if (chance(faults_.commit_fails)) {
      of.checking = false;
      return;
    }
    answer_later(of, [this, &of, found = std::move(*store_.recover_channel(of.record.name))] {
      of.core->store_checked(found);
      // The executor is asked in a message, and answers in another.
      of.mailbox.push_back([this, &of] {
        tell_ends(of);
        of.mailbox.push_back([this, &of, told = known(of)] {
          of.checking = false;
          apply(of, of.core->check(told, now_));
        });
      });
    });
  });
}

void queue_simulation::check_when_wanted(channel& of) {
  if (of.core && of.core->wants_check())
    check(of);
}

void queue_simulation::jump_clock() {
  const int64_t shift = (one_in(2) ? 1 : -1) * (one_in(2) ? 86'400'000 : 3'600'000);
  now_ += shift;
  clock_jumped_ = true;
  if (shift < 0)
    turned_back_ms_ -= shift;
  if (one_in(3))
    return; // unnoticed
  store_jobs_.push_back([this, shift] {
    const auto answers = store_.apply({adjust_clock{shift, {"boot", shift}}});
    demand(static_cast<bool>(answers), "the store moves the delays");
    for (auto& of : channels_)
      if (of.core)
        post(of, [this, shift](queue_core& core) { return core.clock_adjusted(shift, now_); });
  });
}

bool queue_simulation::is_returnable(const channel& of, const task& value) {
  const auto options = merge(value.options ? *value.options : task_options{}, of.record.defaults);
  return value.attempt == 1 && value.attempts_before == 0 && value.expires_at_ms == 0 &&
         value.concurrency_key.empty() && !value.distinct_while_pending &&
         options.delivery.value_or(delivery_kind::at_least_once) == delivery_kind::at_least_once;
}

void queue_simulation::change_something(channel& of) {
  switch (random(8)) {
  case 0:
  case 1:
    change_workers(of);
    break;
  case 2:
  case 3:
  case 4:
    change_settings(of);
    break;
  case 5:
    if (one_in(4) && of.core && !of.closed) {
      of.closed = true;
      ++tally_.closed;
      apply(of, of.core->close(now_));
    }
    break;
  case 6:
    if (slots_ && one_in(3)) {
      const auto capacity = 1 + random(5);
      capacity_peak_ = std::max(capacity_peak_, capacity);
      grant(slots_->set_capacity(capacity));
    }
    break;
  default:
    if (of.core && one_in(6) && !faults_.none()) {
      of.leasing_stopped = true;
      apply(of, of.core->stop_leasing(now_));
      if (one_in(2)) {
        // What waits, leased ahead or not, is nobody's to cancel; nor is what has been leased unheard, if its
        // lease can be taken back.
        std::set<std::string> waiting;
        for (const auto& one : of.core->waiting_tasks(of.ids.size()))
          if (const auto stored = *store_.find_task(one.id);
              !stored || stored->state != task_state::running || is_returnable(of, *stored))
            waiting.insert(one.id);
        for (const auto& id : of.ids)
          if (waiting.count(id) == 0)
            tasks_[id].cancel_asked = true;
        apply(of, of.core->cancel_running(now_));
      }
    }
  }
}

void queue_simulation::step() {
  now_ += static_cast<wall_time_ms>(random(50));
  auto& of = any_channel();
  const auto what = random(100);
  if (what < 18)
    push_some(of);
  else if (what < 40)
    work_store();
  else if (what < 62)
    deliver(of);
  else if (what < 66)
    hand_over(of);
  else if (what < 80)
    end_process(of);
  else if (what < 87)
    act_on_some(of);
  else if (what < 90 && of.core)
    apply(of, of.core->tick(now_));
  else if (what < 92)
    check(of);
  else if (what < 93)
    change_something(of);
  if (chance(faults_.launcher_dies))
    kill_launcher();
  if (chance(faults_.queue_dies) && of.core)
    kill_queue(of);
  if (chance(faults_.daemon_dies))
    kill_daemon();
  if (chance(faults_.clock_jumps))
    jump_clock();
  if (in_step_)
    drain_all();
  check_safety(of);
  if (one_in(8))
    check_explained_now(of);
}

void queue_simulation::run(size_t steps) {
  for (size_t i = 0; i < steps; ++i)
    step();
  finish();
  if (one_in(4))
    check_no_record_is_left();
}

} // namespace task_runner::test
