// A plain socket client and a server with ready-made routes for the HTTP tests.
// The client sends exactly the bytes it is given, since most of these tests are about bytes no library would
// send.
#pragma once

#include "services/http/http_server.hpp"

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace task_runner::test {

/// Longest wait for anything in these tests; reaching it fails the test.
constexpr int patience_ms = 10'000;

/// Waits until `condition` holds; false when it does not within `patience_ms`.
bool wait_until(const std::function<bool()>& condition, int limit_ms = patience_ms);

/// One answer as it came.
struct raw_answer {
  int status = 0;
  /// Status line and headers, without the final empty line.
  std::string head;
  std::string body;

  /// Value of the first header of that name, or nothing.
  std::optional<std::string> header(std::string_view name) const;
};

/// A TCP connection to a server on loopback.
class raw_client {
public:
  explicit raw_client(uint16_t port);
  ~raw_client();
  raw_client(raw_client&& other) noexcept;
  raw_client(const raw_client&) = delete;
  raw_client& operator=(const raw_client&) = delete;

  /// Sends all bytes; false when the server has closed.
  bool send(std::string_view bytes);
  /// The next answer. `bodiless`: the request was HEAD. Status 0 when the connection ends or nothing comes.
  raw_answer read_answer(bool bodiless = false);
  /// Everything until the server closes; nothing when it does not within `limit_ms`.
  std::optional<std::string> read_to_end(int limit_ms = patience_ms);
  /// Whether bytes (or the end) are there within `limit_ms`.
  bool readable(int limit_ms) const;
  /// Sends and reads one answer.
  raw_answer ask(std::string_view request, bool bodiless = false);
  void close();
  /// Closes with a reset instead of an orderly end.
  void reset();
  int descriptor() const noexcept { return descriptor_; }
  /// The local "address:port".
  std::string local_address() const;

private:
  bool fill(int limit_ms);

  int descriptor_ = -1;
  std::string buffer_;
};

/// A GET or other request without body.
std::string plain_request(std::string_view method, std::string_view target,
                          std::string_view more_headers = {});

/// Responders that a handler has put aside, to be answered by the test.
class shelf {
public:
  void put(http_responder responder);
  /// Waits for `count` responders and takes them all.
  std::vector<http_responder> take(size_t count);
  size_t size() const;

private:
  mutable std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<http_responder> responders_;
};

/// A started server. GET /hello answers "hello\n"; POST /echo its body; GET /slow is put on the shelf; GET
/// /throw throws; GET /drop answers nothing; GET /big?bytes=N answers N bytes; GET /items/:id its id; GET
/// /peer the client.
class test_server {
public:
  explicit test_server(http_server_options options = {});

  uint16_t port() const { return server.port(); }
  raw_client connect() const { return raw_client(server.port()); }

  shelf slow;
  http_server server;
};

/// Sends `request` on a connection of its own and checks that it is refused: status, envelope, close.
void check_refused(const test_server& server, const std::string& request, int status);

/// The server's own descriptor of the client's connection, both being in this process; -1 when there is none.
int server_descriptor_of(const raw_client& client);

/// Runs a program with these arguments and returns its standard output.
std::string run_program(const std::vector<std::string>& arguments);

} // namespace task_runner::test
