// The arithmetic of tags, and the choice of those that nobody has.
#include "services/launcher/process_tag.hpp"

#include "services/launcher/process_table.hpp"

#include <algorithm>
#include <sys/random.h>

namespace task_runner::launcher {
namespace {

constexpr uint64_t lowest_wide_tag = uint64_t{1} << 60U;
constexpr uint64_t highest_wide_tag = uint64_t{1} << 62U;
constexpr uint64_t wide_span = uint64_t{1} << 28U;
constexpr uint64_t narrow_span = uint64_t{1} << 8U;
/// What tags below a limit that somebody has set are modulo `narrow_span`: a limit that ends so is taken for
/// such a tag.
constexpr uint64_t tag_below_limit = 77;
/// Tags handed out between two looks at the machine.
constexpr uint64_t block_max = 256;
/// Blocks tried before it is said that no tag is free.
constexpr int blocks_tried_max = 32;

/// Differs between launchers that are started at the same moment.
uint64_t random_number() noexcept {
  uint64_t number = 0;
  // Without randomness launchers would only have to look further for a free tag.
  if (::getrandom(&number, sizeof(number), GRND_NONBLOCK) != static_cast<ssize_t>(sizeof(number)))
    number = 0;
  return number;
}

} // namespace

uint64_t span_of_tag(uint64_t tag) noexcept {
  if (tag < lowest_wide_tag)
    return 1;
  if (tag % wide_span == 0)
    return wide_span;
  return tag % narrow_span == 0 ? narrow_span : 1;
}

tag_source::tag_source(uint64_t own_limit) {
  if (own_limit > highest_wide_tag) {
    stride_ = wide_span;
    first_ = lowest_wide_tag + stride_;
    count_ = (highest_wide_tag - lowest_wide_tag) / stride_ - 1;
  } else if (own_limit >= lowest_wide_tag) {
    const uint64_t span = span_of_tag(own_limit);
    stride_ = span == wide_span ? narrow_span : 1;
    first_ = own_limit - span + stride_;
    count_ = span / stride_ - 1;
  } else if (own_limit % narrow_span != tag_below_limit && own_limit > narrow_span + tag_below_limit) {
    stride_ = narrow_span;
    first_ = narrow_span + tag_below_limit;
    count_ = (own_limit - 1 - first_) / stride_ + 1;
  }
  block_ = std::clamp<uint64_t>(count_ / 16, 1, block_max);
}

uint64_t tag_source::next() {
  for (int tried = 0; count_ > 0 && tried <= blocks_tried_max; ++tried) {
    while (left_ > 0) {
      const uint64_t tag = tag_at(place_);
      ++place_;
      --left_;
      if (taken_.count(tag) == 0)
        return tag;
    }
    // Blocks are chosen at random, so that launchers beside each other keep apart.
    place_ = random_number() % (count_ - std::min(count_ - 1, block_ - 1));
    left_ = std::min(block_, count_ - place_);
    taken_.clear();
    const uint64_t lowest = tag_at(place_) - stride_ + 1;
    const uint64_t highest = tag_at(place_ + left_ - 1);
    for (const int pid : list_processes())
      if (const std::optional<uint64_t> limit = hard_realtime_limit(pid);
          limit && *limit >= lowest && *limit <= highest)
        taken_.insert(tag_at(place_ + (*limit - lowest) / stride_));
  }
  return 0;
}

} // namespace task_runner::launcher
