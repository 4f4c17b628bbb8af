// The verbs of the command-line client that look at tasks and end or repeat them.
#include "test/e2e/api_support.hpp"
#include "test/e2e/cli_support.hpp"
#include "test/e2e/cli_terminal.hpp"
#include "test/e2e/gate.hpp"
#include "test/support/scripted_server.hpp"

using namespace task_runner::test;
using json = nlohmann::json;

namespace {

/// Runs the client against a server that plays a daemon.
run_result call_at(const scripted_server& server, std::vector<std::string> words) {
  process_options start;
  words.insert(words.begin(), task_runner_binary());
  start.argv = std::move(words);
  start.environment = {{"TASK_RUNNER_ADDRESS", "127.0.0.1:" + std::to_string(server.port())}};
  return run_process(start, std::chrono::seconds(60));
}

/// A piece of an output that has so many bytes.
std::string piece_text(size_t whole, const std::string& bytes) {
  return "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/plain\r\nX-Task-State: running\r\n"
         "X-Output-Size: " +
         std::to_string(whole) + "\r\n\r\n" + bytes;
}

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("status shows channels with what runs and waits, plain for scripts and drawn for people") {
  test_daemon runner;
  runner.create_channel("mail", {{"worker", "1"}});
  const gate end(runner.path("gate"));
  const auto running = runner.push_line(end.wait_line(), "mail");
  REQUIRE(wait_state(runner, running, "running"));
  const auto waiting = runner.push_line("echo later", "mail");
  const auto delayed = push_json(runner, {{"task", "echo late"}, {"channel", "mail"}, {"delay", 3'600}});

  const auto plain = called(runner, 0, {"status", "-c", "mail"});
  const auto lines = lines_of(plain);
  REQUIRE(lines.size() == 4);
  CHECK(lines[0] == "mail state=open worker=1 running=1 pending=1 delayed=1 dead=0");
  CHECK(lines[1] == "  " + running + " running " + end.wait_line());
  CHECK(lines[2] == "  " + waiting + " pending echo later");
  CHECK(lines[3] == "  " + delayed + " delayed echo late");
  const auto all = called(runner, 0, {"status"});
  for (const std::string channel : {"mail", "default", "biz", "cron"})
    CHECK(holds(all, channel + " state="));
  CHECK(lines_of(called(runner, 0, {"status", "-c", "mail", "-n", "1"})).size() == 2);

  const auto told = json::parse(called(runner, 0, {"status", "--json"}));
  CHECK(told.at("mail").at("running") == 1);
  CHECK(told.at("mail").at("tasks").size() == 3);

  const variables surroundings{{"TASK_RUNNER_ADDRESS", address_of(runner)}};
  terminal_process drawn({task_runner_binary(), "status"}, surroundings);
  CHECK(drawn.wait() == process_end{true, 0});
  CHECK(holds(drawn.drawn(), "\033[1mmail\033[0m  1/1 "));
  for (const std::string sign : {"▶1", "⏸1", "⧗1", "✗0"})
    CHECK(holds(drawn.drawn(), sign));
  CHECK(holds(drawn.drawn(), "▶ running  ⧗ waiting  ⏸ delayed  ✗ dead"));
  terminal_process plainly({task_runner_binary(), "status"},
                           {{"TASK_RUNNER_ADDRESS", address_of(runner)}, {"NO_COLOR", "1"}, {"LC_ALL", "C"}});
  CHECK(plainly.wait() == process_end{true, 0});
  CHECK(holds(plainly.drawn(), "mail  1/1  running 1 waiting 1 delayed 1 dead 0"));

  CHECK_FALSE(holds(plainly.drawn(), "✗"));

  refused_call(runner, 4, {"status", "-c", "none"}, "task-runner channel list");
  refused_call(runner, 2, {"status", "-n", "0"}, "--limit");
  refused_call(runner, 2, {"status", "-c", "mail", running}, "--channel");
  end.open();
  runner.settled(running);
}

TEST_CASE("status --watch draws again and again until Ctrl-C") {
  daemon_options options;
  options.flags = {"-task-mode=false"};
  test_daemon runner(options);
  terminal_process watch({task_runner_binary(), "status", "--watch", "--interval", "100ms"},
                         {{"TASK_RUNNER_ADDRESS", address_of(runner)}});
  REQUIRE(watch.wait_text("default"));
  runner.push_line("echo brand-new");
  REQUIRE(watch.wait_text("echo brand-new"));
  watch.type("\x03");
  CHECK(watch.wait() == process_end{true, 0});
}

TEST_CASE("status lists what a filter says, and shows single tasks in detail") {
  test_daemon runner;
  runner.create_channel("a");
  runner.create_channel("b");
  const auto dead = runner.push_line("exit 3", "a");
  const auto fine = runner.push_line("echo fine", "a");
  const auto other = runner.push_line("exit 4", "b");
  for (const auto& id : {dead, fine, other})
    runner.settled(id);
  CHECK(called(runner, 0, {"status", "--filter", "state=dead"}) ==
        "b\n  " + other + " dead (exit code 4) exit 4\na\n  " + dead + " dead (exit code 3) exit 3\n");
  CHECK(called(runner, 0, {"status", "--filter", "state=dead,finished", "--filter=channel=a", "-n", "1"}) ==
        "a\n  " + fine + " finished echo fine\n");
  CHECK(called(runner, 0, {"status", "--filter", "exit_code=9"}).empty());
  const auto lines = lines_of(called(runner, 0, {"status", "--json", "--filter", "name=exit", "-c", "b"}));
  REQUIRE(lines.size() == 1);
  CHECK(json::parse(lines[0]).at("id") == other);
  refused_call(runner, 2, {"status", "--filter", "dead"}, "--filter");
  refused_call(runner, 1, {"status", "--filter", "chanel=a"}, "chanel");

  const auto detail = called(runner, 0, {"status", dead});
  for (const auto& part : {dead + " dead (exit code 3)", std::string("channel     a"), std::string("exit 3")})
    CHECK(holds(detail, part));
  CHECK(json::parse(called(runner, 0, {"status", "--json", dead})).at("outcome").at("code") == 3);
  refused_call(runner, 4, {"status", "no-such-task"}, "no such task");
}

TEST_CASE("what a task is called cannot drive the terminal") {
  daemon_options options;
  options.flags = {"-task-mode=false"};
  test_daemon runner(options);
  runner.push_line("echo \033[2J\033]0;owned\007\nsecond");
  terminal_process drawn({task_runner_binary(), "status", "-c", "default"},
                         {{"TASK_RUNNER_ADDRESS", address_of(runner)}, {"NO_COLOR", "1"}});
  CHECK(drawn.wait() == process_end{true, 0});
  CHECK(drawn.drawn().find('\033') == std::string::npos);
  CHECK(holds(drawn.drawn(), "echo ?[2J?]0;owned? second"));
}

TEST_CASE("output prints every byte that is kept, of any attempt") {
  test_daemon runner;
  runner.create_channel("plain");
  const auto id = push_json(runner, {{"task", "printf 'attempt %s\\0' $TASK_RUNNER_ATTEMPT; exit 1"},
                                     {"channel", "plain"},
                                     {"max_attempts", 2},
                                     {"backoff_s", 0}});
  runner.settled(id);
  CHECK(called(runner, 0, {"output", id}) == std::string("attempt 2\0", 10));
  CHECK(called(runner, 0, {"output", "--attempt", "1", id}) == std::string("attempt 1\0", 10));
  CHECK(called(runner, 0, {"output", "--offset=8", id}) == std::string("2\0", 2));
  const auto large = runner.push_line("head -c 700000 /dev/zero | tr '\\0' x; echo end", "plain");
  runner.settled(large);
  const auto whole = called(runner, 0, {"output", large});
  CHECK(whole.size() == 700'004);
  CHECK(whole.substr(699'999) == "xend\n");
  CHECK(called(runner, 0, {"output", id, large}).size() == 700'014);
  CHECK(json::parse(called(runner, 0, {"output", "--json", id})).at("output") ==
        std::string("attempt 2\0", 10));
  refused_call(runner, 4, {"output", "none"}, "none");
  refused_call(runner, 4, {"output", "--attempt", "3", id}, "attempt 3");
  refused_call(runner, 2, {"output", "--offset", "x", id}, "--offset");
  refused_call(runner, 2, {"output"}, "usage");
}

TEST_CASE("output is of one attempt, also when another one begins while it is read") {
  const scripted_server server({
      envelope_text(200, "ok", R"({"id":"a","state":"running","attempt":2})"),
      piece_text(6, "abc"),
      piece_text(6, "def"),
      envelope_text(200, "ok", R"({"id":"a","state":"running","attempt":3})"),
      piece_text(6, "f"),
      envelope_text(200, "ok", R"({"id":"a","state":"pending","attempt":0})"),
      piece_text(6, "ef"),
      envelope_text(404, "no such task"),
  });
  auto ran = call_at(server, {"output", "a"});
  CHECK(ran.end == process_end{true, 0});
  CHECK(ran.output == "abcdef");
  CHECK(call_at(server, {"output", "--offset", "5", "a"}).output == "f");
  CHECK(call_at(server, {"output", "a"}).output.empty());
  CHECK(call_at(server, {"output", "--attempt", "1", "--offset", "4", "a"}).output == "ef");
  ran = call_at(server, {"output", "a"});
  CHECK(ran.end == process_end{true, 4});
  CHECK(holds(ran.error_output, "no such task"));
  const auto asked = server.requests();
  REQUIRE(asked.size() == 8);
  CHECK(holds(asked[1], "/api/v1/tasks/a/output?offset=0&attempt=2 HTTP"));
  CHECK(holds(asked[2], "/api/v1/tasks/a/output?offset=3&attempt=2 HTTP"));
  CHECK(holds(asked[4], "/api/v1/tasks/a/output?offset=5&attempt=3 HTTP"));
  CHECK(holds(asked[6], "/api/v1/tasks/a/output?offset=4&attempt=1 HTTP"));
}

TEST_CASE("output of a task that has not started is empty") {
  daemon_options options;
  options.flags = {"-task-mode=false"};
  test_daemon runner(options);
  const auto id = runner.push_line("echo never");
  CHECK(called(runner, 0, {"output", id}).empty());
  CHECK(called(runner, 0, {"output", "--json", id}).empty());
}

TEST_CASE("wait ends when the tasks have, with the first code that is not 0") {
  test_daemon runner;
  runner.create_channel("plain");
  const gate end(runner.path("gate"));
  const auto fine = runner.push_line(end.wait_line(), "plain");
  const auto seven = runner.push_line(end.wait_line() + "; exit 7", "plain");
  const auto nine = runner.push_line("exit 9", "plain");
  runner.settled(nine);
  process waiting(client_options(runner, {"wait", fine, seven, nine}));
  REQUIRE(waiting.wait_output(nine + " dead (exit code 9)"));
  CHECK(waiting.running());
  end.open();
  CHECK(waiting.wait(std::chrono::seconds(30)) == process_end{true, 7});
  CHECK(holds(waiting.output(), fine + " finished (exit code 0)"));
  CHECK(called(runner, 0, {"wait", fine}) == fine + " finished (exit code 0)\n");
  CHECK(json::parse(called(runner, 7, {"wait", "--json", seven})).at("state") == "dead");

  const auto cancelled = push_json(runner, {{"task", "true"}, {"delay", 3'600}});
  data_of(runner, "POST", "/api/v1/tasks/" + cancelled + "/cancel");
  called(runner, 1, {"wait", cancelled});
  const auto sleeping = runner.push_line("exec sleep 1000", "plain");
  called(runner, 124, {"wait", "--timeout", "200ms", sleeping});
  called(runner, 4, {"wait", "none"});
  called(runner, 4, {"wait", "none", seven});
  refused_call(runner, 2, {"wait", "--timeout", "soon", fine}, "--timeout");
  refused_call(runner, 2, {"wait"}, "usage");
  data_of(runner, "POST", "/api/v1/tasks/" + sleeping + "/cancel", {{"grace_s", 0}});
}

TEST_CASE("cancel, kill and retry do what they say, each task on its own") {
  test_daemon runner;
  runner.create_channel("plain");
  const auto seen = runner.path("seen");
  const auto trapping =
      runner.push_line("trap 'echo usr1 >> " + seen + "' USR1; trap 'exit 5' HUP; echo ready >> " + seen +
                           "; while :; do sleep 0.05; done",
                       "plain");
  REQUIRE(wait_lines(seen, 1));
  CHECK(called(runner, 0, {"kill", "-s", "usr1", trapping}) == "signal USR1 was sent to " + trapping + "\n");
  REQUIRE(wait_lines(seen, 2));
  called(runner, 0, {"kill", "--signal=SIGHUP", trapping});
  CHECK(runner.settled(trapping).at("outcome") == json{{"kind", "exited"}, {"code", 5}});
  refused_call(runner, 2, {"kill", "-s", "NOPE", trapping}, "--signal");
  refused_call(runner, 2, {"kill", "-s", "65", trapping}, "--signal");
  refused_call(runner, 1, {"kill", trapping}, "");
  const auto ended = runner.push_line("exec sleep 1000", "plain");
  REQUIRE(wait_state(runner, ended, "running"));
  called(runner, 0, {"kill", ended}); // TERM
  CHECK(runner.settled(ended).at("outcome") == json{{"kind", "signalled"}, {"signal", 15}});
  called(runner, 143, {"wait", ended});

  const auto running = runner.push_line("exec sleep 1000", "plain");
  const auto delayed = push_json(runner, {{"task", "true"}, {"channel", "plain"}, {"delay", 3'600}});
  REQUIRE(wait_state(runner, running, "running"));
  const auto ran = call(runner, {"cancel", "--grace", "1s", running, "none", delayed});
  CHECK(ran.end == process_end{true, 4});
  CHECK(ran.output == running + " cancelled\n" + delayed + " cancelled\n");
  refused_call(runner, 2, {"cancel", "--grace", "x", running}, "--grace");

  CHECK(called(runner, 0, {"retry", delayed}) == delayed + " pending again\n");
  REQUIRE(wait_until([&] { return runner.task(delayed).at("state") != "cancelled"; }));
  const auto fine = runner.push_line("true", "plain");
  runner.settled(fine);
  refused_call(runner, 1, {"retry", fine}, "");
  refused_call(runner, 4, {"retry", "none"}, "");

  // An attempt behind a retry by hand is not counted as one of too many.
  const auto twice = runner.push_line("exit 3", "plain");
  runner.settled(twice);
  CHECK(holds(called(runner, 0, {"status", twice}), "  attempt     1 of 1\n"));
  called(runner, 0, {"retry", twice});
  REQUIRE(wait_until([&] { return runner.task(twice).at("attempt") == 2; }));
  CHECK(holds(called(runner, 0, {"status", twice}), "  attempt     2 (1 of 1 since the retry by hand)\n"));
}

TEST_CASE("a piece of an id is told to be one") {
  test_daemon runner;
  const auto id = runner.push_line("true");
  for (const std::string verb : {"why", "kill", "output", "status", "cancel", "follow", "wait"}) {
    refused_call(runner, 4, {verb, id.substr(0, 13)}, "give the whole id");
    refused_call(runner, 4, {verb, id.substr(28)}, "give the whole id");
  }
  CHECK_FALSE(holds(call(runner, {"why", "order:17"}).error_output, "whole"));
}

TEST_CASE("status and channel list tell of dead tasks after a restart") {
  test_daemon runner;
  runner.create_channel("mail");
  runner.settled(runner.push_line("exit 3", "mail"));
  REQUIRE(runner.stop() == process_end{true, 0});
  runner.start();
  CHECK(holds(called(runner, 0, {"status", "-c", "mail"}), " dead=1\n"));
  CHECK(holds(called(runner, 0, {"channel", "list"}), "  0  0  0  1  distinct"));
}

TEST_CASE("stop ends the daemon, at once or when its commands have ended") {
  test_daemon runner;
  CHECK(called(runner, 0, {"stop", "--wait"}) == "the daemon ends; nothing runs\n");
  CHECK(runner.child().wait(std::chrono::seconds(30)) == process_end{true, 0});
  runner.start();
  const gate end(runner.path("gate"));
  const auto first = runner.push_line(end.wait_line());
  REQUIRE(wait_state(runner, first, "running"));
  process waiting(client_options(runner, {"stop", "--wait"}));
  REQUIRE(wait_until([&] {
    return waiting.output() == "the daemon ends when its 1 running command has ended; "
                               "nothing new is started\n";
  }));
  CHECK(waiting.running());
  end.open();
  CHECK(waiting.wait(std::chrono::seconds(30)) == process_end{true, 0});
  CHECK(runner.child().wait(std::chrono::seconds(30)) == process_end{true, 0});
  runner.start();
  CHECK(runner.task(first).at("state") == "finished");
  const auto second = runner.push_line("exec sleep 1000");
  REQUIRE(wait_state(runner, second, "running"));
  CHECK(json::parse(called(runner, 0, {"stop", "--now", "--json"})).at("now") == true);
  CHECK(runner.child().wait(std::chrono::seconds(30)) == process_end{true, 0});
  runner.start();
  CHECK(runner.task(second).at("state") == "cancelled");
}

TEST_CASE("retry --dead takes those of a channel and a time, counts them first, and ends") {
  test_daemon runner;
  runner.create_channel("a");
  runner.create_channel("b");
  const auto flag = runner.path("flag");
  std::vector<std::string> dead;
  for (int i = 0; i < 4; ++i)
    dead.push_back(runner.push_line("test -e " + flag + " # " + std::to_string(i), i < 3 ? "a" : "b"));
  for (const auto& id : dead)
    REQUIRE(runner.settled(id).at("state") == "dead");
  CHECK(called(runner, 0, {"retry", "--dead", "--dry-run"}) == "4\n");
  CHECK(called(runner, 0, {"retry", "--dead", "-c", "a", "--since", "1h", "--dry-run"}) == "3\n");
  CHECK(json::parse(called(runner, 0, {"retry", "--dead", "-c", "b", "--dry-run", "--json"})) ==
        json{{"matched", 1}, {"done", 0}, {"more", false}});
  CHECK(called(runner, 0, {"retry", "--dead", "-c", "a", "--since", "0", "--dry-run"}) == "0\n");
  for (const auto& id : dead)
    CHECK(runner.task(id).at("state") == "dead");
  // They die again, which is no reason to retry them for ever.
  CHECK(called(runner, 0, {"retry", "--dead", "-c", "a"}) == "3\n");
  for (const auto& id : dead)
    REQUIRE(runner.settled(id).at("state") == "dead");
  CHECK(runner.task(dead[0]).at("attempt") == 2);
  CHECK(runner.task(dead[3]).at("attempt") == 1);
  write_file(flag, "");
  CHECK(called(runner, 0, {"retry", "--dead"}) == "4\n");
  for (const auto& id : dead)
    CHECK(wait_state(runner, id, "finished"));
  refused_call(runner, 2, {"retry"}, "--dead");
  refused_call(runner, 2, {"retry", "--dead", dead[0]}, "--dead");
  refused_call(runner, 2, {"retry", "--dry-run", dead[0]}, "--dead");
  refused_call(runner, 2, {"retry", "--dead", "--since", "x"}, "--since");
  refused_call(runner, 2, {"retry", "--dead", "-c", ""}, "--channel");
}

TEST_CASE("retry --dead tells what was done before a later portion fails") {
  const scripted_server server({envelope_text(200, "ok", R"({"matched":10000,"done":10000,"more":true})"),
                                envelope_text(503, "the daemon stops")});
  process_options start;
  start.argv = {task_runner_binary(), "retry", "--dead", "--address",
                "127.0.0.1:" + std::to_string(server.port())};
  const auto ran = run_process(start, std::chrono::seconds(30));
  CHECK(ran.end == process_end{true, 1});
  CHECK(ran.output == "10000\n");
  CHECK(ran.error_output == "task-runner: the daemon stops\n");
}

TEST_CASE("push --wait bears with a daemon that is too busy right after the push") {
  const scripted_server server(
      {envelope_text(200, "ok", R"({"result":true,"task_id":"a","state":"pending"})"),
       envelope_text(504, "no answer in time"),
       envelope_text(200, "ok", R"({"id":"a","state":"finished","outcome":{"kind":"exited","code":0}})")});
  process_options start;
  start.argv = {task_runner_binary(),
                "push",
                "--wait",
                "--address",
                "127.0.0.1:" + std::to_string(server.port()),
                "--",
                "true"};
  const auto ran = run_process(start, std::chrono::seconds(30));
  CHECK(ran.end == process_end{true, 0});
  CHECK(ran.error_output == "task-runner: waiting: no answer in time\n");
}

TEST_CASE("wait --timeout holds against a daemon that does not answer any more") {
  const scripted_server falls_silent({envelope_text(200, "ok", R"({"id":"a","state":"running"})")});
  const scripted_server silent({});
  const auto began = std::chrono::steady_clock::now();
  const auto left = call_at(falls_silent, {"wait", "--timeout", "1s", "a"});
  CHECK(left.end == process_end{true, 124});
  CHECK(holds(left.error_output, "1 of 1 tasks have not ended in time"));
  // Of one that never was there nothing is known.
  const auto never = call_at(silent, {"wait", "--timeout", "0", "a", "b"});
  CHECK(never.end == process_end{true, 3});
  CHECK(holds(never.error_output, "did not answer within"));
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(30));
}

TEST_CASE("status --watch goes on when an answer is late") {
  const std::string mail = R"({"mail":{"worker":1,"running":0,"pending":0,"delayed":0,"dead":0,"tasks":[]}})";
  const scripted_server server({envelope_text(200, "ok", mail), envelope_text(504, "no answer in time"),
                                envelope_text(503, "starting"), envelope_text(200, "ok", mail),
                                envelope_text(400, "said by a test")});
  const auto ran = call_at(server, {"status", "--watch", "--interval", "100ms"});
  CHECK(ran.end == process_end{true, 1});
  const auto line = std::string("mail state=open worker=1 running=0 pending=0 delayed=0 dead=0\n\n");
  CHECK(ran.output == line + "no answer in time\n\nstarting\n\n" + line);
  CHECK(ran.error_output == "task-runner: said by a test\n");
}

TEST_CASE("status tells people the daemon's own ETA, of all channels by one call") {
  const scripted_server server({
      envelope_text(
          200, "ok",
          R"({"a":{"worker":1,"pending":3},"b":{"worker":1,"pending":5},"c":{"worker":1,"pending":0}})"),
      envelope_text(200, "ok",
                    R"({"items":[{"channel":"a","eta_s":250},{"channel":"b","eta_s":null},)"
                    R"({"channel":"c","eta_s":0}],"next":null})"),
      envelope_text(200, "ok", R"({"worker":1,"pending":3})"),
      envelope_text(404, "no such path"),
      envelope_text(200, "ok", R"({"c":{"worker":1,"pending":0}})"),
      envelope_text(200, "ok", R"({"a":{"worker":1,"pending":3}})"),
  });
  const variables surroundings{{"TASK_RUNNER_ADDRESS", "127.0.0.1:" + std::to_string(server.port())},
                               {"NO_COLOR", "1"}};
  const auto drawn = [&](const std::vector<std::string>& words) {
    std::vector<std::string> all{task_runner_binary(), "status"};
    all.insert(all.end(), words.begin(), words.end());
    terminal_process status(all, surroundings);
    CHECK(status.wait() == process_end{true, 0});
    return status.drawn();
  };
  const auto all = drawn({});
  CHECK(holds(all, "⧗3 ⏸0 ✗0  eta 4m10s\n"));
  CHECK(holds(all, "⧗5 ⏸0 ✗0\n"));
  CHECK(holds(all, "⧗0 ⏸0 ✗0\n"));
  // An older daemon keeps no statistics; where nothing waits, and without a terminal, they are not asked for.
  CHECK(holds(drawn({"-c", "a"}), "⧗3 ⏸0 ✗0\n"));
  CHECK(holds(drawn({}), "⧗0 ⏸0 ✗0\n"));
  CHECK(holds(call_at(server, {"status"}).output, "a state=open worker=1"));
  const auto asked = server.requests();
  REQUIRE(asked.size() == 6);
  CHECK(holds(asked[1], "GET /api/v1/statistics/channels?"));
  CHECK(holds(asked[3], "GET /api/v1/statistics/channels?"));
}

TEST_CASE("retry --dead tells and counts once what several portions refuse") {
  const std::string a = R"({"id":"a","reason":"it is held"})";
  const std::string b = R"({"id":"b","reason":"no room"})";
  const scripted_server server({
      envelope_text(200, "ok", R"({"matched":10000,"done":9999,"more":true,"refused":[)" + a + "]}"),
      envelope_text(200, "ok",
                    R"({"matched":10000,"done":9998,"more":true,"refused":[)" + a + "," + b + "]}"),
      envelope_text(200, "ok", R"({"matched":5,"done":3,"more":false,"refused":[)" + a + "," + b + "]}"),
  });
  const auto ran = call_at(server, {"retry", "--dead", "--json"});
  CHECK(ran.end == process_end{true, 1});
  CHECK(json::parse(ran.output) == json{{"matched", 20'002}, {"done", 20'000}, {"more", false}});
  CHECK(ran.error_output == "task-runner: a: it is held\ntask-runner: b: no room\n");
}

TEST_CASE("why says in a sentence what a task waits for") {
  test_daemon runner;
  runner.create_channel("mail");
  data_of(runner, "POST", "/api/v1/channels/mail/pause");
  const auto first = runner.push_line("echo 1", "mail");
  const auto second = runner.push_line("echo 2", "mail");
  const auto paused = called(runner, 0, {"why", second});
  CHECK(holds(paused, second + " pending: "));
  CHECK(holds(paused, "paused"));
  CHECK(holds(paused, "blocked by    channel"));
  const auto told = json::parse(called(runner, 0, {"why", "--json", first}));
  CHECK(told.at("reason") == "paused");
  const auto delayed = push_json(runner, {{"task", "true"}, {"delay", 3'600}});
  CHECK(holds(called(runner, 0, {"why", delayed}), "may start at  2"));
  refused_call(runner, 4, {"why", "none"}, "none");
}
