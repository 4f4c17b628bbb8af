// What a source hands to the intake, and what comes back.
// The same value comes from HTTP, Redis and every later source, so that one check covers them all.
#pragma once

#include "services/domain/push_identity.hpp"
#include "services/domain/result.hpp"
#include "services/domain/task.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace task_runner {

/// Where in a taken batch a message stood. The store keeps it with the decision about the message, in one
/// commit, so that a batch which is taken in again after a crash repeats nothing.
struct push_origin {
  /// The number of the taken batch; unique per node.
  uint64_t batch = 0;
  /// Place in the batch, from 0.
  uint32_t position = 0;
};

/// From this number on the batches are requests that may be repeated: a mark says that the push became a
/// task, where a source's says that the message was decided, whatever came of it.
constexpr uint64_t request_batches_begin = uint64_t{3} << 61;

/// Whether the push came with a request that may be repeated.
constexpr bool is_of_request(const push_origin& origin) noexcept {
  return origin.batch >= request_batches_begin;
}

/// A task definition as a source submits it.
struct push_item {
  /// Given by the client (1 to 128 of `A-Z a-z 0-9 . _ : -`), or empty: the intake makes one.
  std::string id;
  /// Empty means the default channel.
  std::string channel;
  std::string name;
  task_command command;
  /// Seconds from now before it may start; exclusive with `not_before_ms`.
  double delay_s = 0;
  /// The moment before which it may not start; 0 means at once.
  wall_time_ms not_before_ms = 0;
  task_options options;
  /// What makes it the same as another, instead of its command; empty: the command decides.
  std::string distinct_key;
  std::optional<push_origin> origin;
};

/// What became of one push_item.
struct push_reply {
  std::string task_name;
  /// The new task, or the holder when `accepted` is false and there is no failure.
  std::string task_id;
  /// Whether a new task stands durably in its queue; false for a duplicate and for a failure.
  bool accepted = false;
  /// Set when the push was refused.
  std::optional<error> failure;
  /// The state in which an accepted task was committed: pending, delayed or running. Not set where that
  /// happened when the same request came before.
  std::optional<task_state> state = std::nullopt;
  /// With `failure`: it is this channel alone that takes nothing now; pushes to others may be accepted.
  bool channel_only = false;
};

/// Called exactly once, with one reply per item in the same order, from any thread. Must not block.
using push_completion = std::function<void(std::vector<push_reply>)>;

/// Checks one item against the rules that hold for every source: a name or command, valid text, lengths, a
/// valid id and channel name, a delay of 0 to ten years, options within their ranges.
result<void> check_push(const push_item& item);

/// Makes the item the push at this place of a request that may be repeated: its task has the same id each
/// time, unless the item names one.
void identify(push_item& item, const push_identity& as, uint32_t position);

} // namespace task_runner
