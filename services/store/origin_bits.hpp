// How the marks of decided messages stand in the embedded store: 64 positions of a batch are the bits of one
// number, so that what is taken in together is marked by few statements.
#pragma once

#include <cstdint>
#include <vector>

namespace task_runner {

/// Where the mark of a position stands.
struct origin_bit {
  /// From 0; the first one has the positions 0 to 63.
  int64_t block = 0;
  /// One bit is set, maybe that of the sign.
  int64_t bit = 0;
};

/// Any position has a bit of its own. Thread-safe.
origin_bit bit_of(uint32_t position) noexcept;

/// Appends the positions whose bits are set in the block, in their order.
void append_marked_positions(int64_t block, int64_t bits, std::vector<uint32_t>& positions);

} // namespace task_runner
