// A table of one slot for each hash: what is forgotten is searched for again, so nothing is ever pushed
// around. It needs no undoing when a transaction is rolled back, for a hint is only ever a hint.
#include "services/store/place_hints.hpp"

#include <cstddef>
#include <functional>

namespace task_runner {

namespace {

/// Tasks remembered at most: more than wait for a commit or stand in the windows of a few queues. A power of
/// two; 24 bytes each.
constexpr size_t places_max = 4'096;

/// Never 0, which stands for no task.
uint64_t fingerprint_of(std::string_view id) noexcept {
  return std::hash<std::string_view>()(id) | uint64_t{1} << 63;
}

constexpr size_t slot_of(uint64_t fingerprint) noexcept {
  return static_cast<size_t>(fingerprint & (places_max - 1));
}

} // namespace

place_hints::place_hints()
    : places_(places_max) {}

void place_hints::note(std::string_view id, int64_t sequence, int64_t channel_number) noexcept {
  const uint64_t fingerprint = fingerprint_of(id);
  places_[slot_of(fingerprint)] = {fingerprint, sequence, channel_number};
}

const place_hints::place* place_hints::find(std::string_view id) const noexcept {
  const uint64_t fingerprint = fingerprint_of(id);
  const place& found = places_[slot_of(fingerprint)];
  return found.fingerprint == fingerprint ? &found : nullptr;
}

} // namespace task_runner
