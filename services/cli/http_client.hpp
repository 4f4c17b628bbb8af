// One connection to the daemon: a request out, an answer in, each with a deadline and a bound.
// The library behind it is seen by this file's .cpp alone.
#pragma once

#include "services/domain/result.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
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

private:
  struct parts;
  std::unique_ptr<parts> parts_;
};

} // namespace task_runner::cli
