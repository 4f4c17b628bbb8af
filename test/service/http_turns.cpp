// What handlers put off to the end of their worker's turn is done then, on that thread, come what may.
#include "services/http/worker_turn.hpp"
#include "test/service/http_support.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>

using namespace task_runner;
using namespace task_runner::test;

TEST_CASE("work is done at once outside of a turn, and at its end within one, in order") {
  std::string done;
  after_this_turn([&] { done += 'a'; });
  CHECK(done == "a");
  {
    const worker_turn turn;
    after_this_turn([&] { done += 'b'; });
    after_this_turn([] { throw std::runtime_error("as the test wants it"); });
    after_this_turn([&] { done += 'c'; });
    CHECK(done == "a");
  }
  CHECK(done == "abc");
  after_this_turn([&] { done += 'd'; });
  CHECK(done == "abcd");
}

TEST_CASE("what a handler puts off is done when its worker has handled what there was") {
  http_server server{http_server_options{}};
  std::atomic<bool> in_handler{false};
  std::atomic<int> early{0};
  REQUIRE(server.route("GET", "/later", [&](const http_request&, const http_responder& responder) {
    in_handler = true;
    after_this_turn([&, responder, worker = std::this_thread::get_id()] {
      if (in_handler || std::this_thread::get_id() != worker)
        ++early;
      responder.send(200, "text/plain", "later");
    });
    in_handler = false;
  }));
  REQUIRE(server.route("GET", "/failing", [](const http_request&, const http_responder& responder) {
    after_this_turn([responder] {
      responder.send(200, "text/plain", "sent");
      throw std::runtime_error("as the test wants it");
    });
    throw std::runtime_error("as the test wants it");
  }));
  REQUIRE(server.start());
  raw_client client(server.port());
  for (int i = 0; i < 3; ++i) {
    const auto answer = client.ask(plain_request("GET", "/later"));
    CHECK(answer.status == 200);
    CHECK(answer.body == "later");
  }
  // The exception of a handler has answered already: what was put off is done, and comes too late.
  CHECK(client.ask(plain_request("GET", "/failing")).status == 500);
  CHECK(client.ask(plain_request("GET", "/later")).body == "later");
  CHECK(early == 0);
}
