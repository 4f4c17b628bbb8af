// The output port, as readers see it: pieces of what an attempt wrote, read where a slow disk holds nobody
// up. Implemented by a thread over the files in the state directory; tests put a fake in its place.
#pragma once

#include "services/domain/result.hpp"
#include "services/domain/task.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace task_runner {

/// Which part of an attempt's kept output is wanted.
struct output_range {
  /// Bytes from the beginning; with `from_end`, back from the end (from the beginning where there are fewer).
  uint64_t offset = 0;
  bool from_end = false;
  size_t length_max = 0;
};

/// A piece of an attempt's kept output.
struct output_piece {
  std::string bytes;
  /// Where in the whole it begins.
  uint64_t offset = 0;
  /// All that is kept of the output, bytes.
  uint64_t size = 0;
};

/// Called exactly once, from another thread. Must not block.
using output_completion = std::function<void(result<output_piece>)>;

/// Reads captured output. Thread-safe; no call blocks.
class output_reader {
public:
  virtual ~output_reader() = default;

  /// Reads a part; it is empty at and past the end, and when there is no output. `done` gets the piece, or
  /// `unavailable` when it cannot be read, `timeout` when its turn came too late, `draining` when the reader
  /// ended before. It is never called when this fails: `overloaded` when too many wait, `draining` after the
  /// end.
  virtual result<void> read(attempt_key key, output_range wanted, output_completion done) = 0;
};

} // namespace task_runner
