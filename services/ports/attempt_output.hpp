// The output port, as those see it who follow an attempt while it runs: its bytes by their place in all that
// it wrote, which does not change when something before them is left out. Implemented over the files in the
// state directory; tests put a fake in its place.
#pragma once

#include "services/domain/result.hpp"
#include "services/domain/task.hpp"

#include <cstddef>
#include <cstdint>
#include <string>

namespace task_runner {

/// A stretch of what an attempt wrote.
struct output_stretch {
  std::string bytes;
  /// The place of the first byte: as asked for, or later where what lies between is not kept.
  uint64_t offset = 0;
  /// All that the attempt has written so far, kept or not.
  uint64_t written = 0;
  /// What stands behind these bytes is not kept: nothing completes a character that they end in.
  bool ends_at_gap = false;
};

/// Thread-safe. The calls block as long as the disk does.
class attempt_output {
public:
  virtual ~attempt_output() = default;

  /// Up to `length_max` bytes from `offset`; none when there are no more yet, or nothing has been written.
  /// Fewer than there are only where something behind them is not kept. `unavailable` when the output cannot
  /// be read.
  virtual result<output_stretch> read(const attempt_key& key, uint64_t offset, size_t length_max) = 0;
};

} // namespace task_runner
