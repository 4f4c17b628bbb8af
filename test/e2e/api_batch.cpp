// POST /api/v1/tasks:batch over the real binary: many pushes in one request, the fate of each in the answer.
// What single pushes promise holds for every line: order, dedup, refusals, and that it is on disk.
#include "test/e2e/api_support.hpp"
#include "test/e2e/gate.hpp"

#include <atomic>
#include <functional>
#include <set>
#include <thread>

using namespace task_runner::test;
using nlohmann::json;

namespace {

const std::string batch_path = "/api/v1/tasks:batch";
const std::string line_type = "application/x-ndjson";

daemon_options idle(std::vector<std::string> flags = {}) {
  daemon_options options;
  options.flags = std::move(flags);
  options.flags.push_back("-task-mode=false");
  return options;
}

http_answer post(test_daemon& runner, const std::string& body,
                 const name_values& headers = {{"Content-Type", line_type}}) {
  auto answer = runner.http().send("POST", batch_path, headers, body);
  INFO(answer.status << " " << answer.body.substr(0, 500));
  CHECK(answer.json().at("status_code") == answer.status);
  CHECK(answer.header("content-type") == "application/json; charset=utf-8");
  return answer;
}

/// `data` of a batch that must be answered 200; the counts must be those of the results.
json pushed(test_daemon& runner, const std::string& body) {
  const auto answer = post(runner, body);
  INFO(answer.body.substr(0, 500));
  REQUIRE(answer.status == 200);
  auto data = answer.json().at("data");
  size_t accepted = 0;
  size_t duplicates = 0;
  size_t refused = 0;
  uint64_t last_line = 0;
  for (const auto& one : data.at("results")) {
    ++(one.at("result") == true ? accepted : one.contains("code") ? refused : duplicates);
    CHECK(one.at("line").get<uint64_t>() > last_line);
    last_line = one.at("line");
  }
  CHECK(data.at("accepted") == accepted);
  CHECK(data.at("duplicates") == duplicates);
  CHECK(data.at("refused") == refused);
  CHECK((answer.json().at("message") == "ok") == (refused == 0));
  return data;
}

std::string line(const json& members) {
  return members.dump() + "\n";
}

/// The status and message of a batch that must be refused as a whole.
std::pair<int, std::string> refused_whole(test_daemon& runner, const std::string& body,
                                          const name_values& headers = {{"Content-Type", line_type}}) {
  const auto answer = post(runner, body, headers);
  CHECK(answer.status >= 400);
  CHECK(answer.json().at("data").is_null());
  CHECK(answer.header("retry-after").empty() == (answer.status != 429 && answer.status != 503));
  return {answer.status, answer.json().at("message")};
}

/// Ends with its scope, however that is left.
class joined_thread {
public:
  explicit joined_thread(std::function<void()> work)
      : thread_(std::move(work)) {}
  ~joined_thread() { thread_.join(); }
  joined_thread(const joined_thread&) = delete;
  joined_thread& operator=(const joined_thread&) = delete;

private:
  std::thread thread_;
};

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("a batch runs every line as a push of its own would, in order") {
  test_daemon runner;
  runner.create_channel("line", {{"worker", "1"}});
  const auto ran = runner.path("ran");
  std::string body;
  for (int i = 0; i < 20; ++i)
    body += line({{"task", "echo " + std::to_string(i) + " >> " + ran}, {"channel", "line"}});
  body += line({{"task", "words"}, {"command", "printf"}, {"args", {"%s", "$HOME"}}, {"id", "words"}});
  body += line({{"task", "shell"}, {"command", {{"name", "echo"}, {"args", {"a  b"}}}}, {"id", "object"}});
  body += line({{"task", "exit 3"}, {"id", "fails"}, {"max_attempts", 2}, {"backoff_s", 0.01}});
  body += line({{"task", "true"}, {"id", "late"}, {"delay", 3'600}});
  body += line({{"task", "date"}, {"id", "moment"}, {"execute_at", "2100-01-01T00:00:00Z"}});
  const auto data = pushed(runner, body);
  REQUIRE(data.at("accepted") == 25);
  for (const auto& one : data.at("results"))
    runner.task(one.at("task_id"));
  for (int i = 0; i < 20; ++i)
    CHECK(runner.settled(data.at("results")[static_cast<size_t>(i)].at("task_id")).at("state") == "finished");
  std::vector<std::string> expected;
  for (int i = 0; i < 20; ++i)
    expected.push_back(std::to_string(i));
  CHECK(lines_of(read_file(ran)) == expected);
  runner.settled("words");
  CHECK(runner.output("words") == "$HOME");
  runner.settled("object");
  CHECK(runner.output("object") == "a  b\n");
  const auto failed = runner.settled("fails");
  CHECK(failed.at("state") == "dead");
  CHECK(failed.at("attempt") == 2);
  CHECK(data.at("results")[23].at("state") == "delayed");
  CHECK(runner.task("late").at("state") == "delayed");
  CHECK(runner.task("moment").at("execute_at") == "2100-01-01T00:00:00.000Z");
}

TEST_CASE("what is wrong with a line of a batch concerns that line alone") {
  test_daemon runner(idle());
  runner.create_channel("mail");
  data_of(runner, "POST", "/api/v1/channels", {{"name", "full"}, {"tasks_max", 2}});
  std::string body;
  std::vector<std::pair<int, std::string>> expected; // 0: accepted; else status and part of the message
  const auto add = [&](const std::string& text, int status = 0, const std::string& says = {}) {
    body += text + "\n";
    expected.emplace_back(status, says);
  };
  const auto object = [](const json& members) { return members.dump(); };
  add(object({{"task", "a"}, {"channel", "mail"}}));
  add(R"({"task":"b")", 400, "not valid JSON");
  add(R"({"task":"b"} x)", 400, "not valid JSON");
  add(R"({"task":"b"}{"task":"c"})", 400, "not valid JSON");
  add(R"(["task"])", 400, "an array");
  add("null", 400, "null");
  add("{}", 400, "empty");
  add("{\"task\":\"\xff\"}", 400, "UTF-8");
  add(R"({"task":"a\u0000b"})", 400, "NUL");
  add(std::string("{\"task\":\"a\"}\0{\"task\":\"b\"}", 25), 400, "NUL");
  add(object({{"task", 5}}), 400, "task");
  add(object({{"task", "x"}, {"timeout_s", -1}}), 422, "timeout");
  add(object({{"task", "x"}, {"delay", 1e12}}), 422, "delay");
  add(object({{"task", "x"}, {"delay", 1}, {"execute_at", 1}}), 400, "execute_at");
  add(object({{"task", "x"}, {"id", "no spaces"}}), 400, "id");
  add(object({{"task", "x"}, {"channel", "none"}}), 404, "no channel none");
  add(object({{"task", std::string(131'072, 'x')}}), 413, "131071");
  add(object({{"task", "1"}, {"channel", "full"}}));
  add(object({{"task", "2"}, {"channel", "full"}}));
  add(object({{"task", "3"}, {"channel", "full"}}), 429, "full");
  add(object({{"task", "z"}, {"channel", "mail"}}));
  const auto results = pushed(runner, body).at("results");
  REQUIRE(results.size() == expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    const auto& [status, says] = expected[i];
    INFO(results[i].dump() << " was to be " << status << " " << says);
    CHECK(results[i].at("line") == i + 1);
    CHECK(results[i].value("status_code", 0) == status);
    CHECK(holds(results[i].value("message", ""), says));
  }
  CHECK(ids_of(data_of(runner, "GET", "/api/v1/tasks")).size() == 4);
}

TEST_CASE("a NUL byte in a push is refused, with what stands before it") {
  test_daemon runner(idle());
  const std::string body("{\"task\":\"a\"}\0{\"task\":\"b\"}", 25);
  for (const std::string path : {"/push", "/api/v1/tasks"}) {
    const auto answer = runner.http().send("POST", path, {{"Content-Type", "application/json"}}, body);
    CHECK(answer.status == 400);
    CHECK(holds(answer.json().at("message"), "NUL"));
  }
  CHECK(refused_whole(runner, body).first == 400);
  CHECK(data_of(runner, "GET", "/api/v1/tasks").at("items").empty());
}

TEST_CASE("a line of a batch has its own limit, and so have blank ones") {
  test_daemon runner(idle({"-max-body", "8M"}));
  runner.create_channel("mail");
  const auto sized = [](size_t bytes) {
    auto text = R"({"channel":"mail","task":"true","ignored":")" + std::string(bytes - 45, 'x') + "\"}\n";
    REQUIRE(text.size() == bytes + 1);
    return text;
  };
  const auto results =
      pushed(runner, sized(1'048'576) + sized(1'048'577) + "\n\n" + sized(100)).at("results");
  REQUIRE(results.size() == 3);
  CHECK(results[0].at("result") == true);
  CHECK(results[1].at("code") == "too_large");
  CHECK(results[1].at("status_code") == 413);
  CHECK(holds(results[1].at("message"), "1048576"));
  CHECK(results[2].at("line") == 5);
  CHECK(results[2].at("result") == true);
  CHECK(refused_whole(runner, sized(1'048'577)).first == 413);
  const auto good = line({{"task", "true"}, {"channel", "mail"}});
  CHECK(pushed(runner, std::string(999'999, '\n') + good).at("accepted") == 1);
  const auto blank = refused_whole(runner, std::string(1'000'000, '\n') + good);
  CHECK(blank.first == 413);
  CHECK(holds(blank.second, "1000000"));
}

TEST_CASE("a batch is idempotent by its ids, as single pushes are") {
  test_daemon runner(idle());
  runner.create_channel("mail");
  const auto body = line({{"task", "a"}, {"id", "one"}, {"channel", "mail"}}) +
                    line({{"task", "b"}, {"id", "two"}, {"channel", "mail"}}) +
                    line({{"task", "a"}, {"id", "one"}, {"channel", "mail"}});
  const auto first = pushed(runner, body);
  CHECK(first.at("accepted") == 2);
  CHECK(first.at("duplicates") == 1);
  const auto again = pushed(runner, body);
  CHECK(again.at("duplicates") == 3);
  CHECK(again.at("results")[1] ==
        json{{"line", 2}, {"result", false}, {"task_id", "two"}, {"state", nullptr}});
  const auto other = pushed(runner, line({{"task", "other"}, {"id", "one"}, {"channel", "mail"}}) +
                                        line({{"task", "c"}, {"id", "three"}, {"channel", "mail"}}));
  CHECK(other.at("results")[0].at("code") == "conflict");
  CHECK(other.at("results")[0].at("status_code") == 409);
  CHECK(other.at("accepted") == 1);
  // A distinct channel: the holder is told.
  const auto distinct = pushed(runner, line({{"task", "same"}}) + line({{"task", "same"}}));
  CHECK(distinct.at("results")[1].at("task_id") == distinct.at("results")[0].at("task_id"));
  CHECK(distinct.at("results")[1].at("result") == false);
  CHECK(ids_of(data_of(runner, "GET", "/api/v1/tasks")).size() == 4);
}

TEST_CASE("lines of a batch may end as on Windows, be blank, and lack their end") {
  test_daemon runner(idle());
  const auto results =
      pushed(runner, "\r\n{\"task\":\"a\"}\r\n\n \t\r\n{\"task\":\"b\"}\r\n{\"task\":\"c\"}").at("results");
  REQUIRE(results.size() == 3);
  CHECK(results[0].at("line") == 2);
  CHECK(results[1].at("line") == 5);
  CHECK(results[2].at("line") == 6);
}

TEST_CASE("what cannot be a batch is refused as a whole") {
  test_daemon runner(idle());
  runner.create_channel("mail");
  const auto good = line({{"task", "a"}, {"channel", "mail"}});
  for (const std::string body : {"", "\n", " \r\n\t\n"})
    CHECK(refused_whole(runner, body).first == 400);
  const auto unreadable = refused_whole(runner, "{bad\n[\n");
  CHECK(unreadable.first == 400);
  CHECK(holds(unreadable.second, "none of 2 lines"));
  for (const std::string type : {"application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
                                 "application/json", "text/plain"}) {
    const auto refused = refused_whole(runner, good, {{"Content-Type", type}});
    CHECK(refused.first == 400);
    CHECK(holds(refused.second, "application/x-ndjson"));
  }
  CHECK(refused_whole(runner, std::string(1'048'577, ' ')).first == 413);
  std::string many;
  for (int i = 0; i < 100'001; ++i)
    many += "{}\n";
  const auto too_many = refused_whole(runner, many);
  CHECK(too_many.first == 413);
  CHECK(holds(too_many.second, "100000"));
  CHECK(data_of(runner, "GET", "/api/v1/tasks").at("items").empty());
  for (const std::string type :
       {"application/x-ndjson; charset=utf-8", "Application/JSON-Lines", "application/jsonl"})
    CHECK(post(runner, good, {{"Content-Type", type}}).status == 200);
  CHECK(post(runner, good, {}).status == 200);
  for (const std::string method : {"GET", "HEAD", "PUT", "DELETE"}) {
    const auto answer = runner.http().send(method, batch_path);
    CHECK(answer.status == 405);
    CHECK(answer.header("allow") == "POST, OPTIONS");
  }
  CHECK(runner.http().send("OPTIONS", batch_path).header("allow") == "POST, OPTIONS");
  CHECK(
      runner.http().send("POST", batch_path + "?channel=mail", {{"Content-Type", line_type}}, good).status ==
      400);
  CHECK(runner.http()
            .send("POST", batch_path, {{"Content-Type", line_type}, {"Origin", "http://evil.example"}}, good)
            .status == 403);
}

TEST_CASE("a batch that nothing is taken of now says when to come again") {
  test_daemon runner(idle());
  data_of(runner, "POST", "/api/v1/channels", {{"name", "full"}, {"tasks_max", 1}});
  push_json(runner, {{"task", "first"}, {"channel", "full"}});
  const auto full = refused_whole(runner, line({{"task", "a"}, {"channel", "full"}}) +
                                              line({{"task", "b"}, {"channel", "full"}}));
  CHECK(full.first == 429);
  CHECK(holds(full.second, "nothing of 2 lines was taken: channel full holds 1 tasks"));
}

TEST_CASE("a draining daemon refuses a batch as a whole") {
  test_daemon runner;
  const gate end(runner.path("gate"));
  REQUIRE(wait_state(runner, runner.push_line(end.wait_line()), "running"));
  REQUIRE(runner.child().signal(SIGTERM));
  REQUIRE(wait_until([&] { return runner.report().at("state") == "draining"; }));
  CHECK(refused_whole(runner, line({{"task", "a"}}) + line({{"task", "b"}})).first == 503);
  end.open();
  CHECK(runner.child().wait() == process_end{true, 0});
}

TEST_CASE("a batch of 30,000 lines for ten channels is taken whole, and others are served meanwhile") {
  test_daemon runner(idle({"-max-body", "16M"}));
  std::string body;
  for (int i = 0; i < 10; ++i)
    runner.create_channel("c" + std::to_string(i));
  for (int i = 0; i < 30'000; ++i)
    body += R"({"task":"echo )" + std::to_string(i) + R"(","channel":"c)" + std::to_string(i % 10) + "\"}\n";
  http_client other(runner.port());
  http_answer answer;
  std::string problem;
  std::atomic<bool> done{false};
  size_t served = 0;
  {
    const joined_thread pushing([&] {
      try {
        answer = runner.http().send("POST", batch_path, {{"Content-Type", line_type}}, body);
      } catch (const std::exception& failure) {
        problem = failure.what();
      }
      done = true;
    });
    for (; !done; ++served)
      CHECK(other.post_form("/push", {{"task", "true"}, {"channel", "c0"}}).status == 200);
  }
  REQUIRE(problem.empty());
  CHECK(served > 2);
  REQUIRE(answer.status == 200);
  const auto data = answer.json().at("data");
  CHECK(data.at("accepted") == 30'000);
  const auto& results = data.at("results");
  REQUIRE(results.size() == 30'000);
  std::set<std::string> ids;
  for (size_t i = 0; i < results.size(); ++i) {
    if (results[i].at("line") != i + 1)
      FAIL("line " << i + 1 << " has the result " << results[i].dump());
    ids.insert(results[i].at("task_id"));
  }
  CHECK(ids.size() == 30'000);
  for (const size_t i : {size_t{0}, size_t{255}, size_t{1'024}, size_t{20'001}, size_t{29'999}})
    CHECK(runner.task(results[i].at("task_id")).at("task_name") == "echo " + std::to_string(i));
  for (int i = 1; i < 10; ++i)
    CHECK(runner.channel("c" + std::to_string(i)).at("count") == 3'000);
  CHECK(runner.channel("c0").at("count") == 3'000 + served);
}

TEST_CASE("a body of one MiB is taken as a batch") {
  test_daemon runner(idle());
  runner.create_channel("mail");
  std::string body;
  for (int i = 0; i < 1'024; ++i) {
    auto one = R"({"channel":"mail","task":"echo )" + std::to_string(i) + " ";
    one += std::string(1'024 - 3 - one.size(), 'x') + "\"}\n";
    body += one;
  }
  REQUIRE(body.size() == 1'048'576);
  CHECK(pushed(runner, body).at("accepted") == 1'024);
}

TEST_CASE("what a batch was answered for is there after kill -9") {
  test_daemon runner(idle());
  runner.create_channel("mail");
  runner.create_channel("biz2");
  std::string body;
  for (int i = 0; i < 3'000; ++i)
    body += line({{"task", "echo " + std::to_string(i)}, {"channel", i % 2 == 0 ? "mail" : "biz2"}});
  const auto answer = post(runner, body);
  runner.kill();
  const auto results = answer.json().at("data").at("results");
  runner.start();
  CHECK(runner.channel("mail").at("count") == 1'500);
  CHECK(runner.channel("biz2").at("count") == 1'500);
  REQUIRE(results.size() == 3'000);
  for (size_t i = 0; i < results.size(); i += 37)
    CHECK(runner.task(results[i].at("task_id")).at("task_name") == "echo " + std::to_string(i));
}
