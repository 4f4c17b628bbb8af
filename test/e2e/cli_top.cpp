// `top` in a real terminal against a real daemon: what it shows, what its keys do, how it leaves.
#include "test/e2e/api_support.hpp"
#include "test/e2e/cli_support.hpp"
#include "test/e2e/cli_terminal.hpp"
#include "test/e2e/cli_top_terminal.hpp"
#include "test/e2e/gate.hpp"
#include "test/support/free_port.hpp"

using namespace task_runner::test;
using json = nlohmann::json;

namespace {

const std::vector<std::string> top{task_runner_binary(), "top", "--interval", "200ms"};

variables address(const test_daemon& runner, const variables& more = {}) {
  variables all{{"TASK_RUNNER_ADDRESS", address_of(runner)}};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

/// What the screen shows goes into the message of a failure.
#define CHECK_SHOWS(terminal, text)                                                                          \
  do {                                                                                                       \
    const bool shown = (terminal).shows(text);                                                               \
    INFO("the screen, for '" << (text) << "':\n" << (terminal).screen());                                    \
    CHECK(shown);                                                                                            \
  } while (false)

#define REQUIRE_SHOWS(terminal, text)                                                                        \
  do {                                                                                                       \
    const bool shown = (terminal).shows(text);                                                               \
    INFO("the screen, for '" << (text) << "':\n" << (terminal).screen());                                    \
    REQUIRE(shown);                                                                                          \
  } while (false)

/// The terminal is as it was, and the exit code is this.
void check_left(tmux_terminal& terminal, int code) {
  CHECK_SHOWS(terminal, "ended with " + std::to_string(code) + "\n");
  CHECK_SHOWS(terminal, tmux_terminal::mark_restored);
  CHECK_SHOWS(terminal, tmux_terminal::mark_before);
  CHECK(terminal.value("#{alternate_on}") == "0");
  CHECK(terminal.value("#{cursor_flag}") == "1");
}

std::string state_of(test_daemon& runner, const std::string& id) {
  return runner.task(id).at("state").get<std::string>();
}

/// The channel `mail`, made and selected in the first pane.
void select_mail(tmux_terminal& terminal) {
  REQUIRE_SHOWS(terminal, "Channels: ");
  terminal.press({"/"});
  REQUIRE_SHOWS(terminal, "Channels with:");
  terminal.press({"m", "a", "i", "l", "Enter", "j"});
  REQUIRE_SHOWS(terminal, "Tasks of mail, unfinished");
}

} // namespace

TEST_CASE("top shows channels, tasks and output, and its keys steer them") {
  test_daemon runner;
  runner.create_channel("mail", {{"worker", "1"}, {"distinct", "false"}});
  const gate more(runner.path("more"));
  const auto one = pushed(runner, {"-c", "mail", "--id", "one", "--name", "the first", "--shell",
                                   "printf '\\033[31mred\\033[0m \\033]0;title\\007\\033[2Jtext\\n'; " +
                                       more.wait_line() + "; echo later; exec sleep 600"});
  const auto two =
      pushed(runner, {"-c", "mail", "--id", "two", "--name", "the second", "--", "sleep", "601"});
  tmux_terminal terminal(120, 40, top, address(runner));
  REQUIRE_SHOWS(terminal, "task-runner " TASK_RUNNER_VERSION " at " + address_of(runner));
  CHECK_SHOWS(terminal, "running 1/");
  CHECK_SHOWS(terminal, "waiting 1 ");
  select_mail(terminal);
  CHECK_SHOWS(terminal, "the first");
  CHECK_SHOWS(terminal, "the second");
  CHECK_SHOWS(terminal, "Output of one, running");
  // The command's colours are shown, nothing else of what it sends reaches the terminal.
  REQUIRE_SHOWS(terminal, "\nred text\n");
  CHECK(terminal.screen(true).find("\033[31m") != std::string::npos);
  more.open();
  CHECK_SHOWS(terminal, "\nlater\n");

  terminal.press({"p"});
  CHECK_SHOWS(terminal, "channel mail is draining, 1 task waits");
  CHECK(wait_until([&] { return runner.channel("mail").at("paused") == true; }));
  terminal.press({"p"});
  CHECK(terminal.stops_showing("channel mail is draining"));
  CHECK(runner.channel("mail").at("paused") == false);

  terminal.press({"Enter", "j"});
  CHECK_SHOWS(terminal, "Output of two, pending");
  terminal.press({"w"});
  CHECK_SHOWS(terminal, "Why two");
  CHECK_SHOWS(terminal, "1 of 1 are used");
  terminal.press({"Escape"});
  CHECK(terminal.stops_showing("Why two"));
  terminal.press({"Enter"});
  CHECK_SHOWS(terminal, "sleep 601");
  terminal.press({"Escape"});

  terminal.press({"+"});
  CHECK_SHOWS(terminal, "Output of two, running");
  CHECK_SHOWS(terminal, "2/2");
  CHECK(runner.channel("mail").at("worker") == 2);

  terminal.press({"c"});
  REQUIRE_SHOWS(terminal, "Cancel two (the second");
  terminal.press({"n"});
  CHECK(terminal.stops_showing("Cancel two"));
  CHECK(state_of(runner, two) == "running");
  terminal.press({"c"});
  REQUIRE_SHOWS(terminal, "Cancel two (the second");
  terminal.press({"y"});
  CHECK_SHOWS(terminal, "two is cancelled");
  CHECK(state_of(runner, two) == "cancelled");
  CHECK_SHOWS(terminal, "Output of two, cancelled");
  terminal.press({"r", "y"});
  CHECK_SHOWS(terminal, "Output of two, attempt 2, running");
  CHECK(state_of(runner, two) == "running");
  terminal.press({"K"});
  REQUIRE_SHOWS(terminal, "Signal for two");
  terminal.press({"k", "i", "l", "l", "Enter"});
  CHECK_SHOWS(terminal, "signal KILL was sent to two");
  CHECK_SHOWS(terminal, "signal 9 (KILL)");
  terminal.press({"v"});
  CHECK_SHOWS(terminal, "Tasks of mail, dead: 1-1 of 1");
  terminal.press({"q"});
  check_left(terminal, 0);
  called(runner, 0, {"cancel", one});
}

TEST_CASE("top follows output on the full screen, and stays where somebody has scrolled to") {
  test_daemon runner;
  const gate more(runner.path("more"));
  pushed(runner,
         {"--id", "talker", "--shell", "seq 1000; " + more.wait_line() + "; echo and more; exec sleep 600"});
  tmux_terminal terminal(80, 24, top, address(runner));
  REQUIRE_SHOWS(terminal, "Output of talker");
  terminal.press({"o"});
  REQUIRE_SHOWS(terminal, "\n1000\n");
  CHECK(terminal.stops_showing("Channels: "));
  terminal.press({"g"});
  REQUIRE_SHOWS(terminal, "\n1\n2\n3\n");
  more.open();
  CHECK_SHOWS(terminal, "not followed");
  terminal.press({"f"});
  CHECK_SHOWS(terminal, "\n1000\nand more\n");
  terminal.press({"o"});
  CHECK_SHOWS(terminal, "Channels: ");
  terminal.press({"q"});
  check_left(terminal, 0);
  called(runner, 0, {"cancel", "talker"});
}

TEST_CASE("top follows output that repeats itself beyond what is kept") {
  daemon_options options;
  options.flags = {"-output-head=1k", "-output-tail=1k"};
  test_daemon runner(options);
  const gate first(runner.path("first"));
  const gate second(runner.path("second"));
  const gate third(runner.path("third"));
  // Of the end no less than half of the tail is kept: what comes at once fits into that.
  const auto burst = [](const gate& when, int count) {
    return when.wait_line() + "; i=0; while [ $i -lt " + std::to_string(count) +
           " ]; do i=$((i+1)); echo same; done; ";
  };
  pushed(runner,
         {"--id", "talker", "--shell",
          "i=0; while [ $i -lt 2000 ]; do i=$((i+1)); echo old; done; echo mark 1; " + burst(first, 100) +
              burst(second, 100) + burst(third, 20) + "echo mark 2; exec sleep 600"});
  tmux_terminal terminal(80, 240, top, address(runner));
  REQUIRE_SHOWS(terminal, "Output of talker");
  terminal.press({"o"});
  REQUIRE_SHOWS(terminal, "\nmark 1\n");
  const auto shows_behind_mark = [&](int count, const std::string& end) {
    std::string expected = "\nmark 1\n";
    for (int i = 0; i < count; ++i)
      expected += "same\n";
    const bool shown = terminal.shows(expected + end);
    INFO("the screen, for " << count << " lines:\n" << terminal.screen());
    CHECK(shown);
  };
  first.open();
  shows_behind_mark(100, "");
  second.open();
  shows_behind_mark(200, "");
  third.open();
  shows_behind_mark(220, "mark 2\n");
  terminal.press({"q"});
  check_left(terminal, 0);
  called(runner, 0, {"cancel", "talker"});
}

TEST_CASE("top shows the output of a task again from its end on, and of each attempt") {
  test_daemon runner;
  runner.create_channel("plain");
  const auto id =
      push_json(runner, {{"task", "seq -f %050.0f 2000; exit 1"}, {"id", "long"}, {"channel", "plain"}});
  REQUIRE(runner.settled(id).at("state") == "dead");
  tmux_terminal terminal(80, 30, top, address(runner));
  REQUIRE_SHOWS(terminal, "Channels: ");
  terminal.press({"v"});
  REQUIRE_SHOWS(terminal, "Output of long, dead");
  REQUIRE_SHOWS(terminal, "02000\n");
  terminal.press({"o", "g"});
  CHECK_SHOWS(terminal, "[earlier output is left out here]");
  terminal.press({"G", "r"});
  REQUIRE_SHOWS(terminal, "y/n");
  terminal.press({"y"});
  REQUIRE_SHOWS(terminal, "long pending again");
  REQUIRE_SHOWS(terminal, "Output of long, attempt 2, dead");
  terminal.press({"q"});
  check_left(terminal, 0);
}

// A sanitizer needs terabytes of addresses.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST_CASE("top says in a sentence that there are no threads, and leaves the terminal as it was") {
  test_daemon runner;
  // A thread takes as much as its stack may grow to: there is room for two of them.
  const std::string limits = "ulimit -s 1048576 && ulimit -v 2621440 && exec \"$@\"";
  std::vector<std::string> argv{"sh", "-c", limits, "sh"};
  argv.insert(argv.end(), top.begin(), top.end());
  tmux_terminal terminal(200, 24, argv, address(runner));
  CHECK_SHOWS(terminal, "task-runner: top: there are no threads to ask the daemon with: ");
  check_left(terminal, 1);
}
#endif

TEST_CASE("top takes every size of the terminal while it runs") {
  test_daemon runner;
  tmux_terminal terminal(80, 24, top, address(runner));
  REQUIRE_SHOWS(terminal, "Channels: ");
  CHECK_SHOWS(terminal, "Output: no task");
  terminal.resize(40, 10);
  REQUIRE_SHOWS(terminal, "too small");
  CHECK_SHOWS(terminal, "it has 40x10, it takes 61x16");
  terminal.resize(120, 40);
  REQUIRE_SHOWS(terminal, "Channels: ");
  CHECK_SHOWS(terminal, "DELAYED");
  CHECK(lines_of(terminal.screen()).size() == 40);
  terminal.resize(61, 16);
  CHECK(terminal.stops_showing("DELAYED"));
  CHECK_SHOWS(terminal, "Channels: ");
  terminal.press({"?"});
  CHECK_SHOWS(terminal, "the next pane");
  terminal.resize(60, 16);
  REQUIRE_SHOWS(terminal, "too small");
  terminal.press({"q"}); // closes the popup
  terminal.press({"q"});
  check_left(terminal, 0);
}

TEST_CASE("top waits for a daemon that is away, and shows the next one") {
  test_daemon runner;
  runner.create_channel("mail");
  tmux_terminal terminal(100, 30, top, address(runner));
  select_mail(terminal);
  runner.kill();
  REQUIRE_SHOWS(terminal, "DISCONNECTED for ");
  CHECK_SHOWS(terminal, "nobody answers at " + address_of(runner));
  CHECK_SHOWS(terminal, "mail"); // what was known stays in sight
  terminal.press({"p"});
  CHECK_SHOWS(terminal, "is the daemon running?");
  runner.options().http_addr = address_of(runner);
  runner.start();
  CHECK(terminal.stops_showing("DISCONNECTED"));
  runner.push_line("echo again; sleep 600", "mail");
  CHECK_SHOWS(terminal, "echo again; sleep 600");
  terminal.press({"C-c"});
  check_left(terminal, 130);
  called(runner, 0, {"channel", "rm", "--force", "mail"});
}

TEST_CASE("top heeds keys while the daemon is silent, and can always be left") {
  test_daemon runner;
  tmux_terminal terminal(100, 30, top, address(runner));
  REQUIRE_SHOWS(terminal, "Channels: ");
  REQUIRE(runner.child().signal(SIGSTOP));
  REQUIRE_SHOWS(terminal, "no answer from the daemon for ");
  terminal.press({"?"});
  CHECK_SHOWS(terminal, "Keys");
  terminal.press({"q"});
  CHECK(terminal.stops_showing(" Keys "));
  terminal.press({"q"});
  check_left(terminal, 0);
  REQUIRE(runner.child().signal(SIGCONT));
}

TEST_CASE("top puts the terminal back when a signal ends it") {
  test_daemon runner;
  for (const int number : {SIGTERM, SIGQUIT}) {
    tmux_terminal terminal(100, 30, top, address(runner));
    REQUIRE_SHOWS(terminal, "Channels: ");
    REQUIRE(::kill(terminal.program_pid(), number) == 0);
    check_left(terminal, 128 + number);
  }
}

TEST_CASE("top draws with ASCII alone where the locale has nothing else, and without colours when asked") {
  test_daemon runner;
  pushed(runner, {"--id", "wide", "--name", "邮件 ü", "--shell", "echo '中文'; exec sleep 600"});
  {
    tmux_terminal terminal(100, 30, top, address(runner, {{"LC_ALL", "C"}}));
    REQUIRE_SHOWS(terminal, "?? ?");
    REQUIRE_SHOWS(terminal, "\n??\n");
    for (const char one : terminal.screen())
      CHECK(static_cast<unsigned char>(one) < 0x80);
    terminal.press({"q"});
    check_left(terminal, 0);
  }
  tmux_terminal terminal(100, 30, top, address(runner, {{"NO_COLOR", "1"}}));
  REQUIRE_SHOWS(terminal, "邮件 ü");
  REQUIRE_SHOWS(terminal, "\n中文\n");
  const auto drawn = terminal.screen(true);
  for (char digit = '0'; digit < '8'; ++digit)
    CHECK(drawn.find(std::string("\033[3") + digit) == std::string::npos);
  terminal.press({"q"});
  check_left(terminal, 0);
  called(runner, 0, {"cancel", "wide"});
}

TEST_CASE("top is refused where there is no terminal that can take it") {
  test_daemon runner;
  refused_call(runner, 2, {"top"}, "it takes a terminal");
  refused_call(runner, 2, {"top", "--json"}, "status --json");
  refused_call(runner, 2, {"top", "word"}, "one word too many");
  const auto refused = [&](const std::vector<std::string>& words, const variables& environment, int code,
                           const std::string& says) {
    std::vector<std::string> argv{task_runner_binary(), "top"};
    argv.insert(argv.end(), words.begin(), words.end());
    terminal_process program(argv, environment);
    const auto end = program.wait();
    INFO(program.drawn());
    CHECK(end == process_end{true, code});
    CHECK(program.drawn().find(says) != std::string::npos);
    CHECK(program.drawn().find("\033[?1049h") == std::string::npos);
  };
  refused({}, address(runner, {{"TERM", "dumb"}}), 2, "TERM is dumb");
  refused({}, address(runner, {{"TERM", ""}}), 2, "TERM is not set");
  refused({}, address(runner, {{"TERM", "no-such-terminal"}}), 2, "TERM=no-such-terminal");
  refused({"--interval", "soon"}, address(runner), 2, "--interval");
  const auto nowhere = "127.0.0.1:" + std::to_string(free_port());
  refused({"--address", nowhere}, {}, 3, "nobody answers at " + nowhere);
}
