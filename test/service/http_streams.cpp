// Answers without an end, one at a time: what goes out, what bounds it, and who hears of the end.
// http_streams_many.cpp has a thousand of them at once.
#include "test/service/http_stream_server.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <chrono>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <thread>

using namespace task_runner;
using namespace task_runner::test;

namespace {

http_server_options one_thread() {
  http_server_options options;
  options.threads = 1;
  return options;
}

/// Reads until `count` bytes are there; fewer when the stream ends or nothing comes.
std::string read_bytes(raw_client& client, size_t count) {
  std::string bytes;
  std::array<char, 65'536> part{};
  while (bytes.size() < count && client.readable(patience_ms)) {
    const auto got = ::recv(client.descriptor(), part.data(), std::min(part.size(), count - bytes.size()), 0);
    if (got <= 0)
      break;
    bytes.append(part.data(), static_cast<size_t>(got));
  }
  return bytes;
}

/// Writes until the kernel takes no more; gives what was written.
std::string fill(const open_stream& stream) {
  std::string written;
  for (int i = 0; stream.handle.unsent() == 0 && i < 1'000'000; ++i) {
    const auto line = "line " + std::to_string(i) + "\n";
    REQUIRE(stream.handle.write(line));
    written += line;
  }
  return written;
}

bool closed_once(const open_stream& stream) {
  return wait_until([&] { return *stream.closed == 1; }) && !stream.handle.write({});
}

} // namespace

TEST_CASE("a stream sends what is written as it is written, and ends when it is closed") {
  stream_server server;
  auto client = server.connect();
  client.send(plain_request("GET", "/stream"));
  auto stream = server.take();
  const auto head = client.read_answer();
  CHECK(head.status == 200);
  CHECK(head.header("Content-Type") == "text/plain");
  CHECK(head.header("X-Kind") == "endless");
  CHECK(head.header("Connection") == "close");
  CHECK_FALSE(head.header("Content-Length"));
  CHECK_FALSE(head.header("Transfer-Encoding"));
  for (const std::string piece : {"one", "two\n", ""}) {
    CHECK(stream.handle.write(piece));
    CHECK(read_bytes(client, piece.size()) == piece);
  }
  CHECK(server.counters().streams_open == 1);
  CHECK(stream.handle.write({}));
  CHECK(*stream.closed == 0);
  CHECK(stream.handle.write("the end"));
  stream.handle = {};
  CHECK_FALSE(stream.handle.write("more"));
  CHECK(client.read_to_end() == "the end");
  client.close();
  CHECK(closed_once(stream));
  CHECK(server.counters().streams_open == 0);
  CHECK(server.counters().streams_cut == 0);
}

TEST_CASE("a stream ends with the last of its handles") {
  stream_server server;
  auto begun = server.begin();
  auto copy = begun.second.handle;
  begun.second.handle = {};
  CHECK(copy.write("still there"));
  copy = {};
  CHECK_FALSE(copy.write("nobody's"));
  CHECK(begun.first.read_to_end() == "still there");
  CHECK(wait_until([&] { return server.counters().streams_open == 0; }));
}

TEST_CASE("HEAD of a stream is answered with its head alone") {
  stream_server server;
  auto client = server.connect();
  const auto head = client.ask(plain_request("HEAD", "/stream"), true);
  CHECK(head.status == 200);
  CHECK(head.header("X-Kind") == "endless");
  CHECK_FALSE(head.header("Content-Length"));
  CHECK(client.read_to_end() == "");
  CHECK(wait_until([&] { return server.refused() == 1; }));
  CHECK(server.counters().streams_open == 0);
}

TEST_CASE("a request behind one that is answered with a stream is not read") {
  stream_server server;
  auto client = server.connect();
  client.send(plain_request("GET", "/stream") + plain_request("GET", "/hello"));
  auto stream = server.take();
  CHECK(client.read_answer().status == 200);
  client.send(plain_request("GET", "/hello"));
  CHECK(stream.handle.write("only this"));
  stream.handle = {};
  CHECK(client.read_to_end() == "only this");
  CHECK(server.counters().requests == 1);
}

TEST_CASE("the second of two answers to a request is no stream, and a stream is an answer") {
  http_server server{http_server_options{}};
  std::atomic<int> failures{0};
  REQUIRE(server.route("GET", "/answered", [&](const http_request&, const http_responder& to) {
    to.send(200, "text/plain", "first");
    failures += to.stream("text/plain", {}, {}) ? 1 : 0;
  }));
  REQUIRE(server.route("GET", "/streamed", [&](const http_request&, const http_responder& to) {
    const auto stream = to.stream("text/plain", {}, {});
    failures += !stream || !to.answered() || to.send(200, "text/plain", "again") ||
                        to.stream("text/plain", {}, {}) || !stream->write("once")
                    ? 1
                    : 0;
  }));
  REQUIRE(server.start());
  raw_client client(server.port());
  CHECK(client.ask(plain_request("GET", "/answered")).body == "first");
  client.send(plain_request("GET", "/streamed"));
  CHECK(client.read_answer().status == 200);
  CHECK(client.read_to_end() == "once");
  CHECK(failures == 0);
}

TEST_CASE("a reader that has fallen behind gets everything in order, and the writer hears of the room") {
  stream_server server;
  auto begun = server.begin();
  const auto& stream = begun.second;
  const auto written = fill(stream);
  CHECK(stream.handle.unsent() > 0);
  CHECK(*stream.rooms == 0);
  CHECK(read_bytes(begun.first, written.size()) == written);
  CHECK(wait_until([&] { return *stream.rooms == 1; }));
  CHECK(stream.handle.unsent() == 0);
  CHECK(stream.handle.write("and on"));
  CHECK(read_bytes(begun.first, 6) == "and on");
  CHECK(*stream.closed == 0);
}

TEST_CASE("what waits when a stream is closed is still sent") {
  stream_server server;
  auto begun = server.begin();
  const auto written = fill(begun.second);
  begun.second.handle = {};
  CHECK_FALSE(begun.second.handle.write("more"));
  CHECK(begun.first.read_to_end() == written);
}

TEST_CASE("a reader with more unsent than is allowed is cut at once, and nobody else notices") {
  http_server_options options = one_thread();
  options.stream_unsent_max = GENERATE(4'096U, 65'536U);
  stream_server server(options);
  auto dead = server.begin();
  auto other = server.begin();
  const auto& stream = dead.second;
  const std::string piece(1'000, 'x');
  size_t written = 0;
  size_t unsent_most = 0;
  while (stream.handle.write(piece)) {
    written += piece.size();
    unsent_most = std::max(unsent_most, stream.handle.unsent());
    REQUIRE(written < 64'000'000);
  }
  CHECK(unsent_most <= options.stream_unsent_max);
  CHECK(unsent_most + piece.size() > options.stream_unsent_max);
  CHECK(stream.handle.unsent() == 0);
  CHECK_FALSE(stream.handle.write("more"));
  CHECK(closed_once(stream));
  CHECK(server.counters().streams_cut == 1);
  CHECK(server.counters().streams_open == 1);
  WARN("a reader that does not read was cut after " << written << " bytes, of which " << unsent_most
                                                    << " were in the server's memory");

  CHECK(other.second.handle.write("alive"));
  CHECK(read_bytes(other.first, 5) == "alive");
  CHECK(server.connect().ask(plain_request("GET", "/hello")).body == "hello\n");
  // One write that is too much by itself.
  const std::string much(64'000'000, 'x');
  CHECK_FALSE(other.second.handle.write(much));
  CHECK(closed_once(other.second));
}

TEST_CASE("a reader that takes nothing for too long is cut though little waits for it") {
  http_server_options options;
  options.stream_stall_ms = 100;
  stream_server server(options);
  auto begun = server.begin();
  // What waits at first may still find room at the client's machine, a moment later: it is filled up.
  CHECK(wait_until([&] {
    while (begun.second.handle.unsent() == 0 && begun.second.handle.write("more of it\n")) {
    }
    return *begun.second.closed == 1;
  }));
  CHECK(server.counters().streams_cut == 1);
}

TEST_CASE("a client that takes everything is not cut for what is written shortly before it is looked at") {
  http_server_options options;
  options.stream_stall_ms = 200;
  stream_server server(options);
  for (int i = 0; i < 5; ++i) {
    auto begun = server.begin();
    // Its machine confirms what comes a moment later: what is written now is on its way when the watch ends.
    const int off = 0;
    REQUIRE(::setsockopt(begun.first.descriptor(), IPPROTO_TCP, TCP_QUICKACK, &off, sizeof off) == 0);
    CHECK_FALSE(begun.first.readable(180));
    REQUIRE(begun.second.handle.write("."));
    CHECK(read_bytes(begun.first, 1) == ".");
    CHECK_FALSE(begun.first.readable(100));
  }
  CHECK(server.counters().streams_cut == 0);
}

TEST_CASE("a stream outlasts the deadlines of requests and idle connections") {
  http_server_options options;
  options.stream_stall_ms = 50;
  options.header_deadline_ms = 50;
  options.body_deadline_ms = 50;
  options.request_timeout_ms = 50;
  options.idle_timeout_ms = 50;
  stream_server server(options);
  auto begun = server.begin();
  // With nothing to tell, and right after something that has been read.
  for (int i = 0; i < 3; ++i) {
    CHECK_FALSE(begun.first.readable(200));
    CHECK(begun.second.handle.write("sign of life"));
    CHECK(read_bytes(begun.first, 12) == "sign of life");
  }
  CHECK(*begun.second.closed == 0);
  CHECK(server.counters().streams_cut == 0);
}

TEST_CASE("a client that has left frees its stream") {
  stream_server server;
  const bool orderly = GENERATE(true, false);
  const bool waits = GENERATE(true, false);
  auto begun = server.begin();
  if (waits)
    fill(begun.second);
  if (orderly)
    begun.first.close();
  else
    begun.first.reset();
  CHECK(closed_once(begun.second));
  CHECK_FALSE(begun.second.handle.write("nobody's"));
  CHECK(begun.second.handle.unsent() == 0);
  begun.second.handle = {};
  CHECK(server.counters().streams_open == 0);
  CHECK(server.counters().connections_open == 0);
  CHECK(*begun.second.closed == 1);
}

TEST_CASE("no byte of a stream reaches the next client with the same descriptor") {
  stream_server server(one_thread());
  int reused = 0;
  for (int round = 0; round < 20; ++round) {
    auto begun = server.begin();
    const int descriptor = server_descriptor_of(begun.first);
    REQUIRE(descriptor >= 0);
    if (round % 4 < 2)
      fill(begun.second);
    if (round % 2 == 0)
      begun.first.close();
    else
      begun.first.reset();
    REQUIRE(wait_until([&] { return server.counters().connections_open == 0; }));

    auto stranger = server.connect();
    REQUIRE(stranger.ask(plain_request("GET", "/hello")).body == "hello\n");
    reused += server_descriptor_of(stranger) == descriptor ? 1 : 0;
    CHECK_FALSE(begun.second.handle.write("not for the stranger"));
    begun.second.handle = {};
    begun.second.handle = {};
    CHECK_FALSE(stranger.readable(0));
    CHECK(stranger.ask(plain_request("GET", "/hello")).body == "hello\n");
    stranger.close();
    REQUIRE(wait_until([&] { return server.counters().connections_open == 0; }));
  }
  // Otherwise the test would show nothing.
  CHECK(reused > 0);
}

TEST_CASE("a server that stops ends its streams") {
  stream_server server;
  auto quiet = server.begin();
  auto behind = server.begin();
  fill(behind.second);
  server.server.stop();
  for (const auto* stream : {&quiet.second, &behind.second}) {
    CHECK(*stream->closed == 1);
    CHECK_FALSE(stream->handle.write("late"));
  }
  CHECK(quiet.first.read_to_end() == "");
  CHECK(server.counters().streams_open == 0);
}

TEST_CASE("a handle may outlive its server") {
  open_stream kept;
  {
    stream_server server;
    kept = server.begin().second;
  }
  CHECK_FALSE(kept.handle.write("late"));
  CHECK(*kept.closed == 1);
}

TEST_CASE("streams beyond the limit are answered 503, and one that ends makes room") {
  http_server_options options;
  options.streams_max = 2;
  stream_server server(options);
  auto first = server.begin();
  auto second = server.begin();
  auto client = server.connect();
  const auto refusal = client.ask(plain_request("GET", "/stream"));
  CHECK(refusal.status == 503);
  CHECK(refusal.header("Retry-After") == "1");
  CHECK(refusal.body.find("too many streams") != std::string::npos);
  CHECK(server.counters().streams_refused == 1);
  // The connection stays, for other requests and for another try.
  CHECK(client.ask(plain_request("GET", "/hello")).body == "hello\n");
  first.first.close();
  REQUIRE(closed_once(first.second));
  client.send(plain_request("GET", "/stream"));
  const auto third = server.take();
  CHECK(client.read_answer().status == 200);
  CHECK(server.counters().streams_open == 2);
}

TEST_CASE("streams leave a quarter of the connections to other requests") {
  http_server_options options;
  options.connections_max = 8;
  stream_server server(options);
  std::vector<std::pair<raw_client, open_stream>> streams;
  for (int i = 0; i < 6; ++i)
    streams.push_back(server.begin());
  auto client = server.connect();
  CHECK(client.ask(plain_request("GET", "/stream")).status == 503);
  CHECK(client.ask(plain_request("GET", "/hello")).status == 200);
}

TEST_CASE("what several threads write to a stream stays in one piece each") {
  stream_server server;
  auto begun = server.begin();
  constexpr int writers = 4;
  constexpr int pieces = 200;
  constexpr size_t piece_size = 100;
  std::vector<std::thread> threads;
  for (int i = 0; i < writers; ++i)
    threads.emplace_back([&, i] {
      for (int n = 0; n < pieces; ++n) {
        begun.second.handle.write(std::string(piece_size - 1, static_cast<char>('a' + i)) + "\n");
        wait_until([&] { return begun.second.handle.unsent() < 32'768; });
      }
    });
  const auto all = read_bytes(begun.first, writers * pieces * piece_size);
  for (auto& thread : threads)
    thread.join();
  REQUIRE(all.size() == writers * pieces * piece_size);
  for (size_t at = 0; at < all.size(); at += piece_size)
    CHECK(all.substr(at, piece_size) == std::string(piece_size - 1, all[at]) + "\n");
}

TEST_CASE("options of streams out of range are errors") {
  for (const int which : {0, 1, 2}) {
    http_server_options options;
    if (which == 0)
      options.streams_max = 0;
    if (which == 1)
      options.stream_unsent_max = 1'023;
    if (which == 2)
      options.stream_stall_ms = 0;
    http_server server(options);
    const auto started = server.start();
    REQUIRE_FALSE(started);
    CHECK(started.failure().code == error_code::invalid_argument);
  }
}
