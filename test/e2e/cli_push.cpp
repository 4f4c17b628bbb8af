// `push` of the command-line client: one command, exactly as it was given, and the codes it ends with.
#include "test/e2e/api_support.hpp"
#include "test/e2e/cli_support.hpp"
#include "test/e2e/cli_terminal.hpp"
#include "test/e2e/gate.hpp"

using namespace task_runner::test;
using json = nlohmann::json;

TEST_CASE("push prints the id alone, and the command gets its words exactly") {
  test_daemon runner;
  const auto id =
      pushed(runner, {"--", "printf", "%s\\n", "a b", "", "$HOME; *", "--wait", "-c", "\xc3\xa4"});
  CHECK(runner.settled(id).at("state") == "finished");
  CHECK(runner.output(id) == "a b\n\n$HOME; *\n--wait\n-c\n\xc3\xa4\n");
  CHECK(runner.task(id).at("command") ==
        json{{"name", "printf"}, {"args", {"%s\\n", "a b", "", "$HOME; *", "--wait", "-c", "\xc3\xa4"}}});
}

TEST_CASE("push --shell has a shell read the line") {
  test_daemon runner;
  const auto id = pushed(runner, {"--shell", "echo \"one  two\" | tr a-z A-Z && printf %s end"});
  CHECK(runner.settled(id).at("state") == "finished");
  CHECK(runner.output(id) == "ONE  TWO\nend");
  const auto named = pushed(runner, {"--shell", "echo x", "--name", "a name"});
  CHECK(runner.task(named).at("task_name") == "a name");
  CHECK(runner.task(named).at("command") == "echo x");
}

TEST_CASE("flags of push say what members of a push say") {
  daemon_options options;
  options.flags = {"-task-mode=false"};
  test_daemon runner(options);
  runner.create_channel("plain");
  const auto id = pushed(runner, {"-c",
                                  "plain",
                                  "--id",
                                  "order:1",
                                  "--name=mail",
                                  "--priority",
                                  "-5",
                                  "--timeout=5m",
                                  "--grace",
                                  "2",
                                  "--expires",
                                  "1d",
                                  "--max-attempts=4",
                                  "--backoff",
                                  "linear",
                                  "--backoff-s",
                                  "1500ms",
                                  "--retry-on",
                                  "1,75",
                                  "--delivery",
                                  "at-most-once",
                                  "--distinct-key",
                                  "d",
                                  "--concurrency-key",
                                  "k",
                                  "--concurrency-max",
                                  "2",
                                  "-e",
                                  "LANG=C",
                                  "-e",
                                  "X=a=b",
                                  "--cwd",
                                  "/tmp",
                                  "--nice",
                                  "3",
                                  "--umask",
                                  "027",
                                  "--limit",
                                  "memory=64M",
                                  "--limit=processes=99",
                                  "--",
                                  "true"});
  CHECK(id == "order:1");
  const auto task = runner.task(id);
  CHECK(task.at("channel") == "plain");
  CHECK(task.at("task_name") == "mail");
  CHECK(task.at("distinct_key") == "d");
  CHECK(task.at("options") == json{{"priority", -5},
                                   {"max_attempts", 4},
                                   {"backoff", "linear"},
                                   {"backoff_s", 1.5},
                                   {"retry_on", {1, 75}},
                                   {"timeout_s", 300},
                                   {"grace_s", 2},
                                   {"expires_s", 86'400},
                                   {"delivery", "at-most-once"},
                                   {"concurrency_key", "k"},
                                   {"concurrency_max", 2},
                                   {"env", {{"LANG", "C"}, {"X", "a=b"}}},
                                   {"cwd", "/tmp"},
                                   {"nice", 3},
                                   {"umask", "027"},
                                   {"limits", {{"memory", 67'108'864}, {"processes", 99}}}});
  CHECK(runner.task(pushed(runner, {"--delay", "1h", "--", "true"})).at("state") == "delayed");
  CHECK(runner.task(pushed(runner, {"--at", "2099-01-31T12:00:00Z", "--", "true", "1"})).at("execute_at") ==
        "2099-01-31T12:00:00.000Z");
  CHECK(runner.task(pushed(runner, {"--at", "4073544000", "--", "true", "2"})).at("execute_at") ==
        "2099-01-31T12:00:00.000Z");
}

TEST_CASE("push --stdin gives standard input to the command") {
  test_daemon runner;
  const auto id = trimmed(called(runner, 0, {"push", "--stdin", "--", "tr", "a-z", "A-Z"}, "some\ninput"));
  CHECK(runner.settled(id).at("state") == "finished");
  CHECK(runner.output(id) == "SOME\nINPUT");
  const auto ran = call(runner, {"push", "--stdin", "--", "cat"}, std::string(1'048'577, 'x'));
  CHECK(ran.end == process_end{true, 2});
  CHECK(ran.error_output.find("1 MiB") != std::string::npos);
}

TEST_CASE("a duplicate is no error, and answered with the task that is there") {
  daemon_options options;
  options.flags = {"-task-mode=false"};
  test_daemon runner(options);
  const auto first = pushed(runner, {"--", "echo", "once"});
  const auto again = call(runner, {"push", "--", "echo", "once"});
  CHECK(again.output == first + "\n");
  CHECK(again.error_output ==
        "task-runner: " + first +
            " is there already (same command in channel default); nothing was pushed\n");
  pushed(runner, {"--id", "mine", "--", "echo", "mine"});
  CHECK(call(runner, {"push", "--id", "mine", "--", "echo", "mine"}).error_output ==
        "task-runner: mine is there already; nothing was pushed\n");
  const auto as_json = call(runner, {"push", "--json", "--", "echo", "once"});
  CHECK(as_json.error_output.empty());
  const auto told = json::parse(as_json.output);
  CHECK(told.at("result") == false);
  CHECK(told.at("task_id") == first);
  CHECK(told.at("state") == "pending");
}

TEST_CASE("push --wait and --follow end as the command did") {
  test_daemon runner;
  runner.create_channel("plain");
  const auto push = [&](int code, std::vector<std::string> words) {
    words.insert(words.begin(), {"push", "-c", "plain"});
    return called(runner, code, words);
  };
  for (const std::string flag : {"--wait", "--follow"}) {
    CAPTURE(flag);
    push(0, {flag, "--", "true"});
    push(7, {flag, "--", "sh", "-c", "exit 7"});
    push(143, {flag, "--", "sh", "-c", "kill -TERM $$"});
    push(137, {flag, "--", "sh", "-c", "kill -KILL $$"});
    push(124, {flag, "--timeout", "200ms", "--", "sleep", "100"});
    push(1, {flag, "--", "/no/such/program"});
    push(5, {flag, "--max-attempts", "2", "--backoff-s", "10ms", "--", "sh", "-c", "exit 5"});
  }
  const auto waited = push(3, {"--wait", "--", "sh", "-c", "echo unseen; exit 3"});
  CHECK(runner.task(trimmed(waited)).at("state") == "dead"); // the id, and nothing else
  CHECK(push(3, {"--follow", "--", "sh", "-c", "printf 'seen\\n without end'; exit 3"}) ==
        "seen\n without end");
  const auto failed = call(runner, {"push", "--wait", "--", "/no/such/program"});
  CHECK(failed.error_output.find("could not be started") != std::string::npos);
}

TEST_CASE("what push is given wrongly is refused before anything is pushed") {
  test_daemon runner;
  for (const auto& [words, says] : std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{"push"}, "--shell"},
           {{"push", "--"}, "--"},
           {{"push", "date"}, "task-runner push -- date;"},
           {{"push", "-w", "echo", "hi you"}, "task-runner push -w -- echo 'hi you';"},
           {{"push", "ls", "-la"},
            "there is no flag -la; a command stands behind --: task-runner push -- ls -la;"},
           {{"push", "--", "echo hi"}, "task-runner push --shell 'echo hi'"},
           {{"push", "--", "a | b"}, "one word with blanks"},
           {{"push", "--stdin-list", "--", "echo hi"}, "write its words apart"},
           {{"push", "--shell", ""}, "--shell"},
           {{"push", "--shell", "a", "--", "b"}, "--shell"},
           {{"push", "--shell"}, "--shell LINE"},
           {{"push", "--chanel", "x", "--", "a"}, "--channel"},
           {{"push", "-c", "a b", "--", "a"}, "--channel"},
           {{"push", "-c", "", "--", "a"}, "--channel"},
           {{"push", "--id", "a/b", "--", "a"}, "--id"},
           {{"push", "--id", "a", "--id", "b", "--", "a"}, "twice"},
           {{"push", "--delay", "soon", "--", "a"}, "--delay"},
           {{"push", "--at", "noon", "--", "a"}, "--at"},
           {{"push", "--at", "4073544000", "--delay", "1", "--", "a"}, "--at"},
           {{"push", "--priority", "1001", "--", "a"}, "--priority"},
           {{"push", "--max-attempts", "many", "--", "a"}, "--max-attempts"},
           {{"push", "--limit", "memory", "--", "a"}, "--limit"},
           {{"push", "--limit", "mem=1", "--", "a"}, "--limit"},
           {{"push", "-e", "novalue", "--", "a"}, "--env"},
           {{"push", "--wait=perhaps", "--", "a"}, "--wait"},
           {{"push", "--patience", "1", "--", "a"}, "--patience"},
           {{"push", "--stdin-list", "--id", "a"}, "--id"},
           {{"push", "--stdin-list", "--wait"}, "--wait"},
           {{"push", "--stdin-list", "--shell", "a"}, "--shell"},
           {{"push", "--", "printf", "\xff"}, "UTF-8"}})
    refused_call(runner, 2, words, says);
  CHECK(data_of(runner, "GET", "/api/v1/tasks").at("items").empty());
}

TEST_CASE("what the daemon refuses has its code and its words") {
  test_daemon runner;
  refused_call(runner, 4, {"push", "-c", "none", "--", "true"},
               "there is no channel none; task-runner channel add none makes it");
  pushed(runner, {"--id", "mine", "--", "true"});
  refused_call(runner, 1, {"push", "--id", "mine", "--", "echo", "other"}, "mine");
  std::vector<std::string> too_many{"push", "--"};
  too_many.insert(too_many.end(), 4'097, "x");
  refused_call(runner, 1, too_many, "4096");
}

TEST_CASE("one word that may be a line of a shell is pushed with a remark where a program may be called so") {
  daemon_options options;
  options.flags = {"-task-mode=false"};
  test_daemon runner(options);
  for (const std::string word : {"/opt/my program", "./my program", "a|b"}) {
    const auto ran = call(runner, {"push", "--", word});
    CAPTURE(word, ran.error_output);
    CHECK(ran.end == process_end{true, 0});
    CHECK(runner.task(trimmed(ran.output)).at("command") == json{{"name", word}, {"args", json::array()}});
    CHECK(ran.error_output.find("with --shell it is a command line") != std::string::npos);
  }
  CHECK(call(runner, {"push", "--", "true"}).error_output.empty());
}

TEST_CASE("push tells people in colour, and scripts nothing but the id") {
  test_daemon runner;
  const variables surroundings{{"TASK_RUNNER_ADDRESS", address_of(runner)}};
  const std::vector<std::string> words{task_runner_binary(), "push", "--", "true"};
  terminal_process colored(words, surroundings);
  CHECK(colored.wait() == process_end{true, 0});
  CHECK(colored.drawn().find("\033[32mpushed \033[0m") == 0);
  terminal_process plain(words, {{"TASK_RUNNER_ADDRESS", address_of(runner)}, {"NO_COLOR", "1"}});
  CHECK(plain.wait() == process_end{true, 0});
  CHECK(plain.drawn().find('\033') == std::string::npos);
  CHECK(plain.drawn().find("pushed ") == 0);
}
