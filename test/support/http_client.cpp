// Requests over a blocking socket with timeouts.
#include "test/support/http_client.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <cctype>
#include <cerrno>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

namespace task_runner::test {

namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

std::string encode(const std::string& text) {
  constexpr char digits[] = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0) {
      encoded += c;
    } else {
      encoded += '%';
      encoded += digits[byte >> 4U];
      encoded += digits[byte & 15U];
    }
  }
  return encoded;
}

bool has(const name_values& headers, const std::string& name) {
  return std::any_of(headers.begin(), headers.end(),
                     [&](const auto& one) { return lower(one.first) == name; });
}

} // namespace

std::string http_answer::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? std::string() : found->second;
}

nlohmann::json http_answer::json() const {
  auto document = nlohmann::json::parse(body, nullptr, false);
  if (document.is_discarded())
    throw std::runtime_error("status " + std::to_string(status) + ", and the body is not JSON: " + body);
  return document;
}

http_answer parse_head(const std::string& head) {
  if (head.compare(0, 9, "HTTP/1.1 ") != 0)
    throw std::runtime_error("not an HTTP/1.1 answer: " + head);
  http_answer answer;
  answer.status = std::stoi(head.substr(9, 3));
  for (size_t at = head.find("\r\n") + 2; at < head.size();) {
    const auto stop = head.find("\r\n", at);
    const auto colon = head.find(':', at);
    if (colon == std::string::npos || colon > stop)
      throw std::runtime_error("a header line without a colon: " + head);
    const auto from = head.find_first_not_of(' ', colon + 1);
    answer.headers[lower(head.substr(at, colon - at))] = from < stop ? head.substr(from, stop - from) : "";
    at = stop + 2;
  }
  return answer;
}

std::string encode_form(const name_values& fields) {
  std::string text;
  for (const auto& [name, value] : fields)
    text += (text.empty() ? "" : "&") + encode(name) + "=" + encode(value);
  return text;
}

http_answer http_client::post_form(const std::string& target, const name_values& fields,
                                   name_values headers) {
  headers.emplace_back("Content-Type", "application/x-www-form-urlencoded");
  return send("POST", target, headers, encode_form(fields));
}

http_answer http_client::post_json(const std::string& target, const nlohmann::json& body) {
  return send("POST", target, {{"Content-Type", "application/json"}}, body.dump());
}

http_answer http_client::send(const std::string& method, const std::string& target,
                              const name_values& headers, const std::string& body) {
  std::string text = method + " " + target + " HTTP/1.1\r\n";
  if (!has(headers, "host"))
    text += "Host: 127.0.0.1:" + std::to_string(port_) + "\r\n";
  for (const auto& [name, value] : headers)
    text += name + ": " + value + "\r\n";
  if (!has(headers, "content-length") && !has(headers, "transfer-encoding") &&
      (!body.empty() || method == "POST"))
    text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  text += "\r\n" + body;
  if (fd_ < 0)
    connect();
  send_bytes(text);
  auto answer = read_answer(method == "HEAD");
  if (lower(answer.header("connection")) == "close")
    disconnect();
  return answer;
}

http_answer http_client::send_raw(const std::string& bytes, bool half_close) {
  disconnect();
  connect();
  send_bytes(bytes);
  if (half_close)
    shutdown(fd_, SHUT_WR);
  auto answer = read_answer(bytes.compare(0, 5, "HEAD ") == 0);
  disconnect();
  return answer;
}

void http_client::connect() {
  fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  timeval patience{30, 0};
  const int yes = 1;
  setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port_);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    disconnect();
    throw std::runtime_error("nobody listens at port " + std::to_string(port_));
  }
}

void http_client::disconnect() {
  if (fd_ >= 0)
    close(fd_);
  fd_ = -1;
  buffer_.clear();
}

void http_client::send_bytes(const std::string& bytes) {
  for (size_t sent = 0; sent < bytes.size();) {
    const auto count = ::send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0)
      return; // it may have answered already, as to a body that is too large: the answer tells
    sent += static_cast<size_t>(count);
  }
}

bool http_client::fill() {
  char part[65'536];
  for (;;) {
    const auto count = recv(fd_, part, sizeof part, 0);
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0)
      return false;
    buffer_.append(part, static_cast<size_t>(count));
    return true;
  }
}

http_answer http_client::read_answer(bool without_body) {
  const auto need = [this](bool more) {
    if (!more) {
      const auto got = buffer_;
      disconnect();
      throw std::runtime_error("the server closed, or said nothing in time, after: \"" + got + "\"");
    }
  };
  http_answer answer;
  for (;;) {
    size_t end = 0;
    while ((end = buffer_.find("\r\n\r\n")) == std::string::npos)
      need(fill());
    const auto head = buffer_.substr(0, end + 2);
    buffer_.erase(0, end + 4);
    answer = parse_head(head);
    if (answer.status >= 200)
      break; // after "100 Continue" the answer itself follows
  }
  if (without_body || answer.status == 204 || answer.status == 304)
    return answer;
  if (answer.headers.count("content-length") == 0) {
    while (fill()) {
    }
    answer.body = std::move(buffer_);
    disconnect();
    return answer;
  }
  const auto length = std::stoull(answer.headers.at("content-length"));
  while (buffer_.size() < length)
    need(fill());
  answer.body = buffer_.substr(0, length);
  buffer_.erase(0, length);
  return answer;
}

} // namespace task_runner::test
