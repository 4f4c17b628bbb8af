// How the command-line client is called: which daemon it speaks to, what it says when there is none, its
// help, and that it and the daemon's own flags never take each other's words.
#include "test/e2e/cli_support.hpp"
#include "test/e2e/cli_terminal.hpp"
#include "test/support/free_port.hpp"
#include "test/support/scripted_server.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

using namespace task_runner::test;
using json = nlohmann::json;

namespace {

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// Runs the binary with nothing given but this.
run_result run(std::vector<std::string> words, const variables& environment = {},
               const std::string& input = {}) {
  process_options start;
  words.insert(words.begin(), task_runner_binary());
  start.argv = std::move(words);
  start.environment = environment;
  start.input = input;
  return run_process(start);
}

/// Answers every connection with the same bytes, which may be none; it is no daemon.
class foreign_server {
public:
  explicit foreign_server(std::string answer)
      : answer_(std::move(answer))
      , fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    REQUIRE(bind(fd_, reinterpret_cast<sockaddr*>(&address), length) == 0);
    REQUIRE(listen(fd_, 8) == 0);
    REQUIRE(getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &length) == 0);
    address_ = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    thread_ = std::thread([this] {
      for (;;) {
        const int client = accept(fd_, nullptr, nullptr);
        if (client < 0)
          return;
        char request[4'096];
        static_cast<void>(!read(client, request, sizeof request));
        static_cast<void>(!write(client, answer_.data(), answer_.size()));
        close(client);
      }
    });
  }
  ~foreign_server() {
    shutdown(fd_, SHUT_RDWR);
    thread_.join();
    close(fd_);
  }
  const std::string& address() const { return address_; }

private:
  const std::string answer_;
  int fd_;
  std::string address_;
  std::thread thread_;
};

} // namespace

TEST_CASE("the daemon is found by flag, then environment, then INI file") {
  test_daemon runner;
  const auto here = address_of(runner);
  const auto nowhere = "127.0.0.1:" + std::to_string(free_port());
  write_file(runner.path("here.ini"), "[http]\naddr = " + here + "\n");
  write_file(runner.path("nowhere.ini"), "[http]\naddr = " + nowhere + "\n");
  const auto found = [&](int code, const std::vector<std::string>& flags, const variables& environment) {
    std::vector<std::string> words{"channel", "list"};
    words.insert(words.end(), flags.begin(), flags.end());
    const auto ran = run(words, environment);
    CAPTURE(flags, environment, ran.error_output);
    CHECK(ran.end == process_end{true, code});
  };
  found(0, {"--address", here}, {{"TASK_RUNNER_ADDRESS", nowhere}});
  found(3, {"--address=" + nowhere}, {{"TASK_RUNNER_ADDRESS", here}});
  found(0, {}, {{"TASK_RUNNER_ADDRESS", here}, {"TASK_RUNNER_HTTP_ADDR", nowhere}});
  found(0, {"--config", runner.path("nowhere.ini")}, {{"TASK_RUNNER_HTTP_ADDR", here}});
  found(0, {"--config", runner.path("here.ini")}, {});
  found(0, {}, {{"TASK_RUNNER_CONFIG", runner.path("here.ini")}});
  found(0, {"-address", "localhost:" + std::to_string(runner.port())}, {});
  found(0, {"--address", ":" + std::to_string(runner.port())}, {}); // all interfaces: loopback is one of them
  found(2, {"--address", "127.0.0.1"}, {});
  found(2, {"--address", "127.0.0.1:0"}, {});
  found(2, {"--config", runner.path("missing.ini")}, {});
  write_file(runner.path("wrong.ini"), "[htp]\naddr = " + here + "\n");
  found(2, {"--config", runner.path("wrong.ini")}, {});
  found(2, {"--token", "two words", "--address", here}, {});
  found(0, {"--token", "abc", "--address", here}, {});
  // A task is told nothing of the sort, and can speak to its daemon all the same.
  called(runner, 0,
         {"push", "--wait", "-e", "TASK_RUNNER_ADDRESS=" + here, "--", task_runner_binary(), "push", "--id",
          "inner", "--", "true"});
  CHECK(runner.settled("inner").at("state") == "finished");
}

TEST_CASE("the token is that of the flag, also an empty one, and else that of the environment") {
  const auto sent = [](const std::vector<std::string>& flags, const variables& environment) {
    const scripted_server server({envelope_text(200, "ok", R"({"items":[]})")});
    std::vector<std::string> words{"channel", "list", "--address",
                                   "127.0.0.1:" + std::to_string(server.port())};
    words.insert(words.end(), flags.begin(), flags.end());
    const auto ran = run(words, environment);
    CAPTURE(flags, environment, ran.error_output);
    const auto asked = server.requests();
    if (asked.empty())
      return "ended with " + std::to_string(ran.end.code) + ": " + trimmed(ran.error_output);
    CHECK(ran.end == process_end{true, 0});
    const std::string name = "Authorization: ";
    const auto at = asked[0].find(name);
    return at == std::string::npos
               ? std::string("none")
               : asked[0].substr(at + name.size(), asked[0].find("\r\n", at) - at - name.size());
  };
  const variables of_environment{{"TASK_RUNNER_TOKEN", "abc"}};
  CHECK(sent({}, {}) == "none");
  CHECK(sent({}, of_environment) == "Bearer abc");
  CHECK(sent({"--token", "def"}, of_environment) == "Bearer def");
  CHECK(sent({"--token", ""}, of_environment) == "none");
  CHECK(sent({"--token="}, of_environment) == "none");
  for (const std::string wrong : {"two words", "a\r\nX-Other: b"})
    CHECK(sent({}, {{"TASK_RUNNER_TOKEN", wrong}})
              .find("ended with 2: task-runner: environment TASK_RUNNER_TOKEN: ") == 0);
}

TEST_CASE(
    "a standard stream that is closed never becomes the connection to the daemon, or the daemon's store") {
  const auto in_shell = [](const std::string& line) {
    process_options start;
    start.argv = {"sh", "-c", line};
    return run_process(start);
  };
  const auto client = task_runner_binary() + " --address ";
  test_daemon runner;
  const auto here = client + address_of(runner) + " ";
  // What it prints would be a request of its own, were it to end up there.
  const auto sly =
      runner.push_line("printf 'POST /api/v1/stop HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 0\\r\\n\\r\\n'");
  runner.settled(sly);
  const auto followed = in_shell(here + "follow " + sly + " >&-");
  CHECK(followed.end == process_end{true, 1});
  CHECK(holds(followed.error_output, "the output cannot be written"));
  const auto list =
      in_shell("printf 'true 1\\n\\377\\ntrue 2\\n' | " + here + "push --stdin-list -- true 2>&-");
  CHECK(list.end.exited);
  CHECK(in_shell(here + "status <&-").end == process_end{true, 0});
  CHECK(runner.report().at("state") == "running");

  const temp_dir directory;
  const auto port = free_port();
  process_options start;
  start.argv = {"sh", "-c",
                "exec " + task_runner_binary() +
                    " -redis-intake off -http-addr 127.0.0.1:" + std::to_string(port) + " -state-dir " +
                    (directory / "state") + " -pidfile " + (directory / "pid") + " <&- >&- 2>&-"};
  process daemon(start);
  const auto ready = [&] { return in_shell(client + "127.0.0.1:" + std::to_string(port) + " channel list"); };
  REQUIRE(wait_until([&] { return ready().end == process_end{true, 0}; }));
  const auto waited = in_shell(client + "127.0.0.1:" + std::to_string(port) + " push --wait -- true");
  CHECK(waited.end == process_end{true, 0});
  CHECK(daemon.signal(SIGTERM));
  CHECK(daemon.wait() == process_end{true, 0});
  CHECK(read_file(directory / "state/node-id").size() == 37);
}

TEST_CASE("a daemon whose queue of connections is full is told as one that is late") {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  REQUIRE(bind(listener, reinterpret_cast<sockaddr*>(&address), length) == 0);
  REQUIRE(listen(listener, 0) == 0);
  REQUIRE(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) == 0);
  // Linux keeps one more than it was told to, and leaves those beyond it without an answer.
  std::vector<int> waiting;
  for (int i = 0; i < 3; ++i) {
    waiting.push_back(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    static_cast<void>(connect(waiting.back(), reinterpret_cast<sockaddr*>(&address), length));
  }
  const auto place = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  const auto ran = run({"channel", "list", "--address", place});
  CHECK(ran.end == process_end{true, 3});
  CHECK(holds(ran.error_output, "nobody answers at " + place + " within 3 s"));
  for (const int one : waiting)
    close(one);
  close(listener);
}

TEST_CASE("without a daemon every verb that needs one ends with 3, and says where it looked") {
  const auto nowhere = "127.0.0.1:" + std::to_string(free_port());
  for (const auto& words : std::vector<std::vector<std::string>>{{"push", "--", "true"},
                                                                 {"push", "--stdin-list"},
                                                                 {"status"},
                                                                 {"status", "--watch"},
                                                                 {"output", "x"},
                                                                 {"follow", "x"},
                                                                 {"wait", "x"},
                                                                 {"cancel", "x", "y"},
                                                                 {"kill", "x"},
                                                                 {"retry", "x"},
                                                                 {"retry", "--dead"},
                                                                 {"pause", "x"},
                                                                 {"resume", "x"},
                                                                 {"drain", "x"},
                                                                 {"channel", "add", "x"},
                                                                 {"channel", "set", "x", "worker=1"},
                                                                 {"channel", "rm", "x"},
                                                                 {"channel", "list"},
                                                                 {"stop", "--wait"},
                                                                 {"why", "x"}}) {
    const auto ran = run(words, {{"TASK_RUNNER_ADDRESS", nowhere}}, "echo line\n");
    CAPTURE(words, ran.error_output);
    CHECK(ran.end == process_end{true, 3});
    CHECK(ran.output.empty());
    CHECK(holds(ran.error_output, nowhere));
    CHECK(lines_of(ran.error_output).front().find("task-runner: nobody answers") == 0);
  }
}

TEST_CASE("what answers and is no daemon is told apart from one") {
  const foreign_server page("HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n<html>\033[31m</");
  const auto ran = run({"status", "--address", page.address()});
  CHECK(ran.end == process_end{true, 3});
  CHECK(holds(ran.error_output, "does not speak as a TaskRunner does"));
  CHECK_FALSE(holds(ran.error_output, "\033"));
  const foreign_server silent("");
  const auto broken = run({"status", "--address", silent.address()});
  CHECK(broken.end == process_end{true, 3});
  CHECK(holds(broken.error_output, "broke"));
  const foreign_server garbage("hello\n");
  CHECK(run({"output", "x", "--address", garbage.address()}).end == process_end{true, 3});
}

TEST_CASE("a first word is a verb, a flag of the daemon, or a mistake that is explained") {
  const auto typo = run({"staus"});
  CHECK(typo.end == process_end{true, 2});
  CHECK(lines_of(typo.error_output).size() == 1);
  for (const auto* part : {"'staus'", "perhaps status is meant", "push", "task-runner help"})
    CHECK(holds(typo.error_output, part));
  const auto stray = run({"http-addr", "127.0.0.1:0"});
  CHECK(stray.end == process_end{true, 2});
  CHECK(holds(stray.error_output, "flags of the daemon begin with a dash"));
  for (const auto& [word, meant] : variables{{"ls", "status or channel list"},
                                             {"logs", "output"},
                                             {"rm", "cancel"},
                                             {"dead", "status --filter state=dead"},
                                             {"start", "resume"},
                                             {"stats", "top"}})
    CHECK(holds(run({word}).error_output, "perhaps " + meant + " is meant"));
  // Flags of the daemon first: that is the daemon, and the verb a stray word.
  const auto late = run({"-task-mode=false", "status"});
  CHECK(late.end == process_end{true, 2});
  CHECK(holds(late.error_output, "status"));
  // The client has no flags of the daemon.
  const auto mixed = run({"status", "-redis-host", "x"});
  CHECK(mixed.end == process_end{true, 2});
  CHECK(holds(mixed.error_output, "there is no flag -redis-host"));
  CHECK(run({"status", "--"}, {{"TASK_RUNNER_ADDRESS", "127.0.0.1:1"}}).end == process_end{true, 3});
}

TEST_CASE("flags that every verb has may stand before it") {
  for (const auto& words : std::vector<std::vector<std::string>>{
           {"--address", "127.0.0.1:1", "status"},
           {"-address=127.0.0.1:1", "--json", "push", "--", "true"},
           {"--json", "--address", "127.0.0.1:1", "channel", "add", "x", "worker=1"}}) {
    const auto ran = run(words);
    CAPTURE(words, ran.error_output);
    CHECK(ran.end == process_end{true, 3});
    CHECK(holds(ran.error_output, "nobody answers at 127.0.0.1:1"));
  }
  for (const auto& [words, says] : std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{"--address", "127.0.0.1:1"}, "a verb is missing"},
           {{"--address", "127.0.0.1:1", "staus"}, "perhaps status is meant"},
           {{"--json", "--wait", "push"}, "no flag --wait that every verb has"},
           {{"--address", "127.0.0.1:1", "status", "--address", "127.0.0.1:2"}, "given twice"},
           {{"-config", "/no/such.ini", "status"}, "--config: "}}) {
    const auto ran = run(words);
    CAPTURE(words, ran.error_output);
    CHECK(ran.end == process_end{true, 2});
    CHECK(holds(ran.error_output, says));
  }
}

TEST_CASE("help explains every verb, and needs no daemon") {
  const auto all = run({"help"});
  CHECK(all.end == process_end{true, 0});
  for (const std::string verb :
       {"push",         "status", "output", "follow", "wait",        "cancel",      "kill",
        "retry",        "pause",  "resume", "drain",  "channel add", "channel set", "channel rm",
        "channel list", "why",    "stop",   "doctor", "version",     "completion",  "manual"}) {
    CAPTURE(verb);
    CHECK(holds(all.output, "\n  " + verb + " "));
    std::vector<std::string> words;
    for (size_t at = 0; at <= verb.size();) {
      const auto end = std::min(verb.find(' ', at), verb.size());
      words.push_back(verb.substr(at, end - at));
      at = end + 1;
    }
    auto by_flag = words;
    by_flag.emplace_back("--help");
    words.insert(words.begin(), "help");
    const auto help = run(words);
    CHECK(help.end == process_end{true, 0});
    CHECK(help.output.find("usage: task-runner " + verb) == 0);
    CHECK(holds(help.output, "--address HOST:PORT"));
    CHECK(run(by_flag).output == help.output);
    for (const auto& line : lines_of(help.output))
      CHECK(line.size() <= 110); // bytes: some signs have several
  }
  CHECK(holds(run({"channel", "--help"}).output, "channel rm"));
  CHECK(run({"help", "nothing"}).end == process_end{true, 2});
  CHECK_FALSE(holds(all.output, "__complete"));
}

TEST_CASE("the manual page has every verb and flag, and man takes it without a complaint") {
  const auto page = run({"manual"});
  CHECK(page.end == process_end{true, 0});
  for (const std::string part : {".TH TASK-RUNNER 1", ".SS task-runner push [flags] \\-\\- COMMAND",
                                 "\\-\\-stdin\\-list", ".SH EXIT STATUS", "TASK_RUNNER_ADDRESS"})
    CHECK(holds(page.output, part));
  CHECK(page.output == read_file(std::string(TASK_RUNNER_PACKAGING_DIR) + "/task-runner.1"));
  process_options start;
  start.argv = {"man", "--warnings", "-l", "-"};
  start.environment = {{"LC_ALL", "C.UTF-8"}, {"MANWIDTH", "90"}, {"MANPAGER", "cat"}};
  start.input = page.output;
  const auto shown = run_process(start);
  if (shown.end.code == 127) {
    WARN("man is not installed; the page was not shown to it");
    return;
  }
  CHECK(shown.end == process_end{true, 0});
  CHECK(shown.error_output.empty());
  CHECK(holds(shown.output, "--stdin-list"));
}

TEST_CASE("version tells both versions, and works without a daemon") {
  test_daemon runner;
  const auto both = lines_of(called(runner, 0, {"version"}));
  REQUIRE(both.size() == 2);
  CHECK(both[0].find("task-runner ") == 0);
  CHECK(both[1] == "daemon " + both[0].substr(12));
  CHECK(json::parse(called(runner, 0, {"version", "--json"})).at("daemon") == both[0].substr(12));
  const auto alone = run({"version", "--json", "--address", "127.0.0.1:1"});
  CHECK(alone.end == process_end{true, 0});
  CHECK(json::parse(alone.output).at("daemon").is_null());
}

TEST_CASE("output that cannot be written is no success, and a reader that leaves ends the client") {
  test_daemon runner;
  const auto id = runner.push_line("head -c 1000000 /dev/zero");
  runner.settled(id);
  process_options start;
  start.environment = {{"TASK_RUNNER_ADDRESS", address_of(runner)}};
  start.argv = {"sh", "-c", task_runner_binary() + " output " + id + " > /dev/full"};
  const auto full = run_process(start);
  CHECK(full.end == process_end{true, 1});
  CHECK(holds(full.error_output, "cannot be written"));
  start.argv = {"bash", "-c", "set -o pipefail; " + task_runner_binary() + " output " + id + " | head -c 10"};
  const auto left = run_process(start);
  INFO(left.error_output);
  CHECK(left.end == process_end{true, 141});
  CHECK(left.error_output.empty());
}
