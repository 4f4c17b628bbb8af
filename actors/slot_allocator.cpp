// Fair shares of the common limit.
#include "actors/slot_allocator.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

namespace task_runner {

namespace {

/// What a grant adds to the turn of a channel of weight 1. Large, so that heavy channels still add enough to
/// tell weights apart; a counter of 64 bits then lasts for 10^12 grants.
constexpr uint64_t turn_step = uint64_t{1} << 24U;

} // namespace

std::vector<slot_grant> slot_allocator::set_capacity(uint64_t capacity) {
  capacity_ = capacity;
  return grant();
}

std::vector<slot_grant> slot_allocator::set_weight(const std::string& channel, uint32_t weight) {
  members_[channel].weight = std::max<uint32_t>(weight, 1);
  return grant();
}

std::vector<slot_grant> slot_allocator::report(const std::string& channel, const slot_report& report) {
  auto& reporting = members_[channel];
  reporting.awaited = false;
  if (report.occupied) {
    granted_ = granted_ - reporting.held + *report.occupied;
    reporting.held = *report.occupied;
  }
  const auto returned = std::min(report.returned, reporting.held);
  reporting.held -= returned;
  granted_ -= returned;
  change_wanted(reporting, report.wanted);
  return grant();
}

std::vector<slot_grant> slot_allocator::queue_lost(const std::string& channel) {
  if (const auto found = members_.find(channel); found != members_.end())
    found->second.wanted = 0;
  return grant();
}

std::vector<slot_grant> slot_allocator::remove(const std::string& channel) {
  const auto found = members_.find(channel);
  if (found == members_.end())
    return {};
  granted_ -= found->second.held;
  members_.erase(found);
  return grant();
}

uint64_t slot_allocator::granted_to(const std::string& channel) const {
  const auto found = members_.find(channel);
  return found == members_.end() ? 0 : found->second.held;
}

void slot_allocator::change_wanted(member& channel, uint64_t wanted) {
  const bool was_hungry = channel.wanted > channel.held;
  channel.wanted = wanted;
  if (!was_hungry && wanted > channel.held)
    channel.turn = std::max(channel.turn, turn_);
}

std::vector<slot_grant> slot_allocator::grant() {
  if (granted_ >= capacity_)
    return {};
  struct candidate {
    const std::string* name = nullptr;
    member* channel = nullptr;
    /// The fair share, whole and rounded up.
    uint64_t floor = 0;
    uint64_t ceiling = 0;
    uint64_t slots = 0;
  };
  std::vector<candidate> candidates;
  uint64_t weights = 0;
  uint64_t missing = 0;
  for (auto& [name, channel] : members_) {
    if (channel.awaited)
      return {};
    if (channel.wanted == 0 && channel.held == 0)
      continue;
    candidates.push_back({&name, &channel, 0, 0, 0});
    weights += channel.weight;
    missing += channel.wanted - std::min(channel.wanted, channel.held);
  }
  if (missing == 0)
    return {};
  // Whoever wants least for its weight is served in full first; what it leaves is shared among the others.
  std::vector<candidate*> by_demand;
  by_demand.reserve(candidates.size());
  for (auto& one : candidates)
    by_demand.push_back(&one);
  const auto demand = [](const candidate* one) { return std::max(one->channel->wanted, one->channel->held); };
  std::stable_sort(by_demand.begin(), by_demand.end(), [&](const candidate* a, const candidate* b) {
    return demand(a) * b->channel->weight < demand(b) * a->channel->weight;
  });
  auto left = capacity_;
  for (auto* one : by_demand) {
    const uint64_t weight = one->channel->weight;
    one->floor = std::min(demand(one), left * weight / weights);
    one->ceiling = std::min(demand(one), (left * weight + weights - 1) / weights);
    if (demand(one) * weights <= left * weight) { // less than its share: the rest is for the others
      left -= demand(one);
      weights -= weight;
    }
  }
  for (; granted_ < capacity_ && missing > 0; --missing) {
    const auto rank = [](const candidate& one) {
      const auto held = one.channel->held;
      const int level = held < one.floor ? 0 : held < one.ceiling ? 1 : 2;
      return std::make_tuple(held >= one.channel->wanted, level, one.channel->turn);
    };
    // The first by name among equals.
    const auto next =
        std::min_element(candidates.begin(), candidates.end(),
                         [&](const candidate& a, const candidate& b) { return rank(a) < rank(b); });
    auto& channel = *next->channel;
    if (channel.held >= next->floor) { // a part of a slot: turns are taken for it
      turn_ = std::max(turn_, channel.turn);
      channel.turn += turn_step / channel.weight;
    }
    ++channel.held;
    ++granted_;
    ++next->slots;
  }
  std::vector<slot_grant> grants;
  for (const auto& one : candidates)
    if (one.slots > 0)
      grants.push_back({*one.name, one.slots});
  return grants;
}

} // namespace task_runner
