// Server-sent events (the text/event-stream of the HTML standard): what their answer's head says, and how an
// event and a sign of life are written. Pure; who sends them, and when, is up to whoever has a stream.
#pragma once

#include "services/http/http_message.hpp"

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace task_runner {

/// Content-Type of a stream of events.
constexpr std::string_view event_stream_content_type = "text/event-stream; charset=utf-8";

/// A stream that has nothing to tell shows this often that it lives: proxies cut what is silent, and a client
/// that has left without a word is found out.
constexpr std::chrono::milliseconds heartbeat_period{15'000};

/// What a client waits before it comes back, where the stream says so.
constexpr std::chrono::milliseconds reconnect_pause{1'000};

/// The headers besides Content-Type: nobody on the way may keep or hold back what is sent.
const std::vector<http_header>& event_stream_headers();

/// One event.
struct stream_event {
  /// What a client that comes back sends as Last-Event-ID; left out when empty.
  std::string_view id;
  /// Left out when empty: the client calls it "message" then.
  std::string_view name;
  /// Any text; each of its lines becomes a line of its own.
  std::string_view data;
};

/// The event as it is sent, with the empty line that ends it. `id` and `name` are left out where they contain
/// line breaks or NUL, which would begin a field of their own.
std::string render_event(const stream_event& event);

/// What a stream begins with: how long to wait before coming back.
std::string render_retry(std::chrono::milliseconds pause);

/// A comment, which clients ignore.
std::string_view heartbeat_text() noexcept;

/// What the client has seen last, from `Last-Event-ID`; empty when it says nothing.
std::string_view last_event_id(const http_request& request);

} // namespace task_runner
