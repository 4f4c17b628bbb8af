// Looks once at what stdout and stderr are, and writes to them without stdio, so that every failure shows.
#include "services/cli/console.hpp"

#include "services/cli/exit_codes.hpp"
#include "services/domain/code_points.hpp"
#include "services/domain/names.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <clocale>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <cwchar>
#include <langinfo.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace task_runner::cli {

namespace {

constexpr size_t columns_min = 40;
constexpr size_t columns_default = 80;
constexpr size_t columns_max = 1'000;
/// What is gathered before it is written.
constexpr size_t buffer_bytes_max = 65'536;

std::string_view variable(const char* name) noexcept {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string_view() : std::string_view(value);
}

bool has_utf8() noexcept {
  return std::string_view(::nl_langinfo(CODESET)) == "UTF-8";
}

/// Takes the locale that the environment names, for its characters alone; whether they are UTF-8.
bool take_utf8_locale() noexcept {
  if (std::setlocale(LC_CTYPE, "") == nullptr) {
    std::setlocale(LC_CTYPE, "C.UTF-8"); // the one that is named is not installed
    return has_utf8();
  }
  if (has_utf8())
    return true;
  // What a task says is UTF-8 all the same, and this locale knows how wide its characters are.
  std::setlocale(LC_CTYPE, "C.UTF-8");
  return false;
}

size_t terminal_columns() noexcept {
  size_t columns = 0;
  const auto text = variable("COLUMNS");
  std::from_chars(text.data(), text.data() + text.size(), columns);
  winsize size{};
  if (columns == 0 && ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
    columns = size.ws_col;
  return columns == 0 ? columns_default : std::clamp(columns, columns_min, columns_max);
}

/// Writes everything; 0, or the errno that says why not.
int write_all(int to, std::string_view text) noexcept {
  while (!text.empty()) {
    const auto written = ::write(to, text.data(), text.size());
    if (written < 0 && errno == EINTR)
      continue;
    // Another program left the terminal or pipe non-blocking, and it is full.
    if (written < 0 && errno == EAGAIN) {
      pollfd room{to, POLLOUT, 0};
      ::poll(&room, 1, -1);
      continue;
    }
    if (written < 0)
      return errno;
    text.remove_prefix(static_cast<size_t>(written));
  }
  return 0;
}

std::string_view code_of(paint color) noexcept {
  constexpr std::array<std::string_view, 9> codes{"", "1", "2", "31", "32", "33", "34", "35", "36"};
  return codes[static_cast<size_t>(color)];
}

std::string in_color(paint color, std::string_view text, bool has_colors) {
  if (!has_colors || color == paint::plain || text.empty())
    return std::string(text);
  return "\033[" + std::string(code_of(color)) + "m" + std::string(text) + "\033[0m";
}

/// As the locale has it. What it does not know takes one column: a terminal shows something in its place.
size_t width_of(char32_t point) noexcept {
  const int width = ::wcwidth(static_cast<wchar_t>(point));
  return width < 0 ? 1 : static_cast<size_t>(width);
}

} // namespace

console::console() {
  // A reader that leaves is told by EPIPE; fail() then ends this process as SIGPIPE would have done.
  std::signal(SIGPIPE, SIG_IGN);
  out_is_terminal_ = ::isatty(STDOUT_FILENO) == 1;
  error_is_terminal_ = ::isatty(STDERR_FILENO) == 1;
  const bool colors = variable("NO_COLOR").empty() && variable("TERM") != "dumb";
  out_has_colors_ = out_is_terminal_ && colors;
  error_has_colors_ = error_is_terminal_ && colors;
  unicode_ = take_utf8_locale();
}

size_t console::columns() const noexcept {
  return out_is_terminal_ ? terminal_columns() : SIZE_MAX;
}

size_t console::rows() const noexcept {
  winsize size{};
  if (!out_is_terminal_ || ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0)
    return SIZE_MAX;
  return size.ws_row;
}

std::string console::colored(paint color, std::string_view text) const {
  return in_color(color, text, out_has_colors_);
}

std::string console::colored_error(paint color, std::string_view text) const {
  return in_color(color, text, error_has_colors_);
}

void console::write(std::string_view text) {
  buffer_ += text;
  if (buffer_.size() >= buffer_bytes_max)
    flush();
}

void console::line(std::string_view text) {
  write(text);
  write("\n");
}

void console::flush() {
  const int reason = failure_ == 0 ? write_all(STDOUT_FILENO, buffer_) : 0;
  buffer_.clear();
  if (reason != 0)
    fail(reason);
}

void console::fail(int reason) {
  if (reason == EPIPE) {
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    std::signal(SIGPIPE, SIG_DFL);
    ::sigprocmask(SIG_UNBLOCK, &pipe, nullptr);
    std::raise(SIGPIPE);
  }
  failure_ = reason;
}

void console::write_error(std::string_view text) {
  flush();
  // There is nobody left to tell when this fails.
  static_cast<void>(write_all(STDERR_FILENO, text));
}

void console::complain(std::string_view text) {
  write_error("task-runner: " + std::string(text) + "\n");
}

int console::finish(int code) {
  flush();
  if (failure_ == 0)
    return code;
  complain(std::string("the output cannot be written: ") + std::strerror(failure_));
  return code == exit_done ? exit_refused : code;
}

std::string printable(std::string_view text) {
  if (!is_valid_utf8(text)) {
    std::string ascii(text);
    std::replace_if(
        ascii.begin(), ascii.end(), [](unsigned char byte) { return byte < 0x20 || byte >= 0x7f; }, '?');
    return ascii;
  }
  std::string shown;
  shown.reserve(text.size());
  while (!text.empty()) {
    const auto one = next_point(text);
    if (is_control(one.point))
      shown += one.point == '\n' || one.point == '\t' ? ' ' : '?';
    else
      shown += text.substr(0, one.length);
    text.remove_prefix(one.length);
  }
  return shown;
}

std::string_view first_character(std::string_view text) noexcept {
  return text.substr(0, next_point(text).length);
}

size_t width_of(std::string_view text) noexcept {
  size_t width = 0;
  while (!text.empty()) {
    const auto one = next_point(text);
    width += width_of(one.point);
    text.remove_prefix(one.length);
  }
  return width;
}

std::string clipped(std::string_view text, size_t columns, std::string_view mark) {
  if (width_of(text) <= columns)
    return std::string(text);
  const size_t room = columns - std::min(columns, width_of(mark));
  size_t width = 0;
  size_t bytes = 0;
  while (bytes < text.size()) {
    const auto one = next_point(text.substr(bytes));
    if (width + width_of(one.point) > room)
      break;
    width += width_of(one.point);
    bytes += one.length;
  }
  return std::string(text.substr(0, bytes)) + std::string(mark);
}

std::string padded(std::string_view text, size_t columns) {
  std::string filled(text);
  const size_t width = width_of(text);
  filled.append(columns - std::min(columns, width), ' ');
  return filled;
}

std::string grouped(uint64_t number) {
  auto text = std::to_string(number);
  for (size_t at = text.size(); at > 3; at -= 3)
    text.insert(at - 3, ",");
  return text;
}

std::string short_duration(double seconds) {
  std::array<char, 48> text{};
  const auto whole = static_cast<int64_t>(std::clamp(seconds, 0.0, 1e12));
  const auto print = [&text](const char* form, auto... numbers) {
    std::snprintf(text.data(), text.size(), form, numbers...);
    return std::string(text.data());
  };
  const auto big = [](int64_t number) { return static_cast<long long>(number); };
  if (seconds < 10)
    return print("%.1fs", std::max(seconds, 0.0));
  if (whole < 60)
    return print("%llds", big(whole));
  if (whole < 3'600)
    return print("%lldm%02llds", big(whole / 60), big(whole % 60));
  if (whole < 86'400)
    return print("%lldh%02lldm", big(whole / 3'600), big(whole / 60 % 60));
  return print("%lldd%lldh", big(whole / 86'400), big(whole / 3'600 % 24));
}

} // namespace task_runner::cli
