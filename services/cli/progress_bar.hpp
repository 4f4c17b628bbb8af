// One line on stderr that shows how far something long has come; nothing where nobody looks.
#pragma once

#include "services/cli/console.hpp"

#include <chrono>
#include <cstdint>

namespace task_runner::cli {

/// What there is to show.
struct progress {
  uint64_t done = 0;
  uint64_t refused = 0;
  /// How much of the whole is behind, 0 to 1; below 0: nobody knows how much there is.
  double share = -1;
  /// In the way of going on, in a few words; empty when nothing is.
  std::string_view trouble;
};

/// Draws on stderr where that is a terminal, ten times a second at most. One thread.
class progress_bar {
public:
  explicit progress_bar(console& terminal);
  /// Takes the line away.
  ~progress_bar() { clear(); }
  progress_bar(const progress_bar&) = delete;
  progress_bar& operator=(const progress_bar&) = delete;

  void show(const progress& now);
  /// Takes the line away, so that others can write; the next show() draws it again.
  void clear();

private:
  using steady = std::chrono::steady_clock;

  console& terminal_;
  steady::time_point began_;
  steady::time_point drawn_at_{};
  bool is_drawn_ = false;
};

} // namespace task_runner::cli
