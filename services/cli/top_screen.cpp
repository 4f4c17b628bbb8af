// ncurses: it knows the terminal, sends differences, and takes keys apart.
#include "services/cli/top_screen.hpp"

#include "services/cli/console.hpp"
#include "services/domain/code_points.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cwchar>
#include <langinfo.h>
#include <string_view>
#include <sys/ioctl.h>
#include <unistd.h>

// Its macros would replace ordinary names.
#define NCURSES_NOMACROS 1
#define NCURSES_WIDECHAR 1
#include <ncurses.h>

namespace task_runner::cli {

namespace {

/// So long an Esc may be the beginning of another key, milliseconds.
constexpr int escape_ms = 25;
constexpr size_t hues = 9;
constexpr wint_t control_l = 12;
constexpr wint_t escape_code = 27;
constexpr wint_t delete_code = 127;

/// Most code points of one cell, with the end.
constexpr size_t points_max = 6;

/// A cell's text as the library takes it.
std::array<wchar_t, points_max> wide(std::string_view text) {
  std::array<wchar_t, points_max> points{};
  for (size_t i = 0; i + 1 < points.size() && !text.empty(); ++i) {
    const auto one = next_point(text);
    text.remove_prefix(one.length);
    points[i] = static_cast<wchar_t>(one.point);
  }
  return points;
}

std::string utf8(wint_t point) {
  std::string text;
  const auto add = [&text](unsigned byte) { text += static_cast<char>(byte); };
  if (point < 0x80) {
    add(point);
  } else if (point < 0x800) {
    add(0xc0U | (point >> 6U));
    add(0x80U | (point & 0x3fU));
  } else if (point < 0x10000) {
    add(0xe0U | (point >> 12U));
    add(0x80U | ((point >> 6U) & 0x3fU));
    add(0x80U | (point & 0x3fU));
  } else {
    add(0xf0U | (point >> 18U));
    add(0x80U | ((point >> 12U) & 0x3fU));
    add(0x80U | ((point >> 6U) & 0x3fU));
    add(0x80U | (point & 0x3fU));
  }
  return text;
}

top_key::kind named_key(wint_t code) {
  switch (code) {
  case KEY_UP:
    return top_key::kind::up;
  case KEY_DOWN:
    return top_key::kind::down;
  case KEY_LEFT:
    return top_key::kind::left;
  case KEY_RIGHT:
    return top_key::kind::right;
  case KEY_PPAGE:
    return top_key::kind::page_up;
  case KEY_NPAGE:
    return top_key::kind::page_down;
  case KEY_HOME:
    return top_key::kind::home;
  case KEY_END:
    return top_key::kind::end;
  case KEY_BTAB:
    return top_key::kind::back_tab;
  case KEY_ENTER:
    return top_key::kind::enter;
  case KEY_BACKSPACE:
    return top_key::kind::erase;
  default:
    return top_key::kind::none;
  }
}

top_key typed_key(wint_t code) {
  switch (code) {
  case '\t':
    return {top_key::kind::tab, {}};
  case '\r':
  case '\n':
    return {top_key::kind::enter, {}};
  case '\b':
  case delete_code:
    return {top_key::kind::erase, {}};
  case escape_code:
    return {top_key::kind::escape, {}};
  case control_l:
    return {top_key::kind::redraw, {}};
  default:
    break;
  }
  if (code < 0x20 || (code >= 0x80 && code < 0xa0))
    return {};
  return {top_key::kind::character, utf8(code)};
}

error refusal(const std::string& message) {
  return {error_code::invalid_argument, message};
}

} // namespace

result<std::unique_ptr<top_screen>> top_screen::open(bool wants_unicode, bool wants_colors) {
  const char* type = std::getenv("TERM");
  const std::string kind = type == nullptr ? std::string() : printable(type);
  if (kind.empty() || kind == "dumb")
    return refusal("it takes a terminal on which a cursor can be moved, and TERM is " +
                   (kind.empty() ? std::string("not set") : kind) + "; status --watch does without");
  // The locale is the console's to set; the library goes by it, too.
  const bool unicode = wants_unicode && std::string_view(::nl_langinfo(CODESET)) == "UTF-8";
  ::set_escdelay(escape_ms);
  ::use_env(FALSE);
  ::use_tioctl(TRUE);
  SCREEN* screen = ::newterm(type, stdout, stdin);
  if (screen == nullptr)
    return refusal("nothing is known here of the terminal TERM=" + kind +
                   "; set another TERM, such as xterm");
  if (::tigetstr("cup") == nullptr) {
    ::endwin();
    ::delscreen(screen);
    return refusal("the terminal TERM=" + kind + " cannot move its cursor; status --watch does without");
  }
  return std::unique_ptr<top_screen>(new top_screen(unicode, wants_colors, screen));
}

top_screen::top_screen(bool unicode, bool colors, void* screen)
    : unicode_(unicode)
    , colors_(colors)
    , screen_(screen)
    , pairs_(hues * hues) {
  ::cbreak();
  ::noecho();
  ::nonl();
  ::intrflush(stdscr, FALSE);
  ::keypad(stdscr, TRUE);
  ::nodelay(stdscr, TRUE);
  ::curs_set(0);
  colors_ = colors_ && ::has_colors() && ::start_color() == OK && ::use_default_colors() == OK;
  resize();
}

top_screen::~top_screen() {
  ::endwin();
  ::delscreen(static_cast<SCREEN*>(screen_));
}

void top_screen::resize() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0)
    ::resizeterm(size.ws_row, size.ws_col);
  rows_ = static_cast<size_t>(std::max(1, ::getmaxy(stdscr)));
  columns_ = static_cast<size_t>(std::max(1, ::getmaxx(stdscr)));
}

void top_screen::redraw() {
  ::clearok(stdscr, TRUE);
}

short top_screen::pair_of(const look& style) {
  if (!colors_ || (style.ink == hue::none && style.ground == hue::none))
    return 0;
  const auto number = static_cast<size_t>(style.ink) * hues + static_cast<size_t>(style.ground);
  if (number >= static_cast<size_t>(COLOR_PAIRS))
    return 0;
  if (!pairs_[number]) {
    // `none` is -1 for the library, the terminal's own colour.
    ::init_pair(static_cast<short>(number), static_cast<short>(static_cast<int>(style.ink) - 1),
                static_cast<short>(static_cast<int>(style.ground) - 1));
    pairs_[number] = true;
  }
  return static_cast<short>(number);
}

void top_screen::draw(const cell_grid& grid) {
  ::werase(stdscr);
  for (size_t row = 0; row < std::min(rows_, grid.rows()); ++row) {
    for (size_t column = 0; column < std::min(columns_, grid.columns()); ++column) {
      const auto& one = grid.at(row, column);
      if (one.text.empty() || (one.text == " " && one.style == plain_look))
        continue;
      attr_t attributes = A_NORMAL;
      attributes |= one.style.bold ? A_BOLD : A_NORMAL;
      attributes |= one.style.dim ? A_DIM : A_NORMAL;
      attributes |= one.style.underlined ? A_UNDERLINE : A_NORMAL;
      attributes |= one.style.reversed ? A_REVERSE : A_NORMAL;
      auto points = wide(one.text);
      // What the C library would draw in another width than was reckoned with would shift the row.
      if (points[0] >= 0x80 && (!unicode_ || ::wcwidth(points[0]) != static_cast<int>(width_of(one.text))))
        points = {L'?', L'\0'};
      cchar_t drawn{};
      ::setcchar(&drawn, points.data(), attributes, pair_of(one.style), nullptr);
      ::mvwadd_wch(stdscr, static_cast<int>(row), static_cast<int>(column), &drawn);
    }
  }
  ::wrefresh(stdscr);
}

top_key top_screen::read_key(bool& is_pending) {
  wint_t code = 0;
  const int kind = ::wget_wch(stdscr, &code);
  is_pending = kind != ERR;
  if (kind == ERR)
    return {};
  if (kind == KEY_CODE_YES)
    return {named_key(code), {}};
  return typed_key(code);
}

} // namespace task_runner::cli
