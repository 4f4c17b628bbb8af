// `push` of the client when the answer is lost on its way: it is sent once more, and makes no second task; of
// lines that were given up then, nobody says that they were not taken.
#include "test/e2e/api_support.hpp"
#include "test/e2e/cli_support.hpp"
#include "test/e2e/cli_terminal.hpp"
#include "test/support/scripted_server.hpp"

#include <arpa/inet.h>
#include <atomic>
#include <netinet/in.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

using namespace task_runner::test;

namespace {

/// Between client and daemon: passes one request of each connection on to the daemon, and swallows the first
/// `lost` answers.
class go_between {
public:
  go_between(uint16_t daemon_port, int lost)
      : daemon_port_(daemon_port)
      , lost_(lost)
      , fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    REQUIRE(bind(fd_, reinterpret_cast<sockaddr*>(&address), length) == 0);
    REQUIRE(listen(fd_, 8) == 0);
    REQUIRE(getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &length) == 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~go_between() {
    shutdown(fd_, SHUT_RDWR);
    thread_.join();
    close(fd_);
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  int requests() const { return requests_; }

private:
  void serve() {
    for (;;) {
      const int client = accept(fd_, nullptr, nullptr);
      if (client < 0)
        return;
      pass_on(client);
      close(client);
    }
  }

  void pass_on(int client) {
    // The client sends little; what it sends is whole when its body is as long as it says.
    std::string request;
    char piece[4'096];
    for (;;) {
      const auto end = request.find("\r\n\r\n");
      const auto at = request.find("Content-Length: ");
      if (end != std::string::npos && at != std::string::npos &&
          request.size() >= end + 4 + std::stoul(request.substr(at + 16)))
        break;
      const auto got = read(client, piece, sizeof piece);
      if (got <= 0)
        return;
      request.append(piece, static_cast<size_t>(got));
    }
    // The answer goes back as the daemon's own, in a few lines.
    const auto answer = http_client(daemon_port_).send_raw(request);
    if (++requests_ <= lost_)
      return;
    const auto text = "HTTP/1.1 " + std::to_string(answer.status) +
                      " Said\r\nContent-Type: application/json\r\n" +
                      "Connection: close\r\nContent-Length: " + std::to_string(answer.body.size()) +
                      "\r\n\r\n" + answer.body;
    static_cast<void>(!write(client, text.data(), text.size()));
  }

  const uint16_t daemon_port_;
  const int lost_;
  std::atomic<int> requests_{0};
  int fd_;
  uint16_t port_ = 0;
  std::thread thread_;
};

/// So many lines.
std::string lines_text(int count) {
  std::string text;
  for (int i = 1; i <= count; ++i)
    text += "echo " + std::to_string(i) + "\n";
  return text;
}

/// An answer of 200 to a portion: so many lines that were taken, then one for each of `codes`.
std::string results_text(int taken, const std::vector<std::string>& codes = {}) {
  std::string text;
  for (int i = 0; i < taken; ++i)
    text += R"(,{"result":true,"task_id":"t"})";
  for (const auto& code : codes)
    text += R"(,{"code":")" + code + R"(","message":"said of a line"})";
  return envelope_text(200, "ok", R"({"results":[)" + text.substr(1) + "]}");
}

/// The answers, and behind them the same one over and over, for a client that does not give up at once.
std::vector<std::string> and_then(std::vector<std::string> answers, const std::string& rest) {
  answers.resize(answers.size() + 30, rest);
  return answers;
}

/// Pushes so many lines to a server that plays a daemon; gives what was complained, which must be a failure.
std::string list_complaints(const std::vector<std::string>& answers, int lines, int code = 1) {
  const scripted_server server(answers);
  process_options start;
  start.argv = {task_runner_binary(), "push", "--stdin-list", "--patience", "1s"};
  start.environment = {{"TASK_RUNNER_ADDRESS", "127.0.0.1:" + std::to_string(server.port())}};
  start.input = lines_text(lines);
  const auto ran = run_process(start, std::chrono::seconds(60));
  CHECK(ran.end == process_end{true, code});
  return ran.error_output;
}

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("a push whose answer was lost is sent once more and is one task") {
  test_daemon runner;
  const auto runs = runner.path("runs");
  const go_between between(runner.port(), 1);
  const auto id =
      trimmed(called(runner, 0, {"push", "--address", between.address(), "--shell", "echo ran >> " + runs}));
  CHECK(between.requests() == 2);
  CHECK(runner.settled(id).at("state") == "finished");
  CHECK(data_of(runner, "GET", "/api/v1/tasks").at("items").size() == 1);
  CHECK(lines_of(read_file(runs)) == std::vector<std::string>{"ran"});
}

TEST_CASE("a push whose answer is lost twice fails, and has made one task") {
  test_daemon runner;
  const go_between between(runner.port(), 2);
  refused_call(runner, 3, {"push", "--address", between.address(), "--", "true"}, between.address());
  CHECK(between.requests() == 2);
  CHECK(data_of(runner, "GET", "/api/v1/tasks").at("items").size() == 1);
}

TEST_CASE("of a list's lines whose answer was lost nobody says that they were not taken") {
  // Sent, and sent again as the connection may have been an old one; then the daemon starts, for ever.
  const auto starting = envelope_text(503, "starting");
  CHECK(holds(list_complaints(and_then({results_text(1'000), "", ""}, starting), 1'002),
              "nobody knows whether lines 1001 to 1002 were taken; there are no others left\n"));
  const auto late = envelope_text(504, "no answer in time");
  CHECK(holds(list_complaints(and_then({}, late), 1'500),
              "nobody knows whether lines 1 to 1000 were taken; the first that surely was not is 1001\n"));
  CHECK(holds(list_complaints({envelope_text(500, "said by a test")}, 1),
              "nobody knows whether line 1 was taken; there are no others left\n"));
  CHECK(holds(list_complaints({results_text(1)}, 3),
              "nobody knows whether lines 1 to 3 were taken; there are no others left\n"));
  // Nothing is taken by a daemon that is starting.
  CHECK(holds(list_complaints(and_then({results_text(1'000)}, starting), 1'002),
              "the first line that was not taken is 1001\n"));
  // Whether somebody was there at all is not known: nothing is said.
  CHECK_FALSE(holds(list_complaints({""}, 3, 3), "taken"));
}

TEST_CASE("a line of a list with the code timeout may have been taken, and those behind it not") {
  const auto full = results_text(0, {"queue_full", "queue_full"});
  const auto complaints = list_complaints(and_then({results_text(1, {"timeout", "queue_full"})}, full), 3);
  CHECK(holds(complaints, "given up"));
  CHECK(holds(complaints, "nobody knows whether line 2 was taken; the first that surely was not is 3\n"));
}

TEST_CASE("what a list fails with stands on a line of its own, not behind the progress bar") {
  const scripted_server server({results_text(1'000), envelope_text(401, "said by a test")});
  terminal_process client({"sh", "-c",
                           "i=0; while [ $i -lt 1001 ]; do i=$((i+1)); echo $i; done | " +
                               task_runner_binary() + " push --stdin-list"},
                          {{"TASK_RUNNER_ADDRESS", "127.0.0.1:" + std::to_string(server.port())}});
  CHECK(client.wait() == process_end{true, 1});
  CHECK(holds(client.drawn(), "1,000 pushed"));
  CHECK(holds(client.drawn(), "\r\033[Ktask-runner: said by a test"));
}

TEST_CASE("a list whose first answer was lost claims nothing of its lines") {
  daemon_options options;
  options.flags = {"-task-mode=false"};
  test_daemon runner(options);
  // As the daemon has not been seen before, its list ends here.
  const go_between between(runner.port(), 1);
  const auto ran = call(runner, {"push", "--stdin-list", "--address", between.address()}, lines_text(3));
  CHECK(ran.end == process_end{true, 3});
  CHECK_FALSE(holds(ran.error_output, "not taken"));
  CHECK(data_of(runner, "GET", "/api/v1/tasks").at("items").size() == 3);
}
