// One test for each known defect of Pistache that the gate cures; those about refused requests are in
// http_refusals.cpp. Real sockets throughout; the numbers in the names are those of the list of defects.
#include "services/http/http_server.hpp"
#include "test/service/http_support.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <cstdio>
#include <fcntl.h>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>

using namespace task_runner;
using namespace task_runner::test;

namespace {

/// CPU time of this process, server threads included, milliseconds.
int64_t cpu_ms() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1'000 +
         (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1'000;
}

http_server_options one_thread() {
  http_server_options options;
  options.threads = 1;
  return options;
}

} // namespace

TEST_CASE("defect 1b: a late answer never reaches the next client with the same descriptor") {
  test_server server(one_thread());
  int reused = 0;
  for (int round = 0; round < 20; ++round) {
    auto leaver = server.connect();
    leaver.send(plain_request("GET", "/slow"));
    auto late = server.slow.take(1);
    const int descriptor = server_descriptor_of(leaver);
    REQUIRE(descriptor >= 0);
    if (round % 2 == 0)
      leaver.close();
    else
      leaver.reset();
    REQUIRE(wait_until([&] { return server.server.counters().connections_open == 0; }));

    auto stranger = server.connect();
    stranger.send(plain_request("GET", "/slow"));
    auto own = server.slow.take(1);
    reused += server_descriptor_of(stranger) == descriptor ? 1 : 0;
    CHECK_FALSE(late[0].send(200, "text/plain", "not for the stranger"));
    CHECK(own[0].send(200, "text/plain", "own"));
    const auto answer = stranger.read_answer();
    CHECK(answer.status == 200);
    CHECK(answer.body == "own");
    CHECK_FALSE(stranger.readable(0));
    stranger.close();
    REQUIRE(wait_until([&] { return server.server.counters().connections_open == 0; }));
  }
  // Otherwise the test would show nothing.
  CHECK(reused > 0);
}

TEST_CASE("defect 1b: 1,500 abrupt disconnects with late answers from other threads") {
  test_server server;
  constexpr int rounds = 15;
  constexpr size_t clients_per_round = 100;
  for (int round = 0; round < rounds; ++round) {
    std::vector<raw_client> clients;
    for (size_t i = 0; i < clients_per_round; ++i) {
      clients.push_back(server.connect());
      clients.back().send(plain_request("GET", "/slow"));
    }
    auto late = server.slow.take(clients_per_round);
    std::thread answering([&] {
      for (const auto& responder : late)
        responder.send(200, "text/plain", std::string(20'000, 'x'));
    });
    for (auto& client : clients)
      client.reset();
    auto other = server.connect();
    CHECK(other.ask(plain_request("GET", "/hello")).body == "hello\n");
    answering.join();
  }
  CHECK(wait_until([&] { return server.server.counters().connections_open == 0; }));
  CHECK(server.server.counters().requests == rounds * (clients_per_round + 1));
}

TEST_CASE("defect 2: a client that does not read a large answer neither spins the server nor blocks others") {
  test_server server(one_thread());
  constexpr size_t length = 20'000'000;
  auto sleeper = server.connect();
  sleeper.send(plain_request("GET", "/big?bytes=" + std::to_string(length)));
  REQUIRE(sleeper.readable(patience_ms));
  auto other = server.connect();
  REQUIRE(other.ask(plain_request("GET", "/hello")).body == "hello\n");
  const auto before = cpu_ms();
  // Nothing comes on this connection: this waits the whole time while the server should be asleep.
  CHECK_FALSE(other.readable(500));
  CHECK(cpu_ms() - before < 100);
  const auto answer = sleeper.read_answer();
  CHECK(answer.body.size() == length);
  CHECK(answer.body.find_first_not_of('x') == std::string::npos);
  CHECK(sleeper.ask(plain_request("GET", "/hello")).body == "hello\n");
}

TEST_CASE("defect 3: pipelined requests are answered one after the other") {
  test_server server;
  auto client = server.connect();

  SECTION("answered at once") {
    std::string requests;
    for (int i = 0; i < 50; ++i)
      requests += plain_request("GET", "/items/" + std::to_string(i));
    client.send(requests);
    for (int i = 0; i < 50; ++i)
      CHECK(client.read_answer().body == std::to_string(i));
  }
  SECTION("the first answered later, by another thread") {
    client.send(plain_request("GET", "/slow") +
                "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nfirst" +
                plain_request("GET", "/slow") + plain_request("GET", "/items/last"));
    auto first = server.slow.take(1);
    // The second must not overtake.
    CHECK_FALSE(client.readable(50));
    first[0].send(200, "text/plain", "slow one");
    CHECK(client.read_answer().body == "slow one");
    CHECK(client.read_answer().body == "first");
    server.slow.take(1)[0].send(200, "text/plain", "slow two");
    CHECK(client.read_answer().body == "slow two");
    CHECK(client.read_answer().body == "last");
  }
  SECTION("more than is kept: the one at hand is answered, then the connection ends") {
    client.send(plain_request("GET", "/slow"));
    auto first = server.slow.take(1);
    std::thread sending([&] { client.send(std::string(1'000'000, 'x')); });
    sending.join();
    REQUIRE(wait_until([&] {
      auto other = server.connect();
      return other.ask(plain_request("GET", "/hello")).status == 200;
    }));
    first[0].send(200, "text/plain", "answered");
    CHECK(client.read_answer().body == "answered");
    CHECK(client.read_to_end() == "");
  }
}

TEST_CASE("defect 4: connections stay open, or are closed, as HTTP says") {
  test_server server;
  auto client = server.connect();

  SECTION("HTTP/1.1 stays open") {
    for (int i = 0; i < 3; ++i) {
      const auto answer = client.ask(plain_request("GET", "/hello"));
      CHECK(answer.status == 200);
      CHECK_FALSE(answer.header("Connection"));
    }
    CHECK_FALSE(client.readable(0));
  }
  SECTION("HTTP/1.1 with close is closed at once") {
    const auto answer = client.ask(plain_request("GET", "/hello", "Connection: foo, Close\r\n"));
    CHECK(answer.header("Connection") == "close");
    CHECK(client.read_to_end(1'000) == "");
  }
  SECTION("HTTP/1.0 is closed") {
    const auto answer = client.ask("GET /hello HTTP/1.0\r\n\r\n");
    CHECK(answer.body == "hello\n");
    CHECK(answer.header("Connection") == "close");
    CHECK(client.read_to_end(1'000) == "");
  }
  SECTION("HTTP/1.0 with keep-alive stays open and is told so") {
    for (int i = 0; i < 2; ++i) {
      const auto answer =
          client.ask("GET /hello HTTP/1.0\r\nHost: localhost\r\nConnection: Keep-Alive\r\n\r\n");
      CHECK(answer.status == 200);
      CHECK(answer.header("Connection") == "keep-alive");
    }
  }
  CHECK(wait_until([&] {
    client.close();
    return server.server.counters().connections_open == 0;
  }));
}

TEST_CASE("defect 5: Expect: 100-continue is answered") {
  http_server_options options;
  options.body_max = 4'194'304;
  test_server server(options);

  SECTION("before the body comes") {
    auto client = server.connect();
    client.send(
        "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    const auto interim = client.read_answer();
    CHECK(interim.status == 100);
    client.send("abc");
    CHECK(client.read_answer().body == "abc");
  }
  SECTION("not when the body is there already") {
    auto client = server.connect();
    const auto answer = client.ask(
        "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc");
    CHECK(answer.status == 200);
    CHECK(answer.body == "abc");
  }
  SECTION("curl sends 3 MB") {
    std::string path = "/tmp/http-gate-XXXXXX";
    const int file = ::mkstemp(path.data());
    REQUIRE(file >= 0);
    const std::string megabyte(1'000'000, 'm');
    for (int i = 0; i < 3; ++i)
      REQUIRE(::write(file, megabyte.data(), megabyte.size()) == 1'000'000);
    ::close(file);
    const auto output =
        run_program({"curl", "-sv", "--stderr", "-", "-o", "/dev/null", "-w", "%{http_code} %{size_download}",
                     "-H", "Expect: 100-continue", "--expect100-timeout", "10", "--data-binary", "@" + path,
                     "http://127.0.0.1:" + std::to_string(server.port()) + "/echo"});
    ::unlink(path.c_str());
    CHECK(output.find("< HTTP/1.1 100 Continue") != std::string::npos);
    CHECK(output.find("200 3000000") != std::string::npos);
  }
  SECTION("a body that is too large is refused instead") {
    check_refused(
        server,
        "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4194305\r\nExpect: 100-continue\r\n\r\n",
        413);
  }
  SECTION("another expectation is refused") {
    check_refused(server, plain_request("GET", "/hello", "Expect: miracles\r\n"), 417);
  }
}

TEST_CASE("defect 8: a handler that throws is answered 500 without the text of its exception") {
  test_server server;
  auto client = server.connect();
  const auto answer = client.ask(plain_request("GET", "/throw"));
  CHECK(answer.status == 500);
  CHECK(answer.body.find("secret") == std::string::npos);
  CHECK(answer.body.find("{\"status_code\":500,") == 0);
  CHECK(client.ask(plain_request("GET", "/hello")).status == 200);
  for (const auto* header : {"Connection: \xff\r\n", "Date: nonsense\r\n", "Cookie: ;;==\r\n", "Host2: :\r\n",
                             "Authorization: x\r\n", "If-Modified-Since: never\r\n", "Cache-Control: =\r\n"})
    CHECK(client.ask(plain_request("GET", "/hello", header)).status == 200);
}

TEST_CASE("defect 10: the client's port is right") {
  test_server server;
  auto client = server.connect();
  CHECK(client.ask(plain_request("GET", "/peer")).body == client.local_address());
}

TEST_CASE("defect 11: HEAD, OPTIONS and unknown methods are answered") {
  test_server server;
  auto client = server.connect();
  const auto get = client.ask(plain_request("GET", "/hello"));
  const auto head = client.ask(plain_request("HEAD", "/hello"), true);
  CHECK(head.status == 200);
  CHECK(head.header("Content-Length") == "6");
  CHECK(head.header("Content-Type") == get.header("Content-Type"));
  // The next answer would begin with a stray body.
  const auto options = client.ask(plain_request("OPTIONS", "/hello"));
  CHECK(options.status == 204);
  CHECK(options.header("Allow") == "GET, HEAD, OPTIONS");
  CHECK_FALSE(options.header("Content-Length"));
  CHECK(client.ask(plain_request("OPTIONS", "/echo")).header("Allow") == "POST, OPTIONS");
  CHECK(client.ask(plain_request("OPTIONS", "*")).header("Allow") == "GET, HEAD, POST, OPTIONS");
  CHECK(client.ask(plain_request("OPTIONS", "/nowhere")).status == 404);
  CHECK(client.ask(plain_request("HEAD", "/nowhere"), true).status == 404);
  CHECK(client.ask(plain_request("HEAD", "/echo"), true).status == 405);
  for (const auto* method : {"PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "BREW", "get"}) {
    const auto answer = client.ask(plain_request(method, "/hello"));
    CHECK(answer.status == 405);
    CHECK(answer.header("Allow") == "GET, HEAD, OPTIONS");
    CHECK(answer.body.find("{\"status_code\":405,") == 0);
  }
}

TEST_CASE("defect 13: time limits for headers and bodies do not cut pending answers") {
  http_server_options options;
  options.header_deadline_ms = 100;
  options.body_deadline_ms = 100;
  options.idle_timeout_ms = 100;
  test_server server(options);
  auto client = server.connect();
  client.send(plain_request("GET", "/slow"));
  auto responder = server.slow.take(1);
  CHECK_FALSE(client.readable(1'200));
  responder[0].send(200, "text/plain", "in the end");
  const auto answer = client.read_answer();
  CHECK(answer.status == 200);
  CHECK(answer.body == "in the end");
}

TEST_CASE("defect 13: slow clients are cut with 408, idle ones in silence") {
  http_server_options options;
  options.header_deadline_ms = 150;
  options.body_deadline_ms = 150;
  options.idle_timeout_ms = 150;
  test_server server(options);
  auto client = server.connect();

  SECTION("nothing is sent") {
    CHECK(client.read_answer().status == 408);
    CHECK(client.read_to_end() == "");
  }
  SECTION("a byte at a time") {
    const auto request = plain_request("GET", "/hello", "X: " + std::string(2'000, 'x') + "\r\n");
    size_t sent = 0;
    while (sent < request.size() && !client.readable(2))
      client.send(request.substr(sent++, 1));
    CHECK(client.read_answer().status == 408);
    CHECK(sent < request.size());
    CHECK(client.read_to_end() == "");
  }
  SECTION("the body a byte at a time") {
    client.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2000\r\n\r\n");
    size_t sent = 0;
    while (sent++ < 2'000 && !client.readable(2))
      client.send("b");
    CHECK(client.read_answer().status == 408);
    CHECK(sent < 2'000);
  }
  SECTION("idle between two requests") {
    CHECK(client.ask(plain_request("GET", "/hello")).status == 200);
    CHECK(client.read_to_end() == "");
  }
  SECTION("a client that does not close after its last answer is closed") {
    CHECK(client.ask(plain_request("GET", "/hello", "Connection: close\r\n")).status == 200);
    CHECK(wait_until([&] { return server.server.counters().connections_open == 0; }));
  }
  client.close();
  CHECK(wait_until([&] { return server.server.counters().connections_open == 0; }));
}

TEST_CASE("defect 14: extra headers are sent, and cannot smuggle in a line") {
  http_server server({});
  REQUIRE(server.route("GET", "/", [](const http_request&, http_responder to) {
    to.send(200, "text/html; charset=utf-8", "<p>",
            {{"Content-Security-Policy", "default-src 'self'"},
             {"X-Bad", "a\r\nX-Worse: b"},
             {"Content-Length", "7"},
             {"ETag", "\"1\""}});
  }));
  REQUIRE(server.start());
  raw_client client(server.port());
  const auto answer = client.ask(plain_request("GET", "/"));
  CHECK(answer.header("Content-Type") == "text/html; charset=utf-8");
  CHECK(answer.header("Content-Security-Policy") == "default-src 'self'");
  CHECK(answer.header("ETag") == "\"1\"");
  CHECK(answer.header("X-Content-Type-Options") == "nosniff");
  CHECK(answer.header("Date"));
  CHECK(answer.head.find("X-Worse") == std::string::npos);
  CHECK(answer.body == "<p>");
}

TEST_CASE("chunked bodies arrive whole, however they are cut") {
  test_server server;
  auto client = server.connect();
  const std::string request =
      "POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
      "4;name=value\r\nWiki\r\n5\r\npedia\r\nE\r\n in\r\n\r\nchunks.\r\n0\r\nTrailer: x\r\n\r\n";
  for (size_t cut = 1; cut < request.size(); cut += 7) {
    client.send(request.substr(0, cut));
    client.send(request.substr(cut));
    CHECK(client.read_answer().body == "Wikipedia in\r\n\r\nchunks.");
  }
  const auto output =
      run_program({"curl", "-s", "-H", "Transfer-Encoding: chunked", "--data-binary", "from curl",
                   "http://127.0.0.1:" + std::to_string(server.port()) + "/echo"});
  CHECK(output == "from curl");
}
