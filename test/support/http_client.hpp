// A small HTTP/1.1 client for tests, so that they see bytes, headers and status codes as they are on the
// wire. It shares nothing with the server under test.
#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace task_runner::test {

/// Names and values of headers, query parameters or form fields, in order.
using name_values = std::vector<std::pair<std::string, std::string>>;

/// One answer.
struct http_answer {
  int status = 0;
  /// Names in lower case; of repeated headers the last.
  std::map<std::string, std::string> headers;
  std::string body;

  /// The header's value, or an empty text.
  std::string header(const std::string& name) const;
  /// The body; throws std::runtime_error with the body in its text when that is no JSON.
  nlohmann::json json() const;
};

/// Status and headers out of the text of a head, whose lines all end in CRLF. Throws std::runtime_error when
/// it is none.
http_answer parse_head(const std::string& head);

/// `name=value&…` with everything but letters and digits encoded.
std::string encode_form(const name_values& fields);

/// Keeps one connection to 127.0.0.1 open between requests. Not thread-safe. Throws std::runtime_error when
/// the server cannot be reached, closes early, or says nothing for thirty seconds.
class http_client {
public:
  explicit http_client(uint16_t port)
      : port_(port) {}
  ~http_client() { disconnect(); }
  http_client(const http_client&) = delete;
  http_client& operator=(const http_client&) = delete;

  http_answer get(const std::string& target) { return send("GET", target); }
  http_answer post_form(const std::string& target, const name_values& fields, name_values headers = {});
  http_answer post_json(const std::string& target, const nlohmann::json& body);
  /// Host and Content-Length are added unless `headers` has them.
  http_answer send(const std::string& method, const std::string& target, const name_values& headers = {},
                   const std::string& body = {});
  /// Sends the bytes as they are over a connection of their own, closes the writing side where `half_close`
  /// says so, and reads one answer.
  http_answer send_raw(const std::string& bytes, bool half_close = false);

private:
  void connect();
  void disconnect();
  void send_bytes(const std::string& bytes);
  bool fill();
  http_answer read_answer(bool without_body);

  uint16_t port_ = 0;
  int fd_ = -1;
  std::string buffer_;
};

} // namespace task_runner::test
