// The way of a grouping: page by page through the list of dead letters, then output by output. Each step is
// begun by the answer to the one before, on whatever thread that comes; there is only one at a time.
#include "actors/gateway/grouping.hpp"

#include "actors/gateway/ask.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

namespace task_runner {

namespace {

/// Tasks that are fetched at once: as many as a client may list.
constexpr uint32_t page_tasks = 1'000;

/// One grouping, until it is answered.
class grouping : public std::enable_shared_from_this<grouping> {
public:
  grouping(gateway_pointer shared, task_filter filter, grouping_completion done, grouping_limits limits)
      : shared_(std::move(shared))
      , done_(std::move(done))
      , limits_(limits)
      , until_(steady::now() + limits.time_max)
      , sorter_(limits) {
    wanted_.filter = std::move(filter);
    wanted_.filter.states = {task_state::dead};
    wanted_.limit = page_tasks;
  }

  ~grouping() { shared_->groupings.fetch_sub(1); }
  grouping(const grouping&) = delete;
  grouping& operator=(const grouping&) = delete;

  void fetch_page() {
    if (steady::now() >= until_) {
      found_.truncated = true;
      read_outputs();
      return;
    }
    const auto self = shared_from_this();
    ask<task_page_reply>(
        shared_->via, shared_->router, wanted_, limits_.page_time_max,
        [self](task_page_reply& reply) {
          if (reply.failure)
            self->done_(*reply.failure);
          else
            self->take_page(std::move(reply.page));
        },
        [self](const error& why) { self->done_(why); }, ask_origin::http);
  }

private:
  using steady = std::chrono::steady_clock;

  void take_page(task_page page) {
    for (auto& value : page.tasks) {
      if (tasks_.size() == limits_.tasks_max) {
        found_.truncated = true;
        break;
      }
      // Not needed, and some may be large.
      value.command = {};
      value.options = nullptr;
      value.name = {};
      tasks_.push_back(std::move(value));
    }
    wanted_.after = page.next;
    if (page.next.is_beginning() || found_.truncated) {
      read_outputs();
      return;
    }
    fetch_page();
  }

  /// Reads the next output, or answers. Of tasks that wrote nothing, too: so the work is done by the thread
  /// that reads, and others have their turn in between.
  void read_outputs() {
    if (next_ < tasks_.size() && steady::now() < until_) {
      const auto& value = tasks_[next_];
      const auto taken = shared_->outputs->read(
          {value.id, value.attempt}, {error_tail_bytes, true, error_tail_bytes},
          [self = shared_from_this()](const result<output_piece>& piece) { self->take_output(piece); });
      if (!taken)
        done_(taken.failure());
      return;
    }
    found_.truncated = found_.truncated || next_ < tasks_.size();
    found_.groups = sorter_.take();
    done_(std::move(found_));
  }

  void take_output(const result<output_piece>& piece) {
    if (!piece && piece.failure().code == error_code::draining) {
      done_(piece.failure());
      return;
    }
    if (!piece)
      ++found_.unread;
    const auto& value = tasks_[next_];
    auto fingerprint = piece ? fingerprint_of(piece->bytes) : error_fingerprint();
    // What could not be started wrote nothing, but there is a reason.
    if (fingerprint.hash.empty() && value.last_outcome)
      fingerprint = fingerprint_of(value.last_outcome->error);
    sorter_.add(value, fingerprint);
    ++found_.looked_at;
    ++next_;
    read_outputs();
  }

  const gateway_pointer shared_;
  const grouping_completion done_;
  const grouping_limits limits_;
  const steady::time_point until_;
  list_tasks wanted_;
  std::vector<task> tasks_;
  /// The task whose turn it is.
  size_t next_ = 0;
  dead_letter_sorter sorter_;
  dead_groups found_;
};

} // namespace

bool dead_letter_sorter::key::operator<(const key& other) const {
  return std::tie(kind, code, hash) < std::tie(other.kind, other.code, other.hash);
}

void dead_letter_sorter::add(const task& value, const error_fingerprint& fingerprint) {
  const auto how = value.last_outcome.value_or(outcome{});
  auto& group = groups_[{how.kind, how.code, fingerprint.hash}];
  if (group.count++ == 0) {
    group.how = how;
    group.fingerprint = fingerprint;
    group.oldest_ended_at_ms = group.newest_ended_at_ms = value.ended_at_ms;
  }
  group.oldest_ended_at_ms = std::min(group.oldest_ended_at_ms, value.ended_at_ms);
  group.newest_ended_at_ms = std::max(group.newest_ended_at_ms, value.ended_at_ms);
  if (group.channels.size() < limits_.channels_max)
    group.channels.insert(value.channel);
  if (group.ids.size() < limits_.ids_max)
    group.ids.push_back(value.id);
}

std::vector<dead_group> dead_letter_sorter::take() {
  std::vector<dead_group> found;
  found.reserve(groups_.size());
  for (auto& [what, group] : groups_)
    found.push_back(std::move(group));
  groups_.clear();
  std::sort(found.begin(), found.end(), [](const dead_group& left, const dead_group& right) {
    return std::tie(right.count, right.newest_ended_at_ms, left.ids.front()) <
           std::tie(left.count, left.newest_ended_at_ms, right.ids.front());
  });
  return found;
}

void group_dead_letters(const gateway_pointer& shared, task_filter filter, grouping_completion done,
                        grouping_limits limits) {
  // What is made below takes its place back when it ends.
  if (shared->groupings.fetch_add(1) >= limits.at_once_max) {
    shared->groupings.fetch_sub(1);
    done(error{error_code::overloaded,
               std::to_string(limits.at_once_max) + " requests for groups are worked at; try again shortly"});
    return;
  }
  std::make_shared<grouping>(shared, std::move(filter), std::move(done), limits)->fetch_page();
}

} // namespace task_runner
