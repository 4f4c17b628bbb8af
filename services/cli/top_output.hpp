// What a command has printed as lines for a screen: colours are understood, everything else that would steer
// a terminal is dropped. Takes bytes in whatever pieces they come.
#pragma once

#include "services/cli/top_cells.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace task_runner::cli {

/// Most lines that are kept, and most bytes of one; older lines go, longer ones go on in the next.
constexpr size_t output_lines_max = 5'000;
constexpr size_t output_line_bytes_max = 4'096;

/// One line: printable text, and from which byte on it looks how.
struct output_line {
  struct change {
    size_t from = 0;
    look style;
  };
  std::string text;
  std::vector<change> looks;

  /// Draws a part of it: `skipped` columns are left out, at most `room` drawn.
  void draw(cell_grid& onto, size_t row, size_t column, size_t skipped, size_t room) const;
};

/// The lines of a text, those that are wider broken between words; what goes on stands below what it belongs
/// to. Sequences that colour take no room.
std::string broken_lines(std::string_view text, size_t columns);

/// Lines and the state between two pieces. A carriage return begins its line anew, as progress bars expect.
/// Not thread-safe.
class output_text {
public:
  void append(std::string_view bytes);
  void clear();

  /// All lines; the last one may still grow.
  const std::deque<output_line>& lines() const noexcept { return lines_; }
  /// Lines that were dropped at the beginning, as there were too many.
  uint64_t dropped() const noexcept { return dropped_; }
  bool is_empty() const noexcept { return lines_.empty(); }

private:
  enum class state : uint8_t { text, escape, control_sequence, string, string_escape };

  void take(char one);
  void take_text(char one);
  void end_sequence(char last);
  void set_colours();
  size_t read_colour(const std::vector<unsigned>& codes, size_t at, hue& into) const;
  void write(std::string_view character);
  void end_character();
  void end_line();
  output_line& open_line();

  std::deque<output_line> lines_;
  uint64_t dropped_ = 0;
  state state_ = state::text;
  look style_;
  /// The parameters of a control sequence that has begun.
  std::string parameters_;
  /// A character that has begun, and how many bytes it will have.
  std::string character_;
  size_t character_bytes_ = 0;
  bool line_is_open_ = false;
  bool returns_ = false;
};

} // namespace task_runner::cli
