// The server as its users see it: routes, responders, start and stop, limits on connections.
// What hostile bytes do is tested in http_gate.cpp.
#include "services/http/http_server.hpp"

#include "services/http/form.hpp"
#include "test/service/http_support.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <dirent.h>
#include <fstream>
#include <sstream>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>

using namespace task_runner;
using namespace task_runner::test;

namespace {

using clock_type = std::chrono::steady_clock;

int64_t ms_since(clock_type::time_point begin) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(clock_type::now() - begin).count();
}

/// Open descriptors of this process.
struct descriptor_counts {
  size_t eventfds = 0;
  size_t others = 0;
};

descriptor_counts descriptor_count() {
  descriptor_counts counts;
  DIR* directory = ::opendir("/proc/self/fd");
  while (const dirent* entry = ::readdir(directory)) {
    std::array<char, 64> target{};
    const auto length = ::readlinkat(::dirfd(directory), entry->d_name, target.data(), target.size());
    const std::string_view text(target.data(), length < 0 ? 0 : static_cast<size_t>(length));
    ++(text == "anon_inode:[eventfd]" ? counts.eventfds : counts.others);
  }
  ::closedir(directory);
  return counts;
}

/// How often the threads of that name have given up the processor so far.
uint64_t switches_of_threads(const std::string& name) {
  uint64_t switches = 0;
  DIR* directory = ::opendir("/proc/self/task");
  while (const dirent* entry = ::readdir(directory)) {
    const std::string base = std::string("/proc/self/task/") + entry->d_name;
    std::string comm;
    std::getline(std::ifstream(base + "/comm") >> std::ws, comm);
    if (comm != name)
      continue;
    std::ifstream status(base + "/status");
    for (std::string line; std::getline(status, line);)
      if (line.find("ctxt_switches:") != std::string::npos)
        switches += std::stoull(line.substr(line.find(':') + 1));
  }
  ::closedir(directory);
  return switches;
}

/// Raises the soft limit on open files for a test and restores it.
class many_descriptors {
public:
  explicit many_descriptors(rlim_t wanted) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    rlimit raised = before_;
    raised.rlim_cur = std::min(std::max(wanted, before_.rlim_cur), before_.rlim_max);
    enough = ::setrlimit(RLIMIT_NOFILE, &raised) == 0 && raised.rlim_cur >= wanted;
  }
  ~many_descriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  bool enough = false;

private:
  rlimit before_{};
};

} // namespace

TEST_CASE("answers come from any thread, once") {
  test_server server;
  auto client = server.connect();
  for (int i = 0; i < 100; ++i) {
    client.send(plain_request("GET", "/slow"));
    auto responder = server.slow.take(1)[0];
    std::thread answering([&] {
      CHECK_FALSE(responder.answered());
      CHECK(responder.send(200, "text/plain", std::to_string(i)));
      CHECK(responder.answered());
      CHECK_FALSE(responder.send(200, "text/plain", "again"));
    });
    answering.join();
    CHECK(client.read_answer().body == std::to_string(i));
  }
  CHECK_FALSE(client.readable(0));
}

TEST_CASE("two threads that answer the same request at once send one answer") {
  test_server server;
  auto client = server.connect();
  for (int i = 0; i < 200; ++i) {
    client.send(plain_request("GET", "/slow"));
    auto responder = server.slow.take(1)[0];
    bool first = false;
    bool second = false;
    std::thread one([&, copy = responder] { first = copy.send(200, "text/plain", "one"); });
    std::thread two([&, copy = responder] { second = copy.send(200, "text/plain", "two"); });
    one.join();
    two.join();
    CHECK(first != second);
    CHECK(client.read_answer().body == (first ? "one" : "two"));
  }
  CHECK_FALSE(client.readable(0));
}

TEST_CASE("a request that nobody answers is answered 500") {
  test_server server;
  auto client = server.connect();
  CHECK(client.ask(plain_request("GET", "/drop")).status == 500);
  client.send(plain_request("GET", "/slow"));
  server.slow.take(1).clear();
  const auto answer = client.read_answer();
  CHECK(answer.status == 500);
  CHECK(answer.body.find("{\"status_code\":500,") == 0);
}

TEST_CASE("a request without an answer is answered 504 in time, and a later answer is dropped") {
  http_server_options options;
  options.request_timeout_ms = 100;
  test_server server(options);
  auto client = server.connect();
  client.send(plain_request("GET", "/slow"));
  auto late = server.slow.take(1);
  CHECK(client.read_answer().status == 504);
  CHECK_FALSE(late[0].send(200, "text/plain", "late"));
  client.send(plain_request("GET", "/slow"));
  auto next = server.slow.take(1);
  CHECK(next[0].send(200, "text/plain", "next"));
  CHECK(client.read_answer().body == "next");
  CHECK_FALSE(client.readable(0));
  CHECK(server.server.counters().answers_dropped == 1);
}

TEST_CASE("envelopes, Retry-After and legacy-200") {
  const bool legacy = GENERATE(false, true);
  http_server_options options;
  options.body_max = 10;
  if (legacy)
    options.legacy_200_paths = {"/", "/full", "/list"};
  http_server server(options);
  REQUIRE(server.route("GET", "/full", [](const http_request&, http_responder to) {
    to.fail({error_code::queue_full, "the queue \"q\" is full"});
  }));
  REQUIRE(server.route("GET", "/list", [](const http_request&, http_responder to) {
    to.send_envelope(200, "ok", "[1]", "\"actors\":[]");
  }));
  REQUIRE(server.start());
  raw_client client(server.port());
  const auto full = client.ask(plain_request("GET", "/full"));
  CHECK(full.status == (legacy ? 200 : 429));
  CHECK(full.header("Retry-After") == "1");
  const std::string problem =
      R"({"type":"/api/v1/problems/queue_full","title":"The queue is full","status":429,)"
      R"("detail":"the queue \"q\" is full","code":"queue_full"})";
  CHECK(full.body ==
        R"({"status_code":429,"message":"the queue \"q\" is full","data":null,"error":)" + problem + "}");
  // Whoever asks for the problem alone gets it with its real status, also where others get 200.
  const std::string wanted = "Accept: text/html, application/problem+json;q=0.9\r\n";
  const auto bare = client.ask(plain_request("GET", "/full", wanted));
  CHECK(bare.status == 429);
  CHECK(bare.header("Content-Type") == "application/problem+json");
  CHECK(bare.header("Retry-After") == "1");
  CHECK(bare.body == problem);
  CHECK(client.ask(plain_request("GET", "/list", wanted)).body ==
        R"({"status_code":200,"message":"ok","data":[1],"actors":[]})");
  const auto list = client.ask(plain_request("GET", "/list"));
  CHECK(list.status == 200);
  CHECK(list.body == R"({"status_code":200,"message":"ok","data":[1],"actors":[]})");
  CHECK_FALSE(list.header("Retry-After"));
  // What stands below such a path counts as well, and what merely begins like one does not.
  for (const auto* path : {"/full/more", "/full//more/", "/list/a/b"})
    CHECK(client.ask(plain_request("GET", path)).status == (legacy ? 200 : 404));
  for (const auto* path : {"/missing", "/fuller", "/other/full", "/Full"}) {
    const auto missing = client.ask(plain_request("GET", path));
    CHECK(missing.status == 404);
    CHECK(missing.body.find(R"({"status_code":404,"message":"no such path: )" + std::string(path) +
                            R"(","data":null,"error":{"type":"/api/v1/problems/not_found",)") == 0);
  }
  CHECK(client.ask(plain_request("POST", "/full")).status == (legacy ? 200 : 405));
  CHECK(client.ask(plain_request("DELETE", "/")).status == (legacy ? 200 : 404));
  // The gate's own refusals too; the next connection begins anew.
  const auto large = [&](const std::string& path) {
    return raw_client(server.port())
        .ask("POST " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 11\r\n\r\n")
        .status;
  };
  CHECK(large("/full") == (legacy ? 200 : 413));
  CHECK(large("/missing") == 413);
  const auto malformed = client.ask("nonsense\r\n\r\n");
  CHECK(malformed.status == 400);
  CHECK(malformed.body.find(R"({"status_code":400,)") == 0);
}

TEST_CASE("literal segments win over parameters, for each method on its own") {
  http_server server({});
  const auto answer = [](std::string text) {
    return [text](const http_request& request, http_responder to) {
      std::string body = text;
      for (const auto& one : request.path_parameters)
        body += " " + one.name + "=" + one.value;
      to.send(200, "text/plain", body);
    };
  };
  REQUIRE(server.route("GET", "/", answer("root")));
  REQUIRE(server.route("GET", "/tasks", answer("list")));
  REQUIRE(server.route("GET", "/tasks/:id", answer("one")));
  REQUIRE(server.route("POST", "/tasks/batch", answer("batch")));
  REQUIRE(server.route("POST", "/tasks:batch", answer("colon")));
  REQUIRE(server.route("POST", "/tasks/:id/attempts/:number", answer("attempt")));
  REQUIRE(server.route("DELETE", "/tasks/:id", answer("gone")));
  CHECK_FALSE(server.route("GET", "/tasks/:other", answer("")));
  for (const auto* pattern : {"", "tasks", "/tasks/", "//tasks", "/tasks/:", "/tasks/*", "/:id?", "/a b"})
    CHECK_FALSE(server.route("GET", pattern, answer("")));
  CHECK_FALSE(server.route("FETCH", "/x", answer("")));
  REQUIRE(server.start());
  raw_client client(server.port());
  CHECK(client.ask(plain_request("GET", "/")).body == "root");
  CHECK(client.ask(plain_request("GET", "///")).body == "root");
  CHECK(client.ask(plain_request("GET", "/tasks")).body == "list");
  CHECK(client.ask(plain_request("GET", "/tasks/")).body == "list");
  CHECK(client.ask(plain_request("GET", "/tasks/batch")).body == "one id=batch");
  CHECK(client.ask(plain_request("POST", "/tasks/batch")).body == "batch");
  CHECK(client.ask(plain_request("POST", "/tasks:batch")).body == "colon");
  CHECK(client.ask(plain_request("POST", "/tasks%3Abatch")).body == "colon");
  CHECK(client.ask(plain_request("POST", "/tasks/a%2Fb/attempts/2")).body == "attempt id=a/b number=2");
  CHECK(client.ask(plain_request("OPTIONS", "/tasks/batch")).header("Allow") ==
        "GET, HEAD, POST, DELETE, OPTIONS");
  CHECK(client.ask(plain_request("PUT", "/tasks/x")).header("Allow") == "GET, HEAD, DELETE, OPTIONS");
  CHECK(client.ask(plain_request("GET", "/tasks/x/y")).status == 404);
}

TEST_CASE("requests carry their headers and know what the client prefers") {
  http_server server({});
  REQUIRE(server.route("POST", "/headers", [](const http_request& request, http_responder to) {
    to.send(200, "text/plain",
            std::string(request.header("Idempotency-Key").value_or("none")) + "," +
                std::string(request.header("x-empty").value_or("none")) + "," +
                std::string(request.header("absent").value_or("none")) + "," +
                (request.prefers("text/html", "text/plain") ? "html" : "plain") + "," + request.method + "," +
                request.path);
  }));
  REQUIRE(server.start());
  raw_client client(server.port());
  CHECK(client
            .ask(plain_request("POST", "/headers",
                               "idempotency-KEY:\t k 1 \r\nX-Empty:\r\nAccept: application/xhtml+xml, "
                               "Text/HTML;q=0.9, */*;q=0.8\r\n"))
            .body == "k 1,,none,html,POST,/headers");
  CHECK(client.ask(plain_request("POST", "/headers", "Accept: */*\r\n")).body ==
        "none,none,none,plain,POST,/headers");
}

TEST_CASE("forms arrive as curl sends them") {
  http_server server({});
  REQUIRE(server.route("POST", "/form", [](const http_request& request, http_responder to) {
    const auto form = decode_form(request.header("Content-Type").value_or(""), request.body);
    if (!form) {
      to.fail(form.failure());
      return;
    }
    std::string text;
    for (const auto& field : form->fields)
      text += field.name + (field.is_file ? "@" : "=") + field.value + "|";
    to.send(200, "text/plain", text);
  }));
  REQUIRE(server.start());
  const auto url = "http://127.0.0.1:" + std::to_string(server.port()) + "/form";
  const std::string command = "echo 'a  b' \"c\" && echo $((1+1)) | cat; \xe4\xb8\xad % +";
  CHECK(run_program({"curl", "-s", "--form-string", "task=" + command, "-F", "channel=biz", url}) ==
        "task=" + command + "|channel=biz|");
  CHECK(run_program({"curl", "-s", "--data-urlencode", "task=" + command, "-d", "channel=biz", url}) ==
        "task=" + command + "|channel=biz|");
  std::string path = "/tmp/http-server-XXXXXX";
  const int file = ::mkstemp(path.data());
  REQUIRE(file >= 0);
  REQUIRE(::write(file, "\0\xff\n", 3) == 3);
  ::close(file);
  CHECK(run_program({"curl", "-s", "-F", "a=@" + path + ";filename=x", "-F", "a \"quoted\" name=1", url}) ==
        std::string("a@") + '\0' + "\xff\n|a \"quoted\" name=1|");
  ::unlink(path.c_str());
  CHECK(run_program({"curl", "-s", "-d", "task=%zz", url}).find("{\"status_code\":400,") == 0);
}

TEST_CASE("an address that is taken is a conflict that names it") {
  test_server first;
  http_server_options options;
  options.port = first.port();
  http_server second(options);
  const auto started = second.start();
  REQUIRE_FALSE(started);
  CHECK(started.failure().code == error_code::conflict);
  CHECK(started.failure().message.find("127.0.0.1:" + std::to_string(first.port())) != std::string::npos);
  CHECK(second.port() == 0);
  first.server.stop();
  CHECK(second.start());
  CHECK(second.port() == options.port);
}

TEST_CASE("addresses that cannot be bound and options out of range are errors") {
  http_server_options options;
  options.host = "203.0.113.1";
  const auto foreign = http_server(options).start();
  REQUIRE_FALSE(foreign);
  CHECK(foreign.failure().code == error_code::invalid_argument);
  options.host = "no such host";
  CHECK_FALSE(http_server(options).start());
  options = {};
  options.threads = 0;
  CHECK_FALSE(http_server(options).start());
  options = {};
  options.header_deadline_ms = 0;
  CHECK_FALSE(http_server(options).start());
}

TEST_CASE("IPv6 loopback and names can be bound") {
  http_server_options options;
  options.host = "::1";
  http_server server(options);
  REQUIRE(server.route("GET", "/", [](const http_request& request, http_responder to) {
    to.send(200, "text/plain", request.peer_address.substr(0, 6));
  }));
  if (const auto started = server.start(); started)
    CHECK(run_program({"curl", "-s", "http://[::1]:" + std::to_string(server.port()) + "/"}) == "[::1]:");
  else
    WARN("no IPv6 here: " << started.failure().message);
  options.host = "localhost";
  http_server named(options);
  CHECK(named.start());
}

TEST_CASE("stop is quick with pending requests and idle connections, and leaves nothing behind") {
  const auto descriptors = descriptor_count();
  {
    test_server server;
    std::vector<raw_client> idle;
    for (int i = 0; i < 50; ++i) {
      idle.push_back(server.connect());
      CHECK(idle.back().ask(plain_request("GET", "/hello")).status == 200);
    }
    auto pending = server.connect();
    pending.send(plain_request("GET", "/slow"));
    auto responders = server.slow.take(1);
    auto sleeper = server.connect();
    sleeper.send(plain_request("GET", "/big?bytes=20000000"));
    REQUIRE(sleeper.readable(patience_ms));

    const auto begin = clock_type::now();
    server.server.stop();
    CHECK(ms_since(begin) < 1'000);
    server.server.stop();
    CHECK_FALSE(responders[0].send(200, "text/plain", "too late"));
    CHECK(pending.read_to_end() == "");
    for (auto& client : idle)
      CHECK(client.read_to_end() == "");
    CHECK(server.server.counters().connections_open == 0);
    CHECK(server.port() == 0);
  }
  const auto after = descriptor_count();
  CHECK(after.others == descriptors.others);
  // Pistache never closes its own: one for the listener and the reactor each, two for each of the two
  // workers.
  CHECK(after.eventfds <= descriptors.eventfds + 6);
}

TEST_CASE("stop while answers are being given") {
  for (int round = 0; round < 20; ++round) {
    test_server server;
    std::vector<raw_client> clients;
    for (int i = 0; i < 20; ++i) {
      clients.push_back(server.connect());
      clients.back().send(plain_request("GET", "/slow"));
    }
    auto responders = server.slow.take(20);
    std::thread answering([&] {
      for (const auto& responder : responders)
        responder.send(200, "text/plain", std::string(100'000, 'x'));
    });
    server.server.stop();
    answering.join();
  }
}

TEST_CASE("the same port serves again after a restart") {
  http_server_options options;
  uint16_t port = 0;
  for (int round = 0; round < 10; ++round) {
    options.port = port;
    test_server server(options);
    port = options.port == 0 ? server.port() : port;
    auto client = server.connect();
    CHECK(client.ask(plain_request("GET", "/hello")).status == 200);
    server.server.stop();
    REQUIRE(server.server.start());
    CHECK((options.port == 0 || server.port() == port));
    raw_client again(server.port());
    CHECK(again.ask(plain_request("GET", "/hello")).status == 200);
  }
}

TEST_CASE("connections beyond the limit are told so") {
  http_server_options options;
  options.connections_max = 4;
  options.threads = 1;
  test_server server(options);
  std::vector<raw_client> clients;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(server.connect());
    CHECK(clients.back().ask(plain_request("GET", "/hello")).status == 200);
  }
  auto fifth = server.connect();
  const auto answer = fifth.ask(plain_request("GET", "/hello"));
  CHECK(answer.status == 503);
  CHECK(answer.header("Retry-After") == "1");
  CHECK(server.server.counters().connections_refused == 1);
  auto sixth = server.connect();
  CHECK(sixth.read_to_end(patience_ms));
  fifth.close();
  sixth.close();
  clients.pop_back();
  REQUIRE(wait_until([&] { return server.server.counters().connections_open == 3; }));
  auto next = server.connect();
  CHECK(next.ask(plain_request("GET", "/hello")).status == 200);
  CHECK(clients[0].ask(plain_request("GET", "/hello")).status == 200);
}

TEST_CASE("2,000 idle connections are held without work, and new ones are served") {
  const many_descriptors limit(4'400);
  if (!limit.enough) {
    WARN("the limit on open files is too low for this test");
    return;
  }
  http_server_options options;
  options.header_deadline_ms = 60'000;
  test_server server(options);
  std::vector<raw_client> clients;
  for (int i = 0; i < 2'000; ++i) {
    clients.push_back(server.connect());
    if (i % 2 == 0)
      REQUIRE(clients.back().ask(plain_request("GET", "/hello")).status == 200);
  }
  REQUIRE(wait_until([&] { return server.server.counters().connections_open == 2'000; }));
  auto client = server.connect();
  CHECK(client.ask(plain_request("GET", "/hello")).status == 200);
  const auto before = switches_of_threads("tr-http");
  CHECK(before > 0);
  CHECK_FALSE(client.readable(1'000));
  // Each worker may be woken once by its timer for what the last request left behind.
  CHECK(switches_of_threads("tr-http") - before <= 4);
  CHECK(clients[1'999].ask(plain_request("GET", "/hello")).status == 200);
}

TEST_CASE("a server without connections sleeps") {
  test_server server;
  {
    auto client = server.connect();
    CHECK(client.ask(plain_request("GET", "/hello")).status == 200);
  }
  REQUIRE(wait_until([&] { return server.server.counters().connections_open == 0; }));
  raw_client idle = server.connect();
  REQUIRE(wait_until([&] { return server.server.counters().connections_open == 1; }));
  const auto before = switches_of_threads("tr-http");
  CHECK_FALSE(idle.readable(1'500));
  CHECK(switches_of_threads("tr-http") - before <= 2);
}
