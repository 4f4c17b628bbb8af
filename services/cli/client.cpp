// From words to a verb's exit code: finds the verb, takes its words apart, finds the daemon, calls.
#include "services/cli/client.hpp"

#include "services/cli/advice.hpp"
#include "services/cli/help.hpp"
#include "services/cli/verb_call.hpp"
#include "services/domain/spelling.hpp"

#include <algorithm>
#include <exception>
#include <optional>
#include <utility>

namespace task_runner::cli {

namespace {

/// The first words of all verbs that are shown, each once.
std::vector<std::string_view> first_words() {
  std::vector<std::string_view> words;
  for (const auto& verb : verbs())
    if (const auto first = verb.name.substr(0, verb.name.find(' '));
        !verb.is_hidden && std::find(words.begin(), words.end(), first) == words.end())
      words.push_back(first);
  return words;
}

/// The verb that the words begin with, and how many of them are its name; null where there is none.
std::pair<const verb_row*, size_t> find_called(const std::vector<std::string>& words) {
  if (words.size() > 1)
    if (const auto* verb = find_verb(words[0] + " " + words[1]))
      return {verb, 2};
  return {find_verb(words[0]), 1};
}

/// What follows `channel` in all verbs of two words that begin with it.
std::string second_words(std::string_view first) {
  std::string list;
  for (const auto& verb : verbs())
    if (verb.name.size() > first.size() && verb.name.substr(0, first.size()) == first &&
        verb.name[first.size()] == ' ')
      list += (list.empty() ? "" : ", ") + std::string(verb.name.substr(first.size() + 1));
  return list;
}

bool is_verb(std::string_view word) {
  if (find_verb(word) != nullptr)
    return true;
  return !word.empty() && word.front() != '-' && !second_words(word).empty();
}

int refuse(console& terminal, const std::string& message) {
  terminal.complain(message);
  return exit_misuse;
}

int run_verb(console& terminal, const verb_row& verb, const std::vector<std::string>& words,
             const client_surroundings& around) {
  auto given = parse_arguments_of(verb, words);
  if (!given)
    return refuse(terminal, given.failure().message);
  if (given->is_set("help")) {
    terminal.write(verb_help(verb));
    return exit_done;
  }
  verb_call call{verb, *given, around, terminal, nullptr};
  if (!is_valid_token(given->text("token")))
    return refuse(terminal, "the token holds blanks or characters beyond ASCII; give it as it was made");
  std::optional<daemon_api> daemon;
  if (verb.needs_daemon) {
    auto place = call.find_daemon();
    if (!place)
      return refuse(terminal, place.failure().message);
    daemon.emplace(std::move(*place));
    call.daemon = &*daemon;
  }
  return verb.run(call);
}

} // namespace

result<daemon_place> verb_call::find_daemon() const {
  auto place = around.find_daemon(given.text("address"), given.text("config"));
  if (place && given.has("token"))
    place->token = given.text("token");
  return place;
}

bool is_valid_token(std::string_view token) noexcept {
  return std::all_of(token.begin(), token.end(),
                     [](unsigned char byte) { return byte > 0x20 && byte < 0x7f; });
}

int verb_call::fail(const api_reply& reply, std::string_view about) const {
  const bool names = !about.empty() && reply.status != 0 && reply.message.find(about) == std::string::npos;
  terminal.complain((names ? printable(about) + ": " : std::string()) + refusal_text(reply, about));
  if (reply.status == 0)
    return exit_unreachable;
  return reply.status == 404 ? exit_unknown : exit_refused;
}

int verb_call::misuse(const std::string& what) const {
  terminal.complain(std::string(verb.name) + ": " + what);
  return exit_misuse;
}

bool calls_client(const std::vector<std::string>& words) {
  const auto count = leading_flags(words);
  if (count < words.size() && is_verb(words[count]))
    return true;
  // --config is the daemon's, too; the others are not, so that a verb is missing or mistyped.
  const auto end = words.begin() + static_cast<std::ptrdiff_t>(count);
  return std::any_of(words.begin(), end, [](const std::string& word) {
    const auto name = word.find_first_not_of('-');
    return name != 0 && name != std::string::npos && word.compare(name, 6, "config") != 0;
  });
}

std::string unknown_verb_message(std::string_view word) {
  const auto names = first_words();
  std::string list;
  for (const auto name : names)
    list += (list.empty() ? "" : ", ") + std::string(name);
  auto meant = verb_of_others(word);
  if (meant.empty())
    meant = nearest_name(word, names);
  constexpr size_t shown_columns = 80;
  return "command line: '" + clipped(printable(word), shown_columns, "...") +
         "' is neither a flag nor a verb" +
         (meant.empty() ? std::string() : ", perhaps " + std::string(meant) + " is meant") +
         "; flags of the daemon begin with a dash (task-runner -help), verbs are " + list +
         " (task-runner help)";
}

int run_client(const std::vector<std::string>& given, const client_surroundings& around) {
  console terminal;
  const auto flags = leading_flags(given);
  if (flags == given.size())
    return refuse(terminal, "a verb is missing; task-runner help lists them");
  const std::vector<std::string> words(given.begin() + static_cast<std::ptrdiff_t>(flags), given.end());
  const auto [verb, name_length] = find_called(words);
  if (verb == nullptr) {
    const auto seconds = second_words(words[0]);
    const bool asks_for_help =
        words.size() > 1 && (words[1] == "--help" || words[1] == "-help" || words[1] == "-h");
    if (seconds.empty() && flags > 0 && words[0].substr(0, 1) == "-")
      return refuse(terminal, "there is no flag " + printable(words[0]) +
                                  " that every verb has; write it behind the verb");
    if (seconds.empty())
      return refuse(terminal, unknown_verb_message(words[0]));
    if (!asks_for_help)
      return refuse(terminal,
                    words[0] + ": behind it stands one of " + seconds + "; see task-runner help " + words[0]);
    terminal.write(verbs_help(words[0]));
    return terminal.finish(exit_done);
  }
  // Flags before the verb are taken as if they stood behind it.
  std::vector<std::string> rest(given.begin(), given.begin() + static_cast<std::ptrdiff_t>(flags));
  rest.insert(rest.end(), words.begin() + static_cast<std::ptrdiff_t>(name_length), words.end());
  return terminal.finish(run_verb(terminal, *verb, rest, around));
}

} // namespace task_runner::cli
