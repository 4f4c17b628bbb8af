// The HTTP server: sockets in, decoded requests out to handlers, answers back from any thread.
// Everything of Pistache stays behind this face; so does everything that a hostile client can send.
#pragma once

#include "services/domain/result.hpp"
#include "services/http/http_message.hpp"
#include "services/http/http_responder.hpp"
#include "services/http/http_rules.hpp"
#include "services/http/route_table.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace task_runner {

/// What a server can be told. Times are milliseconds, sizes bytes; each must be at least 1 unless said
/// otherwise.
struct http_server_options {
  /// IPv4 or IPv6 address (without brackets) or a name that resolves to one.
  std::string host = "127.0.0.1";
  /// 0 takes a free port; http_server::port() tells which.
  uint16_t port = 0;
  /// Worker threads, 1 to 64. One more thread accepts connections.
  uint32_t threads = 2;
  /// Largest request body; a larger one is answered 413 without being read.
  uint64_t body_max = 1'048'576;
  /// Request line and headers together; more is answered 431 (or 414).
  uint32_t header_max = 16'384;
  /// Host names that requests may name besides loopback ones and `host` itself.
  std::vector<std::string> allow_hosts;
  /// From the connection, or from the first byte of a later request, to the end of its headers; then 408.
  int64_t header_deadline_ms = 10'000;
  /// From the headers to the end of the body; then 408. A body that keeps coming at 64 KB/s may take longer.
  int64_t body_deadline_ms = 30'000;
  /// Longest time for an answer; then 504, and what the handler answers later is dropped.
  int64_t request_timeout_ms = 60'000;
  /// How long a connection may stay open between two requests.
  int64_t idle_timeout_ms = 60'000;
  /// Connections beyond it are answered 503 and closed. Lowered at the start to what the limit on open files
  /// leaves room for.
  uint32_t connections_max = 8'192;
  /// Streams beyond it are answered 503. Lowered at the start to three quarters of the connections, so that
  /// streams leave room for other requests.
  uint32_t streams_max = 4'096;
  /// What may wait for a stream's client, besides what the kernel takes (some 64 KiB); beyond it the client
  /// is cut off. 1,024 to hold a head at least.
  uint32_t stream_unsent_max = 65'536;
  /// A stream's client that has something to take, and takes nothing of it for so long, is cut off.
  int64_t stream_stall_ms = 10'000;
  /// On these paths, and below them ("/a" stands for "/a" and "/a/b"; "/" for itself alone), envelopes are
  /// sent with HTTP status 200, whatever their status_code. What is refused before a path is known is not.
  std::vector<std::string> legacy_200_paths;
};

/// A server. route() and start() belong to one thread; stop() and the questions are thread-safe, but stop()
/// must not be called by a handler. Requests are handled on the worker threads.
///
/// Paths: percent codes are decoded segment by segment, `//` counts as `/`, a trailing slash counts for
/// nothing. A known path with another method is answered 405 with Allow, an unknown one 404; OPTIONS and, for
/// GET routes, HEAD are answered without a route of their own. Pipelined requests are answered one after the
/// other. Clients that close their sending side before they have the answer count as gone.
class http_server {
public:
  explicit http_server(http_server_options options);
  /// Stops.
  ~http_server();
  http_server(const http_server&) = delete;
  http_server& operator=(const http_server&) = delete;

  /// Adds a route. `pattern` begins with a slash and has literal and `:name` segments; a literal one wins
  /// over a
  /// `:name` at the same place. `invalid_argument` for a pattern or method that cannot be routed, `conflict`
  /// for a route that exists.
  result<void> route(std::string_view method, std::string_view pattern, http_handler handler);

  /// Binds and serves. `conflict` when the address is taken, `invalid_argument` when it cannot be bound for
  /// another reason or an option is out of range. May be called again after stop(), but not endlessly: each
  /// time Pistache leaves 2 + 2 * threads eventfds open.
  result<void> start();

  /// Closes the listening socket and all connections and ends the threads. Idempotent. Requests that are not
  /// answered yet get no answer; responders that are still held do nothing when used.
  void stop();

  /// The bound port; 0 unless started.
  uint16_t port() const;

  /// What happened since the first start.
  const http_counters& counters() const noexcept;

private:
  class implementation;
  std::unique_ptr<implementation> implementation_;
};

} // namespace task_runner
