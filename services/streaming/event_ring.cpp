// Numbering, forgetting, and leaving out of what a later event has overtaken.
#include "services/streaming/event_ring.hpp"

#include "services/http/event_stream.hpp"

#include <algorithm>
#include <utility>

namespace task_runner {

std::string_view to_string(event_kind kind) noexcept {
  return kind == event_kind::task ? "task" : "channel";
}

bool event_filter::lets_through(event_kind kind, const std::string& channel) const {
  return (kind == event_kind::task ? tasks : counts) &&
         (channels.empty() || std::binary_search(channels.begin(), channels.end(), channel));
}

event_ring::event_ring(std::string epoch, event_ring_limits limits)
    : epoch_(std::move(epoch))
    , limits_(limits) {}

void event_ring::add(event_kind kind, const std::string& subject, const std::string& channel,
                     std::string data) {
  entry added{kind, std::string(to_string(kind)) + ":" + subject, channel, std::move(data)};
  const auto number = next_++;
  auto& latest = latest_[added.key];
  if (latest != 0)
    entries_[static_cast<size_t>(latest - first_)].next_same = number;
  latest = number;
  bytes_ += added.cost();
  entries_.push_back(std::move(added));
  while (entries_.size() > limits_.events_max || (bytes_ > limits_.bytes_max && entries_.size() > 1))
    drop_first();
}

void event_ring::drop_first() {
  const auto& gone = entries_.front();
  if (gone.next_same == 0)
    latest_.erase(gone.key);
  bytes_ -= gone.cost();
  entries_.pop_front();
  ++first_;
}

void event_ring::lose() {
  entries_.clear();
  latest_.clear();
  bytes_ = 0;
  // A number is left out, so that whoever has seen the last event has not seen everything.
  first_ = ++next_;
}

std::string event_ring::id_of(uint64_t place) const {
  return epoch_ + "-" + std::to_string(place);
}

event_ring::stretch event_ring::collect(uint64_t after, uint64_t up_to, const event_filter& filter,
                                        size_t bytes_max) const {
  stretch found;
  found.up_to = after;
  up_to = std::min(up_to, last());
  for (auto number = std::max(after + 1, first_); number <= up_to; ++number) {
    const auto& one = entries_[static_cast<size_t>(number - first_)];
    const bool overtaken = one.next_same != 0 && one.next_same <= up_to;
    if (!overtaken && filter.lets_through(one.kind, one.channel)) {
      const auto event = render_event({id_of(number), to_string(one.kind), one.data});
      if (!found.text.empty() && found.text.size() + event.size() > bytes_max)
        return found;
      found.text += event;
    }
    found.up_to = number;
  }
  // Where numbers were left out.
  found.up_to = std::max(found.up_to, up_to);
  return found;
}

} // namespace task_runner
