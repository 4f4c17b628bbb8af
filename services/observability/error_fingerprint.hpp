// What makes two failures the same: the line of their output that tells of the error, without what differs
// from one run to the next. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace task_runner {

/// Bytes of a line that are shown and compared; it is cut between characters.
constexpr size_t error_line_bytes_max = 200;

/// The end of an output, this much of it, is looked at.
constexpr size_t error_tail_bytes = 4'096;

/// An error as a command told it.
struct error_fingerprint {
  /// The line, without colours and control characters. Empty: there was none.
  std::string line;
  /// 16 hexadecimal digits, the same for lines that differ only in numbers, UUIDs, hashes and what stands in
  /// quotes. Empty without a line.
  std::string hash;
};

/// Of the end of an output: its last line that names an error, else its last line that is no part of a stack
/// trace. Where the name of an exception stands alone, the line behind it belongs to it. Any bytes will do.
error_fingerprint fingerprint_of(std::string_view output_end);

/// The line without what differs from one run to the next.
std::string normalized_error(std::string_view line);

} // namespace task_runner
