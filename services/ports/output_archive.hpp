// The output port: the captured output of attempts as a whole, for whoever decides what of it is kept.
// Implemented over the files in the state directory; tests put a fake in its place.
#pragma once

#include "services/domain/result.hpp"
#include "services/domain/task.hpp"

#include <cstdint>
#include <vector>

namespace task_runner {

/// Lists and deletes captured output. Thread-safe; calls touch the disk and may block for its time.
class output_archive {
public:
  virtual ~output_archive() = default;

  /// Output is spread over this many shards.
  virtual uint32_t shards() const = 0;

  /// The attempts with output in one shard (from 0), but only what was last written before `before_ms`; at
  /// most `limit`. `unavailable` when it cannot be read; a shard that does not exist is empty.
  virtual result<std::vector<attempt_key>> list(uint32_t shard, wall_time_ms before_ms, size_t limit) = 0;

  /// Deletes an attempt's output; success when there is none. `unavailable` when it cannot be deleted.
  virtual result<void> remove(const attempt_key& key) = 0;
};

} // namespace task_runner
