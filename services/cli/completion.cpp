// What can stand in the place of the word that is being typed. Live ids and channels come from the daemon,
// which gets a second to answer; where anything is wrong there are no candidates, and never a message.
#include "services/cli/completion_scripts.hpp"
#include "services/cli/verb_call.hpp"
#include "services/wire/task_options_table.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>
#include <optional>
#include <vector>

namespace task_runner::cli {

namespace {

constexpr std::chrono::milliseconds completion_connect_within{500};
constexpr std::chrono::milliseconds completion_within{1'500};
/// Most tasks that are offered.
constexpr int offered_max = 200;
constexpr size_t description_columns = 60;

constexpr std::array<std::string_view, 10> filter_names{
    "state",        "channel",      "name",          "outcome",    "exit_code",
    "distinct_key", "created_from", "created_until", "ended_from", "ended_until"};
constexpr std::array<std::string_view, 6> states{"pending",  "delayed", "running",
                                                 "finished", "dead",    "cancelled"};
constexpr std::array<std::string_view, 7> outcomes{"exited",    "signalled", "timed_out", "spawn_failed",
                                                   "cancelled", "expired",   "lost"};
/// What has been typed, up to the word that is being typed.
class candidate_finder {
public:
  candidate_finder(verb_call& call, const std::vector<std::string>& words)
      : call_(call)
      , words_(words)
      , current_(words.empty() ? std::string() : words.back()) {}

  void run() {
    if (!pass_flags())
      return; // an address, a token or a file is being typed
    if (words_.size() <= 1) {
      offer_first_words({});
      return;
    }
    size_t name_length = 1;
    const auto* verb = find_verb(words_[0]);
    if (verb == nullptr) {
      if (words_.size() == 2) {
        offer_first_words(words_[0]);
        return;
      }
      verb = find_verb(words_[0] + " " + words_[1]);
      name_length = 2;
    }
    if (verb != nullptr)
      complete_for(*verb, name_length);
  }

private:
  /// Notes flags before the verb and leaves them out; false where the value of one is being typed.
  bool pass_flags() {
    const auto count = std::min(leading_flags(words_), words_.empty() ? 0 : words_.size() - 1);
    for (size_t i = 0; i < count; ++i) {
      const auto& word = words_[i];
      const auto equals = word.find('=');
      const auto dashes = word.find_first_not_of('-');
      const auto* flag = find_flag(verbs().front(), word.substr(dashes, equals - dashes));
      if (flag == nullptr || flag->placeholder.empty())
        continue;
      if (equals == std::string::npos && ++i == count)
        return false;
      note_value(*flag, equals == std::string::npos ? words_[i] : word.substr(equals + 1));
    }
    words_.erase(words_.begin(), words_.begin() + static_cast<std::ptrdiff_t>(count));
    return true;
  }

  void offer(std::string_view word, std::string_view description = {}) {
    if (word.substr(0, current_.size()) != current_ || word.find('\n') != std::string_view::npos)
      return;
    std::string line(word);
    if (!description.empty())
      line += "\t" + clipped(printable(description), description_columns, "...");
    call_.terminal.line(line);
  }

  /// The first words of verbs; with `first` the second ones of those that begin with it.
  void offer_first_words(std::string_view first) {
    std::string last;
    for (const auto& verb : verbs()) {
      const auto space = verb.name.find(' ');
      const auto head = verb.name.substr(0, space);
      if (verb.is_hidden || (!first.empty() && (head != first || space == std::string_view::npos)))
        continue;
      if (!first.empty())
        offer(verb.name.substr(space + 1), verb.summary);
      else if (head != last)
        offer(head,
              space == std::string_view::npos ? verb.summary : "make, change, remove and list channels");
      last = head;
    }
  }

  void complete_for(const verb_row& verb, size_t name_length) {
    const flag_row* awaits_value = nullptr;
    size_t given_words = 0;
    for (size_t i = name_length; i + 1 < words_.size(); ++i) {
      const auto& word = words_[i];
      if (awaits_value != nullptr) {
        note_value(*awaits_value, word);
        awaits_value = nullptr;
      } else if (word == "--") {
        offer_files();
        return;
      } else if (word.size() > 1 && word[0] == '-') {
        const auto equals = word.find('=');
        const auto dashes = word[1] == '-' ? 2U : 1U;
        const auto* flag =
            find_flag(verb, word.substr(dashes, equals == std::string::npos ? equals : equals - dashes));
        if (flag != nullptr && equals != std::string::npos)
          note_value(*flag, word.substr(equals + 1));
        else if (flag != nullptr && !flag->placeholder.empty())
          awaits_value = flag;
      } else {
        ++given_words;
        typed_.push_back(word);
      }
    }
    if (awaits_value != nullptr)
      offer_kind(awaits_value->completes, {});
    else if (!current_.empty() && current_[0] == '-')
      complete_flag(verb);
    else if (given_words < verb.words_max)
      offer_words(verb, given_words);
  }

  void note_value(const flag_row& flag, const std::string& value) {
    if (flag.name == "address")
      address_ = value;
    else if (flag.name == "config")
      config_ = value;
    else if (flag.name == "token")
      token_ = value;
  }

  void complete_flag(const verb_row& verb) {
    const auto equals = current_.find('=');
    if (equals != std::string::npos) {
      const auto dashes = current_.compare(0, 2, "--") == 0 ? 2U : 1U;
      if (const auto* flag = find_flag(verb, current_.substr(dashes, equals - dashes)))
        offer_kind(flag->completes, current_.substr(0, equals + 1));
      return;
    }
    for (const auto& flag : flags_of(verb))
      offer("--" + std::string(flag.name), flag.help);
    if (verb.takes_command)
      offer("--", "the command follows");
  }

  void offer_words(const verb_row& verb, size_t given_words) {
    // The first word of these is a channel, the others are its settings.
    if (verb.completes == completion::channel_settings && given_words == 0) {
      if (verb.name == "channel set")
        offer_kind(completion::channels, {});
      return;
    }
    offer_kind(verb.completes, {});
  }

  void offer_files() { call_.terminal.line(complete_files); }

  void offer_kind(completion kind, const std::string& prefix) {
    switch (kind) {
    case completion::nothing:
      return;
    case completion::files:
      offer_files();
      return;
    case completion::channels:
      offer_channels(prefix);
      return;
    case completion::unfinished_tasks:
      offer_tasks("pending,delayed,running");
      return;
    case completion::running_tasks:
      offer_tasks("running");
      return;
    case completion::retryable_tasks:
      offer_tasks("dead,cancelled");
      return;
    case completion::any_tasks:
      offer_tasks({});
      return;
    case completion::signals:
      for (const int number : {SIGTERM, SIGKILL, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGSTOP, SIGCONT})
        offer(prefix + ::sigabbrev_np(number));
      return;
    case completion::filters:
      offer_filters(prefix);
      return;
    case completion::channel_settings:
      offer_settings();
      return;
    case completion::shells:
      for (const auto* shell : {"bash", "zsh", "fish"})
        offer(shell);
      return;
    case completion::verbs:
      offer_first_words({});
      return;
    }
  }

  void offer_settings() {
    for (const auto name : channel_settings)
      offer(std::string(name) + "=");
    for (const auto& option : single_options())
      if (option.name != "stdin") // of tasks alone
        offer(std::string(option.name) + "=");
    offer("retry_on=");
    for (const auto& limit : limit_options())
      offer("limits." + std::string(limit.name) + "=");
  }

  void offer_filters(const std::string& prefix) {
    for (const auto state : states)
      offer(prefix + "state=" + std::string(state));
    for (const auto outcome : outcomes)
      offer(prefix + "outcome=" + std::string(outcome));
    for (const auto name : filter_names)
      if (name != "state" && name != "outcome")
        offer(prefix + std::string(name) + "=");
    if (current_.compare(0, prefix.size() + 8, prefix + "channel=") == 0)
      offer_channels(prefix + "channel=");
  }

  std::optional<json_value> ask(const std::string& target) {
    auto place = call_.around.find_daemon(address_, config_);
    if (!place || !is_valid_token(token_.value_or(std::string())))
      return std::nullopt;
    if (token_)
      place->token = *token_;
    daemon_api daemon(*place);
    http_call what;
    what.target = target;
    what.connect_within = completion_connect_within;
    what.answer_within = completion_within;
    const auto reply = daemon.call(what);
    if (!reply.is_ok())
      return std::nullopt;
    return reply.data();
  }

  void offer_channels(const std::string& prefix) {
    const auto channels = ask("/api/v1/channels");
    if (!channels)
      return;
    for (const auto& one : (*channels)["items"].items())
      if (!is_typed(one["name"].text()))
        offer(prefix + one["name"].text(),
              one["state"].text() + ", " + std::to_string(one["count"].whole()) + " tasks");
  }

  void offer_tasks(const std::string& of_states) {
    auto target = "/api/v1/tasks?limit=" + std::to_string(offered_max);
    if (!of_states.empty())
      target += "&state=" + of_states;
    const auto tasks = ask(target);
    if (!tasks)
      return;
    for (const auto& task : (*tasks)["items"].items())
      if (!is_typed(task["id"].text()))
        offer(task["id"].text(),
              task["state"].text() + " in " + task["channel"].text() + ": " + task["task_name"].text());
  }

  bool is_typed(const std::string& word) const {
    return std::find(typed_.begin(), typed_.end(), word) != typed_.end();
  }

  verb_call& call_;
  std::vector<std::string> words_;
  const std::string current_;
  std::vector<std::string> typed_;
  std::string address_;
  std::string config_;
  std::optional<std::string> token_;
};

} // namespace

int run_completion(verb_call& call) {
  const auto script = completion_script(call.given.words[0]);
  if (script.empty())
    return call.misuse("there is none for '" + printable(call.given.words[0]) + "'; give bash, zsh or fish");
  call.terminal.write(script);
  return exit_done;
}

int run_complete(verb_call& call) {
  candidate_finder(call, call.given.command).run();
  return exit_done;
}

} // namespace task_runner::cli
