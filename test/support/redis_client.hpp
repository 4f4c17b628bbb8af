// A small Redis client for tests, so that they look at a server without the code under test or its library.
// Understands the five kinds of replies of RESP2.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace task_runner::test {

/// One reply of a Redis server.
struct redis_value {
  enum class kind : uint8_t { nil, text, status, error, integer, array };
  kind type = kind::nil;
  /// Of text, status and error.
  std::string text;
  int64_t integer = 0;
  std::vector<redis_value> elements;

  /// The texts of an array's elements.
  std::vector<std::string> texts() const;
};

/// A blocking connection to 127.0.0.1. Not thread-safe. Throws std::runtime_error when the server cannot be
/// reached or does not answer within ten seconds; an error reply is a value.
class redis_client {
public:
  explicit redis_client(uint16_t port, const std::string& password = {}, int db = 0);
  ~redis_client();
  redis_client(const redis_client&) = delete;
  redis_client& operator=(const redis_client&) = delete;

  redis_value command(const std::vector<std::string>& words);
  /// Sends all commands before reading the first reply.
  std::vector<redis_value> pipeline(const std::vector<std::vector<std::string>>& commands);

private:
  void send_text(const std::string& text);
  redis_value read_value();
  std::string read_line();
  std::string read_bytes(size_t count);
  void fill();

  int fd_ = -1;
  std::string buffer_;
  size_t at_ = 0;
};

} // namespace task_runner::test
