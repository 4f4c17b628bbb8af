// The daemon words its refusals for those who call its API; what it names of it is put in other words here.
#include "services/cli/advice.hpp"

#include "services/cli/console.hpp"
#include "services/cli/daemon_api.hpp"
#include "services/cli/task_view.hpp"

#include <algorithm>
#include <array>

namespace task_runner::cli {

namespace {

constexpr size_t line_columns_max = 200;
constexpr std::string_view no_channel = "there is no channel ";

struct other_word {
  std::string_view word;
  std::string_view here;
};

constexpr std::array<other_word, 17> other_words{{{"ls", "status or channel list"},
                                                  {"list", "status or channel list"},
                                                  {"ps", "status"},
                                                  {"log", "output"},
                                                  {"logs", "output"},
                                                  {"cat", "output"},
                                                  {"tail", "follow"},
                                                  {"rm", "cancel"},
                                                  {"delete", "cancel"},
                                                  {"dead", "status --filter state=dead"},
                                                  {"start", "resume"},
                                                  {"stats", "top"},
                                                  {"run", "push"},
                                                  {"add", "push"},
                                                  {"shutdown", "stop"},
                                                  {"quit", "stop"},
                                                  {"channels", "channel list"}}};

/// Whether it may have been copied from a place that shows a part of an id.
bool is_piece_of_id(std::string_view text) noexcept {
  return !text.empty() && text.size() < generated_id_length &&
         text.find_first_not_of("0123456789abcdefABCDEF-") == std::string_view::npos;
}

} // namespace

std::string shell_word(std::string_view word) {
  constexpr std::string_view plain =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/=:,+@%";
  if (!word.empty() && word.front() != '~' && word.find_first_not_of(plain) == std::string_view::npos)
    return std::string(word);
  std::string quoted = "'";
  for (const char one : printable(word))
    if (one == '\'')
      quoted += "'\\''";
    else
      quoted += one;
  return quoted + "'";
}

std::string shell_line(const std::vector<std::string>& words) {
  std::string line;
  for (const auto& word : words)
    line += (line.empty() ? "" : " ") + shell_word(word);
  return clipped(line, line_columns_max, "...");
}

std::string_view verb_of_others(std::string_view word) noexcept {
  const auto* found = std::find_if(other_words.begin(), other_words.end(),
                                   [word](const other_word& one) { return one.word == word; });
  return found == other_words.end() ? std::string_view() : found->here;
}

std::string refusal_text(std::string_view message) {
  if (message.substr(0, no_channel.size()) != no_channel)
    return printable(message);
  const auto name = message.substr(no_channel.size(), message.find(';') - no_channel.size());
  return printable(message.substr(0, no_channel.size() + name.size())) + "; task-runner channel add " +
         shell_word(name) + " makes it, task-runner channel list shows those that are there";
}

std::string refusal_text(const api_reply& reply, std::string_view about) {
  if (reply.status != 404)
    return printable(reply.message);
  auto text = refusal_text(reply.message);
  if (is_piece_of_id(about) && reply.message.find("task") != std::string::npos)
    text += "; give the whole id, as push and task-runner status print it";
  return text;
}

} // namespace task_runner::cli
