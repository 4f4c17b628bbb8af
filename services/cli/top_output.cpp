// A small machine for the sequences of ECMA-48. Of control sequences only SGR (colours) and EL (erase the
// line) mean anything here; strings (titles, links) are skipped whole.
#include "services/cli/top_output.hpp"

#include "services/cli/console.hpp"
#include "services/domain/names.hpp"

#include <algorithm>

namespace task_runner::cli {

namespace {

constexpr size_t tab_columns = 8;
constexpr size_t parameters_max = 64;
constexpr unsigned code_max = 999;

/// The nearest of the eight colours; each part is 0 to 255.
hue nearest_hue(unsigned red, unsigned green, unsigned blue) noexcept {
  constexpr unsigned half = 128;
  const auto bits = (red >= half ? 1U : 0U) | (green >= half ? 2U : 0U) | (blue >= half ? 4U : 0U);
  return static_cast<hue>(1 + bits);
}

/// A colour of the palette of 256.
hue palette_hue(unsigned number) noexcept {
  if (number < 16)
    return static_cast<hue>(1 + number % 8);
  if (number >= 232) {
    const unsigned grey = 8 + 10 * (number - 232);
    return nearest_hue(grey, grey, grey);
  }
  const unsigned cube = number - 16;
  const auto part = [](unsigned step) { return step == 0 ? 0 : 55 + 40 * step; };
  return nearest_hue(part(cube / 36), part(cube / 6 % 6), part(cube % 6));
}

std::vector<unsigned> codes_of(const std::string& parameters) {
  std::vector<unsigned> codes{0};
  for (const char one : parameters) {
    if (one == ';' || one == ':')
      codes.push_back(0);
    else if (one >= '0' && one <= '9')
      codes.back() = std::min(codes.back() * 10 + static_cast<unsigned>(one - '0'), code_max);
  }
  return codes;
}

/// Where a line that is broken goes on: below the second column of what looks like a table, else a bit to the
/// right.
size_t indent_of(std::string_view line, size_t columns) {
  constexpr size_t table_columns_max = 20;
  const auto begin = std::min(line.find_first_not_of(' '), line.size());
  auto indent = begin + 2;
  if (const auto gap = line.find("  ", begin); gap != std::string_view::npos)
    if (const auto second = line.find_first_not_of(' ', gap); second <= table_columns_max)
      indent = second;
  return std::min(indent, columns / 2);
}

/// The length of a sequence that the text begins with; 0: it begins with none.
size_t sequence_length(std::string_view text) noexcept {
  if (text.substr(0, 2) != "\033[")
    return 0;
  return std::min(text.find_first_not_of("0123456789;:", 2), text.size() - 1) + 1;
}

void append_broken(std::string& into, std::string_view line, size_t columns) {
  const std::string next_row = "\n" + std::string(indent_of(line, columns), ' ');
  size_t column = 0;
  // The last blank of the row, and the column behind it.
  size_t blank = std::string::npos;
  size_t behind_blank = 0;
  while (!line.empty()) {
    const auto sequence = sequence_length(line);
    const auto one = sequence > 0 ? line.substr(0, sequence) : first_character(line);
    const auto width = sequence > 0 ? 0 : width_of(one);
    line.remove_prefix(one.size());
    if (column + width > columns) {
      const bool is_blank = one == " ";
      if (!is_blank && blank != std::string::npos) {
        into.replace(blank, 1, next_row);
        column = next_row.size() - 1 + column - behind_blank;
      } else {
        into += next_row;
        column = next_row.size() - 1;
      }
      blank = std::string::npos;
      if (is_blank)
        continue;
    } else if (one == " " && column >= next_row.size() - 1) {
      blank = into.size();
      behind_blank = column + 1;
    }
    into += one;
    column += width;
  }
}

} // namespace

std::string broken_lines(std::string_view text, size_t columns) {
  std::string broken;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    append_broken(broken, text.substr(0, end), columns);
    broken += end < text.size() ? "\n" : "";
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return broken;
}

void output_line::draw(cell_grid& onto, size_t row, size_t column, size_t skipped, size_t room) const {
  std::string_view rest = text;
  size_t at = 0;
  size_t next = 0;
  look style;
  while (!rest.empty()) {
    while (next < looks.size() && looks[next].from <= at)
      style = looks[next++].style;
    const auto one = first_character(rest);
    const size_t width = width_of(one);
    rest.remove_prefix(one.size());
    at += one.size();
    if (skipped > 0) {
      skipped -= std::min(skipped, width);
      continue;
    }
    if (width > room)
      return;
    // Marks that combine go with the characters before them, so both are put at once.
    const char* begin = one.data();
    size_t bytes = one.size();
    while (!rest.empty() && width_of(first_character(rest)) == 0) {
      const auto mark = first_character(rest).size();
      bytes += mark;
      at += mark;
      rest.remove_prefix(mark);
    }
    const auto end = onto.put(row, column, std::string_view(begin, bytes), style, room);
    room -= end - column;
    column = end;
  }
}

void output_text::clear() {
  *this = output_text();
}

void output_text::append(std::string_view bytes) {
  for (const char one : bytes)
    take(one);
}

output_line& output_text::open_line() {
  if (!line_is_open_) {
    if (lines_.size() >= output_lines_max) {
      lines_.pop_front();
      ++dropped_;
    }
    lines_.emplace_back();
    line_is_open_ = true;
  }
  return lines_.back();
}

void output_text::end_line() {
  open_line();
  line_is_open_ = false;
  returns_ = false;
}

void output_text::write(std::string_view character) {
  if (line_is_open_ && returns_)
    lines_.back() = {};
  returns_ = false;
  if (line_is_open_ && lines_.back().text.size() + character.size() > output_line_bytes_max)
    end_line();
  auto& line = open_line();
  const look known = line.looks.empty() ? plain_look : line.looks.back().style;
  if (!(known == style_))
    line.looks.push_back({line.text.size(), style_});
  line.text += character;
}

/// Writes the character that was gathered; what is no UTF-8, or steers a terminal, becomes `?`.
void output_text::end_character() {
  if (character_.empty())
    return;
  const bool is_whole = character_.size() == character_bytes_ && is_valid_utf8(character_);
  write(is_whole ? printable(character_) : "?");
  character_.clear();
}

void output_text::take(char one) {
  const auto byte = static_cast<unsigned char>(one);
  switch (state_) {
  case state::text:
    take_text(one);
    return;
  case state::escape:
    if (one == '[') {
      state_ = state::control_sequence;
      parameters_.clear();
    } else if (one == ']' || one == 'P' || one == 'X' || one == '^' || one == '_') {
      state_ = state::string;
    } else if (byte < 0x20 || byte > 0x2f) {
      state_ = state::text; // all others have one more byte, or some of 0x20 to 0x2f before it
    }
    return;
  case state::control_sequence:
    if (byte >= 0x40 && byte <= 0x7e)
      end_sequence(one);
    else if (byte == 0x1b)
      state_ = state::escape;
    else if (byte < 0x20 || byte >= 0x7f)
      state_ = state::text;
    else if (parameters_.size() < parameters_max)
      parameters_ += one;
    return;
  case state::string:
    if (byte == 0x07 || one == '\n')
      state_ = state::text;
    else if (byte == 0x1b)
      state_ = state::string_escape;
    return;
  case state::string_escape:
    state_ = one == '\\' ? state::text : state::string;
    return;
  }
}

void output_text::take_text(char one) {
  const auto byte = static_cast<unsigned char>(one);
  if (byte >= 0x80) {
    const bool continues = (byte & 0xc0U) == 0x80;
    if (!continues) {
      end_character();
      character_bytes_ = byte < 0xc2 || byte > 0xf4 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
    } else if (character_.empty()) {
      character_bytes_ = 1;
    }
    character_ += one;
    if (character_.size() >= character_bytes_)
      end_character();
    return;
  }
  end_character();
  if (byte == 0x1b) {
    state_ = state::escape;
  } else if (one == '\n') {
    end_line();
  } else if (one == '\r') {
    returns_ = true;
  } else if (one == '\t') {
    const size_t column = line_is_open_ && !returns_ ? width_of(lines_.back().text) : 0;
    write(std::string(tab_columns - column % tab_columns, ' '));
  } else if (one == '\b' && line_is_open_ && !lines_.back().text.empty()) {
    auto& text = lines_.back().text;
    size_t last = text.size() - 1;
    while (last > 0 && (static_cast<unsigned char>(text[last]) & 0xc0U) == 0x80)
      --last;
    text.erase(last);
    auto& looks = lines_.back().looks;
    while (!looks.empty() && looks.back().from > text.size())
      looks.pop_back();
  } else if (byte >= 0x20 && byte != 0x7f) {
    write(std::string_view(&one, 1));
  }
}

void output_text::end_sequence(char last) {
  state_ = state::text;
  const bool is_private = !parameters_.empty() && parameters_.front() >= '<' && parameters_.front() <= '?';
  if (is_private)
    return;
  if (last == 'm')
    set_colours();
  else if (last == 'K' && line_is_open_ && (returns_ || parameters_ == "2"))
    lines_.back() = {};
}

/// Reads what stands behind 38 or 48; gives the place of its last code.
size_t output_text::read_colour(const std::vector<unsigned>& codes, size_t at, hue& into) const {
  if (at + 2 < codes.size() && codes[at + 1] == 5) {
    into = palette_hue(std::min(codes[at + 2], 255U));
    return at + 2;
  }
  if (at + 4 < codes.size() && codes[at + 1] == 2) {
    into = nearest_hue(codes[at + 2], codes[at + 3], codes[at + 4]);
    return at + 4;
  }
  return codes.size();
}

void output_text::set_colours() {
  const auto codes = codes_of(parameters_);
  for (size_t i = 0; i < codes.size(); ++i) {
    const auto code = codes[i];
    if (code == 0)
      style_ = {};
    else if (code == 1)
      style_.bold = true;
    else if (code == 2)
      style_.dim = true;
    else if (code == 4)
      style_.underlined = true;
    else if (code == 7)
      style_.reversed = true;
    else if (code == 22)
      style_.bold = style_.dim = false;
    else if (code == 24)
      style_.underlined = false;
    else if (code == 27)
      style_.reversed = false;
    else if (code >= 30 && code <= 37)
      style_.ink = static_cast<hue>(1 + code - 30);
    else if (code >= 90 && code <= 97)
      style_.ink = static_cast<hue>(1 + code - 90);
    else if (code == 39)
      style_.ink = hue::none;
    else if (code >= 40 && code <= 47)
      style_.ground = static_cast<hue>(1 + code - 40);
    else if (code >= 100 && code <= 107)
      style_.ground = static_cast<hue>(1 + code - 100);
    else if (code == 49)
      style_.ground = hue::none;
    else if (code == 38)
      i = read_colour(codes, i, style_.ink);
    else if (code == 48)
      i = read_colour(codes, i, style_.ground);
  }
}

} // namespace task_runner::cli
