// The miniature channel and its promises.
#include "test/property/queue_simulation.hpp"

namespace task_runner::test {

namespace {

const std::string channel_name = "simulated";

queue_limits small_limits() {
  queue_limits limits;
  limits.window.tasks_max = 8; // small, so that the backlog overflows it all the time
  limits.window_low_water = 4;
  limits.promote_batch = 3;
  limits.uncommitted_max = 64;
  return limits;
}

} // namespace

queue_simulation::queue_simulation(uint64_t seed, simulation_faults faults)
    : engine_(seed)
    , faults_(faults)
    , distinct_(random(2) == 0)
    , workers_(1 + static_cast<int64_t>(random(4)))
    , workers_peak_(workers_) {
  start_queue();
}

void queue_simulation::demand(bool holds, const std::string& promise) {
  if (!holds)
    throw std::runtime_error("broken promise: " + promise);
}

void queue_simulation::start_queue() {
  ++epoch_;
  mailbox_.clear();
  open_batches_.clear(); // their askers hear nothing: neither accepted nor refused
  for (const auto& [id, message] : submitted_)
    undecided_.push_back(message);
  submitted_.clear();
  core_ = std::make_unique<queue_core>(channel_name, distinct_, small_limits());
  apply(core_->credit(workers_, now_));
  // Like the real one: the store's thread reads after everything submitted before.
  store_jobs_.push_back([this, epoch = epoch_] {
    auto found = store_.recover_channel(channel_name);
    demand(static_cast<bool>(found), "the store recovers");
    mailbox_.push_back([this, epoch, found = *found] {
      if (epoch != epoch_)
        return;
      std::vector<known_attempt> known;
      for (const auto& [key, process] : processes_)
        known.push_back({key, channel_name, 1, now_, false, {}});
      for (const auto& [key, end] : ended_)
        known.push_back({key, channel_name, 1, now_, true, end});
      apply(core_->recovered(found, known, now_));
    });
  });
}

void queue_simulation::apply(queue_effects effects) {
  for (auto& submission : effects.submissions)
    store_jobs_.push_back([this, epoch = epoch_, submission = std::move(submission)] {
      result<std::vector<store_answer>> answers = error{error_code::unavailable, "simulated"};
      if (!chance(faults_.commit_fails))
        answers = store_.apply(submission.operations);
      mailbox_.push_back([this, epoch, token = submission.token, answers] {
        if (epoch == epoch_)
          apply(core_->committed(token, answers, now_));
      });
    });
  if (effects.load)
    store_jobs_.push_back([this, epoch = epoch_, request = *effects.load] {
      auto tasks = store_.load_pending(channel_name, request.after, request.limits);
      mailbox_.push_back([this, epoch, tasks] {
        if (epoch == epoch_)
          apply(core_->window_loaded(tasks, now_));
      });
    });
  for (const auto& value : effects.runs) {
    const attempt_key key{value.id, value.attempt};
    demand(started_ever_.insert(key).second, "no attempt is started twice: " + value.id);
    for (const auto& [other, process] : processes_)
      demand(other.task_id != value.id, "never two live attempts of one task: " + value.id);
    processes_[key] = {};
    ++starts_total_;
  }
  for (const auto& key : effects.settled)
    ended_.erase(key);
  for (const auto& answer : effects.answers) {
    const auto found = open_batches_.find(answer.token);
    demand(found != open_batches_.end(), "a batch is answered once");
    demand(answer.replies.size() == found->second.size(), "a batch is answered item by item");
    for (size_t i = 0; i < answer.replies.size(); ++i) {
      const auto& reply = answer.replies[i];
      if (reply.accepted) {
        demand(reply.task_id == found->second[i], "replies are in the order of the items");
        accepted_.insert(reply.task_id);
      }
      auto message = submitted_.extract(found->second[i]);
      if (!message.empty() && reply.failure)
        undecided_.push_back(message.mapped()); // the source keeps the list and tries again
    }
    open_batches_.erase(found);
  }
}

void queue_simulation::push_some() {
  std::vector<admitted_push> items(1 + random(4));
  std::vector<std::string> ids;
  for (auto& item : items) {
    item.value.id = random(40) == 0 && next_id_ > 1 ? std::to_string(1 + random(next_id_ - 1))
                                                    : std::to_string(next_id_++);
    item.value.channel = channel_name;
    item.value.name = "command " + std::to_string(random(12));
    if (const auto source = random(4); source == 0 || !undecided_.empty()) {
      sourced_message message{{1, next_position_}, item.value.name};
      if (undecided_.empty()) {
        ++next_position_;
      } else {
        message = undecided_.front();
        undecided_.pop_front();
      }
      item.value.id = "m" + std::to_string(next_id_++);
      item.value.name = message.name;
      item.origin = message.origin;
      submitted_[item.value.id] = message;
      ids_of_message_[message.origin.position].insert(item.value.id);
    }
    item.value.created_at_ms = now_;
    if (random(5) == 0)
      item.value.not_before_ms = now_ + static_cast<wall_time_ms>(random(5'000));
    ids.push_back(item.value.id);
  }
  const auto token = next_batch_++;
  open_batches_[token] = ids;
  apply(core_->push(token, std::move(items), now_));
}

void queue_simulation::work_store() {
  for (auto jobs = 1 + random(3); jobs > 0 && !store_jobs_.empty(); --jobs) {
    auto job = std::move(store_jobs_.front());
    store_jobs_.pop_front();
    job();
  }
}

void queue_simulation::deliver() {
  if (mailbox_.empty())
    return;
  auto handle = std::move(mailbox_.front());
  mailbox_.pop_front();
  handle();
}

void queue_simulation::end_process() {
  if (processes_.empty())
    return;
  auto found = processes_.begin();
  std::advance(found, static_cast<std::ptrdiff_t>(random(processes_.size())));
  attempt_ended end;
  end.key = found->first;
  end.channel = channel_name;
  end.how.code = random(3) == 0 ? 1 : 0;
  end.ended_at_ms = now_;
  processes_.erase(found);
  ended_[end.key] = end;
  ends_[end.key.task_id].insert(end.key.attempt);
  const auto repeats = random(10) == 0 ? 2 : 1;
  for (int i = 0; i < repeats; ++i)
    mailbox_.push_back([this, end, epoch = epoch_] {
      if (epoch == epoch_)
        apply(core_->attempt_ended(end, now_));
    });
}

void queue_simulation::kill_launcher() {
  for (const auto& [key, process] : processes_) {
    ++lost_attempts_[key.task_id];
    attempt_ended end;
    end.key = key;
    end.channel = channel_name;
    end.how.kind = outcome_kind::lost;
    end.ended_at_ms = now_;
    ended_[key] = end;
    mailbox_.push_back([this, end, epoch = epoch_] {
      if (epoch == epoch_)
        apply(core_->attempt_ended(end, now_));
    });
  }
  processes_.clear();
}

void queue_simulation::kill_queue() {
  // Leases that were committed but never handed over are lost with it, and so is their attempt.
  start_queue();
}

void queue_simulation::change_workers() {
  const auto wanted = 1 + static_cast<int64_t>(random(5));
  const auto difference = wanted - workers_;
  workers_ = wanted;
  workers_peak_ = std::max(workers_peak_, workers_);
  apply(core_->credit(difference, now_));
}

void queue_simulation::check_safety() {
  demand(static_cast<int64_t>(processes_.size()) <= workers_peak_, "never more running than workers");
  std::set<std::string> live;
  for (const auto& [key, process] : processes_)
    demand(live.insert(key.task_id).second, "never two live attempts of one task");
}

void queue_simulation::check_settled() {
  const auto totals = store_.totals();
  demand(static_cast<bool>(totals), "the store counts");
  const auto counted = core_->counts();
  demand(totals->pending == 0 && totals->delayed == 0 && totals->running == 0,
         "when faults stop, every task settles (pending, delayed, running in the store " +
             std::to_string(totals->pending) + ", " + std::to_string(totals->delayed) + ", " +
             std::to_string(totals->running) + ", in the queue " + std::to_string(counted.pending) + ", " +
             std::to_string(counted.delayed) + ", " + std::to_string(counted.running) + ", credit " +
             std::to_string(counted.credit) + ")");
  demand(ended_.empty(), "every outcome is settled with the launcher");
  demand(open_batches_.empty(), "every push is answered");
  const auto counts = core_->counts();
  demand(counts.pending == 0 && counts.delayed == 0 && counts.running == 0, "the counts are zero at the end");
  demand(counts.credit == workers_, "every credit came back");
  if (faults_.commit_fails + faults_.queue_dies + faults_.launcher_dies + faults_.clock_jumps == 0)
    demand(counts.repairs == 0, "where nothing goes wrong nothing is repaired");
  for (const auto& [position, ids] : ids_of_message_) {
    size_t tasks = 0;
    for (const auto& id : ids) {
      const auto found = store_.find_task(id);
      tasks += found && *found ? 1 : 0;
    }
    demand(tasks <= 1, "a message becomes one task, however often it is submitted");
    demand(distinct_ || tasks == 1, "no message of a source is lost");
  }
  for (const auto& id : accepted_) {
    const auto found = store_.find_task(id);
    demand(found && *found, "no acknowledged task is lost: " + id);
    demand(is_terminal((*found)->state), "every acknowledged task has an outcome: " + id);
    demand((*found)->last_outcome.has_value(), "every outcome is recorded: " + id);
    // A command that ran to its end is never run again.
    demand(ends_[id].size() <= 1, "no task runs twice without its attempt being lost: " + id);
    if ((*found)->state == task_state::finished)
      demand(ends_[id].count((*found)->attempt) == 1, "a finished task has run: " + id);
  }
}

void queue_simulation::run(size_t steps) {
  for (size_t i = 0; i < steps; ++i) {
    now_ += static_cast<wall_time_ms>(random(50));
    const auto what = random(100);
    if (what < 20)
      push_some();
    else if (what < 50)
      work_store();
    else if (what < 75)
      deliver();
    else if (what < 92)
      end_process();
    else if (what < 95)
      apply(core_->tick(now_));
    else if (what < 96)
      change_workers();
    if (chance(faults_.launcher_dies))
      kill_launcher();
    if (chance(faults_.queue_dies))
      kill_queue();
    if (chance(faults_.clock_jumps))
      now_ += random(2) == 0 ? 86'400'000 : -3'600'000;
    check_safety();
  }
  faulty_ = false;
  now_ += 2 * 86'400'000;
  for (size_t i = 0; i < 100'000; ++i) {
    now_ += 1'000;
    if (!undecided_.empty() && store_jobs_.empty())
      push_some();
    if (undecided_.empty() && store_jobs_.empty() && mailbox_.empty() && processes_.empty() &&
        core_->wake_at() == 0 && core_->is_quiet() && core_->counts().pending == 0)
      break;
    work_store();
    deliver();
    end_process();
    if (core_->wake_at() != 0 && now_ >= core_->wake_at())
      apply(core_->tick(now_));
    check_safety();
  }
  check_settled();
}

} // namespace task_runner::test
