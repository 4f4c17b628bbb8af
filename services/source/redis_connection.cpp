// hiredis in its non-blocking form, driven by poll(2).
// The socket is opened here rather than by hiredis, so that a stop also ends a connect that hangs.
#include "services/source/redis_connection.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace task_runner {

namespace {

using clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// Longest wait for a connection, per address of the host.
constexpr milliseconds connect_timeout{3'000};

/// Longest wait for a reply. Redis runs one command at a time, and other people's may be slow.
constexpr milliseconds command_timeout{10'000};

/// After a stop, a command under way gets this long to be answered.
constexpr milliseconds stop_grace{1'000};

/// Longest part of a server's error text that is repeated.
constexpr size_t refusal_length_max = 200;

struct close_fd {
  int fd = -1;
  ~close_fd() {
    if (fd >= 0)
      close(fd);
  }
  int release() { return std::exchange(fd, -1); }
};

int milliseconds_until(clock::time_point deadline) {
  const auto left = std::chrono::ceil<milliseconds>(deadline - clock::now()).count();
  return static_cast<int>(std::clamp<int64_t>(left, 0, 3'600'000));
}

std::string describe(const redis_endpoint& endpoint) {
  const bool bare_ipv6 = endpoint.host.find(':') != std::string::npos;
  return (bare_ipv6 ? "[" + endpoint.host + "]" : endpoint.host) + ":" + std::to_string(endpoint.port);
}

/// Connects to one address; 0, or the errno that says why not (ECANCELED after a stop).
int connect_to(const addrinfo& address, const wake_event& stop, close_fd& opened) {
  close_fd socket_fd{
      socket(address.ai_family, address.ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address.ai_protocol)};
  if (socket_fd.fd < 0)
    return errno;
  if (connect(socket_fd.fd, address.ai_addr, address.ai_addrlen) != 0) {
    if (errno != EINPROGRESS)
      return errno;
    const auto deadline = clock::now() + connect_timeout;
    for (;;) {
      std::array<pollfd, 2> waits{{{socket_fd.fd, POLLOUT, 0}, {stop.fd(), POLLIN, 0}}};
      const int ready = poll(waits.data(), waits.size(), milliseconds_until(deadline));
      if (ready < 0 && errno != EINTR)
        return errno;
      if (ready == 0)
        return ETIMEDOUT;
      if (ready > 0 && waits[1].revents != 0)
        return ECANCELED;
      if (ready > 0)
        break;
    }
    int failure = 0;
    socklen_t length = sizeof failure;
    if (getsockopt(socket_fd.fd, SOL_SOCKET, SO_ERROR, &failure, &length) != 0)
      return errno;
    if (failure != 0)
      return failure;
  }
  // Without them a small command may wait for the last one's acknowledgement, and a dead peer go unnoticed.
  const int yes = 1;
  setsockopt(socket_fd.fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  setsockopt(socket_fd.fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
  opened.fd = socket_fd.release();
  return 0;
}

result<int> open_socket(const redis_endpoint& endpoint, const wake_event& stop) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int code =
          getaddrinfo(endpoint.host.c_str(), std::to_string(endpoint.port).c_str(), &hints, &found);
      code != 0)
    return error{error_code::unavailable, "the Redis host " + endpoint.host + " cannot be resolved: " +
                                              gai_strerror(code) + "; check redis-host"};
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> addresses(found, &freeaddrinfo);
  int failure = EADDRNOTAVAIL;
  for (const addrinfo* address = addresses.get(); address != nullptr; address = address->ai_next) {
    close_fd opened;
    failure = connect_to(*address, stop, opened);
    if (failure == 0)
      return opened.release();
    if (failure == ECANCELED)
      break;
  }
  return error{error_code::unavailable, "Redis at " + describe(endpoint) +
                                            " cannot be reached: " + std::strerror(failure) +
                                            "; check that it runs and that redis-host is right"};
}

bool contains(std::string_view text, std::string_view part) noexcept {
  return text.find(part) != std::string_view::npos;
}

struct advice {
  std::string_view sign;
  std::string_view text;
};

/// What to do about the server's error replies, the most telling sign first.
constexpr advice advices[] = {
    {"without any password configured", "Redis has no password: remove redis-password"},
    {"no password is set", "Redis has no password: remove redis-password"},
    {"WRONGPASS", "the password is not right: check redis-password"},
    {"invalid password", "the password is not right: check redis-password"},
    {"NOAUTH", "Redis asks for a password: set redis-password or redis-password-file"},
    {"NOPERM",
     "the Redis user lacks permission: allow it the intake keys and the commands of lists and scripts"},
    {"DENIED", "Redis is in protected mode: give it a password, or bind it to loopback"},
    {"DB index", "there is no such database: check redis-db"},
    {"READONLY", "this Redis is a replica: point redis-host at the primary"},
    {"MISCONF", "Redis cannot write its snapshot: look at its log and disk"},
    {"OOM", "Redis is out of memory: raise maxmemory or remove data"},
    {"LOADING", "Redis is still loading its data: this ends by itself"},
    {"MASTERDOWN", "the replica has lost its primary: point redis-host at a primary"},
    {"BUSY", "a script keeps Redis busy: wait, or end it with SCRIPT KILL"},
    {"WRONGTYPE", "the key holds something else than a list: rename or delete it"},
    {"unknown command", "Redis 2.6 or newer is needed, with scripts and list commands not renamed"},
};

} // namespace

std::string_view reply_text(const redisReply& reply) noexcept {
  return reply.str == nullptr ? std::string_view() : std::string_view(reply.str, reply.len);
}

redis_refusal classify(const redisReply& reply) noexcept {
  if (reply.type != REDIS_REPLY_ERROR)
    return redis_refusal::none;
  const auto text = reply_text(reply);
  if (contains(text, "NOSCRIPT"))
    return redis_refusal::no_script;
  if (contains(text, "WRONGTYPE"))
    return redis_refusal::wrong_type;
  if (contains(text, "TAKENEXISTS"))
    return redis_refusal::list_exists;
  return redis_refusal::other;
}

std::string explain_refusal(const redisReply& reply) {
  const auto text = reply_text(reply);
  std::string sentence = "Redis refuses: " + std::string(text.substr(0, refusal_length_max));
  for (const auto& one : advices)
    if (contains(text, one.sign))
      return sentence + " (" + std::string(one.text) + ")";
  return sentence;
}

error refusal_of(const redisReply& reply) {
  return error{error_code::unavailable, explain_refusal(reply)};
}

error unexpected_reply(std::string_view command) {
  return error{error_code::unavailable,
               "Redis answers " + std::string(command) +
                   " with something else than expected; is it really Redis 2.6 or newer?"};
}

result<redis_connection> redis_connection::open(const redis_endpoint& endpoint, const wake_event& stop) {
  auto socket_fd = open_socket(endpoint, stop);
  if (!socket_fd)
    return socket_fd.failure();
  close_fd guard{*socket_fd};
  redisContext* context = redisConnectFd(guard.fd);
  if (context == nullptr)
    return error{error_code::unavailable, "out of memory while connecting to Redis"};
  guard.release();
  context->flags &=
      ~REDIS_BLOCK; // the socket does not block; with this flag hiredis would take EAGAIN as fatal
  redis_connection connection(context, stop);
  const auto require = [&](const std::vector<std::string_view>& words) -> result<void> {
    auto reply = connection.command(words);
    if (!reply)
      return reply.failure();
    if (classify(**reply) != redis_refusal::none)
      return error{error_code::unavailable, explain_refusal(**reply)};
    return {};
  };
  if (!endpoint.password.empty())
    if (auto ok = require({"AUTH", endpoint.password}); !ok)
      return ok.failure();
  if (endpoint.db != 0)
    if (auto ok = require({"SELECT", std::to_string(endpoint.db)}); !ok)
      return ok.failure();
  return connection;
}

error redis_connection::context_failure() const {
  return error{error_code::unavailable,
               std::string("the connection to Redis is lost: ") +
                   (context_->errstr[0] != '\0' ? context_->errstr : std::strerror(errno))};
}

result<void> redis_connection::wait(short events, time_point& deadline, bool& stopping) {
  for (;;) {
    std::array<pollfd, 2> waits{{{context_->fd, events, 0}, {stop_->fd(), POLLIN, 0}}};
    const int ready = poll(waits.data(), stopping ? 1 : 2, milliseconds_until(deadline));
    if (ready < 0 && errno != EINTR)
      return error{error_code::unavailable, std::string("poll failed: ") + std::strerror(errno)};
    if (ready == 0)
      return error{error_code::unavailable, stopping
                                                ? "stopped while Redis had not answered"
                                                : "Redis does not answer in time; see what keeps it busy"};
    if (ready > 0 && !stopping && waits[1].revents != 0) {
      stopping = true;
      deadline = std::min(deadline, clock::now() + stop_grace);
    }
    if (ready > 0 && waits[0].revents != 0)
      return {};
  }
}

result<void> redis_connection::send(const std::vector<std::string_view>& words) {
  std::vector<const char*> pointers;
  std::vector<size_t> lengths;
  pointers.reserve(words.size());
  lengths.reserve(words.size());
  for (const auto word : words) {
    pointers.push_back(word.data());
    lengths.push_back(word.size());
  }
  if (redisAppendCommandArgv(context_.get(), static_cast<int>(words.size()), pointers.data(),
                             lengths.data()) != REDIS_OK)
    return context_failure();
  auto deadline = clock::now() + command_timeout;
  bool stopping = false;
  for (;;) {
    int done = 0;
    if (redisBufferWrite(context_.get(), &done) != REDIS_OK)
      return context_failure();
    if (done != 0)
      return {};
    if (auto ready = wait(POLLOUT, deadline, stopping); !ready)
      return ready;
  }
}

result<redis_reply> redis_connection::receive() {
  void* reply = nullptr;
  if (redisReaderGetReply(context_->reader, &reply) != REDIS_OK)
    return error{error_code::unavailable,
                 std::string("Redis sent what is no reply: ") + context_->reader->errstr};
  if (reply == nullptr) {
    if (redisBufferRead(context_.get()) != REDIS_OK)
      return context_failure();
    if (redisReaderGetReply(context_->reader, &reply) != REDIS_OK)
      return error{error_code::unavailable,
                   std::string("Redis sent what is no reply: ") + context_->reader->errstr};
  }
  return redis_reply(static_cast<redisReply*>(reply));
}

result<redis_reply> redis_connection::command(const std::vector<std::string_view>& words) {
  if (auto sent = send(words); !sent)
    return sent.failure();
  auto deadline = clock::now() + command_timeout;
  bool stopping = false;
  for (;;) {
    if (auto ready = wait(POLLIN, deadline, stopping); !ready)
      return ready.failure();
    auto reply = receive();
    if (!reply || *reply)
      return reply;
  }
}

uint64_t redis_connection::peek_text_length() const noexcept {
  char head[24];
  const auto got = recv(context_->fd, head, sizeof head, MSG_PEEK | MSG_DONTWAIT);
  if (got < 2 || head[0] != '$')
    return 0;
  uint64_t length = 0;
  for (ssize_t at = 1; at < got; ++at) {
    if (head[at] == '\r')
      return length;
    if (head[at] < '0' || head[at] > '9' || length > UINT64_MAX / 10 - 9)
      return 0;
    length = length * 10 + static_cast<uint64_t>(head[at] - '0');
  }
  return 0;
}

} // namespace task_runner
