// One thread accepts, reads a request to its end, answers and closes.
#include "test/support/scripted_server.hpp"

#include <arpa/inet.h>
#include <array>
#include <netinet/in.h>
#include <stdexcept>
#include <sys/socket.h>
#include <unistd.h>

namespace task_runner::test {

namespace {

/// Head and body; what there is where the client leaves early.
std::string read_request(int connection) {
  std::string request;
  std::array<char, 4'096> piece{};
  const auto is_whole = [&] {
    const auto end = request.find("\r\n\r\n");
    if (end == std::string::npos)
      return false;
    const std::string name = "Content-Length: ";
    const auto at = request.find(name);
    const auto length = at < end ? std::stoul(request.substr(at + name.size())) : 0;
    return request.size() >= end + 4 + length;
  };
  while (!is_whole()) {
    const auto got = ::recv(connection, piece.data(), piece.size(), 0);
    if (got <= 0)
      break;
    request.append(piece.data(), static_cast<size_t>(got));
  }
  return request;
}

} // namespace

scripted_server::scripted_server(std::vector<std::string> answers)
    : answers_(std::move(answers))
    , listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* const place = reinterpret_cast<sockaddr*>(&address);
  if (listener_ < 0 || ::bind(listener_, place, length) != 0 || ::listen(listener_, 16) != 0 ||
      ::getsockname(listener_, place, &length) != 0)
    throw std::runtime_error("no server on 127.0.0.1");
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { run(); });
}

scripted_server::~scripted_server() {
  ::shutdown(listener_, SHUT_RDWR); // ends accept
  thread_.join();
  ::close(listener_);
}

std::vector<std::string> scripted_server::requests() const {
  const std::lock_guard<std::mutex> guard(mutex_);
  return requests_;
}

void scripted_server::run() {
  for (const auto& answer : answers_) {
    const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0)
      return;
    const auto request = read_request(connection);
    {
      const std::lock_guard<std::mutex> guard(mutex_);
      requests_.push_back(request);
    }
    // Who has left has nothing to hear.
    static_cast<void>(::send(connection, answer.data(), answer.size(), MSG_NOSIGNAL));
    ::close(connection);
  }
}

std::string answer_text(int status, const std::string& content_type, const std::string& body) {
  return "HTTP/1.1 " + std::to_string(status) +
         " Said\r\nConnection: close\r\nContent-Type: " + content_type + "\r\n\r\n" + body;
}

std::string envelope_text(int status, const std::string& message, const std::string& data) {
  return answer_text(status, "application/json",
                     R"({"status_code":)" + std::to_string(status) + R"(,"message":")" + message +
                         R"(","data":)" + data + "}");
}

} // namespace task_runner::test
