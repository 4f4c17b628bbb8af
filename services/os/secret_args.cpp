// The kernel shows the memory the arguments were put in at exec. Overwriting a password there would still
// show its length; so the line is written anew as a process title: when the last byte of that memory is not
// NUL, the kernel shows what stands before the first NUL and nothing else.
#include "services/os/secret_args.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

namespace task_runner {

namespace {

constexpr std::array<std::string_view, 2> secret_flags{"redis-password", "password"};
// Literals, hence ended by NUL as unsetenv() needs it.
constexpr std::array<std::string_view, 2> secret_variables{"TASK_RUNNER_REDIS_PASSWORD",
                                                           "TASK_RUNNER_PASSWORD"};
constexpr std::string_view mask = "***";

/// Overwrites memory that nothing reads afterwards, which a compiler would otherwise leave alone.
void wipe(char* begin, size_t length) noexcept {
  ::explicit_bzero(begin, length);
}

/// The flag's name without its dashes and its value; empty when the word is no flag.
std::string_view flag_name(std::string_view word) {
  if (word.size() < 2 || word[0] != '-')
    return {};
  word.remove_prefix(word[1] == '-' ? 2 : 1);
  return word.substr(0, word.find('='));
}

bool is_secret_flag(std::string_view word) {
  for (const auto& name : secret_flags)
    if (flag_name(word) == name)
      return true;
  return false;
}

/// The command line as it may be shown, and whether anything had to be left out.
struct shown_line {
  std::string text;
  bool changed = false;
};

shown_line mask_arguments(int argc, char* const* argv) {
  shown_line line;
  bool next_is_secret = false;
  for (int i = 0; i < argc; ++i) {
    const std::string_view word = argv[i];
    line.text += i == 0 ? "" : " ";
    // An empty value is none: there is nothing to hide, and no room for a mask.
    if (next_is_secret) {
      line.text += word.empty() ? word : mask;
      line.changed = line.changed || !word.empty();
      next_is_secret = false;
    } else if (i > 0 && is_secret_flag(word)) {
      const size_t equals = word.find('=');
      line.text += word.substr(0, equals);
      if (equals == std::string_view::npos) {
        next_is_secret = true;
      } else {
        const bool empty = equals + 1 == word.size();
        line.text += '=';
        line.text += empty ? std::string_view() : mask;
        line.changed = line.changed || !empty;
      }
    } else {
      line.text += word;
    }
  }
  return line;
}

/// How far the arguments lie one behind the other, as the kernel puts them.
char* end_of_contiguous(int argc, char* const* argv) {
  char* end = argv[0] + std::strlen(argv[0]) + 1;
  for (int i = 1; i < argc && argv[i] == end; ++i)
    end += std::strlen(argv[i]) + 1;
  return end;
}

void scrub_arguments(int argc, char** argv) {
  if (argc < 2 || argv == nullptr || argv[0] == nullptr)
    return;
  const shown_line line = mask_arguments(argc, argv);
  if (!line.changed)
    return;
  char* const begin = argv[0];
  char* const end = end_of_contiguous(argc, argv);
  // Arguments that somebody has moved elsewhere are not shown by the kernel, but wiped all the same.
  for (int i = 1; i < argc; ++i)
    if (argv[i] < begin || argv[i] >= end)
      wipe(argv[i], std::strlen(argv[i]));
  const auto room = static_cast<size_t>(end - begin);
  wipe(begin, room);
  if (room < 2)
    return;
  // A password shorter than its mask leaves too little room: cut the title, never the NUL behind it.
  const size_t length = std::min(line.text.size(), room - 2);
  std::copy_n(line.text.data(), length, begin); // what follows is NUL
  end[-1] = ' ';
  for (int i = 1; i < argc; ++i)
    argv[i] = begin + length; // the empty text
}

} // namespace

void scrub_secrets(int argc, char** argv) {
  scrub_arguments(argc, argv);
  for (const std::string_view name : secret_variables) {
    // A variable may stand there twice. Its text, name and all, lies in the memory that the kernel shows.
    std::vector<char*> entries;
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry)
      if (std::strncmp(*entry, name.data(), name.size()) == 0 && (*entry)[name.size()] == '=')
        entries.push_back(*entry);
    ::unsetenv(name.data());
    for (char* entry : entries)
      wipe(entry, std::strlen(entry));
  }
}

} // namespace task_runner
