// What the gate refuses, and what it must not refuse: sizes, ambiguous heads, spellings of paths, web pages.
// Real sockets throughout; the numbers in the names are those of the list of defects of Pistache.
#include "services/http/http_server.hpp"
#include "test/service/http_support.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace task_runner;
using namespace task_runner::test;

TEST_CASE(
    "defect 6: a body over the limit is answered 413 before it is read, and the client sees the answer") {
  http_server_options options;
  options.body_max = 100'000;
  test_server server(options);

  SECTION("just within") {
    auto client = server.connect();
    const std::string body(100'000, 'b');
    const auto answer =
        client.ask("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n" + body);
    CHECK(answer.status == 200);
    CHECK(answer.body == body);
  }
  SECTION("by its announced length, none of it sent") {
    check_refused(server, "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100001\r\n\r\n", 413);
  }
  SECTION("a length beyond every number") {
    check_refused(server,
                  "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999999\r\n\r\n",
                  413);
  }
  SECTION("sent all the same") {
    auto client = server.connect();
    const std::string body(5'000'000, 'b');
    CHECK(client.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000000\r\n\r\n" + body));
    const auto answer = client.read_answer();
    CHECK(answer.status == 413);
    CHECK(answer.body.find("max-body") != std::string::npos);
  }
  SECTION("in chunks") {
    auto client = server.connect();
    const std::string chunk = "4000\r\n" + std::string(0x4000, 'c') + "\r\n";
    std::string body;
    for (int i = 0; i < 7; ++i)
      body += chunk;
    client.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + body);
    CHECK(client.read_answer().status == 413);
  }
}

TEST_CASE("defect 7: lengths and hosts that could be understood in two ways are refused") {
  test_server server;
  const std::string post = "POST /echo HTTP/1.1\r\nHost: localhost\r\n";
  check_refused(server, post + "Content-Length: abc\r\n\r\n", 400);
  check_refused(server, post + "Content-Length: -1\r\n\r\n", 400);
  check_refused(server, post + "Content-Length: +1\r\n\r\na", 400);
  check_refused(server, post + "Content-Length: 0x1\r\n\r\na", 400);
  check_refused(server, post + "Content-Length:\r\n\r\n", 400);
  check_refused(server, post + "Content-Length: 1, 1\r\n\r\na", 400);
  check_refused(server, post + "Content-Length: 1\r\nContent-Length: 1\r\n\r\na", 400);
  check_refused(server, post + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400);
  check_refused(server, post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                400);
  check_refused(server, post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501);
  check_refused(server, "GET /hello HTTP/1.1\r\n\r\n", 400);
  check_refused(server, "GET /hello HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400);
  check_refused(server, "GET /hello HTTP/1.1\r\nHost: local host\r\n\r\n", 400);
  check_refused(server, "GET /hello HTTP/1.1\r\nHost : localhost\r\n\r\n", 400);
  check_refused(server, "GET /hello HTTP/1.1\r\nHost: localhost\r\n folded: yes\r\n\r\n", 400);
  check_refused(server, "GET /hello HTTP/1.1\r\nHost: localhost\r\nno colon\r\n\r\n", 400);
  check_refused(server, "GET /hello HTTP/1.1\nHost: localhost\n\n", 400);
  check_refused(server, "GET /hello HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n", 400);
  check_refused(server, "GET  /hello HTTP/1.1\r\nHost: localhost\r\n\r\n", 400);
  check_refused(server, "GET /hel lo HTTP/1.1\r\nHost: localhost\r\n\r\n", 400);
  check_refused(server, "GET /hello\r\nHost: localhost\r\n\r\n", 400);
  check_refused(server, "GET /hello HTTP/2.0\r\nHost: localhost\r\n\r\n", 505);
  check_refused(server, "GET /hello HTTPS/1.1\r\nHost: localhost\r\n\r\n", 400);
  check_refused(server, "G<T /hello HTTP/1.1\r\nHost: localhost\r\n\r\n", 400);
  check_refused(server, "GET hello HTTP/1.1\r\nHost: localhost\r\n\r\n", 400);
  check_refused(server, "GET /hello#top HTTP/1.1\r\nHost: localhost\r\n\r\n", 400);
  check_refused(server, plain_request("GET", "/hello", std::string("X: a") + '\0' + "b\r\n"), 400);
  check_refused(server, post + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400);
  check_refused(server, post + "Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\na", 415);
  CHECK(server.server.counters().requests == 0);
}

TEST_CASE("defect 9: paths and queries are percent-decoded, repeated parameters survive") {
  test_server server;
  auto client = server.connect();
  CHECK(client.ask(plain_request("GET", "/items/a%20b%2Fc")).body == "a b/c");
  CHECK(client.ask(plain_request("GET", "/items/a+b")).body == "a+b");
  CHECK(client.ask(plain_request("GET", "/items/%E4%B8%AD")).body == "\xe4\xb8\xad");
  CHECK(client.ask(plain_request("GET", "//items///x/")).body == "x");
  CHECK(client.ask(plain_request("GET", "/%69tems/:id")).body == ":id");
  CHECK(client.ask(plain_request("GET", "/items/*?x=1&x=2")).body == "*");
  check_refused(server, plain_request("GET", "/items/%zz"), 400);
  check_refused(server, plain_request("GET", "/items/%2"), 400);
  check_refused(server, plain_request("GET", "/items/%00"), 400);
  check_refused(server, plain_request("GET", "/items/%ff"), 400);
  check_refused(server, plain_request("GET", "/hello?a=%zz"), 400);

  http_server_options options;
  http_server other(options);
  REQUIRE(other.route("GET", "/query", [](const http_request& request, http_responder to) {
    std::string text;
    for (const auto& one : request.query_parameters)
      text += one.name == "x" ? one.value + ";" : std::string();
    to.send(200, "text/plain", text + std::string(request.query("y").value_or("none")));
  }));
  REQUIRE(other.start());
  raw_client asking(other.port());
  CHECK(asking.ask(plain_request("GET", "/query?x=1+2&y=%26&x=%3D&&x")).body == "1 2;=;;&");
}

TEST_CASE("defect 12: headers over the limit are answered 431, a long request line 414") {
  test_server server;
  auto client = server.connect();
  CHECK(client.ask(plain_request("GET", "/hello", "X: " + std::string(16'000, 'x') + "\r\n")).status == 200);
  CHECK(client.ask(plain_request("GET", "/items/" + std::string(16'000, 'y'))).body.size() == 16'000);
  CHECK(client.ask(plain_request("GET", std::string(16'000, '/') + "items/z")).body == "z");
  check_refused(server, plain_request("GET", "/hello", "X: " + std::string(16'384, 'x') + "\r\n"), 431);
  check_refused(server, "GET /" + std::string(17'000, 'y'), 414);
  check_refused(server, plain_request("GET", "/" + std::string(17'000, 'y')), 414);
  std::string many;
  for (int i = 0; i < 101; ++i)
    many += "X: y\r\n";
  check_refused(server, plain_request("GET", "/hello", many), 431);

  // Far more than the limit, sent without waiting: the answer still arrives.
  auto flood = server.connect();
  flood.send("GET /hello HTTP/1.1\r\nHost: localhost\r\nX: " + std::string(500'000, 'x'));
  CHECK(flood.read_answer().status == 431);
}

TEST_CASE(
    "defect 15: odd Accept and Content-Type headers reach the handler, absolute targets find their route") {
  test_server server;
  auto client = server.connect();
  CHECK(
      client.ask(plain_request("GET", "/hello", "Accept: ///;q=x,,\r\nContent-Type: nonsense\r\n")).status ==
      200);
  CHECK(client.ask(plain_request("GET", "/hello", "Accept: */*;q=5.5.5\r\n")).status == 200);
  CHECK(client.ask(plain_request("GET", "http://localhost:1/items/x")).body == "x");
  CHECK(client.ask(plain_request("GET", "http://localhost?x=1")).status == 404);
  check_refused(server, plain_request("GET", "http://user@localhost/hello"), 400);
  check_refused(server, plain_request("GET", "ftp://localhost/hello"), 400);
  check_refused(server, plain_request("GET", "http://evil.example/hello"), 403);
}

TEST_CASE("web pages are kept out before any handler is asked") {
  http_server_options options;
  options.allow_hosts = {"tasks.example"};
  test_server server(options);
  const auto with = [](std::string_view host, std::string_view more = {}) {
    return "GET /hello HTTP/1.1\r\nHost: " + std::string(host) + "\r\n" + std::string(more) + "\r\n";
  };
  auto client = server.connect();
  for (const auto* host : {"localhost", "LOCALHOST:60001", "a.localhost", "127.0.0.1:80", "127.1.2.3",
                           "[::1]:60001", "tasks.example", "Tasks.Example:8080"})
    CHECK(client.ask(with(host)).status == 200);
  CHECK(client.ask(with("localhost:7", "Origin: http://localhost:7\r\nSec-Fetch-Site: same-origin\r\n"))
            .status == 200);
  CHECK(client.ask("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").status == 200);
  const auto requests = server.server.counters().requests.load();
  check_refused(server, with("evil.example"), 403);
  check_refused(server, with("localhost.evil.example"), 403);
  check_refused(server, with("127.0.0.1.evil.example"), 403);
  check_refused(server, with("0.0.0.0"), 403);
  check_refused(server, with(""), 403);
  check_refused(server, with("localhost:7", "Origin: http://localhost:8\r\n"), 403);
  check_refused(server, with("localhost", "Origin: null\r\n"), 403);
  check_refused(server, with("localhost", "Origin: https://evil.example\r\n"), 403);
  check_refused(server, with("localhost", "Sec-Fetch-Site: cross-site\r\n"), 403);
  CHECK(server.server.counters().requests == requests);
}
