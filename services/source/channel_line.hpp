// The messages of one channel, out of one intake key, that are not decided yet. They stand in line, so that
// none overtakes another, and so that a channel which takes nothing holds up nobody but itself.
#pragma once

#include "services/domain/push.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

namespace task_runner {

/// One message in a line: where it stands.
struct line_entry {
  uint64_t batch = 0;
  uint32_t position = 0;
};

/// A plain value that the loop of the Redis intake works on. At most one submission of a line is in the
/// sink at a time: two would let the second overtake what the channel refuses of the first.
struct channel_line {
  size_t key_index = 0;
  std::string channel;
  /// First taken first; what is in the sink is not among them.
  std::deque<line_entry> waiting;
  /// What the last ones of those say, in their order, so that they can be handed over as they are. Those
  /// before them were offered once, or are parked, and are decoded again: they are kept as text only.
  std::vector<push_item> decoded;
  /// Bytes of the messages in `decoded`, as text.
  uint64_t decoded_bytes = 0;
  /// What is in the sink, in order, and the number of that submission; 0 when nothing is.
  std::vector<line_entry> offered;
  uint64_t submission = 0;
  /// The channel itself takes nothing now: whatever stands in this line, or joins it, is parked. It stays
  /// so until the line is empty.
  bool parked = false;
  /// It was refused last time because nothing is accepted from anybody.
  bool held = false;
  /// How many messages a parked line offers at once: one to try, twice as many each time all are taken.
  size_t offer_max = 1;
  /// Refusals in a row.
  uint32_t refusals = 0;
  /// How many submissions of whatever channel had been taken when this line's last one was made, and when
  /// the present row of refusals began. Have there been more since, then it is this channel alone that does
  /// not answer, or refuses.
  uint64_t served_at_offer = 0;
  uint64_t served_at_refusal = 0;
  /// When something is due for this line: another try, or a look at how long the sink takes.
  std::chrono::steady_clock::time_point due = std::chrono::steady_clock::time_point::max();
};

} // namespace task_runner
