// Every documented refusal over HTTP: status, envelope, and that nothing is queued by it.
// The daemon runs with task-mode off, so that a task taken in by mistake would be seen.
#include "test/support/daemon.hpp"

#include <catch2/catch.hpp>

using namespace task_runner::test;
using nlohmann::json;

namespace {

struct bad_request {
  const char* what;
  int status;
  std::string method;
  std::string target;
  name_values headers;
  std::string body;
  /// Part of the message: what makes it one that a person can act on.
  std::string says;
};

const name_values form_type{{"Content-Type", "application/x-www-form-urlencoded"}};
const name_values json_type{{"Content-Type", "application/json"}};
const name_values multipart_type{{"Content-Type", "multipart/form-data; boundary=XX"}};

name_values with(name_values headers, const std::string& name, const std::string& value) {
  headers.emplace_back(name, value);
  return headers;
}

std::string part(const std::string& name, const std::string& value) {
  return "--XX\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n";
}

std::vector<bad_request> bad_requests() {
  using std::string;
  const string nul("a\0b", 3);
  return {
      {"no task", 400, "POST", "/push", form_type, "", "task"},
      {"an empty task", 400, "POST", "/push", form_type, "task=", "task"},
      {"an empty task beside a channel", 400, "POST", "/push", form_type, "task=&channel=biz", "task"},
      {"a blank task", 400, "POST", "/push", form_type, "task=%20%09+", "task"},
      {"an empty task in a multipart form", 400, "POST", "/push", multipart_type,
       part("task", "") + "--XX--\r\n", "task"},
      {"an empty task in JSON", 400, "POST", "/push", json_type, R"({"task":""})", "task"},
      {"a blank task in JSON", 400, "POST", "/push", json_type, R"({"task":"  \n "})", "task"},
      {"no member in JSON", 400, "POST", "/push", json_type, "{}", "task"},
      {"no body at all", 400, "POST", "/push", {}, "", "task"},
      {"a wrong percent encoding", 400, "POST", "/push", form_type, "task=%zz", ""},
      {"a cut percent encoding", 400, "POST", "/push", form_type, "task=abc%4", ""},
      {"a body of unknown type",
       400,
       "POST",
       "/push",
       {{"Content-Type", "text/plain"}},
       "task=date",
       "text/plain"},
      {"a body without a type", 400, "POST", "/push", {}, "task=date", "Content-Type"},
      {"a multipart body without its end", 400, "POST", "/push", multipart_type, part("task", "date"),
       "boundary"},
      {"a multipart body cut in its closing boundary", 400, "POST", "/push", multipart_type,
       part("task", "date") + "--XX-", ""},
      {"a multipart body cut in a part", 400, "POST", "/push", multipart_type,
       part("task", "date").substr(0, 60), ""},
      {"a multipart body without a boundary",
       400,
       "POST",
       "/push",
       {{"Content-Type", "multipart/form-data"}},
       part("task", "date") + "--XX--\r\n",
       "boundary"},
      {"invalid UTF-8 in a form", 400, "POST", "/push", form_type, "task=echo+%ff", "UTF-8"},
      {"invalid UTF-8 in a multipart form", 400, "POST", "/push", multipart_type,
       part("task", "echo \xc3\x28") + "--XX--\r\n", "UTF-8"},
      {"invalid UTF-8 in JSON", 400, "POST", "/push", json_type, "{\"task\":\"echo \xff\"}", "UTF-8"},
      {"NUL in a form", 400, "POST", "/push", form_type, "task=a%00b", "NUL"},
      {"NUL in a multipart form", 400, "POST", "/push", multipart_type, part("task", nul) + "--XX--\r\n",
       "NUL"},
      {"NUL in JSON", 400, "POST", "/push", json_type, "{\"task\":\"a\\u0000b\"}", "NUL"},
      {"NUL in an argument", 400, "POST", "/push", json_type,
       "{\"command\":{\"name\":\"echo\",\"args\":[\"a\\u0000b\"]}}", "NUL"},
      {"broken JSON", 400, "POST", "/push", json_type, R"({"task":"date")", "JSON"},
      {"a JSON array", 400, "POST", "/push", json_type, R"(["date"])", "object"},
      {"a JSON text", 400, "POST", "/push", json_type, R"("date")", "object"},
      {"a task that is a number", 400, "POST", "/push", json_type, R"({"task":5})", "task"},
      {"args that are no array", 400, "POST", "/push", json_type, R"({"command":"echo","args":"x"})", "args"},
      {"a channel name with a blank", 400, "POST", "/push", form_type, "task=date&channel=a+b", "channel"},
      {"an id with a slash", 400, "POST", "/push", form_type, "task=date&id=a/b", "id"},
      {"a delay that is no number", 400, "POST", "/push", form_type, "task=date&delay=soon", "delay"},
      {"a channel without a name", 400, "POST", "/queue", form_type, "worker=1", "name"},
      {"a channel with a bad name", 400, "POST", "/queue", form_type, "name=a%2Fb", "name"},
      {"a channel with a name that is too long", 400, "POST", "/queue", form_type, "name=" + string(129, 'x'),
       "128"},
      {"worker that is no number", 400, "POST", "/queue", form_type, "name=refused&worker=many", "worker"},
      {"distinct that is neither", 400, "POST", "/queue", form_type, "name=refused&distinct=perhaps",
       "distinct"},
      {"a channel from broken JSON", 400, "POST", "/queue", json_type, "{", "JSON"},
      {"an empty channel in status", 400, "GET", "/status?channel=", {}, "", "channel"},

      {"a foreign Host", 403, "POST", "/push", with(form_type, "Host", "evil.example"), "task=date",
       "evil.example"},
      {"a foreign Host that looks local", 403, "POST", "/push",
       with(form_type, "Host", "127.0.0.1.evil.example:60001"), "task=date", "allow-host"},
      {"a foreign Host on GET", 403, "GET", "/status", {{"Host", "evil.example"}}, "", "allow-host"},
      {"a foreign Origin", 403, "POST", "/push", with(form_type, "Origin", "http://evil.example"),
       "task=date", "evil.example"},
      {"another port of this machine as Origin", 403, "POST", "/push",
       with(form_type, "Origin", "http://127.0.0.1:1"), "task=date", ""},
      {"the Origin null", 403, "POST", "/push", with(form_type, "Origin", "null"), "task=date", ""},
      {"a cross-site form", 403, "POST", "/push", with(form_type, "Sec-Fetch-Site", "cross-site"),
       "task=date", "cross-site"},
      {"a cross-site multipart form", 403, "POST", "/push",
       with(multipart_type, "Sec-Fetch-Site", "cross-site"), part("task", "date") + "--XX--\r\n",
       "cross-site"},
      {"a cross-site channel", 403, "POST", "/queue", with(form_type, "Sec-Fetch-Site", "cross-site"),
       "name=refused", "cross-site"},

      {"a push to an unknown channel", 404, "POST", "/push", form_type, "task=date&channel=nowhere",
       "nowhere"},
      {"a push to an unknown channel as JSON", 404, "POST", "/push", json_type,
       R"({"task":"date","chan":"nowhere"})", "nowhere"},
      {"the status of an unknown channel", 404, "GET", "/status?channel=nowhere", {}, "", "nowhere"},
      {"an unknown path", 404, "GET", "/nowhere", {}, "", ""},
      {"an unknown path, pushed to", 404, "POST", "/push/now", form_type, "task=date", ""},
      {"an unknown task", 404, "GET", "/api/v1/tasks/nothing", {}, "", "task"},
      {"the output of an unknown task", 404, "GET", "/api/v1/tasks/nothing/output", {}, "", "task"},

      {"GET of push", 405, "GET", "/push?task=date", {}, "", "POST"},
      {"PUT of push", 405, "PUT", "/push", form_type, "task=date", "POST"},
      {"GET of queue", 405, "GET", "/queue?name=refused", {}, "", "POST"},
      {"POST of status", 405, "POST", "/status", form_type, "task=date", "GET"},
      {"DELETE of the root", 405, "DELETE", "/", {}, "", "GET"},

      {"a channel that exists", 409, "POST", "/queue", form_type, "name=default", "default"},

      {"a body over the limit", 413, "POST", "/push", form_type, "task=" + string(1'048'577, 'x'), ""},
      {"a command line that no kernel runs", 413, "POST", "/push", form_type, "task=" + string(131'072, 'x'),
       "131071"},
      {"an argument that no kernel takes", 413, "POST", "/push", json_type,
       json{{"command", {{"name", "echo"}, {"args", {string(131'072, 'x')}}}}}.dump(), "131071"},

      {"a worker number out of range", 422, "POST", "/queue", form_type, "name=refused&worker=5000", "1024"},
      {"a worker number out of range as JSON", 422, "POST", "/queue", json_type,
       R"({"name":"refused","worker":5000})", "1024"},
      {"a negative worker number", 422, "POST", "/queue", form_type, "name=refused&worker=-1", "1024"},
      {"a negative delay", 422, "POST", "/push", form_type, "task=date&delay=-1", "delay"},
      {"a limit out of range", 422, "GET", "/status?limit=1001", {}, "", "1000"},
      {"a limit of nothing", 422, "GET", "/status?limit=0", {}, "", "1000"},
  };
}

void check_nothing_queued(test_daemon& runner) {
  const auto data = runner.http().get("/status").json().at("data");
  CHECK(data.size() == 3);
  for (const auto& item : data.items()) {
    CAPTURE(item.value().dump());
    for (const auto* count : {"count", "pending", "delayed", "running", "finished", "dead"})
      CHECK(item.value().at(count) == 0);
  }
}

daemon_options storing_only() {
  daemon_options options;
  options.flags = {"-task-mode=false"};
  return options;
}

} // namespace

TEST_CASE("what is refused answers with its status and a message, and queues nothing") {
  test_daemon runner(storing_only());
  for (const auto& bad : bad_requests()) {
    CAPTURE(bad.what);
    const auto answer = runner.http().send(bad.method, bad.target, bad.headers, bad.body);
    CAPTURE(answer.body);
    CHECK(answer.status == bad.status);
    CHECK(answer.header("content-type") == "application/json; charset=utf-8");
    const auto body = answer.json();
    CHECK(body.at("status_code") == bad.status);
    CHECK(body.at("data").is_null());
    CHECK(body.at("message").get<std::string>().size() > 10);
    CHECK(body.at("message").get<std::string>().find(bad.says) != std::string::npos);
    CHECK((bad.status == 405) == !answer.header("allow").empty());
  }
  check_nothing_queued(runner);
}

TEST_CASE("requests that are no clean HTTP are refused and queue nothing") {
  test_daemon runner(storing_only());
  const std::string body = "task=date";
  const std::string head = "POST /push HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n";
  const auto length = "Content-Length: " + std::to_string(body.size()) + "\r\n";
  const std::vector<std::pair<std::string, int>> requests{
      {head + length + "\r\n" + body, 400}, // no Host
      {head + "Host: localhost\r\nHost: evil.example\r\n" + length + "\r\n" + body, 400},
      {head + "Host: localhost\r\n" + length + length + "\r\n" + body, 400},
      {head + "Host: localhost\r\nContent-Length: abc\r\n\r\n" + body, 400},
      {head + "Host: localhost\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n" + body, 400},
      {head + "Host: localhost\r\nX-Long: " + std::string(100'000, 'x') + "\r\n" + length + "\r\n" + body,
       431},
      {"POST /push\r\n\r\n" + body, 400},
  };
  for (const auto& [bytes, status] : requests) {
    CAPTURE(bytes.substr(0, 200));
    const auto answer = runner.http().send_raw(bytes);
    CHECK(answer.status == status);
    CHECK(answer.json().at("status_code") == status);
    CHECK(answer.json().at("data").is_null());
  }
  // A body that ends before its announced length was never pushed.
  CHECK_THROWS_AS(runner.http().send_raw(head + "Host: localhost\r\nContent-Length: 20\r\n\r\n" + body, true),
                  std::runtime_error);
  check_nothing_queued(runner);
}

TEST_CASE("hosts of this machine and configured ones are served") {
  auto options = storing_only();
  options.flags.insert(options.flags.end(), {"-allow-host", "runner.internal"});
  test_daemon runner(options);
  const auto port = std::to_string(runner.port());
  for (const std::string host : {"127.0.0.1", "localhost", "127.0.0.1:60001", "localhost:80", "[::1]:60001",
                                 "runner.internal", "runner.internal:8080"}) {
    CAPTURE(host);
    CHECK(runner.http().send("GET", "/status", {{"Host", host}}).status == 200);
  }
  CHECK(runner.http().send("GET", "/status", {{"Host", "other.internal"}}).status == 403);
  const auto own_page =
      runner.http().post_form("/push", {{"task", "date"}},
                              {{"Origin", "http://127.0.0.1:" + port}, {"Sec-Fetch-Site", "same-origin"}});
  CHECK(own_page.status == 200);
}

TEST_CASE("max-body sets where 413 begins") {
  daemon_options options = storing_only();
  options.ini = "[http]\nmax-body = 2k\n";
  test_daemon runner(options);
  CHECK(runner.http().post_form("/push", {{"task", "echo " + std::string(1'500, 'x')}}).status == 200);
  CHECK(runner.http().post_form("/push", {{"task", "echo " + std::string(3'000, 'x')}}).status == 413);
  CHECK(runner.channel("default").at("count") == 1);
}

TEST_CASE("every error has the members of RFC 9457, in the envelope or alone, and a page of its own") {
  test_daemon runner(storing_only());
  for (const auto& bad : bad_requests()) {
    CAPTURE(bad.what);
    const auto whole = runner.http().send(bad.method, bad.target, bad.headers, bad.body);
    const auto error = whole.json().at("error");
    CHECK(error.at("status") == bad.status);
    CHECK(error.at("detail") == whole.json().at("message"));
    CHECK_FALSE(error.at("title").get<std::string>().empty());
    auto headers = bad.headers;
    headers.emplace_back("Accept", "application/problem+json");
    const auto alone = runner.http().send(bad.method, bad.target, headers, bad.body);
    CHECK(alone.status == bad.status);
    CHECK(alone.header("content-type") == "application/problem+json");
    CHECK(alone.json() == error);
    if (error.at("type") == "about:blank")
      continue;
    const auto page = runner.http().get(error.at("type"));
    CHECK(page.status == 200);
    CHECK(page.json().at("data").at("code") == error.at("code"));
    CHECK(page.json().at("data").at("title") == error.at("title"));
    CHECK(page.json().at("data").at("status") == bad.status);
  }
  CHECK(runner.http().get("/api/v1/problems").json().at("data").at("items").size() == 15);
  CHECK(runner.http().get("/api/v1/problems/none").status == 404);
}

TEST_CASE("legacy-200 answers 200 with the code in the body, on the predecessor's own paths alone") {
  auto options = storing_only();
  options.ini = "[http]\nlegacy-200 = true\n";
  test_daemon runner(options);
  for (const auto& bad : bad_requests()) {
    CAPTURE(bad.what);
    const auto answer = runner.http().send(bad.method, bad.target, bad.headers, bad.body);
    CAPTURE(answer.body);
    const bool own = bad.target.find("/api/") != 0 && bad.target.find("/nowhere") != 0;
    CHECK(answer.status == (own ? 200 : bad.status));
    CHECK(answer.json().at("status_code") == bad.status);
    CHECK(answer.json().at("data").is_null());
  }
  check_nothing_queued(runner);
  for (const std::string later : {"/channels/none", "/channels/none/tasks", "/delay-tasks/none"})
    CHECK(runner.http().get(later).status == 200);
  for (const std::string ours : {"/api/v1/tasks/none", "/api/v1/channels/none", "/api/v1", "/channel"})
    CHECK(runner.http().get(ours).status == 404);
  CHECK(runner.push({{"task", "date"}}).at("result") == true);
  CHECK(runner.http().post_form("/api/v1/tasks", {{"task", ""}}).status == 400);
}

TEST_CASE("a query on a POST or PATCH is refused, and nothing is done") {
  test_daemon runner;
  const auto dead = runner.push_line("exit 3");
  REQUIRE(wait_until([&] { return runner.task(dead).at("state") == "dead"; }));
  const std::vector<std::pair<std::string, name_values>> refused{
      {"/api/v1/tasks:delete?dry_run=true", {{"state", "dead"}}},
      {"/api/v1/tasks:retry?state=cancelled", {{"state", "dead"}}},
      {"/api/v1/stop?now=true", {}},
      {"/push?delay=3600", {{"task", "date"}}},
  };
  for (const auto& [target, fields] : refused) {
    const auto answer = runner.http().post_form(target, fields);
    CAPTURE(target, answer.body);
    CHECK(answer.status == 400);
    CHECK(answer.json().at("message").get<std::string>().find("body") != std::string::npos);
  }
  CHECK(runner.http().send("PATCH", "/api/v1/channels/default?worker=3").status == 400);
  CHECK(runner.task(dead).at("state") == "dead");
  CHECK(runner.report().at("state") == "running");
}

TEST_CASE("legacy-200 does not hide from machines that the daemon is not ready") {
  daemon_options options;
  options.ini = "[http]\nlegacy-200 = true\n";
  test_daemon runner(options);
  const auto running = runner.push_line("exec sleep 1000");
  REQUIRE(wait_until([&] { return runner.task(running).at("state") == "running"; }));
  CHECK(runner.http().send("POST", "/api/v1/stop").status == 200);
  REQUIRE(wait_until([&] { return runner.http().get("/readyz").status == 503; }));
  const auto refused = runner.http().post_form("/push", {{"task", "date"}});
  CHECK(refused.status == 200);
  CHECK(refused.json().at("status_code") == 503);
  CHECK_FALSE(refused.header("retry-after").empty());
  CHECK(runner.http().post_form("/api/v1/tasks", {{"task", "date"}}).status == 503);
  CHECK(runner.http().post_form("/api/v1/stop", {{"now", "true"}}).status == 200);
  const auto end = runner.child().wait(std::chrono::seconds(30));
  REQUIRE(end);
  CHECK(*end == process_end{true, 0});
}

TEST_CASE(
    "what has been refused can be told from what was accepted: the next request on the connection works") {
  test_daemon runner;
  CHECK(runner.http().post_form("/push", {{"task", ""}}).status == 400);
  CHECK(runner.run_line("echo fine") == "fine\n");
}
