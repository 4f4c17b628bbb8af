// An answer without an end: bytes go out as its owner has them, for as long as the client stays.
// A client that does not read is cut off at a bound, so that nobody pays for it but itself.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>

namespace task_runner {

class http_connection;

/// What the owner of a stream hears. Either may be empty. Called on a thread of the server, or on the one
/// that stops it, never while a call on the stream is under way on that thread; must not block.
struct stream_listener {
  /// Nothing more can be written: the client has left, the stream was cut or closed, or the server has
  /// stopped. Called exactly once for a stream that was opened, maybe before the call that opens it returns.
  std::function<void()> on_closed;
  /// Everything that had been written is with the kernel, after something had to wait.
  std::function<void()> on_room;
};

/// A handle that can be copied and moved; all copies are the same stream, which ends when the last of them
/// goes. Thread-safe; nothing blocks, and nothing does harm after the client has left or the server has
/// stopped.
class http_stream {
public:
  /// No stream: closed.
  http_stream() = default;
  /// For http_responder, of a connection on which a stream has been opened.
  explicit http_stream(std::shared_ptr<http_connection> connection);

  /// Sends, or keeps until there is room. False when the stream is closed, and when that is what this call
  /// has come to: where more bytes wait than the server allows (`stream_unsent_max`) the client is cut off.
  bool write(std::string_view bytes) const;

  /// Bytes that wait for room.
  size_t unsent() const;

private:
  class owned_stream;
  std::shared_ptr<owned_stream> stream_;
};

} // namespace task_runner
