// The terminal as a full screen: cells go out, keys come in. The library behind it is seen by this file's
// .cpp alone; the terminal is as it was when the object has gone.
#pragma once

#include "services/cli/top_state.hpp"
#include "services/domain/result.hpp"

#include <memory>

namespace task_runner::cli {

/// Owns stdin and stdout as long as it lives. One at a time, one thread.
class top_screen {
public:
  /// `invalid_argument`, with a sentence, where the terminal cannot take it. The console has set the locale
  /// by then; signal handlers that are set before are left alone.
  static result<std::unique_ptr<top_screen>> open(bool wants_unicode, bool wants_colors);
  ~top_screen();
  top_screen(const top_screen&) = delete;
  top_screen& operator=(const top_screen&) = delete;

  /// Whether characters beyond ASCII can be shown.
  bool has_unicode() const noexcept { return unicode_; }
  size_t rows() const noexcept { return rows_; }
  size_t columns() const noexcept { return columns_; }

  /// Shows these cells; only what has changed is sent.
  void draw(const cell_grid& grid);
  /// The next key that was pressed; of kind `none` where there is none (yet), or one without a meaning.
  top_key read_key(bool& is_pending);
  /// Takes the size that the terminal has now.
  void resize();
  /// Sends everything anew with the next draw().
  void redraw();

private:
  top_screen(bool unicode, bool colors, void* screen);
  short pair_of(const look& style);

  bool unicode_;
  bool colors_;
  /// The library's SCREEN.
  void* screen_;
  size_t rows_ = 0;
  size_t columns_ = 0;
  std::vector<bool> pairs_;
};

} // namespace task_runner::cli
