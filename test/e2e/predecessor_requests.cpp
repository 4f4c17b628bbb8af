// The requests that the predecessor documents, sent by the real curl, with the answers that it documents.
// More members may stand beside the documented ones; these tests say which.
#include "test/e2e/gate.hpp"
#include "test/support/daemon.hpp"

#include <catch2/catch.hpp>

#include <set>

using namespace task_runner::test;
using nlohmann::json;

namespace {

struct curl_answer {
  std::string status;
  std::string body;
};

curl_answer curl(std::vector<std::string> words) {
  process_options start;
  // Status on stderr, so that the body stays as it came.
  start.argv = {"curl", "--silent",    "--show-error",         "--noproxy", "*", "--max-time",
                "20",   "--write-out", "%{stderr}%{http_code}"};
  start.argv.insert(start.argv.end(), words.begin(), words.end());
  const auto ran = run_process(start, std::chrono::seconds(30));
  INFO("curl: " << ran.error_output);
  REQUIRE(ran.end == process_end{true, 0});
  return {ran.error_output, ran.output};
}

std::string url(const test_daemon& runner, const std::string& target) {
  return "http://127.0.0.1:" + std::to_string(runner.port()) + target;
}

std::set<std::string> keys_of(const json& object) {
  std::set<std::string> keys;
  for (const auto& item : object.items())
    keys.insert(item.key());
  return keys;
}

} // namespace

TEST_CASE("the root answers curl with TaskRunner Started") {
  test_daemon runner;
  const auto answer = curl({url(runner, "/")});
  CHECK(answer.status == "200");
  CHECK(answer.body == "TaskRunner Started.");
  CHECK(runner.http().get("/").header("content-type").find("text/plain") == 0);
}

TEST_CASE("push answers as documented, whatever format the body has") {
  test_daemon runner;
  const auto target = url(runner, "/push");
  const std::vector<std::vector<std::string>> formats{
      {"-d", "task=date", target},
      {"-d", "task=date", "-d", "channel=default", target},
      {"-F", "task=date", target},
      {"-F", "task=date", "-F", "channel=default", target},
      {"-X", "POST", "--data-urlencode", "task=date", target},
      {"-H", "Content-Type: application/json", "-d", R"({"task":"date"})", target},
      {"-H", "Content-Type: application/json", "-d", R"({"task":"date","channel":"default"})", target},
      {"-H", "Content-Type: application/json", "-d", R"({"task":"date","chan":"default","ts":1600000000})",
       target},
  };
  for (const auto& words : formats) {
    CAPTURE(words);
    const auto answer = curl(words);
    CHECK(answer.status == "200");
    auto body = json::parse(answer.body);
    const std::string id = body.at("data").at("task_id");
    CHECK_FALSE(id.empty());
    body.at("data").erase("task_id");
    CHECK(body ==
          json::parse(R"({"status_code":200,"message":"ok","data":{"task_name":"date","result":true}})"));
    const auto task =
        runner.settled(id); // and it must be over before it can be pushed again: default is distinct
    CHECK(task.at("state") == "finished");
    CHECK(task.at("channel") == "default");
    CHECK(runner.output(id).size() > 10);
  }
}

TEST_CASE("push takes what a shell command needs, from every format") {
  test_daemon runner;
  const std::string line = R"(printf '%s|' 'a  b' "ä&=+%;" $((1+1)))";
  const auto expected = "a  b|ä&=+%;|2|";
  const auto target = url(runner, "/push");
  for (const auto& words : std::vector<std::vector<std::string>>{
           {"--data-urlencode", "task=" + line, target},
           {"--form-string", "task=" + line, target},
           {"-H", "Content-Type: application/json", "-d", json{{"task", line}}.dump(), target},
           {"-H", "Content-Type: application/json; charset=utf-8", "-d", json{{"task", line}}.dump(),
            target}}) {
    CAPTURE(words);
    const auto data = json::parse(curl(words).body).at("data");
    CHECK(data.at("task_name") == line);
    runner.settled(data.at("task_id"));
    CHECK(runner.output(data.at("task_id")) == expected);
  }
}

TEST_CASE("queue creates a channel and answers with data null") {
  test_daemon runner;
  const auto target = url(runner, "/queue");
  const std::string ok = R"({"status_code":200,"message":"ok","data":null})";
  const auto form = curl({"-d", "name=one&distinct=true&worker=2", target});
  CHECK(form.status == "200");
  CHECK(form.body == ok);
  CHECK(curl({"-F", "name=two", "-F", "distinct=false", "-F", "worker=0", target}).body == ok);
  CHECK(curl({"-H", "Content-Type: application/json", "-d", R"({"name":"three","distinct":true,"worker":7})",
              target})
            .body == ok);
  CHECK(curl({"-H", "Content-Type: application/json", "-d", R"({"name":"four","distinct":"1","worker":"3"})",
              target})
            .body == ok);
  CHECK(curl({"-d", "name=five", target}).body == ok);
  const auto worker_of = [&](const std::string& name) {
    return runner.channel(name).at("worker").get<int>();
  };
  CHECK(worker_of("one") == 2);
  CHECK(worker_of("two") == 5);
  CHECK(worker_of("three") == 7);
  CHECK(worker_of("four") == 3);
  CHECK(worker_of("five") == 5);
  CHECK(runner.channel("one").at("distinct") == true);
  CHECK(runner.channel("two").at("distinct") == false);
  CHECK(runner.channel("three").at("distinct") == true);
  CHECK(runner.channel("four").at("distinct") == true);
  CHECK(runner.channel("five").at("distinct") == false);
}

TEST_CASE("status lists every channel with its tasks and their number") {
  test_daemon runner;
  const auto answer = curl({url(runner, "/status")});
  CHECK(answer.status == "200");
  const auto body = json::parse(answer.body);
  CHECK(body.at("status_code") == 200);
  CHECK(body.at("message") == "ok");
  CHECK(keys_of(body.at("data")) == std::set<std::string>{"biz", "cron", "default"});
  for (const auto& item : body.at("data").items()) {
    CHECK(item.value().at("tasks") == json::array());
    CHECK(item.value().at("count") == 0);
  }
  const auto one = curl({url(runner, "/status?channel=biz")});
  CHECK(one.status == "200");
  CHECK(json::parse(one.body).at("status_code") == 200);
  CHECK(json::parse(one.body).at("data").at("tasks") == json::array());
  CHECK(json::parse(one.body).at("data").at("count") == 0);
}

TEST_CASE("status shows a running task with status 2, before a queued one with status 1") {
  test_daemon runner;
  runner.create_channel("slow", {{"worker", "1"}});
  const gate end(runner.path("gate"));
  const auto running = runner.push_line(end.wait_line(), "slow");
  REQUIRE(wait_until([&] { return runner.task(running).at("state") == "running"; }));
  const auto queued = runner.push_line("echo second", "slow");

  const auto check = [&](const json& channel) {
    CHECK(channel.at("count") == 2);
    REQUIRE(channel.at("tasks").size() == 2);
    const auto& first = channel.at("tasks")[0];
    CHECK(first.at("task_name") == end.wait_line());
    CHECK(first.at("channel") == "slow");
    CHECK(first.at("status") == 2);
    CHECK(first.at("task_id") == running);
    CHECK(first.at("state") == "running");
    const auto& second = channel.at("tasks")[1];
    CHECK(second.at("task_name") == "echo second");
    CHECK(second.at("channel") == "slow");
    CHECK(second.at("status") == 1);
    CHECK(second.at("task_id") == queued);
    CHECK(second.at("state") == "pending");
  };
  check(json::parse(curl({url(runner, "/status")}).body).at("data").at("slow"));
  check(json::parse(curl({url(runner, "/status?channel=slow")}).body).at("data"));

  end.open();
  runner.settled(queued);
  CHECK(runner.channel("slow").at("tasks") == json::array());
  CHECK(runner.channel("slow").at("count") == 0);
}

TEST_CASE("status tells of the actors and of the daemon beside the documented data") {
  test_daemon runner;
  runner.run_line("echo once");
  const auto body = runner.http().get("/status").json();
  std::set<std::string> kinds;
  uint64_t handled = 0;
  for (const auto& actor : body.at("actors")) {
    kinds.insert(actor.at("kind").get<std::string>());
    CHECK_FALSE(actor.at("name").get<std::string>().empty());
    CHECK(actor.at("mailbox_depth").is_number_unsigned());
    CHECK(actor.at("restarts") == 0);
    CHECK((actor.at("busy_since").is_null() || actor.at("busy_since").is_string()));
    for (const auto& count : actor.at("handled").items())
      handled += count.value().get<uint64_t>();
  }
  for (const auto* kind : {"intake", "router", "queue", "executor", "supervisor"})
    CHECK(kinds.count(kind) == 1);
  CHECK(handled > 10);
  const auto& self = body.at("daemon");
  CHECK(self.at("pid") == runner.pid());
  CHECK(self.at("version").is_string());
  CHECK(self.at("uptime_s").get<double>() >= 0);
  CHECK(self.at("uptime_s").get<double>() < 120);
  CHECK(self.at("store").at("healthy") == true);
  CHECK(self.at("sources").is_array());
}

TEST_CASE("HEAD answers as GET does, without a body") {
  test_daemon runner;
  for (const auto* target : {"/", "/status", "/status?channel=biz"}) {
    CAPTURE(target);
    const auto answer = runner.http().send("HEAD", target);
    CHECK(answer.status == 200);
    CHECK(answer.body.empty());
    CHECK_FALSE(answer.header("content-type").empty());
  }
  CHECK(runner.http().send("HEAD", "/nothing").status == 404);
  // curl would wait for bytes that never come if the head were wrong.
  CHECK(curl({"--head", url(runner, "/status")}).body.find("HTTP/1.1 200") == 0);
}

TEST_CASE("OPTIONS tells what a path understands") {
  test_daemon runner;
  const auto allow = [&](const std::string& target) {
    const auto answer = runner.http().send("OPTIONS", target);
    CHECK(answer.status / 100 == 2);
    CHECK(answer.header("access-control-allow-origin").empty()); // no web page of another site is let in
    return answer.header("allow");
  };
  CHECK(allow("/push").find("POST") != std::string::npos);
  CHECK(allow("/queue").find("POST") != std::string::npos);
  CHECK(allow("/status").find("GET") != std::string::npos);
  CHECK(allow("/status").find("HEAD") != std::string::npos);
  CHECK(allow("/status").find("POST") == std::string::npos);
}
