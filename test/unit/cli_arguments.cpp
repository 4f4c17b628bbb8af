// Words of a call taken apart by the table of its verb.
#include "services/cli/arguments.hpp"
#include "services/cli/push_body.hpp"
#include "services/wire/task_options_table.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <set>

using namespace task_runner;
using namespace task_runner::cli;

namespace {

arguments must_parse(std::string_view verb, const std::vector<std::string>& words) {
  const auto given = parse_arguments_of(*find_verb(verb), words);
  INFO((given ? std::string() : given.failure().message));
  REQUIRE(given);
  return *given;
}

std::string refusal(std::string_view verb, const std::vector<std::string>& words) {
  const auto given = parse_arguments_of(*find_verb(verb), words);
  REQUIRE_FALSE(given);
  CHECK(given.failure().code == error_code::invalid_argument);
  CHECK(given.failure().message.find('\n') == std::string::npos);
  CHECK(given.failure().message.find("task-runner " + std::string(verb)) != std::string::npos);
  return given.failure().message;
}

} // namespace

TEST_CASE("cli: flags are understood in all their forms") {
  for (const auto& words : std::vector<std::vector<std::string>>{{"--channel", "mail", "--json"},
                                                                 {"--channel=mail", "--json=true"},
                                                                 {"-channel", "mail", "-json"},
                                                                 {"-channel=mail", "-json=on"},
                                                                 {"-c", "mail", "--json"},
                                                                 {"-c=mail", "--json=1"}}) {
    CAPTURE(words);
    const auto given = must_parse("status", words);
    CHECK(given.text("channel") == "mail");
    CHECK(given.is_set("json"));
    CHECK(given.words.empty());
  }
  CHECK_FALSE(must_parse("status", {"--json=false"}).is_set("json"));
  CHECK(must_parse("status", {"--channel="}).has("channel"));
  CHECK(must_parse("status", {"a", "--json", "b"}).words == std::vector<std::string>{"a", "b"});
  CHECK(must_parse("status", {"--filter", "a=b", "--filter=c=d"}).texts("filter") ==
        std::vector<std::string>{"a=b", "c=d"});
}

TEST_CASE("cli: behind -- every word is the command's") {
  const auto given = must_parse("push", {"-c", "mail", "--", "a", "--", "--json", "-c", ""});
  CHECK(given.has_command);
  CHECK(given.command == std::vector<std::string>{"a", "--", "--json", "-c", ""});
  CHECK_FALSE(given.is_set("json"));
  // Elsewhere it only ends the flags.
  CHECK(must_parse("status", {"--json", "--", "--x"}).words == std::vector<std::string>{"--x"});
  // A value may begin with a dash, as long as it is no flag.
  CHECK(must_parse("push", {"--priority", "-5", "--", "a"}).text("priority") == "-5");
}

TEST_CASE("cli: what is wrong is refused with a hint") {
  CHECK(refusal("status", {"--chanel", "x"}).find("perhaps --channel is meant") != std::string::npos);
  CHECK(refusal("status", {"--zzzzzz"}).find("perhaps") == std::string::npos);
  CHECK(refusal("status", {"--channel"}).find("--channel NAME") != std::string::npos);
  CHECK(refusal("status", {"--channel", "--json"}).find("--channel NAME") != std::string::npos);
  CHECK(refusal("status", {"-c", "a", "--channel", "b"}).find("twice") != std::string::npos);
  CHECK(refusal("status", {"--json=maybe"}).find("true or false") != std::string::npos);
  CHECK(refusal("push", {"date"}).find("behind --") != std::string::npos);
  CHECK(refusal("wait", {}).find("usage") != std::string::npos);
  CHECK(refusal("status", {"--\033[31m"}).find('\033') == std::string::npos);
  // Who asks for help is not told what else is wrong.
  CHECK(must_parse("wait", {"--help"}).is_set("help"));
}

TEST_CASE("cli: who forgets -- is shown the line with it") {
  CHECK(refusal("push", {"ls", "-la"})
            .find("flag -la; a command stands behind --: task-runner push -- ls -la;") != std::string::npos);
  CHECK(refusal("push", {"-c", "mail", "echo", "it's", "$HOME"})
            .find("task-runner push -c mail -- echo 'it'\\''s' '$HOME';") != std::string::npos);
  CHECK(refusal("push", {"git", "checkout", "--", "a"}).find("task-runner push -- git checkout -- a;") !=
        std::string::npos);
  const auto secret = refusal("push", {"--token", "open-sesame", "date"});
  CHECK(secret.find("task-runner push ... -- date;") != std::string::npos);
  CHECK(secret.find("open-sesame") == std::string::npos);
  CHECK(refusal("push", {std::string(5'000, 'x')}).size() < 500);
  CHECK(refusal("push", {"echo", "\033[31m\n"}).find_first_of("\033\n") == std::string::npos);
}

TEST_CASE("cli: flags in front of a verb are counted with their values") {
  CHECK(leading_flags({}) == 0);
  CHECK(leading_flags({"status", "--json"}) == 0);
  CHECK(leading_flags({"--address", "a:1", "status"}) == 2);
  CHECK(leading_flags({"-address=a:1", "--json", "-token", "t", "push"}) == 4);
  CHECK(leading_flags({"--address"}) == 1);
  // Help is asked of the daemon there; others belong to one verb or to the daemon.
  CHECK(leading_flags({"--help", "status"}) == 0);
  CHECK(leading_flags({"--json", "--wait", "push"}) == 1);
  CHECK(leading_flags({"-redis-host", "x", "status"}) == 0);
}

TEST_CASE("cli: the table of verbs is sound") {
  std::set<std::string_view> names;
  for (const auto& verb : verbs()) {
    CAPTURE(verb.name);
    CHECK(names.insert(verb.name).second);
    CHECK(verb.run != nullptr);
    CHECK(verb.words_min <= verb.words_max);
    CHECK((verb.is_hidden || !verb.summary.empty()));
    std::set<std::string_view> flags;
    for (const auto& flag : flags_of(verb)) {
      CAPTURE(flag.name);
      CHECK(flags.insert(flag.name).second);
      CHECK((flag.letter.empty() || (flag.letter.size() == 1 && flags.insert(flag.letter).second)));
      CHECK_FALSE(flag.help.empty());
    }
  }
}

TEST_CASE("cli: every option of a task is a flag of push, and is read") {
  const auto flags = option_flags();
  const auto is_flag = [&](std::string_view name) {
    std::string flag(name);
    std::replace(flag.begin(), flag.end(), '_', '-');
    return std::find(flags.begin(), flags.end(), flag) != flags.end();
  };
  for (const auto& option : single_options()) {
    CAPTURE(std::string(option.name));
    CHECK((option.name == "stdin" || is_flag(option.name) || is_flag(option.alias)));
  }
  CHECK(is_flag("retry_on"));
  CHECK(is_flag("env"));
  for (const auto& flag : flags)
    CHECK(find_flag(*find_verb("push"), flag) != nullptr);

  const auto body = read_push_body(
      must_parse("push", {"--jitter", "0.25", "--backoff-max-s", "90", "--timeout", "2m", "--", "true"}));
  REQUIRE(body);
  CHECK(body->options.jitter == 0.25);
  CHECK(body->options.backoff_max_ms == 90'000);
  CHECK(body->options.timeout_ms == 120'000);
  const auto wrong = read_push_body(must_parse("push", {"--jitter", "often", "--", "true"}));
  REQUIRE_FALSE(wrong);
  CHECK(wrong.failure().message.find("--jitter: ") == 0);
}
