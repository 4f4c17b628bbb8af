// A small reader of words. What it refuses it explains in one line that names the flag.
#include "services/cli/arguments.hpp"

#include "services/cli/advice.hpp"
#include "services/cli/console.hpp"
#include "services/domain/spelling.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace task_runner::cli {

namespace {

/// As much of a word stands in a message.
constexpr size_t word_columns_max = 80;

error misuse(const verb_row& verb, const std::string& what) {
  return {error_code::invalid_argument,
          std::string(verb.name) + ": " + what + "; see task-runner " + std::string(verb.name) + " --help"};
}

/// A word taken apart: `-name`, `--name`, each with or without `=value`.
struct flag_word {
  std::string_view name;
  std::optional<std::string_view> value;
};

/// Nothing when the word is no flag at all; `-` alone is a word.
std::optional<flag_word> split_flag(std::string_view word) {
  if (word.size() < 2 || word[0] != '-')
    return std::nullopt;
  word.remove_prefix(word[1] == '-' ? 2 : 1);
  const auto equals = word.find('=');
  flag_word flag{word.substr(0, equals), std::nullopt};
  if (flag.name.empty())
    return std::nullopt;
  if (equals != std::string_view::npos)
    flag.value = word.substr(equals + 1);
  return flag;
}

bool is_switch(std::string_view text, bool& value) {
  for (const std::string_view yes : {"true", "1", "yes", "on"})
    if (text == yes) {
      value = true;
      return true;
    }
  for (const std::string_view no : {"false", "0", "no", "off"})
    if (text == no) {
      value = false;
      return true;
    }
  return false;
}

/// The call with `--` before its first word that belongs to no flag, for who has forgotten it.
std::string with_dashes(const verb_row& verb, const std::vector<std::string>& words, size_t first_word) {
  const auto command = words.begin() + static_cast<std::ptrdiff_t>(first_word);
  // What a token is stays where it was typed.
  const bool has_token = std::any_of(words.begin(), command, [](const std::string& word) {
    const auto flag = split_flag(word);
    return flag && flag->name == "token";
  });
  std::vector<std::string> line{"task-runner", std::string(verb.name)};
  if (has_token)
    line.emplace_back("...");
  else
    line.insert(line.end(), words.begin(), command);
  line.emplace_back("--");
  line.insert(line.end(), command, words.end());
  return "a command stands behind --: " + shell_line(line);
}

class word_reader {
public:
  word_reader(const verb_row& verb, const std::vector<std::string>& words)
      : verb_(verb)
      , words_(words) {}

  result<arguments> read() {
    while (at_ < words_.size()) {
      const auto& word = words_[at_++];
      if (word == "--") {
        given_.has_command = true;
        given_.command.assign(words_.begin() + static_cast<std::ptrdiff_t>(at_), words_.end());
        break;
      }
      const auto flag = split_flag(word);
      if (!flag) {
        if (given_.words.empty())
          first_word_ = at_ - 1;
        given_.words.push_back(word);
        continue;
      }
      if (auto taken = take_flag(word, *flag); !taken)
        return taken.failure();
    }
    return std::move(given_);
  }

  /// Of the words, the place of the first one that belongs to no flag.
  size_t first_word() const noexcept { return first_word_; }

private:
  result<void> take_flag(const std::string& word, const flag_word& flag) {
    const auto* row = find_flag(verb_, flag.name);
    if (row == nullptr)
      return unknown(std::string_view(word).substr(0, word.find('=')), flag.name);
    const std::string shown = "--" + std::string(row->name);
    std::string value;
    if (row->placeholder.empty()) {
      bool on = true;
      if (flag.value && !is_switch(*flag.value, on))
        return misuse(verb_, shown + " takes no value but true or false");
      value = on ? "true" : "false";
    } else if (flag.value) {
      value = *flag.value;
    } else {
      // The next word is the value even when it begins with a dash, unless it is a flag: then it was
      // forgotten.
      const auto next = at_ < words_.size() ? split_flag(words_[at_]) : std::nullopt;
      if (at_ == words_.size() || words_[at_] == "--" || (next && find_flag(verb_, next->name) != nullptr))
        return misuse(verb_, shown + " lacks its value; give " + shown + " " + std::string(row->placeholder));
      value = words_[at_++];
    }
    auto& values = given_.flags[std::string(row->name)];
    if (!values.empty() && !row->may_repeat)
      return misuse(verb_, shown + " is given twice; give it once");
    values.push_back(std::move(value));
    return {};
  }

  error unknown(std::string_view typed, std::string_view name) const {
    const auto none = "there is no flag " + printable(typed);
    // It is probably the command's.
    if (verb_.takes_command && !given_.words.empty())
      return misuse(verb_, none + "; " + with_dashes(verb_, words_, first_word_));
    std::vector<std::string_view> names;
    for (const auto& row : flags_of(verb_))
      names.push_back(row.name);
    const auto meant = nearest_name(name, names);
    return misuse(verb_,
                  none + (meant.empty() ? std::string() : ", perhaps --" + std::string(meant) + " is meant"));
  }

  const verb_row& verb_;
  const std::vector<std::string>& words_;
  size_t at_ = 0;
  size_t first_word_ = 0;
  arguments given_;
};

} // namespace

bool arguments::is_set(std::string_view name) const {
  return text(name) == "true";
}

std::string arguments::text(std::string_view name) const {
  const auto found = flags.find(name);
  return found == flags.end() ? std::string() : found->second.back();
}

std::vector<std::string> arguments::texts(std::string_view name) const {
  const auto found = flags.find(name);
  return found == flags.end() ? std::vector<std::string>() : found->second;
}

size_t leading_flags(const std::vector<std::string>& words) {
  size_t count = 0;
  while (count < words.size()) {
    const auto flag = split_flag(words[count]);
    const auto common = common_flags();
    const auto* row = std::find_if(common.begin(), common.end(),
                                   [&](const flag_row& one) { return flag && one.name == flag->name; });
    if (row == common.end() || row->name == "help")
      return count;
    count += row->placeholder.empty() || flag->value ? 1 : 2;
  }
  return std::min(count, words.size());
}

result<arguments> parse_arguments_of(const verb_row& verb, const std::vector<std::string>& words) {
  word_reader reader(verb, words);
  auto given = reader.read();
  if (!given || given->is_set("help"))
    return given;
  if (given->has_command && !verb.takes_command) {
    // Elsewhere `--` only says that no flag follows.
    given->words.insert(given->words.end(), given->command.begin(), given->command.end());
    given->command.clear();
  }
  if (given->words.size() < verb.words_min)
    return misuse(verb, "something is missing; usage: task-runner " + std::string(verb.name) + " " +
                            std::string(verb.synopsis));
  if (given->words.size() > verb.words_max)
    return misuse(verb, "'" + clipped(printable(given->words[verb.words_max]), word_columns_max, "...") +
                            "' is one word too many" +
                            (verb.takes_command ? "; " + with_dashes(verb, words, reader.first_word())
                                                : std::string()));
  return given;
}

} // namespace task_runner::cli
