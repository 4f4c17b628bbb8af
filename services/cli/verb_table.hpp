// The one table of verbs: their words, flags and help, what completes them, and who carries them out.
// Parser, help, manual page and completions are all made of it, so none of them can fall behind.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace task_runner::cli {

struct verb_call;

/// What can stand where a word or a flag's value is typed.
enum class completion : uint8_t {
  nothing,
  files,
  channels,
  /// Ids of tasks that are pending, delayed or running.
  unfinished_tasks,
  running_tasks,
  /// Ids of tasks that are dead or cancelled.
  retryable_tasks,
  any_tasks,
  signals,
  filters,
  channel_settings,
  shells,
  verbs,
};

struct flag_row {
  std::string_view name;
  /// A second spelling, one letter; may be empty.
  std::string_view letter;
  /// What stands for the value; empty: the flag takes none.
  std::string_view placeholder;
  std::string_view help;
  completion completes = completion::nothing;
  bool may_repeat = false;
};

/// Some rows of a table.
struct flag_rows {
  const flag_row* first = nullptr;
  size_t count = 0;
  const flag_row* begin() const noexcept { return first; }
  const flag_row* end() const noexcept { return first + count; }
};

struct verb_row {
  /// One word, or two as in "channel add".
  std::string_view name;
  /// What stands behind the name.
  std::string_view synopsis;
  /// One line.
  std::string_view summary;
  /// Further paragraphs of its help, separated by empty lines.
  std::string_view text;
  flag_rows own_flags;
  size_t words_min = 0;
  size_t words_max = 0;
  /// Whether `--` begins a command.
  bool takes_command = false;
  /// Whether it is of no use without the daemon's address.
  bool needs_daemon = true;
  /// Not listed.
  bool is_hidden = false;
  completion completes = completion::nothing;
  /// Carries it out; gives the exit code.
  int (*run)(verb_call& call) = nullptr;
};

/// All verbs, in the order of the help.
const std::vector<verb_row>& verbs();

/// The row of a verb by its whole name, or null.
const verb_row* find_verb(std::string_view name);

/// The flags that every verb has.
flag_rows common_flags() noexcept;

/// All flags of a verb, its own first.
std::vector<flag_row> flags_of(const verb_row& verb);

/// The flag of that name or letter, or null.
const flag_row* find_flag(const verb_row& verb, std::string_view name);

} // namespace task_runner::cli
