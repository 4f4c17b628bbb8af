// The settings of a channel as requests carry them, and the change that they mean.
// One decoder for making and changing a channel, for JSON and forms, for the old paths and the new.
#pragma once

#include "services/domain/channel.hpp"
#include "services/wire/flat_object.hpp"

#include <optional>
#include <string>

namespace task_runner {

/// What a request says about a channel. A member that is given as null stands as an empty inner optional: it
/// goes back to its default.
struct channel_patch {
  std::optional<std::string> name;
  std::optional<std::optional<distinct_mode>> distinct;
  std::optional<std::optional<uint32_t>> worker;
  std::optional<std::optional<uint32_t>> weight;
  std::optional<std::optional<uint64_t>> tasks_max;
  task_options_patch options;
};

/// How members that mean nothing here are met.
enum class unknown_members : uint8_t { refused, ignored };

/// Decodes `name`, `distinct` (true, false, until-finished, while-pending, off), `worker` (0 to worker_max),
/// `weight`, `tasks_max` and the task options. Empty texts count as not given: browsers send them for what
/// was left open. Values are checked against their ranges.
result<channel_patch> decode_channel(flat_object object, unknown_members policy);

/// Lays the patch over a channel; the name stays. Fails, with the record unchanged, when the options together
/// are too large.
result<void> apply_patch(const channel_patch& patch, channel_record& record);

} // namespace task_runner
