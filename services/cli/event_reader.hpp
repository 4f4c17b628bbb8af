// Reads server-sent events (the text/event-stream of the HTML standard) out of bytes as they come.
// Lines and events may be cut anywhere between two pieces.
#pragma once

#include "services/domain/result.hpp"

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace task_runner::cli {

/// Largest event that is taken, bytes; the daemon's are smaller than what it lets wait for a client (64 KiB).
constexpr size_t event_bytes_max = 1'048'576;

/// One event.
struct server_event {
  /// What to send as Last-Event-ID, so that the stream goes on behind it; empty where none was named yet.
  std::string id;
  /// "message" where the event names none.
  std::string name;
  std::string data;
};

/// Reads one stream from its beginning. Not thread-safe.
class event_reader {
public:
  /// Says what is to be done with an event; false: nothing more is wanted.
  using receiver = std::function<bool(const server_event& event)>;

  /// Takes the next bytes of the stream, and hands over the events that they complete. `too_large` for an
  /// event over `event_bytes_max`, behind which nothing can be read any more.
  result<void> read(std::string_view bytes, const receiver& take);

private:
  /// Takes a whole line; false when nothing more is wanted.
  bool take_line(std::string_view line, const receiver& take);
  bool hand_over(const receiver& take);

  /// A line that has only begun.
  std::string line_;
  std::string name_;
  std::string data_;
  std::string last_id_;
  bool is_at_start_ = true;
  /// The last line ended with a carriage return: a line feed that follows is part of that end.
  bool skips_line_feed_ = false;
  bool has_data_ = false;
};

} // namespace task_runner::cli
