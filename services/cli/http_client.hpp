// One connection to the daemon: a request out, an answer in, each with a deadline and a bound.
// The library behind it is seen by this file's .cpp alone.
#pragma once

#include "services/domain/result.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace task_runner::cli {

/// Longest wait for a connection, and for an answer: longer than the daemon's own for its actors (30 s).
constexpr std::chrono::milliseconds connect_timeout{3'000};
constexpr std::chrono::milliseconds answer_timeout{40'000};

/// Largest answer that is taken, bytes.
constexpr size_t answer_bytes_max = 64UL * 1'048'576;

struct http_call {
  std::string method = "GET";
  /// Path and query, encoded.
  std::string target;
  std::string body;
  /// Of the body; empty without one.
  std::string content_type;
  /// What a client that comes back to a stream has seen last; empty: it begins.
  std::string last_event_id;
  /// Sent as Idempotency-Key; empty: none. With one the daemon carries the call out once, so that it is sent
  /// once more wherever the connection broke before the answer.
  std::string idempotency_key;
  std::chrono::milliseconds connect_within = connect_timeout;
  std::chrono::milliseconds answer_within = answer_timeout;
  /// Whether it does no harm twice: then it is sent once more where a connection that was open from an
  /// earlier call turned out to be closed.
  bool is_repeatable = true;
};

struct http_reply {
  int status = 0;
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;

  /// The header's value, names compared without case; empty where there is none.
  std::string_view header(std::string_view name) const noexcept;
};

/// Takes bytes of an answer as they come; false: no more are wanted.
using byte_receiver = std::function<bool(std::string_view bytes)>;

/// Keeps its connection open from call to call. Not thread-safe; never throws.
class http_client {
public:
  /// `host` is an address or a name, without brackets; `token` is sent as a bearer token unless it is empty.
  http_client(const std::string& host, uint16_t port, const std::string& token);
  ~http_client();
  http_client(const http_client&) = delete;
  http_client& operator=(const http_client&) = delete;

  /// `unavailable` where nobody can be connected to, `timeout` where no whole answer came in time, and
  /// `too_large` for one over the bound.
  result<http_reply> send(const http_call& call);

  /// The same for a stream of events: where the answer is one, with a status of 2xx, its body goes to `take`
  /// piece by piece, and has no bound. `answer_within` is then the longest silence. Succeeds when the daemon
  /// ends the answer, and when `take` has had enough, which must not throw.
  result<http_reply> receive(const http_call& call, const byte_receiver& take);

  /// Breaks the connection, so that a call that waits for its answer fails at once. A call that has not got
  /// that far goes on: who wants it to end calls this until it does. Any thread.
  void stop() noexcept;

private:
  result<http_reply> call(const http_call& what, const byte_receiver* take);

  struct parts;
  std::unique_ptr<parts> parts_;
};

} // namespace task_runner::cli
