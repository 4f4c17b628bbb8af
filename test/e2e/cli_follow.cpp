// `follow` of the command-line client: output while it comes, of several tasks, over attempts and restarts.
#include "test/e2e/api_support.hpp"
#include "test/e2e/cli_support.hpp"
#include "test/e2e/cli_terminal.hpp"
#include "test/e2e/gate.hpp"

#include <algorithm>
#include <filesystem>

using namespace task_runner::test;
using json = nlohmann::json;

namespace {

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

size_t count_of(const std::string& part, const std::string& text) {
  size_t count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
    ++count;
  return count;
}

/// Where a task's output is kept; it must have printed something.
std::filesystem::path output_file_of(const test_daemon& runner, const std::string& id) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(runner.state_dir() + "/output"))
    if (entry.is_regular_file() && holds(entry.path().filename().string(), id))
      return entry.path();
  FAIL("there is no output of " << id);
  return {};
}

} // namespace

TEST_CASE("follow shows output while it comes, and ends with the command's code") {
  test_daemon runner;
  const gate end(runner.path("gate"));
  const auto id = runner.push_line("printf 'first\\npart'; " + end.wait_line() + "; echo ' whole'; exit 7");
  process following(client_options(runner, {"follow", id}));
  REQUIRE(following.wait_output("first\npart"));
  CHECK(following.running());
  end.open();
  CHECK(following.wait(std::chrono::seconds(30)) == process_end{true, 7});
  CHECK(following.output() == "first\npart whole\n");
  CHECK(following.error_output().empty());
  CHECK(called(runner, 7, {"follow", id}) == "first\npart whole\n");
  CHECK(called(runner, 7, {"follow", "--offset", "11", id}) == "whole\n");
  refused_call(runner, 4, {"follow", "none"}, "none");
  refused_call(runner, 2, {"follow", "--offset", "-1", id}, "--offset");
  refused_call(runner, 2, {"follow"}, "usage");
}

TEST_CASE("follow waits for a task that has not started, and goes over all its attempts") {
  test_daemon runner;
  runner.create_channel("plain");
  data_of(runner, "POST", "/api/v1/channels/plain/pause");
  const auto id = push_json(runner, {{"task", "echo attempt $TASK_RUNNER_ATTEMPT; exit $TASK_RUNNER_ATTEMPT"},
                                     {"channel", "plain"},
                                     {"max_attempts", 3},
                                     {"backoff", "constant"},
                                     {"backoff_s", 0.2}});
  process following(client_options(runner, {"follow", "--attempt", "1", id}));
  data_of(runner, "POST", "/api/v1/channels/plain/resume");
  CHECK(following.wait(std::chrono::seconds(30)) == process_end{true, 3});
  CHECK(following.output() == "attempt 1\nattempt 2\nattempt 3\n");
  CHECK(called(runner, 3, {"follow", "--attempt", "2", id}) == "attempt 2\nattempt 3\n");
}

TEST_CASE("several tasks are followed line by line, each line with its task") {
  test_daemon runner;
  runner.create_channel("plain");
  const gate end(runner.path("gate"));
  const auto one =
      push_json(runner, {{"task", "printf 'half'; " + end.wait_line() + "; echo ' line'; echo end"},
                         {"id", "one"},
                         {"channel", "plain"}});
  const auto two = push_json(runner, {{"task", "echo other; " + end.wait_line() + "; printf last; exit 3"},
                                      {"id", "number-two"},
                                      {"channel", "plain"}});
  process following(client_options(runner, {"follow", one, two}));
  REQUIRE(following.wait_output("number-two | other\n"));
  end.open();
  CHECK(following.wait(std::chrono::seconds(30)) == process_end{true, 3});
  CHECK(holds(following.output(), "one        | half line\none        | end\n"));
  CHECK(holds(following.output(), "number-two | last\n"));

  terminal_process colored({task_runner_binary(), "follow", one, two},
                           {{"TASK_RUNNER_ADDRESS", address_of(runner)}});
  CHECK(colored.wait() == process_end{true, 3});
  CHECK(holds(colored.drawn(), "\033[36mone        │ \033[0mhalf line\n"));
  CHECK(holds(colored.drawn(), "\033[33mnumber-two │ \033[0mlast\n"));
}

TEST_CASE("Ctrl-C detaches, says so, and the task goes on; the offset leads back") {
  test_daemon runner;
  const gate end(runner.path("gate"));
  const auto id = runner.push_line("echo before; " + end.wait_line() + "; echo after");
  terminal_process following({task_runner_binary(), "follow", id},
                             {{"TASK_RUNNER_ADDRESS", address_of(runner)}});
  REQUIRE(following.wait_text("before"));
  following.type("\x03");
  CHECK(following.wait() == process_end{true, 130});
  CHECK(holds(following.drawn(), "detached"));
  CHECK(holds(following.drawn(), "task-runner follow --attempt 1 --offset 7 " + id));
  CHECK(runner.task(id).at("state") == "running");
  end.open();
  CHECK(called(runner, 0, {"follow", "--attempt", "1", "--offset", "7", id}) == "after\n");

  const gate second(runner.path("second"));
  const auto other = runner.push_line(second.wait_line());
  REQUIRE(wait_state(runner, other, "running"));
  terminal_process waiting({task_runner_binary(), "wait", other},
                           {{"TASK_RUNNER_ADDRESS", address_of(runner)}});
  REQUIRE(waiting.wait_handler());
  waiting.type("\x03");
  CHECK(waiting.wait() == process_end{true, 130});
  CHECK(holds(waiting.drawn(), "1 of 1 tasks go on"));
  second.open();
  runner.settled(other);
}

TEST_CASE("follow outlives a restart of the daemon") {
  test_daemon runner;
  runner.options().http_addr = address_of(runner);
  const gate end(runner.path("gate"));
  const auto id = runner.push_line("echo before; " + end.wait_line() + "; echo after; exit 4");
  process following(client_options(runner, {"follow", id}));
  const auto over = runner.push_line("true");
  process waiting(client_options(runner, {"wait", over, id}));
  REQUIRE(waiting.wait_output(over + " finished"));
  REQUIRE(following.wait_output("before\n"));
  runner.kill();
  REQUIRE(wait_until([&] { return holds(following.error_output(), "the daemon is away"); }));
  runner.start();
  end.open();
  CHECK(following.wait(std::chrono::seconds(30)) == process_end{true, 4});
  CHECK(following.output() == "before\nafter\n");
  CHECK(waiting.wait(std::chrono::seconds(30)) == process_end{true, 4});
}

TEST_CASE("of output that is too long to be kept, follow shows what comes, and the end") {
  daemon_options options;
  options.flags = {"-output-head=1k", "-output-tail=1k"};
  test_daemon runner(options);
  const gate end(runner.path("gate"));
  const auto id = runner.push_line("i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo line $i; done; " +
                                   end.wait_line() + "; echo the end; exit 2");
  process following(client_options(runner, {"follow", id}));
  REQUIRE(following.wait_output("line 3000\n"));
  end.open();
  CHECK(following.wait(std::chrono::seconds(30)) == process_end{true, 2});
  const auto shown = following.output();
  CHECK(shown.find("line 1\nline 2\n") == 0);
  CHECK(shown.rfind("line 3000\nthe end\n") == shown.size() - 18);
  CHECK(shown.find("the end") == shown.rfind("the end"));
}

TEST_CASE("follow in JSON gives pieces and the end, a line each") {
  test_daemon runner;
  const auto id = runner.push_line("echo text; exit 3");
  runner.settled(id);
  const auto lines = lines_of(called(runner, 3, {"follow", "--json", id}));
  REQUIRE(lines.size() == 2);
  CHECK(json::parse(lines[0]) == json{{"id", id}, {"attempt", 1}, {"output", "text\n"}});
  CHECK(json::parse(lines[1]) ==
        json{{"id", id}, {"state", "dead"}, {"outcome", {{"kind", "exited"}, {"code", 3}}}});
}

TEST_CASE("push --follow shows every attempt, however fast the first ones are") {
  test_daemon runner;
  for (int i = 0; i < 3; ++i)
    CHECK(called(runner, 1,
                 {"push", "--follow", "--max-attempts", "3", "--backoff-s", "0", "--", "sh", "-c",
                  "echo attempt $TASK_RUNNER_ATTEMPT; false"}) == "attempt 1\nattempt 2\nattempt 3\n");
}

TEST_CASE("follow goes on to the next attempt, also over a restart of the daemon") {
  test_daemon runner;
  runner.options().http_addr = address_of(runner);
  runner.create_channel("plain");
  const gate end(runner.path("gate"));
  const auto id = push_json(
      runner, {{"task", "echo attempt $TASK_RUNNER_ATTEMPT; [ $TASK_RUNNER_ATTEMPT = 3 ] || exit 1; " +
                            end.wait_line() + "; echo end"},
               {"channel", "plain"},
               {"max_attempts", 3},
               {"backoff", "constant"},
               {"backoff_s", 0.1}});
  process following(client_options(runner, {"follow", "--attempt", "1", id}));
  REQUIRE(following.wait_output("attempt 3\n"));
  runner.kill();
  REQUIRE(wait_until([&] { return holds(following.error_output(), "the daemon is away"); }));
  runner.start();
  end.open();
  CHECK(following.wait(std::chrono::seconds(30)) == process_end{true, 0});
  CHECK(following.output() == "attempt 1\nattempt 2\nattempt 3\nend\n");
}

TEST_CASE("output that repeats itself is followed beyond what is kept") {
  daemon_options options;
  options.flags = {"-output-head=1k", "-output-tail=1k"};
  test_daemon runner(options);
  const gate more(runner.path("more"));
  const std::string burst = "i=0; while [ $i -lt $n ]; do i=$((i+1)); echo same; done; ";
  const auto id = runner.push_line("n=2000; " + burst + "echo mark 1; " + more.wait_line() + "; n=100; " +
                                   burst + "echo mark 2; exit 2");
  process following(client_options(runner, {"follow", id}));
  REQUIRE(following.wait_output("mark 1\n"));
  more.open();
  CHECK(following.wait(std::chrono::seconds(30)) == process_end{true, 2});
  std::string expected;
  for (int i = 0; i < 100; ++i)
    expected += "same\n";
  const auto shown = following.output();
  const auto mark = shown.find("mark 1\n");
  REQUIRE(mark != std::string::npos);
  CHECK(shown.substr(mark + 7) == expected + "mark 2\n");
}

TEST_CASE("in JSON no character is split, and what is no text is base64") {
  test_daemon runner;
  const auto id =
      runner.push_line("printf x; head -c 150000 /dev/zero | sed 's/\\x00/\xc3\xa4/g'; printf '\\377\\376'");
  runner.settled(id);
  std::string expected = "x";
  for (int i = 0; i < 150'000; ++i)
    expected += "\xc3\xa4";
  for (const std::string verb : {"output", "follow"}) {
    CAPTURE(verb);
    std::string text;
    size_t other_bytes = 0;
    size_t pieces = 0;
    for (const auto& line : lines_of(called(runner, 0, {verb, "--json", id}))) {
      const auto piece = json::parse(line);
      ++pieces;
      text += piece.value("output", "");
      const auto encoded = piece.value("base64", "");
      other_bytes +=
          encoded.size() / 4 * 3 - static_cast<size_t>(std::count(encoded.begin(), encoded.end(), '='));
    }
    CHECK(pieces > 1);
    // The bytes that are no text spoil the piece that they are in, and no other one.
    CHECK(expected.compare(0, text.size(), text) == 0);
    CHECK(text.size() > 200'000);
    CHECK(other_bytes >= 2);
    CHECK(text.size() + other_bytes == expected.size() + 2);
  }
}

TEST_CASE("an output that cannot be read is waited for with growing pauses, and told once") {
  test_daemon runner;
  const gate end(runner.path("gate"));
  const auto hidden = runner.push_line("echo hidden; " + end.wait_line() + "; echo back");
  const auto talks =
      runner.push_line("while [ ! -e " + runner.path("gate") + " ]; do echo tick; sleep 0.02; done");
  REQUIRE(wait_until([&] { return runner.output(hidden) == "hidden\n"; }));
  // The daemon follows no link: it has an output that is there and cannot be opened.
  const auto file = output_file_of(runner, hidden);
  const auto aside = std::filesystem::path(runner.path("aside"));
  std::filesystem::rename(file, aside);
  std::filesystem::create_symlink(aside, file);

  process following(client_options(runner, {"follow", hidden, talks}));
  const auto warnings = [&] { return count_of("cannot be followed", runner.log()); };
  REQUIRE(wait_until([&] { return warnings() > 0; }));
  const auto began = std::chrono::steady_clock::now();
  REQUIRE(wait_until([&] { return warnings() >= 5; }));
  // 100, 200, 400 and 800 ms, of which the first may be over already.
  CHECK(std::chrono::steady_clock::now() - began >= std::chrono::milliseconds(1'200));
  CHECK(count_of("task-runner: ", following.error_output()) == 1);
  CHECK(holds(following.error_output(), "task-runner: waiting: cannot read the captured output"));
  CHECK(holds(following.output(), "tick\n"));
  std::filesystem::remove(file);
  std::filesystem::rename(aside, file);
  REQUIRE(following.wait_output("hidden\n"));
  end.open();
  CHECK(following.wait(std::chrono::seconds(30)) == process_end{true, 0});
  CHECK(holds(following.output(), "back\n"));
  CHECK(count_of("task-runner: ", following.error_output()) == 1);
}
