// The executor of one channel: worker slots on one side, the process port on the other.
// It starts what the queue leased and reports how it ended; what to run next is the queue's decision.
#pragma once

#include "actors/interfaces.hpp"
#include "actors/probed_actor.hpp"
#include "services/ports/clock.hpp"

#include <deque>
#include <memory>
#include <string>

namespace task_runner {

struct executor_dependencies {
  std::string channel;
  /// Worker slots at the start; 0 runs nothing.
  uint32_t workers = 0;
  queue_actor queue;
  process_runner* runner = nullptr;
  const wall_clock* clock = nullptr;
  std::shared_ptr<actor_probe> probe;
};

struct executor_state {
  static inline const char* name = "executor";

  void measure(actor_probe& probe, size_t asked) const;

  executor_dependencies dependencies;
  uint32_t workers = 0;
  /// Attempts that the launcher's client had no room for; never more than were leased.
  std::deque<attempt_start> waiting;
  bool trying_again = false;
};

/// The kinds of message that an executor's probe counts, in the order of executor_message.
enum class executor_message : size_t { work, again, stop, signal, progress, workers, known };
std::vector<std::string_view> executor_message_kinds();

/// What an executor's probe counts.
enum class executor_edge : size_t { from_router, to_queue, to_launcher, from_launcher };
const probe_shape& executor_shape();

executor_actor::behavior_type executor(probed_pointer<executor_actor, executor_state> self,
                                       executor_dependencies dependencies);

} // namespace task_runner
