// The Redis source when Redis is away, refuses, or holds something else than expected: told once, tried
// again. Each outage is made real with a private server, or a listener that plays a broken one.
#include "test/service/redis_fixture.hpp"
#include "test/support/free_port.hpp"

#include <catch2/catch.hpp>

#include <arpa/inet.h>
#include <ctime>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace task_runner;
using namespace task_runner::test;

namespace {

constexpr const char* trouble_line = "a source has trouble";
constexpr const char* works_line = "a source works again";

double process_cpu_s() {
  timespec used{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

} // namespace

TEST_CASE("Redis that dies and comes back is told of once each way, and the intake goes on") {
  const bool durable = GENERATE(true, false);
  CAPTURE(durable);
  redis_server_options kind;
  kind.durable = durable;
  redis_server server(kind);
  fake_intake intake;
  captured_log log;
  redis_list_source source(source_options(server.port()), intake, intake);
  REQUIRE(source.start());
  push_numbered(server, queue_key, 3);
  REQUIRE(wait_until([&] { return intake.accepted_count() == 3 && taken_lists(server).empty(); }));
  intake.hold();
  push_numbered(server, queue_key, 3, "u");
  REQUIRE(wait_until([&] { return source.status().in_flight == 3; }));
  server.kill();
  REQUIRE(wait_until([&] { return !source.status().healthy; }));
  intake.release(); // decided while Redis is away
  REQUIRE(wait_until([&] { return source.status().in_flight == 0; }));
  // Several attempts fail before it is back.
  REQUIRE(
      wait_until([&] { return source.status().last_error.find("cannot be reached") != std::string::npos; }));
  server.start();
  REQUIRE(wait_until([&] { return source.status().healthy; }));
  push_numbered(server, queue_key, 2, "v");
  REQUIRE(wait_until([&] { return intake.accepted_count() == 8 && taken_lists(server).empty(); }));
  CHECK(intake.accepted() == std::vector<std::string>{"t0", "t1", "t2", "u0", "u1", "u2", "v0", "v1"});
  CHECK(source.status().reconnects == 1);
  CHECK(log.count(trouble_line) == 1);
  CHECK(log.count(works_line) == 1);
  CHECK(wait_until([&] { return intake.marks().empty(); })); // forgotten after the list has gone
}

TEST_CASE("Redis that is away at the start is found when it comes") {
  redis_server server;
  server.kill();
  fake_intake intake;
  captured_log log;
  redis_list_source source(source_options(server.port()), intake, intake);
  REQUIRE(source.start());
  REQUIRE(wait_until([&] { return !source.status().last_error.empty(); }));
  CHECK_FALSE(source.status().healthy);
  CHECK(source.status().last_error.find("127.0.0.1:" + std::to_string(server.port())) != std::string::npos);
  server.start();
  push_numbered(server, queue_key, 3);
  REQUIRE(wait_until([&] { return intake.accepted_count() == 3; }));
  CHECK(source.status().healthy);
  CHECK(log.count(trouble_line) == 1);
  CHECK(log.count(works_line) == 1);
}

TEST_CASE("the password: missing, wrong, not wanted; told with advice and never shown") {
  redis_server_options kind;
  const std::string secret = "s3cr3t-pa55word";
  const std::string how = GENERATE("missing", "wrong", "not wanted");
  CAPTURE(how);
  if (how != "not wanted")
    kind.password = "another-one";
  redis_server server(kind);
  fake_intake intake;
  captured_log log;
  auto options = source_options(server.port());
  if (how != "missing")
    options.endpoint.password = secret;
  redis_list_source source(options, intake, intake);
  REQUIRE(source.start());
  REQUIRE(wait_until([&] { return !source.status().last_error.empty(); }));
  CHECK_FALSE(source.status().healthy);
  const auto text = source.status().last_error;
  INFO(text);
  if (how == "missing")
    CHECK(text.find("set redis-password") != std::string::npos);
  else if (how == "wrong")
    CHECK(text.find("check redis-password") != std::string::npos);
  else
    CHECK(text.find("remove redis-password") != std::string::npos);
  // Put right on the server's side, it is found by the next attempt.
  {
    auto client = server.client();
    client->command({"LPUSH", queue_key, message("x")});
    client->command({"CONFIG", "SET", "requirepass", how == "missing" ? "" : secret});
  }
  REQUIRE(wait_until([&] { return intake.accepted_count() == 1; }));
  CHECK(wait_until([&] { return source.status().healthy; }));
  CHECK(log.count(trouble_line) == 1);
  CHECK(log.text().find(secret) == std::string::npos);
  CHECK(source.status().last_error.find(secret) == std::string::npos);
}

TEST_CASE("a database that does not exist is told with advice") {
  redis_server server;
  fake_intake intake;
  auto options = source_options(server.port());
  options.endpoint.db = 99;
  redis_list_source source(options, intake, intake);
  REQUIRE(source.start());
  REQUIRE(wait_until([&] { return source.status().last_error.find("redis-db") != std::string::npos; }));
}

TEST_CASE("a host that does not resolve is told with advice") {
  fake_intake intake;
  auto options = source_options(6379);
  options.endpoint.host = "no such host";
  redis_list_source source(options, intake, intake);
  REQUIRE(source.start());
  REQUIRE(wait_until([&] { return source.status().last_error.find("redis-host") != std::string::npos; }));
}

TEST_CASE("an intake key that is no list makes the source unhealthy, and other keys go on") {
  redis_server server;
  fake_intake intake;
  captured_log log;
  auto options = source_options(server.port());
  options.keys = {"broken", "good"};
  server.command({"SET", "broken", "text"});
  redis_list_source source(options, intake, intake);
  REQUIRE(source.start());
  push_numbered(server, "good", 5);
  REQUIRE(wait_until([&] { return intake.accepted_count() == 5; }));
  REQUIRE(wait_until([&] { return !source.status().last_error.empty(); }));
  CHECK_FALSE(source.status().healthy);
  CHECK(source.status().last_error.find("broken") != std::string::npos);
  CHECK(source.status().last_error.find("rename or delete it") != std::string::npos);
  server.command({"DEL", "broken"});
  push_numbered(server, "broken", 2, "b");
  REQUIRE(wait_until([&] { return intake.accepted_count() == 7 && source.status().healthy; }));
  CHECK(log.count(trouble_line) == 1);
  CHECK(log.count(works_line) == 1);
}

TEST_CASE("a rejected list that is no list keeps the taken list until it can be used") {
  redis_server server;
  fake_intake intake;
  server.command({"SET", rejected_key, "text"});
  server.command({"LPUSH", queue_key, "bad", message("good")});
  redis_list_source source(source_options(server.port()), intake, intake);
  REQUIRE(source.start());
  REQUIRE(wait_until([&] { return source.status().last_error.find(rejected_key) != std::string::npos; }));
  CHECK_FALSE(source.status().healthy);
  CHECK(taken_lists(server).size() == 1);
  push_numbered(server, queue_key, 2); // others go on meanwhile
  REQUIRE(wait_until([&] { return intake.accepted_count() == 3; }));
  server.command({"DEL", rejected_key});
  REQUIRE(wait_until([&] { return taken_lists(server).empty(); }));
  CHECK(length(server, rejected_key) == 1);
  CHECK(wait_until([&] { return source.status().healthy; }));
}

TEST_CASE("a replica, and a Redis without memory, are told of once and tried again") {
  redis_server server;
  fake_intake intake;
  captured_log log;
  const bool replica = GENERATE(true, false);
  CAPTURE(replica);
  if (replica)
    server.command({"REPLICAOF", "127.0.0.1", std::to_string(free_port())});
  else
    server.command({"CONFIG", "SET", "maxmemory", "1"});
  redis_list_source source(source_options(server.port()), intake, intake);
  REQUIRE(source.start());
  const std::string advice = replica ? "point redis-host at the primary" : "raise maxmemory";
  REQUIRE(wait_until([&] { return source.status().last_error.find(advice) != std::string::npos; }));
  CHECK_FALSE(source.status().healthy);
  if (replica)
    server.command({"REPLICAOF", "NO", "ONE"});
  else
    server.command({"CONFIG", "SET", "maxmemory", "0"});
  push_numbered(server, queue_key, 3);
  REQUIRE(wait_until([&] { return intake.accepted_count() == 3 && source.status().healthy; }));
  CHECK(log.count(trouble_line) == 1);
}

TEST_CASE("scripts that the server has forgotten are sent again") {
  redis_server server;
  fake_intake intake;
  redis_list_source source(source_options(server.port()), intake, intake);
  REQUIRE(source.start());
  REQUIRE(wait_until([&] { return source.status().healthy; }));
  server.command({"SCRIPT", "FLUSH"});
  server.command({"LPUSH", queue_key, "bad", message("a"), message("b")});
  REQUIRE(wait_until([&] { return intake.accepted_count() == 2 && length(server, rejected_key) == 1; }));
  CHECK(source.status().healthy);
  CHECK(source.status().reconnects == 0);
}

TEST_CASE("connections that are cut while the source waits lose nothing") {
  redis_server server;
  fake_intake intake;
  redis_list_source source(source_options(server.port()), intake, intake);
  REQUIRE(source.start());
  for (size_t i = 0; i < 10; ++i) {
    REQUIRE(wait_until([&] { return source.status().healthy; }));
    auto client = server.client();
    client->pipeline({{"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"},
                      {"LPUSH", queue_key, message("t" + std::to_string(i))}});
    REQUIRE(wait_until([&] { return intake.accepted_count() == i + 1; }));
  }
  CHECK(intake.accepted() == numbered(10));
  CHECK(wait_until([&] { return taken_lists(server).empty(); }));
}

TEST_CASE("a Redis that is away is tried with growing pauses and costs no time of the processor") {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  REQUIRE(bind(listener, reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(listen(listener, 16) == 0);
  REQUIRE(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  fake_intake intake;
  auto options = source_options(ntohs(address.sin_port));
  options.backoff_min_ms = 100;
  options.backoff_max_ms = 5'000;
  captured_log log;
  redis_list_source source(options, intake, intake);
  const auto start = std::chrono::steady_clock::now();
  const auto cpu_before = process_cpu_s();
  REQUIRE(source.start());
  for (int attempt = 0; attempt < 5; ++attempt) {
    REQUIRE(wait_readable(listener));
    close(accept(listener, nullptr, nullptr)); // a server that hangs up at once
  }
  const double elapsed_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const double cpu_s = process_cpu_s() - cpu_before;
  close(listener);
  // Half of 100 + 200 + 400 + 800 ms at least lies between the first and the fifth attempt.
  CHECK(elapsed_s >= 0.75);
  CHECK(cpu_s < elapsed_s * 0.2);
  CHECK(log.count(trouble_line) == 1);
}

TEST_CASE("a server that is not Redis does no harm") {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  REQUIRE(bind(listener, reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(listen(listener, 16) == 0);
  REQUIRE(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  fake_intake intake;
  redis_list_source source(source_options(ntohs(address.sin_port)), intake, intake);
  REQUIRE(source.start());
  for (const std::string& answer :
       {std::string("HTTP/1.1 400 Bad Request\r\n\r\n"), std::string("*1\r\n*1\r\n*-5\r\n"),
        std::string("$99999999999999999999\r\n"), std::string(64, '\0'),
        std::string(":1\r\n:2\r\n:3\r\n:4\r\n:5\r\n")}) {
    REQUIRE(wait_readable(listener));
    const int fd = accept(listener, nullptr, nullptr);
    CHECK(::send(fd, answer.data(), answer.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(answer.size()));
    char byte = 0;
    while (wait_readable(fd, std::chrono::milliseconds(50)) && recv(fd, &byte, 1, 0) == 1)
      continue;
    close(fd);
  }
  close(listener);
  CHECK_FALSE(source.status().healthy);
  CHECK(intake.pushes() == 0);
}
