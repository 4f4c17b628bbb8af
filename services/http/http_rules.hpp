// Bounds and policies that every connection of a server obeys, and the counters they all report to.
// Made once by http_server and shared read-only (the counters are atomic).
#pragma once

#include "services/http/guard.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace task_runner {

/// Limits of one server; http_server_options documents each.
struct http_rules {
  size_t header_max = 0;
  uint64_t body_max = 0;
  int64_t header_deadline_ms = 0;
  int64_t body_deadline_ms = 0;
  int64_t request_timeout_ms = 0;
  int64_t idle_timeout_ms = 0;
  uint32_t connections_max = 0;
  uint32_t streams_max = 0;
  size_t stream_unsent_max = 0;
  int64_t stream_stall_ms = 0;
  std::vector<std::string> legacy_200_paths;
  guard_policy guard;
};

/// Most bytes kept of requests that arrive before the one at hand is answered. Beyond it the connection is
/// closed after that answer; the client repeats what was not answered.
constexpr size_t pipelined_bytes_max = 262'144;

/// A body that comes at least this fast, in bytes per millisecond, outlasts its deadline, however large it
/// is.
constexpr uint64_t body_bytes_per_ms_min = 64;

/// Longest wait for room in the socket while an answer is being sent, from one piece to the next,
/// milliseconds; then the connection is cut.
constexpr int64_t send_stall_max_ms = 30'000;

/// What the kernel may hold of a stream that has not reached the client, bytes (it allows for twice as much,
/// with what it needs itself). Left to itself it would take megabytes for each client that reads slowly.
constexpr int stream_send_buffer = 32'768;

/// After the last answer the client gets this long to read it and close, milliseconds; then the connection is
/// cut.
constexpr int64_t linger_max_ms = 2'000;

/// Most bytes read and dropped during that time.
constexpr uint64_t linger_bytes_max = 16'777'216;

/// What a server has seen since it started. Relaxed counters: each is exact, together they are no snapshot.
struct http_counters {
  std::atomic<uint64_t> connections_open{0};
  std::atomic<uint64_t> connections_accepted{0};
  /// Refused with 503 for being more than `connections_max`.
  std::atomic<uint64_t> connections_refused{0};
  /// Complete requests that passed the gate.
  std::atomic<uint64_t> requests{0};
  /// Requests refused by the gate: malformed, foreign, too large, too slow.
  std::atomic<uint64_t> requests_refused{0};
  /// Answers that found their client gone, or their request timed out.
  std::atomic<uint64_t> answers_dropped{0};
  std::atomic<uint64_t> streams_open{0};
  /// Refused with 503 for being more than `streams_max`.
  std::atomic<uint64_t> streams_refused{0};
  /// Cut for what their clients had not read.
  std::atomic<uint64_t> streams_cut{0};
};

} // namespace task_runner
