// A screen as rows of cells, drawn without a terminal, so that a layout can be looked at by tests.
// What goes beyond an edge is cut; a character of two columns is never halved.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace task_runner::cli {

/// The eight colours that every terminal with colours has, in the order of their numbers.
enum class hue : uint8_t { none, black, red, green, yellow, blue, magenta, cyan, white };

/// How text looks.
struct look {
  hue ink = hue::none;
  hue ground = hue::none;
  bool bold = false;
  bool dim = false;
  bool underlined = false;
  bool reversed = false;

  bool operator==(const look& other) const noexcept {
    return ink == other.ink && ground == other.ground && bold == other.bold && dim == other.dim &&
           underlined == other.underlined && reversed == other.reversed;
  }
};

constexpr look plain_look{};

constexpr look ink_look(hue ink) noexcept {
  return {ink, hue::none, false, false, false, false};
}
constexpr look bold_look(hue ink = hue::none) noexcept {
  return {ink, hue::none, true, false, false, false};
}
constexpr look dim_look() noexcept {
  return {hue::none, hue::none, false, true, false, false};
}
constexpr look reversed_look(hue ink = hue::none) noexcept {
  return {ink, hue::none, false, false, false, true};
}

/// One column of one row. A plain value.
struct cell {
  /// One character with the marks that combine with it; empty: the second half of the one before.
  std::string text = " ";
  look style;
};

/// A part of a screen.
struct area {
  size_t row = 0;
  size_t column = 0;
  size_t rows = 0;
  size_t columns = 0;
};

/// The cells of a screen. Not thread-safe.
class cell_grid {
public:
  /// Blank. Without `unicode` everything beyond ASCII is drawn as `?`.
  cell_grid(size_t rows, size_t columns, bool unicode);

  size_t rows() const noexcept { return rows_; }
  size_t columns() const noexcept { return columns_; }
  bool has_unicode() const noexcept { return unicode_; }
  const cell& at(size_t row, size_t column) const { return cells_[row * columns_ + column]; }

  /// Writes printable text from (row, column) on, over at most `room` columns; gives the column behind it.
  size_t put(size_t row, size_t column, std::string_view text, const look& style = plain_look,
             size_t room = SIZE_MAX);
  /// The same at the right end of `room` columns from `column` on.
  void put_right(size_t row, size_t column, std::string_view text, const look& style, size_t room);
  /// Makes an area blank.
  void blank(const area& where, const look& style = plain_look);
  /// Gives all cells of a part of a row a look, whatever they hold.
  void paint_row(size_t row, size_t column, size_t columns, const look& style);

  /// `symbol` where anything but ASCII may be drawn, else `letters`.
  std::string_view sign(std::string_view symbol, std::string_view letters) const noexcept {
    return unicode_ ? symbol : letters;
  }

  /// One row as text, without the blanks at its end.
  std::string row_text(size_t row) const;
  /// All rows, each with a line feed.
  std::string text() const;

private:
  cell& cell_at(size_t row, size_t column) { return cells_[row * columns_ + column]; }

  size_t rows_;
  size_t columns_;
  bool unicode_;
  std::vector<cell> cells_;
};

} // namespace task_runner::cli
