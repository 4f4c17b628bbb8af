// Where on a screen everything of the full-screen view is, and how it is drawn there.
// Draws into cells; whoever shows them owns the terminal.
#pragma once

#include "services/cli/top_state.hpp"

namespace task_runner::cli {

/// The smallest screen that takes the panes.
constexpr size_t top_columns_min = 61;
constexpr size_t top_rows_min = 16;

/// The parts of a screen; each pane with its title.
struct top_layout {
  bool fits = false;
  area channels;
  area tasks;
  area output;
  /// At most this; one with less text is lower.
  area popup;
};

/// Rows of a pane that are no rows of its list.
constexpr size_t list_head_rows = 2;
constexpr size_t output_head_rows = 1;
/// The frame of a popup.
constexpr size_t popup_frame_rows = 2;

top_layout lay_out(size_t rows, size_t columns, bool output_is_full) noexcept;

/// Draws everything.
cell_grid draw_top(const top_state& state, const top_moment& now);

} // namespace task_runner::cli
