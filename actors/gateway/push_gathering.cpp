// The first push of a worker's turn has all that are there sent at its end; each channel gets its own in one
// message, so that a channel which is silent keeps nobody else waiting.
#include "actors/gateway/push_gathering.hpp"

#include "services/http/worker_turn.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace task_runner {

namespace {

using pushes = std::vector<gathered_push>;

/// Room for as many is made at once.
constexpr size_t usual_count = 16;

/// Asks the intake for pushes of one channel, from within the asking actor.
void submit(asker_pointer self, const intake_actor& target, std::chrono::milliseconds timeout, pushes group) {
  push_batch batch;
  batch.items.reserve(group.size());
  for (auto& one : group)
    batch.items.push_back(std::move(one.item));
  const auto whole = std::make_shared<pushes>(std::move(group));
  request_in_time<push_replies>(
      self, target, timeout, std::move(batch),
      [whole](push_replies& answer) {
        if (answer.replies.size() != whole->size()) {
          push_reply lost;
          lost.failure = error{error_code::internal, "defect: the intake did not answer for every push"};
          answer.replies.resize(whole->size(), lost);
        }
        for (size_t i = 0; i < whole->size(); ++i)
          (*whole)[i].done(answer.replies[i]);
      },
      [whole](const error& why) {
        for (const auto& one : *whole) {
          push_reply failed;
          failed.failure = why;
          one.done(failed);
        }
      });
}

void submit_by_channel(asker_pointer self, const intake_actor& target, std::chrono::milliseconds timeout,
                       pushes all) {
  while (!all.empty()) {
    const auto channel = all.front().item.channel;
    const auto others = std::stable_partition(
        all.begin(), all.end(), [&](const gathered_push& one) { return one.item.channel == channel; });
    pushes rest(std::make_move_iterator(others), std::make_move_iterator(all.end()));
    all.erase(others, all.end());
    submit(self, target, timeout, std::move(all));
    all = std::move(rest);
  }
}

} // namespace

void push_gathering::push(const caf::actor& via, const intake_actor& target,
                          std::chrono::milliseconds timeout, gathered_push one) {
  // Each worker sends what is there when its own turn ends: no push waits for the end of another's.
  thread_local const push_gathering* last_put_off = nullptr;
  thread_local uint64_t last_turn = 0;
  const auto turn = this_turn();
  const bool put_off = turn != 0 && last_turn == turn && last_put_off == this;
  if (turn != 0 && !put_off) {
    after_this_turn([self = shared_from_this(), via, target, timeout] { self->send(via, target, timeout); });
    last_put_off = this;
    last_turn = turn;
  }
  size_t count = 0;
  {
    std::lock_guard<std::mutex> guard(mutex_);
    if (waiting_.empty())
      waiting_.reserve(usual_count);
    waiting_.push_back(std::move(one));
    count = waiting_.size();
  }
  if (turn == 0 || count >= gathered_pushes_max)
    send(via, target, timeout);
}

void push_gathering::send(const caf::actor& via, const intake_actor& target,
                          std::chrono::milliseconds timeout) {
  auto taken = std::make_shared<pushes>();
  {
    std::lock_guard<std::mutex> guard(mutex_);
    taken->swap(waiting_);
  }
  if (taken->empty())
    return;
  const lent_thread lent(via.home_system());
  caf::anon_send(via, ask_request{[target, timeout, taken](asker_pointer self) {
                   submit_by_channel(self, target, timeout, std::move(*taken));
                 }});
}

} // namespace task_runner
