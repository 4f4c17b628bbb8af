// Completion in real shells: verbs, flags, live ids and channels.
// Each shell loads the script that the binary prints, and is asked what it offers.
#include "test/e2e/api_support.hpp"
#include "test/e2e/cli_support.hpp"
#include "test/e2e/cli_terminal.hpp"

#include <algorithm>
#include <filesystem>

using namespace task_runner::test;

namespace {

/// A directory with the binary under its own name, as PATH has it.
std::string path_with_binary(const test_daemon& runner) {
  const auto bin = runner.path("bin");
  std::filesystem::create_directory(bin);
  std::filesystem::create_symlink(task_runner_binary(), bin + "/task-runner");
  return bin + ":" + std::getenv("PATH");
}

variables surroundings_of(const test_daemon& runner, const std::string& path) {
  return {{"TASK_RUNNER_ADDRESS", address_of(runner)},
          {"PATH", path},
          {"HOME", runner.home()},
          {"LC_ALL", "C.UTF-8"}};
}

/// A daemon with a few things to complete.
class stage {
public:
  stage()
      : runner_(idle())
      , path_(path_with_binary(runner_)) {
    runner_.create_channel("mail");
    runner_.create_channel("maintenance");
    push_json(runner_, {{"task", "echo x"}, {"channel", "mail"}, {"id", "order:17"}});
    push_json(runner_, {{"task", "echo y"}, {"channel", "mail"}, {"id", "order:18"}});
    push_json(runner_, {{"task", "echo z"}, {"channel", "mail"}, {"id", "ended"}});
    data_of(runner_, "POST", "/api/v1/tasks/ended/cancel");
  }

  test_daemon& runner() { return runner_; }
  variables surroundings() const { return surroundings_of(runner_, path_); }

  /// What the binary itself offers.
  std::vector<std::string> offered(std::vector<std::string> words) {
    words.insert(words.begin(), {"__complete", "--"});
    std::vector<std::string> candidates;
    for (const auto& line : lines_of(called(runner_, 0, words)))
      candidates.push_back(line.substr(0, line.find('\t')));
    std::sort(candidates.begin(), candidates.end());
    return candidates;
  }

  run_result run_shell(const std::vector<std::string>& argv) const {
    process_options start;
    start.argv = argv;
    start.environment = surroundings();
    return run_process(start);
  }

private:
  static daemon_options idle() {
    daemon_options options;
    options.flags = {"-task-mode=false"};
    return options;
  }

  test_daemon runner_;
  std::string path_;
};

using words = std::vector<std::string>;

} // namespace

TEST_CASE("candidates are verbs, flags, and live ids and channels") {
  stage stage;
  CHECK(stage.offered({"pu"}) == words{"push"});
  CHECK(stage.offered({"channel", ""}) == words{"add", "list", "rm", "set"});
  CHECK(stage.offered({"pause", "ma"}) == words{"mail", "maintenance"});
  CHECK(stage.offered({"pause", "mail", "ma"}) == words{"maintenance"});
  CHECK(stage.offered({"push", "--chan"}) == words{"--channel"});
  CHECK(stage.offered({"push", "-c", "mai"}) == words{"mail", "maintenance"});
  CHECK(stage.offered({"push", "--channel=mai"}) == words{"--channel=mail", "--channel=maintenance"});
  CHECK(stage.offered({"cancel", ""}) == words{"order:17", "order:18"});
  CHECK(stage.offered({"retry", ""}) == words{"ended"});
  CHECK(stage.offered({"status", "e"}) == words{"ended"});
  CHECK(stage.offered({"status", "--filter", "state=d"}) == words{"state=dead", "state=delayed"});
  CHECK(stage.offered({"status", "--filter", "channel=mai"}) == words{"channel=mail", "channel=maintenance"});
  CHECK(stage.offered({"kill", "-s", "US"}) == words{"USR1", "USR2"});
  CHECK(stage.offered({"channel", "set", "mail", "wor"}) == words{"worker="});
  CHECK(stage.offered({"completion", ""}) == words{"bash", "fish", "zsh"});
  CHECK(stage.offered({"push", "--", "l"}) == words{":files"});
  CHECK(stage.offered({"nonsense", ""}).empty());
  // Flags may stand before the verb.
  CHECK(stage.offered({"--json", "sto"}) == words{"stop"});
  CHECK(stage.offered({"--json", "pause", "mail", "ma"}) == words{"maintenance"});
  CHECK(stage.offered({"--address", "127.0.0.1:1", "pause", "ma"}).empty());
  CHECK(stage.offered({"--address", "s"}).empty());
  // Where there is no daemon there are no live names, and no word of complaint.
  const auto alone = call(stage.runner(), {"__complete", "--", "pause", "--address", "127.0.0.1:1", "m"});
  CHECK(alone.end == process_end{true, 0});
  CHECK(alone.output.empty());
  CHECK(alone.error_output.empty());
  refused_call(stage.runner(), 2, {"completion", "tcsh"}, "bash, zsh or fish");
}

TEST_CASE("bash completes words, also those that it takes apart") {
  stage stage;
  const auto replies = [&](const std::string& line, const std::string& comp_words) {
    const auto ran = stage.run_shell(
        {"bash", "--norc", "-c",
         "source <(task-runner completion bash); COMP_LINE='" + line +
             "'; COMP_POINT=${#COMP_LINE}; COMP_WORDS=(" + comp_words +
             "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _task_runner; printf '%s\\n' \"${COMPREPLY[@]}\""});
    INFO(line << "\n" << ran.output << ran.error_output);
    CHECK(ran.end == process_end{true, 0});
    CHECK(ran.error_output.empty());
    auto lines = lines_of(ran.output);
    std::sort(lines.begin(), lines.end());
    return lines;
  };
  CHECK(replies("task-runner dra", "task-runner dra") == words{"drain"});
  CHECK(replies("task-runner pause ", "task-runner pause ''") ==
        words{"biz", "cron", "default", "mail", "maintenance"});
  CHECK(replies("task-runner push --channel=mail", "task-runner push --channel = mail") == words{"mail"});
  CHECK(replies("task-runner push --channel=", "task-runner push --channel =").size() == 5);
  CHECK(replies("task-runner cancel order:1", "task-runner cancel order : 1") == words{"17", "18"});
  CHECK(replies("task-runner cancel order:17 ord", "task-runner cancel order : 17 ord") == words{"order:18"});
}

TEST_CASE("bash completes at a terminal") {
  stage stage;
  terminal_process bash({"bash", "--norc", "--noprofile", "-i"}, stage.surroundings());
  bash.type("PS1='rea''dy> '; source <(task-runner completion bash)\n");
  REQUIRE(bash.wait_text("ready> "));
  bash.type("task-runner pause maint\t");
  CHECK(bash.wait_text("task-runner pause maintenance "));
  bash.type("\x15"
            "task-runner cancel order:17 ord\t");
  CHECK(bash.wait_text("task-runner cancel order:17 order:18 "));
  bash.type("\x15"
            "exit\n");
  bash.wait();
}

TEST_CASE("fish completes words") {
  stage stage;
  if (stage.run_shell({"fish", "--version"}).end.code != 0) {
    WARN("fish is not installed; its completion was not tried");
    return;
  }
  const auto offered = [&](const std::string& line) {
    const auto ran = stage.run_shell(
        {"fish", "--no-config", "-c", "task-runner completion fish | source; complete -C '" + line + "'"});
    INFO(line << "\n" << ran.output << ran.error_output);
    CHECK(ran.end == process_end{true, 0});
    words candidates;
    for (const auto& one : lines_of(ran.output))
      candidates.push_back(one.substr(0, one.find('\t')));
    std::sort(candidates.begin(), candidates.end());
    return candidates;
  };
  CHECK(offered("task-runner pause ma") == words{"mail", "maintenance"});
  CHECK(offered("task-runner cancel order:1") == words{"order:17", "order:18"});
  CHECK(offered("task-runner push --channel=mai") == words{"--channel=mail", "--channel=maintenance"});
}

TEST_CASE("zsh completes at a terminal") {
  stage stage;
  if (stage.run_shell({"zsh", "--version"}).end.code != 0) {
    WARN("zsh is not installed; its completion was not tried");
    return;
  }
  const auto functions = stage.runner().path("functions");
  std::filesystem::create_directory(functions);
  write_file(functions + "/_task-runner", called(stage.runner(), 0, {"completion", "zsh"}));
  terminal_process zsh({"zsh", "-f", "-i"}, stage.surroundings());
  zsh.type("fpath=(" + functions + " $fpath); autoload -U compinit; compinit -u -D; PS1='ready''> '\n");
  REQUIRE(zsh.wait_text("ready> "));
  zsh.type("task-runner pause maint\t");
  CHECK(zsh.wait_text("maintenance"));
  zsh.type("\x15"
           "task-runner cancel order:\t\t");
  CHECK(zsh.wait_text("order:18"));
  CHECK(zsh.wait_text("order:17"));
  zsh.type("\x15"
           "exit\n");
  zsh.wait();
}
