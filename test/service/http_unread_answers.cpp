// What a server lets go of, and when: an answer's hold lasts as long as a part of the answer is in memory.
// Whoever bounds the answers that clients do not read relies on it.
#include "test/service/http_support.hpp"

#include <catch2/catch.hpp>

#include <memory>
#include <mutex>
#include <string>

using namespace task_runner;
using namespace task_runner::test;

namespace {

/// A server whose /held answers `bytes` with a hold.
struct holding_server {
  explicit holding_server(size_t bytes) {
    const auto added =
        server.route("GET", "/held", [this, bytes](const http_request&, const http_responder& to) {
          auto hold = std::make_shared<int>(0);
          std::lock_guard<std::mutex> guard(mutex);
          held = hold;
          to.send_envelope(200, "ok", "\"" + std::string(bytes, 'x') + "\"", {}, {}, std::move(hold));
          answered = true;
        });
    REQUIRE(added);
    REQUIRE(server.start());
  }

  bool is_answered() {
    std::lock_guard<std::mutex> guard(mutex);
    return answered;
  }
  bool is_held() {
    std::lock_guard<std::mutex> guard(mutex);
    return !held.expired();
  }

  std::mutex mutex;
  std::weak_ptr<int> held;
  bool answered = false;
  http_server server{http_server_options{}};
};

/// More than the buffers of the kernel take.
constexpr size_t large = 33'554'432;

} // namespace

TEST_CASE("what fits the socket is let go of at once") {
  holding_server runner(10);
  raw_client client(runner.server.port());
  CHECK(client.ask(plain_request("GET", "/held")).status == 200);
  CHECK(wait_until([&] { return runner.is_answered() && !runner.is_held(); }));
}

TEST_CASE("an answer is held until the client has read it") {
  holding_server runner(large);
  raw_client client(runner.server.port());
  REQUIRE(client.send(plain_request("GET", "/held")));
  REQUIRE(wait_until([&] { return runner.is_answered(); }));
  CHECK(runner.is_held());
  CHECK(client.read_answer().body.size() > large);
  CHECK(wait_until([&] { return !runner.is_held(); }));
}

TEST_CASE("an answer is held no longer than its client stays") {
  holding_server runner(large);
  raw_client client(runner.server.port());
  REQUIRE(client.send(plain_request("GET", "/held")));
  REQUIRE(wait_until([&] { return runner.is_answered(); }));
  CHECK(runner.is_held());
  client.close();
  CHECK(wait_until([&] { return !runner.is_held(); }));
}

TEST_CASE("a server that stops lets go of every answer") {
  holding_server runner(large);
  raw_client client(runner.server.port());
  REQUIRE(client.send(plain_request("GET", "/held")));
  REQUIRE(wait_until([&] { return runner.is_answered(); }));
  runner.server.stop();
  CHECK_FALSE(runner.is_held());
}
