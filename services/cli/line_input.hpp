// Lines from a descriptor, as they come: whoever asks gets what is there and waits only where nothing is.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace task_runner::cli {

/// Longest line that is kept, bytes: that of a command line. Of a longer one only its length is known.
constexpr size_t input_line_bytes_max = 131'071;

struct input_line {
  /// From 1.
  uint64_t number = 0;
  /// Without its line feed; empty when `is_too_long`.
  std::string text;
  bool is_too_long = false;
};

/// Reads lines from a descriptor that others own. The last line may lack its line feed. One thread.
class line_input {
public:
  explicit line_input(int from);

  /// The next line. Nothing at the end, on a failure, after Ctrl-C, and when none came within `patience`
  /// (negative: no bound).
  std::optional<input_line> next(std::chrono::milliseconds patience);

  /// Whether nothing more will come.
  bool at_end() const noexcept { return ended_ && buffer_.size() == at_; }
  /// The errno that ended it; 0 where nothing went wrong.
  int failure() const noexcept { return failure_; }
  /// How much of a file is behind, 0 to 1; below 0 where it is none.
  double share() const noexcept;

private:
  std::optional<input_line> take_line();
  bool fill(std::chrono::milliseconds patience);

  int from_;
  std::string buffer_;
  size_t at_ = 0;
  uint64_t number_ = 0;
  /// Bytes read so far, and of the whole file (0: no file).
  uint64_t read_bytes_ = 0;
  uint64_t all_bytes_ = 0;
  int failure_ = 0;
  bool skipping_ = false;
  bool ended_ = false;
};

} // namespace task_runner::cli
