// The line is drawn over itself.
#include "services/cli/progress_bar.hpp"

#include <algorithm>
#include <cmath>
#include <string>

namespace task_runner::cli {

namespace {

constexpr std::chrono::milliseconds redraw_pause{100};
constexpr size_t bar_columns = 24;
constexpr std::string_view erase_line = "\r\033[K";
/// A line that is wider than the terminal is cut by it (DECAWM): one that goes on below could not be erased.
constexpr std::string_view wrap_off = "\033[?7l";
constexpr std::string_view wrap_on = "\033[?7h";

std::string bar(double share) {
  const auto filled = static_cast<size_t>(std::lround(std::clamp(share, 0.0, 1.0) * bar_columns));
  return "[" + std::string(filled, '#') + std::string(bar_columns - filled, '.') + "] " +
         std::to_string(static_cast<int>(std::clamp(share, 0.0, 1.0) * 100)) + "%  ";
}

} // namespace

progress_bar::progress_bar(console& terminal)
    : terminal_(terminal)
    , began_(steady::now()) {
  // nop
}

void progress_bar::show(const progress& now) {
  const auto moment = steady::now();
  if (!terminal_.errors_are_seen() || (is_drawn_ && moment - drawn_at_ < redraw_pause))
    return;
  drawn_at_ = moment;
  is_drawn_ = true;
  const double seconds = std::chrono::duration<double>(moment - began_).count();
  auto line = std::string(erase_line) + std::string(wrap_off);
  line += now.share < 0 ? std::string() : bar(now.share);
  line += grouped(now.done) + " pushed";
  if (seconds > 0.5)
    line += ", " + grouped(static_cast<uint64_t>(static_cast<double>(now.done) / seconds)) + "/s";
  if (now.refused != 0)
    line += ", " + grouped(now.refused) + " refused";
  if (!now.trouble.empty())
    line += "  " + terminal_.colored_error(paint::yellow, clipped(printable(now.trouble), 40, "..."));
  terminal_.write_error(line + std::string(wrap_on));
}

void progress_bar::clear() {
  if (!is_drawn_)
    return;
  is_drawn_ = false;
  terminal_.write_error(erase_line);
}

} // namespace task_runner::cli
