// The Range header of a request for bytes, as far as one range is asked for.
// Pure; what it means for a body of some size is up to whoever has the body.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace task_runner {

/// One range of bytes.
struct byte_range {
  /// Where it begins; with `from_end`, so many bytes before the end.
  uint64_t first = 0;
  bool from_end = false;
  /// How many bytes are wanted at most; unset: all up to the end.
  std::optional<uint64_t> length;
};

/// Reads `bytes=100-199`, `bytes=100-` and `bytes=-500`. Nothing for what is malformed, of another unit, or
/// more than one range: RFC 9110 has all of these answered as if there were no such header. Thread-safe.
std::optional<byte_range> parse_byte_range(std::string_view header);

} // namespace task_runner
