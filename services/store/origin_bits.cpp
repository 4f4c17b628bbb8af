// From a position to its bit and back.
// The bits go through unsigned numbers, for the 64th is the sign of what SQLite keeps.
#include "services/store/origin_bits.hpp"

namespace task_runner {

namespace {

constexpr uint32_t block_positions = 64;

} // namespace

origin_bit bit_of(uint32_t position) noexcept {
  return {position / block_positions, static_cast<int64_t>(uint64_t{1} << (position % block_positions))};
}

void append_marked_positions(int64_t block, int64_t bits, std::vector<uint32_t>& positions) {
  for (uint32_t i = 0; i < block_positions; ++i)
    if ((static_cast<uint64_t>(bits) >> i & 1U) != 0)
      positions.push_back(static_cast<uint32_t>(block) * block_positions + i);
}

} // namespace task_runner
