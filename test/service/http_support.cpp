// Sockets, processes and the ready-made server of the HTTP tests.
#include "test/service/http_support.hpp"

#include "services/http/http_text.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <spawn.h>
#include <stdexcept>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace task_runner::test {

namespace {

using clock = std::chrono::steady_clock;

int left_ms(clock::time_point end) {
  return static_cast<int>(std::max<int64_t>(
      0, std::chrono::duration_cast<std::chrono::milliseconds>(end - clock::now()).count()));
}

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

uint16_t port_of(int descriptor, int (*ask)(int, sockaddr*, socklen_t*)) {
  sockaddr_in address{};
  socklen_t length = sizeof address;
  if (ask(descriptor, reinterpret_cast<sockaddr*>(&address), &length) != 0)
    return 0;
  return ntohs(address.sin_port);
}

} // namespace

bool wait_until(const std::function<bool()>& condition, int limit_ms) {
  const auto end = clock::now() + std::chrono::milliseconds(limit_ms);
  while (!condition()) {
    if (clock::now() >= end)
      return false;
    ::poll(nullptr, 0, 1);
  }
  return true;
}

std::optional<std::string> raw_answer::header(std::string_view name) const {
  std::string_view rest = head;
  while (!rest.empty()) {
    const auto end = rest.find("\r\n");
    const auto line = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 2);
    const auto colon = line.find(':');
    if (colon != std::string_view::npos && equals_ignoring_case(line.substr(0, colon), name))
      return std::string(trim_blanks(line.substr(colon + 1)));
  }
  return std::nullopt;
}

raw_client::raw_client(uint16_t port)
    : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const auto address = loopback(port);
  if (::connect(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    throw std::runtime_error("cannot connect to the test server");
}

raw_client::~raw_client() {
  close();
}

raw_client::raw_client(raw_client&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1))
    , buffer_(std::move(other.buffer_)) {}

bool raw_client::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0)
      return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

bool raw_client::readable(int limit_ms) const {
  pollfd one{descriptor_, POLLIN, 0};
  return !buffer_.empty() || ::poll(&one, 1, limit_ms) > 0;
}

bool raw_client::fill(int limit_ms) {
  pollfd one{descriptor_, POLLIN, 0};
  if (::poll(&one, 1, limit_ms) <= 0)
    return false;
  std::array<char, 65'536> bytes{};
  const auto got = ::recv(descriptor_, bytes.data(), bytes.size(), 0);
  if (got <= 0)
    return false;
  buffer_.append(bytes.data(), static_cast<size_t>(got));
  return true;
}

raw_answer raw_client::read_answer(bool bodiless) {
  const auto end = clock::now() + std::chrono::milliseconds(patience_ms);
  raw_answer answer;
  size_t head_end = 0;
  while ((head_end = buffer_.find("\r\n\r\n")) == std::string::npos)
    if (!fill(left_ms(end)))
      return answer;
  answer.head = buffer_.substr(0, head_end);
  buffer_.erase(0, head_end + 4);
  const auto length_text = answer.header("Content-Length");
  const size_t length = bodiless || !length_text ? 0 : std::stoul(*length_text);
  while (buffer_.size() < length)
    if (!fill(left_ms(end)))
      return answer;
  answer.body = buffer_.substr(0, length);
  buffer_.erase(0, length);
  answer.status = std::stoi(answer.head.substr(9, 3));
  return answer;
}

std::optional<std::string> raw_client::read_to_end(int limit_ms) {
  const auto end = clock::now() + std::chrono::milliseconds(limit_ms);
  while (fill(left_ms(end))) {
  }
  if (clock::now() >= end)
    return std::nullopt;
  return std::exchange(buffer_, {});
}

raw_answer raw_client::ask(std::string_view request, bool bodiless) {
  send(request);
  return read_answer(bodiless);
}

void raw_client::close() {
  if (descriptor_ >= 0)
    ::close(std::exchange(descriptor_, -1));
}

void raw_client::reset() {
  const linger now{1, 0};
  ::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close();
}

std::string raw_client::local_address() const {
  return "127.0.0.1:" + std::to_string(port_of(descriptor_, ::getsockname));
}

std::string plain_request(std::string_view method, std::string_view target, std::string_view more_headers) {
  std::string text(method);
  text += ' ';
  text += target;
  text += " HTTP/1.1\r\nHost: localhost\r\n";
  text += more_headers;
  text += "\r\n";
  return text;
}

void shelf::put(http_responder responder) {
  std::lock_guard<std::mutex> guard(mutex_);
  responders_.push_back(std::move(responder));
  arrived_.notify_all();
}

std::vector<http_responder> shelf::take(size_t count) {
  std::unique_lock<std::mutex> guard(mutex_);
  if (!arrived_.wait_for(guard, std::chrono::milliseconds(patience_ms),
                         [&] { return responders_.size() >= count; }))
    throw std::runtime_error("the server did not get the requests expected");
  return std::exchange(responders_, {});
}

size_t shelf::size() const {
  std::lock_guard<std::mutex> guard(mutex_);
  return responders_.size();
}

test_server::test_server(http_server_options options)
    : server(std::move(options)) {
  const auto add = [this](std::string_view method, std::string_view pattern, http_handler handler) {
    REQUIRE(server.route(method, pattern, std::move(handler)));
  };
  add("GET", "/hello", [](const http_request&, http_responder to) { to.send(200, "text/plain", "hello\n"); });
  add("POST", "/echo", [](const http_request& request, http_responder to) {
    to.send(200, "application/octet-stream", request.body);
  });
  add("GET", "/slow", [this](const http_request&, http_responder to) { slow.put(std::move(to)); });
  add("GET", "/throw", [](const http_request&, http_responder) { throw std::runtime_error("secret text"); });
  add("GET", "/drop", [](const http_request&, http_responder) {});
  add("GET", "/big", [](const http_request& request, http_responder to) {
    to.send(200, "text/plain", std::string(std::stoul(std::string(*request.query("bytes"))), 'x'));
  });
  add("GET", "/items/:id", [](const http_request& request, http_responder to) {
    to.send(200, "text/plain", request.path_parameter("id"));
  });
  add("GET", "/peer", [](const http_request& request, http_responder to) {
    to.send(200, "text/plain", request.peer_address);
  });
  const auto started = server.start();
  REQUIRE(started);
}

void check_refused(const test_server& server, const std::string& request, int status) {
  CAPTURE(request.substr(0, 200));
  auto client = server.connect();
  const auto answer = client.ask(request);
  CHECK(answer.status == status);
  CHECK(answer.header("Content-Type") == "application/json; charset=utf-8");
  CHECK(answer.body.find("{\"status_code\":" + std::to_string(status) + ",\"message\":\"") == 0);
  const std::string type = status == 400   ? "/api/v1/problems/invalid_argument"
                           : status == 403 ? "/api/v1/problems/forbidden"
                           : status == 413 ? "/api/v1/problems/too_large"
                                           : "about:blank";
  const auto code = std::to_string(status);
  CHECK(answer.body.find(R"(,"data":null,"error":{"type":")" + type + R"(","title":")") != std::string::npos);
  CHECK(answer.body.find(R"(","status":)" + code + R"(,"detail":")") != std::string::npos);
  CHECK(answer.header("Connection") == "close");
  CHECK(client.read_to_end() == "");
}

int server_descriptor_of(const raw_client& client) {
  const uint16_t client_port = port_of(client.descriptor(), ::getsockname);
  const uint16_t server_port = port_of(client.descriptor(), ::getpeername);
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const int last = static_cast<int>(std::min<rlim_t>(limit.rlim_cur, 8'192));
  for (int descriptor = 3; descriptor < last; ++descriptor)
    if (port_of(descriptor, ::getpeername) == client_port &&
        port_of(descriptor, ::getsockname) == server_port)
      return descriptor;
  return -1;
}

std::string run_program(const std::vector<std::string>& arguments) {
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  std::vector<char*> argv;
  for (const auto& argument : arguments)
    argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  pid_t child = 0;
  const int failed = ::posix_spawnp(&child, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  std::string output;
  std::array<char, 4'096> bytes{};
  ssize_t got = 0;
  while (failed == 0 && (got = ::read(ends[0], bytes.data(), bytes.size())) > 0)
    output.append(bytes.data(), static_cast<size_t>(got));
  ::close(ends[0]);
  if (failed == 0)
    ::waitpid(child, nullptr, 0);
  REQUIRE(failed == 0);
  return output;
}

} // namespace task_runner::test
