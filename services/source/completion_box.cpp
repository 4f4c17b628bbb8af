// Hands completions from whatever thread to the source's own. A ticket shared by all copies of a callback
// sees to it that each submission is told of exactly once.
#include "services/source/completion_box.hpp"

#include <atomic>
#include <utility>

namespace task_runner {

namespace {

/// Shared by all copies of one callback; tells of the submission once, at the latest when the last copy
/// goes.
class completion_ticket {
public:
  completion_ticket(std::shared_ptr<completion_box> box, uint64_t submission)
      : box_(std::move(box))
      , submission_(submission) {}
  ~completion_ticket() { redeem({}); }
  completion_ticket(const completion_ticket&) = delete;
  completion_ticket& operator=(const completion_ticket&) = delete;

  void redeem(std::vector<push_reply> replies) {
    if (!redeemed_.exchange(true))
      box_->add({submission_, std::move(replies)});
  }

private:
  std::shared_ptr<completion_box> box_;
  uint64_t submission_;
  std::atomic<bool> redeemed_{false};
};

} // namespace

void completion_box::add(sink_completion completion) {
  {
    std::lock_guard<std::mutex> guard(mutex_);
    waiting_.push_back(std::move(completion));
  }
  wake_.set();
}

std::vector<sink_completion> completion_box::take() {
  // Cleared before the look, so that what comes after the look wakes again.
  wake_.clear();
  std::lock_guard<std::mutex> guard(mutex_);
  return std::exchange(waiting_, {});
}

push_completion make_completion(std::shared_ptr<completion_box> box, uint64_t submission) {
  auto ticket = std::make_shared<completion_ticket>(std::move(box), submission);
  return [ticket](std::vector<push_reply> replies) { ticket->redeem(std::move(replies)); };
}

} // namespace task_runner
