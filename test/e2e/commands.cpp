// What a command sees and what becomes of it: shell syntax, exact argv, environment, directory, output,
// outcome. Command lines are compared with what /bin/sh itself makes of them.
#include "test/e2e/gate.hpp"
#include "test/support/daemon.hpp"

#include <catch2/catch.hpp>

#include <filesystem>

using namespace task_runner::test;
using nlohmann::json;

namespace {

std::string push_json(test_daemon& runner, const json& body) {
  const auto answer = runner.http().post_json("/push", body);
  INFO(answer.body);
  REQUIRE(answer.status == 200);
  REQUIRE(answer.json().at("data").at("result") == true);
  return answer.json().at("data").at("task_id");
}

} // namespace

TEST_CASE("a command line gives what the shell would have given") {
  daemon_options options;
  test_daemon runner(options);
  const auto work = runner.path("work");
  std::filesystem::create_directory(work);
  for (const auto* name : {"one.txt", "two.txt", "three.log"})
    write_file(work + "/" + name, std::string(name) + "\n");
  CHECK(runner.stop() == process_end{true, 0});
  runner.options().directory = work;
  runner.start();
  const std::vector<std::string> lines{
      R"(echo 'a  b' "c" && echo $((1+1)) | cat)",
      "echo one two   three",
      "echo *.txt",
      "echo '*.txt' \"*.log\" \\*",
      "cat < one.txt > copy && cat copy && rm copy",
      "echo out; echo err >&2; echo again",
      "ls does-not-exist",
      "printf 'no newline at the end'",
      "printf 'first\\nsecond'",
      "printf 'bytes \\001\\377\\000 as they are'",
      "true",
      "false",
      "exit 7",
      "(exit 3) || echo recovered",
      "no-such-program-anywhere with arguments",
      "./one.txt",
      "/",
      "X=5; echo $X",
      "X=5 sh -c 'echo $X'",
      "echo $0",
      "for i in 1 2 3; do echo $i; done",
      "cd / && pwd",
      "pwd",
      "echo \"quoted \\\"inner\\\" $(echo sub) `echo back`\"",
      "echo 'single '\\''inside'\\'''",
      "# only a comment",
      "echo é ü 漢字 😀",
      "test 1 -lt 2 && echo yes",
      "time_is_no_builtin 2>/dev/null; echo $?",
      "echo a;echo b&wait",
      "kill -TERM $$",
      "! true",
      "{ echo grouped; }",
      "echo \\\\ '\\n'",
      "cat <<END\nhere $((2*3))\nEND\n",
      "  echo leading blanks",
      "echo trailing blanks  ",
      "\techo tab",
      "echo a\necho b",
      "read x; echo \"read: [$x]\"",
      "type cd",
      "umask",
      "ulimit -n",
  };
  runner.create_channel("shell");
  for (const auto& line : lines) {
    CAPTURE(line);
    process_options shell;
    shell.argv = {"/bin/sh", "-c", line};
    shell.directory = work;
    shell.merge_output = true;
    const auto expected = run_process(shell);
    const auto id = runner.push_line(line, "shell");
    const auto task = runner.settled(id);
    CHECK(runner.output(id) == expected.output);
    json outcome{{"kind", expected.end.exited ? "exited" : "signalled"}};
    outcome[expected.end.exited ? "code" : "signal"] = expected.end.code;
    CHECK(task.at("outcome") == outcome);
    CHECK(task.at("state") == (expected.end == process_end{true, 0} ? "finished" : "dead"));
  }
}

TEST_CASE("a failed command is dead with its exit code, a killed one with its signal") {
  test_daemon runner;
  auto task = runner.settled(runner.push_line("exit 7"));
  CHECK(task.at("state") == "dead");
  CHECK(task.at("outcome") == json{{"kind", "exited"}, {"code", 7}});
  task = runner.settled(runner.push_line("kill -KILL $$"));
  CHECK(task.at("state") == "dead");
  CHECK(task.at("outcome") == json{{"kind", "signalled"}, {"signal", 9}});
  task = runner.settled(push_json(runner, {{"command", {{"name", "no-such-program"}, {"args", {"x"}}}}}));
  CHECK(task.at("state") == "dead");
  const std::string kind = task.at("outcome").at("kind");
  CHECK((kind == "spawn_failed" || task.at("outcome") == json{{"kind", "exited"}, {"code", 127}}));
  task = runner.settled(runner.push_line("true"));
  CHECK(task.at("state") == "finished");
  CHECK(task.at("outcome") == json{{"kind", "exited"}, {"code", 0}});
  const auto counts = runner.channel("default");
  CHECK(counts.at("dead") == 3);
  CHECK(counts.at("finished") == 1);
  CHECK(counts.at("count") == 0);
}

TEST_CASE("a task tells when it was made, started and ended") {
  test_daemon runner;
  const auto id = runner.push_line("sleep 0.3");
  const auto task = runner.settled(id);
  CHECK(task.at("id") == id);
  CHECK(task.at("attempt") == 1);
  CHECK(task.at("task_name") == "sleep 0.3");
  CHECK(task.at("command") == "sleep 0.3");
  CHECK(task.at("duration_s").get<double>() >= 0.29);
  CHECK(task.at("duration_s").get<double>() < 10);
  const std::string created = task.at("created_at");
  const std::string started = task.at("started_at");
  const std::string ended = task.at("ended_at");
  CHECK(created.size() == 24); // 2026-01-31T23:59:59.123Z
  CHECK(created.back() == 'Z');
  CHECK(created <= started);
  CHECK(started < ended);
}

TEST_CASE("an explicit argv is never parsed") {
  test_daemon runner;
  const json args{"[%s]\n",   "a  b", "*",  "$HOME",     "",  "`id`", "; echo no",
                  "'quoted'", "\"",   "\\", "new\nline", "ä", "-x"};
  std::string expected;
  for (size_t i = 1; i < args.size(); ++i)
    expected += "[" + args[i].get<std::string>() + "]\n";

  SECTION("as an object") {
    const auto id = push_json(runner, {{"task", "named"}, {"command", {{"name", "printf"}, {"args", args}}}});
    const auto task = runner.settled(id);
    CHECK(runner.output(id) == expected);
    CHECK(task.at("task_name") == "named");
    CHECK(task.at("command") == json{{"name", "printf"}, {"args", args}});
  }
  SECTION("as command and args") {
    const auto id = push_json(runner, {{"task", "named"}, {"command", "printf"}, {"args", args}});
    runner.settled(id);
    CHECK(runner.output(id) == expected);
  }
  SECTION("as fields of a form") {
    name_values fields{{"task", "named"}, {"command", "printf"}};
    for (const auto& word : args)
      fields.emplace_back("args", word.get<std::string>());
    const auto data = runner.push(fields);
    CHECK(data.at("task_name") == "named");
    runner.settled(data.at("task_id"));
    CHECK(runner.output(data.at("task_id")) == expected);
  }
}

TEST_CASE("with a command, the task is only its name") {
  test_daemon runner;
  const auto data = runner.push({{"task", "rm -rf everything"}, {"command", "echo 'a  b' | cat"}});
  CHECK(data.at("task_name") == "rm -rf everything");
  const auto task = runner.settled(data.at("task_id"));
  CHECK(task.at("command") == "echo 'a  b' | cat");
  CHECK(runner.output(data.at("task_id")) == "a  b\n");
}

TEST_CASE("a command of the greatest length runs, as a line and as an argument") {
  test_daemon runner;
  const std::string text(131'071 - 5, 'x');
  CHECK(runner.run_line("echo " + text) == text + "\n");
  const std::string argument(131'071, 'y');
  const auto id =
      push_json(runner, {{"task", "long"}, {"command", {{"name", "echo"}, {"args", {argument, argument}}}}});
  CHECK(runner.settled(id).at("state") == "finished");
  CHECK(runner.output(id) == argument + " " + argument + "\n");
}

TEST_CASE("a command knows its task, channel and attempt, and inherits the rest but the secrets") {
  daemon_options options;
  options.environment = {{"TASK_RUNNER_REDIS_PASSWORD", "open-sesame"}, {"SHARED_VALUE", "a  b=c"}};
  test_daemon runner(options);
  runner.create_channel("mail");
  const auto id = runner.push_line("tr '\\0' '\\n' < /proc/self/environ", "mail");
  runner.settled(id);
  const auto lines = lines_of(runner.output(id));
  const auto count = [&](const std::string& line) { return std::count(lines.begin(), lines.end(), line); };
  CHECK(count("TASK_RUNNER_TASK_ID=" + id) == 1);
  CHECK(count("TASK_RUNNER_CHANNEL=mail") == 1);
  CHECK(count("TASK_RUNNER_ATTEMPT=1") == 1);
  CHECK(count("SHARED_VALUE=a  b=c") == 1);
  CHECK(runner.output(id).find("open-sesame") == std::string::npos);
  CHECK(runner.output(id).find("REDIS_PASSWORD") == std::string::npos);
}

TEST_CASE("a command knows the trace of its push, as its headers tell it, or as the task itself does") {
  test_daemon runner;
  const std::string parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const std::string line = "echo $TRACEPARENT/$TRACESTATE";
  const auto traced = [&](const std::string& path, name_values headers, const std::string& body) {
    headers.insert(headers.end(), {{"traceparent", parent}, {"tracestate", "vendor=1"}});
    const auto pushed = runner.http().send("POST", path, headers, body);
    REQUIRE(pushed.status == 200);
    const std::string id = pushed.json().at("data").at("task_id");
    runner.settled(id);
    return runner.output(id);
  };
  const name_values form{{"Content-Type", "application/x-www-form-urlencoded"}};
  const name_values in_json{{"Content-Type", "application/json"}};
  for (const std::string path : {"/push", "/api/v1/tasks"}) {
    CHECK(traced(path, form, encode_form({{"task", line}})) == parent + "/vendor=1\n");
    CHECK(traced(path, in_json, json{{"task", line}, {"nice", 1}}.dump()) == parent + "/vendor=1\n");
    CHECK(traced(path, in_json, json{{"task", line}, {"env", {{"TRACEPARENT", "own"}}}}.dump()) == "own/\n");
  }
  CHECK(runner.run_line(line) == "/\n");
}

TEST_CASE("commands run in the working directory of the daemon that starts them") {
  test_daemon runner;
  CHECK(runner.run_line("pwd") == runner.home() + "\n");
  CHECK(runner.run_line("/bin/pwd") == runner.home() + "\n");
  CHECK(runner.stop() == process_end{true, 0});
  std::filesystem::create_directory(runner.path("elsewhere"));
  runner.options().directory = runner.path("elsewhere");
  runner.start();
  CHECK(runner.run_line("/bin/pwd") == runner.path("elsewhere") + "\n");
}

TEST_CASE("commands start with clean signals, no foreign descriptors, and a session of their own") {
  test_daemon runner;
  const auto status = runner.run_line("grep -E 'Sig(Blk|Ign)' /proc/self/status");
  CHECK(status == "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
  // Of ls itself: the three standard ones and the directory that it reads.
  CHECK(lines_of(runner.run_line("ls /proc/self/fd")).size() == 4);
  const auto session = std::stoi(runner.run_line("ps -o sid= -p $$"));
  CHECK(session != getsid(0));
  CHECK(session != getsid(runner.pid()));
}

TEST_CASE("output is kept byte by byte and can be read in pieces") {
  test_daemon runner;
  const auto id =
      runner.push_line("i=0; while [ $i -lt 2000 ]; do echo \"line $i\"; i=$((i+1)); done; printf end");
  runner.settled(id);
  std::string expected;
  for (int i = 0; i < 2'000; ++i)
    expected += "line " + std::to_string(i) + "\n";
  expected += "end";
  CHECK(runner.output(id) == expected);
  const auto piece = runner.http().get("/api/v1/tasks/" + id + "/output?offset=5&length=7");
  CHECK(piece.body == expected.substr(5, 7));
  CHECK(piece.header("x-output-size") == std::to_string(expected.size()));
  CHECK(runner.http().get("/api/v1/tasks/" + id + "/output?offset=1000000").body.empty());
}

TEST_CASE("output can be read while the command runs") {
  test_daemon runner;
  const gate end(runner.path("gate"));
  const auto id = runner.push_line("echo early; " + end.wait_line() + "; echo late");
  REQUIRE(wait_until([&] { return runner.output(id) == "early\n"; }));
  CHECK(runner.task(id).at("state") == "running");
  end.open();
  runner.settled(id);
  CHECK(runner.output(id) == "early\nlate\n");
}

TEST_CASE(
    "a command that writes without end is not held up, and its output is capped with head and tail kept") {
  test_daemon runner;
  const auto id =
      runner.push_line("echo head; yes 0123456789012345678901234567890 | head -c 64000000; echo; echo tail");
  CHECK(runner.settled(id, std::chrono::seconds(90)).at("state") == "finished");
  const auto head = runner.http().get("/api/v1/tasks/" + id + "/output?length=5");
  CHECK(head.body == "head\n");
  const auto size = std::stoll(head.header("x-output-size"));
  CHECK(size < 4'000'000); // a mebibyte of each, and the marker
  CHECK(size > 2'000'000);
  CHECK(runner.http().get("/api/v1/tasks/" + id + "/output?offset=" + std::to_string(size - 5)).body ==
        "tail\n");
}

TEST_CASE("a task without output has an empty one") {
  test_daemon runner;
  CHECK(runner.run_line("true").empty());
}

TEST_CASE("output is logged at debug level, the last unterminated line included, and not at info") {
  daemon_options options;
  options.flags = {"-log-level", "debug"};
  test_daemon runner(options);
  runner.run_line("echo marker-one; printf marker-two >&2");
  CHECK(wait_until([&] {
    const auto log = runner.log();
    return log.find("line=marker-one") != std::string::npos &&
           log.find("line=marker-two") != std::string::npos;
  }));
  CHECK(runner.stop() == process_end{true, 0});
  runner.options().flags.clear();
  runner.start();
  runner.run_line("printf quiet; printf -marker");
  CHECK(runner.stop() == process_end{true, 0});
  CHECK(runner.log().find("quiet-marker") == std::string::npos);
}

TEST_CASE("a grandchild in the background does not hold up its task") {
  test_daemon runner;
  const gate end(runner.path("gate"));
  const auto done = runner.path("grandchild-done");
  const auto id = runner.push_line("(" + end.wait_line() + "; echo x > " + done + ") & echo started");
  const auto task = runner.settled(id);
  CHECK(task.at("state") == "finished");
  CHECK(runner.output(id) == "started\n");
  CHECK_FALSE(std::filesystem::exists(done));
  end.open();
  CHECK(wait_until([&] { return std::filesystem::exists(done); }));
}

TEST_CASE("a line that begins with a dash is a line, not an option of the shell") {
  test_daemon runner;
  for (const std::string line : {"-x", "- echo x", "-c 'echo x'"})
    CHECK(runner.settled(runner.push_line(line)).at("outcome").at("code") == 127);
}

TEST_CASE("an empty command never makes the name run") {
  test_daemon runner;
  CHECK(runner.http().post_form("/push", {{"task", "true"}, {"command", ""}}).status == 400);
  CHECK(runner.http().post_json("/push", {{"task", "true"}, {"command", ""}}).status == 400);
}
