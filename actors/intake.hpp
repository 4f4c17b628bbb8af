// The intake: the one admission point every task passes, whatever source it comes from.
// It checks, completes (id, channel, time) and sends on; the queue of the channel answers.
#pragma once

#include "actors/interfaces.hpp"
#include "actors/probed_actor.hpp"
#include "services/ports/clock.hpp"

#include <chrono>
#include <memory>
#include <string>

namespace task_runner {

/// How long a channel's queue may take to commit its part of a batch of several channels. Shorter than
/// whoever asks the intake waits, so that a channel that is silent costs its own part of the batch alone.
constexpr std::chrono::seconds intake_part_timeout{25};

struct intake_dependencies {
  std::string channel_default;
  router_actor router;
  const wall_clock* clock = nullptr;
  std::shared_ptr<actor_probe> probe;
};

struct intake_state {
  static inline const char* name = "intake";
  intake_dependencies dependencies;
  bool draining = false;
};

enum class intake_message : size_t { push, drain };
std::vector<std::string_view> intake_message_kinds();

/// What an intake's probe counts.
enum class intake_edge : size_t { to_router };
const probe_shape& intake_shape();

intake_actor::behavior_type intake(probed_pointer<intake_actor, intake_state> self,
                                   intake_dependencies dependencies);

} // namespace task_runner
