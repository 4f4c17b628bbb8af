// The Redis protocol (RESP2) over a blocking socket with timeouts.
// Simple rather than fast: a test asks little.
#include "test/support/redis_client.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

namespace task_runner::test {

std::vector<std::string> redis_value::texts() const {
  std::vector<std::string> found;
  for (const auto& element : elements)
    found.push_back(element.text);
  return found;
}

redis_client::redis_client(uint16_t port, const std::string& password, int db) {
  fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  timeval patience{10, 0};
  const int yes = 1;
  setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    close(fd_);
    throw std::runtime_error("no Redis at port " + std::to_string(port));
  }
  if (!password.empty())
    command({"AUTH", password});
  if (db != 0)
    command({"SELECT", std::to_string(db)});
}

redis_client::~redis_client() {
  close(fd_);
}

redis_value redis_client::command(const std::vector<std::string>& words) {
  return pipeline({words}).front();
}

std::vector<redis_value> redis_client::pipeline(const std::vector<std::vector<std::string>>& commands) {
  std::string text;
  for (const auto& words : commands) {
    text += "*" + std::to_string(words.size()) + "\r\n";
    for (const auto& word : words)
      text += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
  }
  send_text(text);
  std::vector<redis_value> replies;
  for (size_t i = 0; i < commands.size(); ++i)
    replies.push_back(read_value());
  return replies;
}

void redis_client::send_text(const std::string& text) {
  for (size_t sent = 0; sent < text.size();) {
    const auto count = ::send(fd_, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0)
      throw std::runtime_error("Redis does not take commands");
    sent += static_cast<size_t>(count);
  }
}

void redis_client::fill() {
  char part[65'536];
  for (;;) {
    const auto count = recv(fd_, part, sizeof part, 0);
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0)
      throw std::runtime_error("Redis does not answer");
    buffer_.erase(0, at_);
    at_ = 0;
    buffer_.append(part, static_cast<size_t>(count));
    return;
  }
}

std::string redis_client::read_line() {
  size_t end = 0;
  while ((end = buffer_.find("\r\n", at_)) == std::string::npos)
    fill();
  auto line = buffer_.substr(at_, end - at_);
  at_ = end + 2;
  return line;
}

std::string redis_client::read_bytes(size_t count) {
  while (buffer_.size() - at_ < count + 2)
    fill();
  auto bytes = buffer_.substr(at_, count);
  at_ += count + 2;
  return bytes;
}

redis_value redis_client::read_value() {
  const auto line = read_line();
  redis_value value;
  const auto rest = line.substr(1);
  switch (line.at(0)) {
  case '+':
    value.type = redis_value::kind::status;
    value.text = rest;
    return value;
  case '-':
    value.type = redis_value::kind::error;
    value.text = rest;
    return value;
  case ':':
    value.type = redis_value::kind::integer;
    value.integer = std::stoll(rest);
    return value;
  case '$':
    if (std::stoll(rest) < 0)
      return value;
    value.type = redis_value::kind::text;
    value.text = read_bytes(std::stoull(rest));
    return value;
  case '*':
    if (std::stoll(rest) < 0)
      return value;
    value.type = redis_value::kind::array;
    for (auto left = std::stoull(rest); left > 0; --left)
      value.elements.push_back(read_value());
    return value;
  default:
    throw std::runtime_error("Redis answered what is no reply: " + line);
  }
}

} // namespace task_runner::test
