// Where the sink's completions wait until the source's own thread fetches them.
// It outlives the source, for a completion may come at any time, from any thread.
#pragma once

#include "services/domain/push.hpp"
#include "services/source/wake_event.hpp"

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace task_runner {

/// The sink's answer to one submission.
struct sink_completion {
  uint64_t submission = 0;
  /// Empty when the sink let go of the completion without calling it: then nothing is known.
  std::vector<push_reply> replies;
};

/// Thread-safe. Holds at most one completion for each submission in the sink.
class completion_box {
public:
  /// Readable while something waits.
  int fd() const noexcept { return wake_.fd(); }
  void add(sink_completion completion);
  /// All that wait; clears the wake-up.
  std::vector<sink_completion> take();

private:
  wake_event wake_;
  std::mutex mutex_;
  std::vector<sink_completion> waiting_;
};

/// The callback to give to the sink. If every copy of it goes without having been called (an actor system
/// that drops its messages), the submission is answered as undecided rather than lost sight of.
push_completion make_completion(std::shared_ptr<completion_box> box, uint64_t submission);

} // namespace task_runner
