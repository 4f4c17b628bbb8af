// A client of server-sent events for tests: it reads the stream as the HTML standard says, event by event.
// It shares nothing with the server under test.
#pragma once

#include "test/support/http_client.hpp"

#include <nlohmann/json.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace task_runner::test {

/// One event as a client understands it.
struct received_event {
  std::string id;
  std::string name;
  std::string data;

  nlohmann::json json() const;
};

/// One stream. Not thread-safe. Throws std::runtime_error when the server cannot be reached, or does not do
/// in time what is waited for.
class event_client {
public:
  /// Asks for the target, and reads the head of the answer. `receive_buffer`: SO_RCVBUF, where not 0.
  event_client(uint16_t port, const std::string& target, const name_values& headers = {},
               int receive_buffer = 0);
  ~event_client() { close(); }
  event_client(event_client&& other) noexcept;
  event_client(const event_client&) = delete;
  event_client& operator=(const event_client&) = delete;

  /// Status and headers; the body only where it is no stream of events.
  const http_answer& answer() const noexcept { return answer_; }

  /// The next event; nothing when the stream has ended.
  std::optional<received_event> next();
  /// The next event, which must be of that name; gives its data.
  nlohmann::json expect(const std::string& name);
  /// Waits for a comment; events before it are put aside for next().
  void await_comment();
  /// Waits for the end of the stream; gives the events that came before.
  std::vector<received_event> rest();
  /// Whether anything, or the end, is there by then.
  bool readable(std::chrono::milliseconds limit) const;
  /// The id of the last event that next() gave.
  const std::string& last_id() const noexcept { return last_id_; }
  /// What the stream said of when to come back, milliseconds; 0: nothing so far.
  int retry_ms() const noexcept { return retry_ms_; }
  int descriptor() const noexcept { return fd_; }
  /// Leaves; with `reset` without an orderly end.
  void close(bool reset = false);

private:
  bool fill();
  std::optional<std::string> next_line();
  bool read_block();

  int fd_ = -1;
  std::string buffer_;
  http_answer answer_;
  std::vector<received_event> aside_;
  std::string last_id_;
  int retry_ms_ = 0;
  size_t comments_ = 0;
  std::chrono::steady_clock::time_point give_up_at_;
};

} // namespace task_runner::test
