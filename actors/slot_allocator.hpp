// Shares the daemon's common limit of running commands among the channels, by their weights.
// A pure machine without clock or chance: the router owns one, feeds it the queues' slot reports and passes
// on what it grants.
#pragma once

#include "actors/queue_values.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace task_runner {

/// Slots granted to a channel's queue: queue_core::slots_granted.
struct slot_grant {
  std::string channel;
  uint64_t slots = 0;
};

/// Grants slots so that what runs follows the weights among the channels that want more, leaves no slot idle
/// that somebody wants, and makes nobody wait for ever. Nothing that was granted is taken back: after a
/// change the shares move as commands end. The same calls give the same grants. NOT thread-safe.
///
/// A channel's fair share is what weights give it of the capacity, when nobody gets more than it wants. A
/// free slot goes first to channels below their share rounded down, then to those below it rounded up, then
/// to any; among equals turns are taken, as often as weights say.
class slot_allocator {
public:
  explicit slot_allocator(uint64_t capacity)
      : capacity_(capacity) {}

  /// A new limit; when it is lower, nothing is granted until enough has come back.
  std::vector<slot_grant> set_capacity(uint64_t capacity);

  /// A channel's weight, 1 or more. A channel is known from its first weight or report on.
  std::vector<slot_grant> set_weight(const std::string& channel, uint32_t weight);

  /// At the start of the daemon: commands of this channel may be running that were started before. Nobody is
  /// granted anything until its queue has made its first report, or it has been removed: slots could be
  /// granted that those commands occupy.
  void await_report(const std::string& channel) { members_[channel].awaited = true; }

  /// What a queue reports (queue_effects::slots).
  std::vector<slot_grant> report(const std::string& channel, const slot_report& report);

  /// The channel's queue has died: what it has stays taken, and it is granted nothing, until the next queue
  /// makes its first report. Without this, slots could be granted to it that its report does not know of.
  std::vector<slot_grant> queue_lost(const std::string& channel);

  /// The channel is gone, and what it had comes back.
  std::vector<slot_grant> remove(const std::string& channel);

  uint64_t capacity() const noexcept { return capacity_; }
  /// Slots that are out, of all channels together; above the capacity only after it was lowered or after a
  /// queue reported more than there is.
  uint64_t granted() const noexcept { return granted_; }
  /// Slots that a channel has, 0 when it is not known.
  uint64_t granted_to(const std::string& channel) const;

private:
  struct member {
    uint32_t weight = 1;
    uint64_t held = 0;
    uint64_t wanted = 0;
    /// Grows with every grant beyond its whole share, the slower the heavier: whose is lowest has its turn.
    uint64_t turn = 0;
    /// Nobody knows yet what it has.
    bool awaited = false;
  };

  void change_wanted(member& channel, uint64_t wanted);
  std::vector<slot_grant> grant();

  uint64_t capacity_;
  uint64_t granted_ = 0;
  /// The turn of the last grant: a channel that begins to want starts here, and gains nothing by having
  /// waited for nothing.
  uint64_t turn_ = 0;
  /// By name, so that the order is the same every time.
  std::map<std::string, member> members_;
};

} // namespace task_runner
