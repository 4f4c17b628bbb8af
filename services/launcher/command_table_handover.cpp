// The table of attempts on its way to another program in the same process.
// What can be derived is derived again: indexes, descriptors in the epoll set, claims on cgroups.
#include "services/launcher/command_table.hpp"

namespace task_runner::launcher {

handed_table command_table::hand_over() const {
  handed_table handed;
  handed.attempts.reserve(known_.size());
  for (const auto& [key, entry] : known_)
    handed.attempts.push_back({{entry.attempt, entry.process_began_ms, entry.tag, entry.slot, entry.stopping},
                               entry.child,
                               entry.ticket,
                               entry.early_signal});
  for (const waiting_start& one : waiting_)
    handed.waiting.push_back({one.ticket, one.request});
  handed.children.reserve(children_.size());
  for (const auto& [number, child] : children_) {
    handed_child one;
    one.number = number;
    one.key = child.key;
    one.pid = child.pid;
    one.process = child.process.get();
    one.output = child.output.get();
    if (child.writer)
      one.writer = child.writer->progress();
    if (child.failure != nullptr)
      one.failure_place = failures_.place_of(child.failure);
    one.context = child.context;
    one.tag = child.tag;
    one.slot = child.slot;
    one.timeout_at = child.timeout_at;
    one.grace_ms = child.grace_ms;
    one.wake_at = child.wake_at;
    one.asked = child.asked;
    one.asked_grace_ms = child.asked_grace_ms;
    one.how = child.how;
    one.ended_at_ms = child.ended_at_ms;
    one.survivors = child.survivors;
    one.exited = child.exited;
    one.lingering = child.lingering;
    handed.children.push_back(std::move(one));
  }
  handed.stopping.assign(stopper_.trees().begin(), stopper_.trees().end());
  handed.asked = asked_;
  handed.next_number = next_number_;
  handed.failure_memory = failures_.descriptor();
  handed.outcomes = journal_->position();
  return handed;
}

void command_table::take_over(handed_table handed) {
  next_number_ = handed.next_number;
  for (handed_attempt& one : handed.attempts) {
    known_entry& entry = known_[one.known.attempt.key];
    entry.attempt = std::move(one.known.attempt);
    entry.process_began_ms = one.known.process_began_ms;
    entry.tag = one.known.tag;
    entry.slot = std::move(one.known.slot);
    entry.stopping = one.known.stopping;
    entry.child = one.child;
    entry.ticket = one.ticket;
    entry.early_signal = one.early_signal;
  }
  for (handed_start& one : handed.waiting)
    waiting_.push_back({std::move(one.request), one.ticket});
  for (handed_child& one : handed.children) {
    child_entry& child = children_[one.number];
    child.key = std::move(one.key);
    child.pid = one.pid;
    child.process.reset(one.process);
    child.output.reset(one.output);
    if (one.writer) {
      child.writer =
          std::make_unique<output_writer>(setting_.output_dir, child.key, setting_.output, *one.writer);
      if (child.writer->holds_files())
        note_open_output(one.number, child);
    }
    if (one.failure_place)
      child.failure = failures_.take_back(static_cast<size_t>(*one.failure_place));
    child.context = std::move(one.context);
    child.tag = one.tag;
    child.slot = std::move(one.slot);
    child.timeout_at = one.timeout_at;
    child.grace_ms = one.grace_ms;
    wake_at(one.number, child, one.wake_at);
    child.asked = one.asked;
    child.asked_grace_ms = one.asked_grace_ms;
    child.how = std::move(one.how);
    child.ended_at_ms = one.ended_at_ms;
    child.survivors = one.survivors;
    child.exited = one.exited;
    child.lingering = one.lingering;
    if (!child.exited)
      child_of_pid_[child.pid] = one.number;
    // The cgroup of one that has been reported may be another's already.
    if (child.lingering)
      lingering_.insert(one.number);
    else if (cgroups_ && !child.slot.empty())
      cgroups_->claim(child.slot);
    if (child.output)
      watch(child.output.get(), epoll_source::output, one.number);
    if (child.process)
      watch(child.process.get(), epoll_source::process, one.number);
  }
  for (auto& [number, tree] : handed.stopping)
    stopper_.resume(number, std::move(tree));
  asked_ = std::move(handed.asked);
}

} // namespace task_runner::launcher
