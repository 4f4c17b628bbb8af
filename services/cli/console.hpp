// What the client writes to: colours and symbols for people at a terminal, plain text for everybody else.
// Nothing that a task or a daemon says reaches a terminal as a control sequence, but for a task's own output.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace task_runner::cli {

enum class paint : uint8_t { plain, bold, dim, red, green, yellow, blue, magenta, cyan };

/// stdout and stderr of this process. One thread.
class console {
public:
  /// Looks at the terminal and at NO_COLOR, TERM and COLUMNS, and takes the process's locale for characters
  /// from the environment.
  console();

  /// Whether stdout (stderr) is a terminal.
  bool is_terminal() const noexcept { return out_is_terminal_; }
  bool errors_are_seen() const noexcept { return error_is_terminal_; }
  /// Whether stdout may have characters beyond ASCII as symbols.
  bool has_symbols() const noexcept { return out_is_terminal_ && unicode_; }
  /// Whether stdout takes colours.
  bool has_colors() const noexcept { return out_has_colors_; }
  /// Width of the terminal, from `columns_min`; without a terminal there is no bound.
  size_t columns() const noexcept;
  /// Height of the terminal; without a terminal there is no bound.
  size_t rows() const noexcept;

  /// The text in a colour, where stdout (stderr) takes any.
  std::string colored(paint color, std::string_view text) const;
  std::string colored_error(paint color, std::string_view text) const;
  /// `symbol` where has_symbols(), else `letters`.
  std::string_view sign(std::string_view symbol, std::string_view letters) const noexcept {
    return has_symbols() ? symbol : letters;
  }

  /// Writes to stdout. What cannot be written is told by finish(); where the reader has left, the process
  /// ends as by SIGPIPE.
  void write(std::string_view text);
  /// The same with a line feed.
  void line(std::string_view text);
  void flush();
  /// Writes to stderr, whole and at once.
  void write_error(std::string_view text);
  /// `task-runner: TEXT` on stderr.
  void complain(std::string_view text);

  /// Flushes; `code`, or `exit_refused` with a complaint where something of stdout was lost.
  int finish(int code);

private:
  void fail(int reason);

  std::string buffer_;
  int failure_ = 0;
  bool out_is_terminal_ = false;
  bool error_is_terminal_ = false;
  bool out_has_colors_ = false;
  bool error_has_colors_ = false;
  bool unicode_ = false;
};

/// Text of others made fit for one line of a terminal: control characters and what is not UTF-8 become `?`.
std::string printable(std::string_view text);

/// The first character of printable text that is not empty, as its bytes.
std::string_view first_character(std::string_view text) noexcept;

/// How many columns printable text takes, in a locale that has its characters, as a console takes it.
size_t width_of(std::string_view text) noexcept;

/// The text cut to so many columns, with a mark where something was cut.
std::string clipped(std::string_view text, size_t columns, std::string_view mark);

/// The text with blanks behind it, so that it takes at least so many columns.
std::string padded(std::string_view text, size_t columns);

/// 312 as it is, 12,345 with its groups.
std::string grouped(uint64_t number);

/// A duration for people: 0.3s, 12s, 4m10s, 2h05m, 3d4h.
std::string short_duration(double seconds);

} // namespace task_runner::cli
