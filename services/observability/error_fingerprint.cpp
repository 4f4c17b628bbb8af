// Finding the line that tells of an error, and taking from it what is of one run alone.
#include "services/observability/error_fingerprint.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

namespace task_runner {

namespace {

bool is_digit(char one) noexcept {
  return one >= '0' && one <= '9';
}

bool is_letter(char one) noexcept {
  return (one >= 'a' && one <= 'z') || (one >= 'A' && one <= 'Z');
}

bool is_hex(char one) noexcept {
  return is_digit(one) || (one >= 'a' && one <= 'f') || (one >= 'A' && one <= 'F');
}

bool is_word(char one) noexcept {
  return is_digit(one) || is_letter(one);
}

bool is_space(char one) noexcept {
  return one == ' ' || one == '\t';
}

bool is_control(char one) noexcept {
  return static_cast<unsigned char>(one) < 0x20 || one == 0x7f;
}

bool starts_with(std::string_view text, std::string_view start) noexcept {
  return text.substr(0, start.size()) == start;
}

std::string_view trimmed(std::string_view text) noexcept {
  while (!text.empty() && is_space(text.front()))
    text.remove_prefix(1);
  while (!text.empty() && is_space(text.back()))
    text.remove_suffix(1);
  return text;
}

/// The end of the escape sequence that begins at `at` (ECMA-48: CSI, OSC and their like, or two bytes).
size_t end_of_escape(std::string_view text, size_t at) noexcept {
  ++at;
  if (at == text.size())
    return at;
  const char kind = text[at++];
  if (kind == '[') {
    while (at < text.size() && (text[at] < 0x40 || text[at] > 0x7e))
      ++at;
    return std::min(at + 1, text.size());
  }
  if (kind != ']' && kind != 'P' && kind != '^' && kind != '_')
    return at;
  // A text up to BEL or ESC \; but never beyond its line.
  while (at < text.size() && text[at] != '\a' && text[at] != '\x1b' && text[at] != '\n')
    ++at;
  if (at < text.size() && text[at] == '\x1b')
    return std::min(at + 2, text.size());
  return at < text.size() && text[at] == '\a' ? at + 1 : at;
}

/// The lines that are not empty, as a terminal would leave them: without colours, and of what overwrites
/// itself the last.
std::vector<std::string> lines_of(std::string_view output) {
  std::vector<std::string> lines;
  std::string line;
  std::string overwritten;
  const auto end_line = [&] {
    const auto text = trimmed(trimmed(line).empty() ? overwritten : line);
    if (!text.empty())
      lines.emplace_back(text);
    line.clear();
    overwritten.clear();
  };
  for (size_t at = 0; at < output.size();) {
    const char one = output[at];
    if (one == '\x1b') {
      at = end_of_escape(output, at);
      continue;
    }
    ++at;
    if (one == '\n') {
      end_line();
    } else if (one == '\r') {
      if (!trimmed(line).empty())
        overwritten = std::move(line);
      line.clear();
    } else if (!is_control(one) || one == '\t') {
      line += one == '\t' ? ' ' : one;
    }
  }
  end_line();
  return lines;
}

/// Whether the line tells where an error was, and not which.
bool is_of_trace(std::string_view line) noexcept {
  constexpr std::array<std::string_view, 16> starts = {
      "at ",          "from ",      "in ",       "File \"",    "thrown in ", "Stack trace",
      "[stacktrace]", "Traceback ", "note:",     "goroutine ", "... ",       "\xe2\x9e\x9c" /* ➜ */,
      "exit status ", "{main}",     "Node.js v", "^"};
  if (std::any_of(starts.begin(), starts.end(),
                  [&](std::string_view start) { return starts_with(line, start); }))
    return true;
  if (line.front() == '#')
    return line.size() > 1 && is_digit(line[1]);
  // "+13 vendor frames", and the numbered lines of a source: "23▕", "23 |".
  size_t at = line.front() == '+' ? 1 : 0;
  const auto digits_from = at;
  while (at < line.size() && is_digit(line[at]))
    ++at;
  if (at == digits_from)
    return false;
  const auto rest = trimmed(line.substr(at));
  return starts_with(rest, "vendor frame") || starts_with(rest, "\xe2\x96\x95") || starts_with(rest, "|");
}

/// Whether the text stands in the line, in any case, not followed by a letter or digit.
bool names(std::string_view line, std::string_view text) noexcept {
  const auto same = [](char left, char right) { return (is_letter(left) ? left | 0x20 : left) == right; };
  for (auto at = line.begin();; ++at) {
    at = std::search(at, line.end(), text.begin(), text.end(), same);
    if (at == line.end())
      return false;
    const auto behind = at + static_cast<std::ptrdiff_t>(text.size());
    if (behind == line.end() || (!is_word(*behind) && *behind != '_'))
      return true;
  }
}

/// Words that only errors have, before those that other lines may have as well.
constexpr std::array<std::string_view, 10> strong_words = {
    "error",    "exception", "fatal",    "panic",     "panicked",
    "uncaught", "unhandled", "critical", "not found", "segmentation fault"};
constexpr std::array<std::string_view, 14> weak_words = {
    "failed",    "failure", "denied",  "cannot",  "unable to", "refused", "no such file or directory",
    "timed out", "killed",  "aborted", "invalid", "undefined", "missing", "interrupt"};

template <size_t N>
bool names_one_of(std::string_view line, const std::array<std::string_view, N>& words) noexcept {
  return std::any_of(words.begin(), words.end(), [&](std::string_view word) { return names(line, word); });
}

/// Whether the line is the name of an exception and nothing else, as frameworks print it above its message.
bool is_exception_name(std::string_view line) noexcept {
  return line.size() <= error_line_bytes_max &&
         names_one_of(line, std::array<std::string_view, 2>{"error", "exception"}) &&
         std::all_of(line.begin(), line.end(),
                     [](char one) {
                       return is_word(one) || one == '_' || one == '\\' || one == '.' || one == ':';
                     }) &&
         line.back() != ':';
}

/// The text, cut to that many bytes where it is longer, between two characters.
std::string_view cut(std::string_view text, size_t bytes_max) noexcept {
  if (text.size() <= bytes_max)
    return text;
  size_t end = bytes_max;
  // Back over what continues a character of UTF-8, at most three bytes; what is none is cut anywhere.
  for (int i = 0; i < 3 && end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80; ++i)
    --end;
  if ((static_cast<unsigned char>(text[end]) & 0xc0) == 0x80)
    end = bytes_max;
  return text.substr(0, end);
}

std::string error_line_of(const std::vector<std::string>& lines) {
  const auto found_by = [&](const auto& is_it) {
    return std::find_if(lines.rbegin(), lines.rend(),
                        [&](const std::string& line) { return !is_of_trace(line) && is_it(line); });
  };
  auto found = found_by([](const std::string& line) { return names_one_of(line, strong_words); });
  if (found == lines.rend())
    found = found_by([](const std::string& line) { return names_one_of(line, weak_words); });
  if (found == lines.rend())
    found = found_by([](const std::string&) { return true; });
  if (found == lines.rend())
    return lines.empty() ? std::string() : lines.back();
  auto line = *found;
  if (found != lines.rbegin() && is_exception_name(line) && !is_of_trace(*std::prev(found)))
    line += ": " + *std::prev(found);
  return std::string(trimmed(cut(line, error_line_bytes_max)));
}

/// The length of a UUID at the front of the text; 0 when there is none.
size_t uuid_length(std::string_view text) noexcept {
  constexpr size_t length = 36;
  if (text.size() < length || (text.size() > length && is_word(text[length])))
    return 0;
  for (size_t i = 0; i < length; ++i)
    if (i == 8 || i == 13 || i == 18 || i == 23 ? text[i] != '-' : !is_hex(text[i]))
      return 0;
  return length;
}

/// Appends letters and digits that stand together: a hash as one, any other without its numbers.
void append_word(std::string& to, std::string_view word) {
  constexpr size_t hash_length_min = 8;
  const bool is_prefixed = starts_with(word, "0x") || starts_with(word, "0X");
  const auto digits = is_prefixed ? word.substr(2) : word;
  const bool all_hex = !digits.empty() && std::all_of(digits.begin(), digits.end(), is_hex);
  const bool all_decimal = std::all_of(word.begin(), word.end(), is_digit);
  const bool has_digit = std::any_of(word.begin(), word.end(), is_digit);
  if (all_hex && !all_decimal && has_digit && (is_prefixed || word.size() >= hash_length_min)) {
    to += "<hex>";
    return;
  }
  for (size_t at = 0; at < word.size();) {
    if (!is_digit(word[at])) {
      to += word[at++];
      continue;
    }
    to += "<n>";
    while (at < word.size() && is_digit(word[at]))
      ++at;
  }
}

/// Takes "1.2.3", "12:30:05" and "1,000" for one number: what follows the first part is left out.
size_t skip_parts_of_number(std::string_view line, size_t at) noexcept {
  while (at + 1 < line.size() && (line[at] == '.' || line[at] == ',' || line[at] == ':') &&
         is_digit(line[at + 1])) {
    size_t end = at + 1;
    while (end < line.size() && is_digit(line[end]))
      ++end;
    if (end < line.size() && is_letter(line[end]))
      break; // "file.php:3rd" is none
    at = end;
  }
  return at;
}

/// The end of what is quoted at `at`, behind the closing quote; 0 when nothing is.
size_t end_of_quoted(std::string_view line, size_t at) noexcept {
  const char quote = line[at];
  if (quote != '"' && quote != '\'' && quote != '`')
    return 0;
  if (quote == '\'' && at > 0 && is_word(line[at - 1]))
    return 0; // an apostrophe
  for (size_t end = at + 1; end < line.size(); ++end) {
    const bool closes = line[end] == quote || (quote == '`' && line[end] == '\'');
    const bool is_apostrophe = line[end] == '\'' && end + 1 < line.size() && is_word(line[end + 1]);
    if (closes && !is_apostrophe)
      return end + 1;
  }
  return 0;
}

/// FNV-1a, 64 bits: it need not withstand anybody.
uint64_t hash_of(std::string_view text) noexcept {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char one : text) {
    hash ^= static_cast<unsigned char>(one);
    hash *= 0x100000001b3;
  }
  return hash;
}

std::string hexadecimal(uint64_t number) {
  constexpr char digits[] = "0123456789abcdef";
  std::string text(16, '0');
  for (size_t i = text.size(); i-- > 0; number >>= 4)
    text[i] = digits[number & 0xf];
  return text;
}

} // namespace

std::string normalized_error(std::string_view line) {
  std::string normal;
  for (size_t at = 0; at < line.size();) {
    const char one = line[at];
    if (is_space(one)) {
      if (!normal.empty() && normal.back() != ' ')
        normal += ' ';
      ++at;
    } else if (const auto quoted_until = end_of_quoted(line, at); quoted_until != 0) {
      normal += "<text>";
      at = quoted_until;
    } else if (!is_word(one)) {
      normal += one;
      ++at;
    } else if (const auto length = uuid_length(line.substr(at)); length != 0) {
      normal += "<uuid>";
      at += length;
    } else {
      auto end = at;
      while (end < line.size() && is_word(line[end]))
        ++end;
      const auto word = line.substr(at, end - at);
      append_word(normal, word);
      at = is_digit(word.back()) ? skip_parts_of_number(line, end) : end;
    }
  }
  return std::string(trimmed(cut(normal, error_line_bytes_max)));
}

error_fingerprint fingerprint_of(std::string_view output_end) {
  error_fingerprint found;
  found.line = error_line_of(lines_of(output_end));
  if (!found.line.empty())
    found.hash = hexadecimal(hash_of(normalized_error(found.line)));
  return found;
}

} // namespace task_runner
