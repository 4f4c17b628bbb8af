// `push` of the client when the answer is lost on its way: it is sent once more, and makes no second task.
// Between client and daemon stands a go-between that swallows answers.
#include "test/e2e/api_support.hpp"
#include "test/e2e/cli_support.hpp"

#include <arpa/inet.h>
#include <atomic>
#include <netinet/in.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

using namespace task_runner::test;

namespace {

/// Passes one request of each connection on to the daemon, and swallows the first `lost` answers.
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
