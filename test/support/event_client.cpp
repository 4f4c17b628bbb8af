// Reading of event streams over a blocking socket with a timeout.
#include "test/support/event_client.hpp"

#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <poll.h>
#include <stdexcept>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace task_runner::test {

namespace {

/// Longest wait for one event, comments or not.
constexpr std::chrono::seconds patience{30};

} // namespace

nlohmann::json received_event::json() const {
  auto document = nlohmann::json::parse(data, nullptr, false);
  if (document.is_discarded())
    throw std::runtime_error("the data of event " + name + " is not JSON: " + data);
  return document;
}

event_client::event_client(uint16_t port, const std::string& target, const name_values& headers,
                           int receive_buffer)
    : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))
    , give_up_at_(std::chrono::steady_clock::now() + patience) {
  if (receive_buffer != 0)
    setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    throw std::runtime_error("nobody listens at port " + std::to_string(port));
  std::string text = "GET " + target + " HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n";
  for (const auto& [name, value] : headers)
    text += name + ": " + value + "\r\n";
  text += "\r\n";
  if (send(fd_, text.data(), text.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(text.size()))
    throw std::runtime_error("the server does not take the request");
  size_t end = 0;
  while ((end = buffer_.find("\r\n\r\n")) == std::string::npos)
    if (!fill())
      throw std::runtime_error("the server closed before it answered: " + buffer_);
  answer_ = parse_head(buffer_.substr(0, end + 2));
  buffer_.erase(0, end + 4);
  if (answer_.header("content-type").rfind("text/event-stream", 0) == 0)
    return;
  const auto length =
      answer_.headers.count("content-length") == 0 ? size_t{0} : std::stoul(answer_.header("content-length"));
  while (buffer_.size() < length && fill()) {
  }
  answer_.body = std::exchange(buffer_, {});
}

event_client::event_client(event_client&& other) noexcept
    : fd_(std::exchange(other.fd_, -1))
    , buffer_(std::move(other.buffer_))
    , answer_(std::move(other.answer_))
    , aside_(std::move(other.aside_))
    , last_id_(std::move(other.last_id_))
    , retry_ms_(other.retry_ms_)
    , comments_(other.comments_)
    , give_up_at_(other.give_up_at_) {}

/// False at the end of the stream, orderly or not.
bool event_client::fill() {
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(give_up_at_ - std::chrono::steady_clock::now());
  pollfd one{fd_, POLLIN, 0};
  if (left.count() <= 0 || poll(&one, 1, static_cast<int>(left.count())) <= 0)
    throw std::runtime_error("nothing came in time, after: \"" + buffer_ + "\"");
  std::array<char, 65'536> part{};
  const auto count = recv(fd_, part.data(), part.size(), 0);
  if (count <= 0)
    return false;
  buffer_.append(part.data(), static_cast<size_t>(count));
  return true;
}

std::optional<std::string> event_client::next_line() {
  size_t end = 0;
  while ((end = buffer_.find('\n')) == std::string::npos)
    if (!fill())
      return std::nullopt;
  auto line = buffer_.substr(0, end);
  buffer_.erase(0, end + 1);
  return line;
}

/// Reads up to an empty line; an event goes to those put aside. False at the end, where a part of an event
/// counts for nothing.
bool event_client::read_block() {
  received_event event;
  bool has_data = false;
  for (;;) {
    auto line = next_line();
    if (!line)
      return false;
    if (line->empty())
      break;
    const auto colon = line->find(':');
    if (colon == 0) {
      ++comments_;
      continue;
    }
    const auto field = line->substr(0, colon);
    auto value = colon == std::string::npos ? std::string() : line->substr(colon + 1);
    if (!value.empty() && value.front() == ' ')
      value.erase(0, 1);
    if (field == "data") {
      event.data += (has_data ? "\n" : "") + value;
      has_data = true;
    } else if (field == "id") {
      event.id = value;
    } else if (field == "event") {
      event.name = value;
    } else if (field == "retry") {
      retry_ms_ = std::stoi(value);
    } else {
      throw std::runtime_error("a line that is none of an event stream: " + *line);
    }
  }
  if (has_data)
    aside_.push_back(std::move(event));
  return true;
}

std::optional<received_event> event_client::next() {
  give_up_at_ = std::chrono::steady_clock::now() + patience;
  while (aside_.empty())
    if (!read_block())
      return std::nullopt;
  auto event = std::move(aside_.front());
  aside_.erase(aside_.begin());
  if (!event.id.empty())
    last_id_ = event.id;
  return event;
}

nlohmann::json event_client::expect(const std::string& name) {
  const auto event = next();
  if (!event)
    throw std::runtime_error("the stream ended before an event " + name);
  if (event->name != name)
    throw std::runtime_error("instead of an event " + name + " came " + event->name + ": " + event->data);
  return event->json();
}

void event_client::await_comment() {
  give_up_at_ = std::chrono::steady_clock::now() + patience;
  for (const auto before = comments_; comments_ == before;)
    if (!read_block())
      throw std::runtime_error("the stream ended before a comment");
}

std::vector<received_event> event_client::rest() {
  std::vector<received_event> events;
  while (auto event = next())
    events.push_back(std::move(*event));
  return events;
}

bool event_client::readable(std::chrono::milliseconds limit) const {
  pollfd one{fd_, POLLIN, 0};
  return !buffer_.empty() || !aside_.empty() || poll(&one, 1, static_cast<int>(limit.count())) > 0;
}

void event_client::close(bool reset) {
  if (fd_ < 0)
    return;
  if (reset) {
    const linger now{1, 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }
  ::close(std::exchange(fd_, -1));
}

} // namespace task_runner::test
