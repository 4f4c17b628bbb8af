// A server with streams that the tests write to: each request to /stream opens one, in the order of arrival.
#pragma once

#include "test/service/http_support.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace task_runner::test {

/// One stream as its owner has it.
struct open_stream {
  http_stream handle;
  /// What its listener has heard.
  std::shared_ptr<std::atomic<int>> closed = std::make_shared<std::atomic<int>>(0);
  std::shared_ptr<std::atomic<int>> rooms = std::make_shared<std::atomic<int>>(0);
};

/// GET /stream opens a stream, GET /hello answers "hello\n".
class stream_server {
public:
  explicit stream_server(http_server_options options = {})
      : server(std::move(options)) {
    REQUIRE(
        server.route("GET", "/stream", [this](const http_request&, const http_responder& to) { open(to); }));
    REQUIRE(server.route("GET", "/hello", [](const http_request&, const http_responder& to) {
      to.send(200, "text/plain", "hello\n");
    }));
    REQUIRE(server.start());
  }
  ~stream_server() { server.stop(); }
  stream_server(const stream_server&) = delete;
  stream_server& operator=(const stream_server&) = delete;

  raw_client connect() const { return raw_client(server.port()); }

  /// A client whose stream is open, its head read, and the stream.
  std::pair<raw_client, open_stream> begin() {
    auto client = connect();
    client.send(plain_request("GET", "/stream"));
    auto stream = take();
    REQUIRE(client.read_answer().status == 200);
    return {std::move(client), std::move(stream)};
  }

  /// Waits for the next stream.
  open_stream take() {
    std::unique_lock<std::mutex> guard(mutex_);
    REQUIRE(
        arrived_.wait_for(guard, std::chrono::milliseconds(patience_ms), [&] { return !opened_.empty(); }));
    auto first = std::move(opened_.front());
    opened_.erase(opened_.begin());
    return first;
  }

  /// Requests that got no stream.
  int refused() const { return refused_; }

  const http_counters& counters() const { return server.counters(); }

  http_server server;

private:
  void open(const http_responder& to) {
    open_stream made;
    stream_listener listener;
    listener.on_closed = [closed = made.closed] { ++*closed; };
    listener.on_room = [rooms = made.rooms] { ++*rooms; };
    auto handle = to.stream("text/plain", {{"X-Kind", "endless"}}, std::move(listener));
    std::lock_guard<std::mutex> guard(mutex_);
    if (!handle) {
      ++refused_;
      return;
    }
    made.handle = std::move(*handle);
    opened_.push_back(std::move(made));
    arrived_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<open_stream> opened_;
  std::atomic<int> refused_{0};
};

} // namespace task_runner::test
