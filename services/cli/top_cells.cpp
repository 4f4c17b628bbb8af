// Characters are placed by their width; one of two columns leaves an empty cell behind it.
#include "services/cli/top_cells.hpp"

#include "services/cli/console.hpp"

#include <algorithm>

namespace task_runner::cli {

namespace {

/// Most marks that combine with one character; more are dropped, so that no cell grows without a bound.
constexpr size_t cell_bytes_max = 24;

} // namespace

cell_grid::cell_grid(size_t rows, size_t columns, bool unicode)
    : rows_(rows)
    , columns_(columns)
    , unicode_(unicode)
    , cells_(rows * columns) {
  // nop
}

size_t cell_grid::put(size_t row, size_t column, std::string_view text, const look& style, size_t room) {
  if (row >= rows_ || column >= columns_)
    return column;
  const size_t end = column + std::min(room, columns_ - column);
  const size_t begin = column;
  while (!text.empty()) {
    auto one = first_character(text);
    text.remove_prefix(one.size());
    size_t width = width_of(one);
    if (!unicode_ && one.size() > 1) {
      if (width == 0)
        continue;
      one = "?";
      width = 1;
    }
    if (width == 0) {
      if (column > begin) {
        auto& before = cell_at(row, column - 1).text.empty() && column > begin + 1 ? cell_at(row, column - 2)
                                                                                   : cell_at(row, column - 1);
        if (before.text.size() + one.size() <= cell_bytes_max)
          before.text += one;
      }
      continue;
    }
    if (column + width > end)
      break;
    cell_at(row, column) = {std::string(one), style};
    if (width == 2)
      cell_at(row, column + 1) = {{}, style};
    column += width;
  }
  return column;
}

void cell_grid::put_right(size_t row, size_t column, std::string_view text, const look& style, size_t room) {
  const size_t width = std::min(room, width_of(text));
  put(row, column + room - width, text, style, width);
}

void cell_grid::blank(const area& where, const look& style) {
  for (size_t row = where.row; row < std::min(rows_, where.row + where.rows); ++row)
    for (size_t column = where.column; column < std::min(columns_, where.column + where.columns); ++column)
      cell_at(row, column) = {" ", style};
}

void cell_grid::paint_row(size_t row, size_t column, size_t columns, const look& style) {
  if (row >= rows_)
    return;
  for (size_t at = column; at < std::min(columns_, column + columns); ++at)
    cell_at(row, at).style = style;
}

std::string cell_grid::row_text(size_t row) const {
  std::string text;
  for (size_t column = 0; column < columns_; ++column)
    text += at(row, column).text;
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

std::string cell_grid::text() const {
  std::string text;
  for (size_t row = 0; row < rows_; ++row)
    text += row_text(row) + "\n";
  return text;
}

} // namespace task_runner::cli
