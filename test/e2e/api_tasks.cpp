// Tasks as resources of version 1: push with options, show, list and filter, act on one and on many.
// What a form can say, JSON can say, and the other way round.
#include "test/e2e/api_support.hpp"
#include "test/e2e/gate.hpp"

#include <algorithm>

using namespace task_runner::test;
using json = nlohmann::json;

namespace {

daemon_options idle() {
  daemon_options options;
  options.flags = {"-task-mode=false"};
  return options;
}

const std::string tasks = "/api/v1/tasks";

} // namespace

TEST_CASE("a task with every option is shown with what it said, from JSON and from a form alike") {
  test_daemon runner(idle());
  runner.create_channel("plain");
  const json said{{"priority", 5},
                  {"max_attempts", 4},
                  {"backoff", "linear"},
                  {"backoff_s", 1.5},
                  {"backoff_max_s", 60},
                  {"jitter", 0.25},
                  {"retry_on", {1, 75}},
                  {"timeout_s", 300},
                  {"grace_s", 2},
                  {"expires_s", 86'400},
                  {"delivery", "at-most-once"},
                  {"concurrency_key", "k"},
                  {"concurrency_max", 2},
                  {"env", {{"LANG", "C"}, {"X", "a=b"}, {"Y", ""}}},
                  {"cwd", "/tmp"},
                  {"stdin", "in"},
                  {"nice", 3},
                  {"umask", "027"},
                  {"limits", {{"memory", 67'108'864}, {"processes", 99}}}};
  json body = said;
  body["task"] = "echo x";
  body["channel"] = "plain";
  body["distinct_key"] = "order-1";
  const auto by_json = runner.task(push_json(runner, body));
  CHECK(by_json.at("options") == said);
  CHECK(by_json.at("priority") == 5);
  CHECK(by_json.at("max_attempts") == 4);
  CHECK(by_json.at("concurrency_key") == "k");
  CHECK(by_json.at("state") == "pending");
  CHECK(by_json.at("attempts") == json::array());
  CHECK(by_json.at("outcome").is_null());
  CHECK(by_json.at("expires_at").is_string());

  const auto by_form = runner.push({{"task", "echo x"},
                                    {"channel", "plain"},
                                    {"priority", "5"},
                                    {"max_attempts", "4"},
                                    {"backoff", "linear"},
                                    {"backoff_s", "1500ms"},
                                    {"backoff_max_s", "1m"},
                                    {"jitter", "0.25"},
                                    {"retry_on", "1,75"},
                                    {"timeout", "5m"},
                                    {"grace", "2"},
                                    {"expires", "1d"},
                                    {"delivery", "at-most-once"},
                                    {"concurrency_key", "k"},
                                    {"concurrency_max", "2"},
                                    {"env", "LANG=C"},
                                    {"env[X]", "a=b"},
                                    {"env[Y]", ""},
                                    {"cwd", "/tmp"},
                                    {"stdin", "in"},
                                    {"nice", "3"},
                                    {"user", ""},
                                    {"umask", "027"},
                                    {"limits.memory", "64M"},
                                    {"limits[processes]", "99"}});
  CHECK(runner.task(by_form.at("task_id")).at("options") == said);
}

TEST_CASE("options that are wrong are refused alike in JSON and forms, and queue nothing") {
  test_daemon runner(idle());
  for (const auto& [name, value, status] :
       std::vector<std::tuple<std::string, json, int>>{{"max_attempts", "many", 400},
                                                       {"max_attempts", 0, 422},
                                                       {"priority", 1'001, 422},
                                                       {"timeout", "5w", 400},
                                                       {"timeout", 0, 422},
                                                       {"backoff", "slow", 400},
                                                       {"cwd", "tmp", 400},
                                                       {"umask", "9", 400},
                                                       {"nice", 20, 422},
                                                       {"grace", 3'601, 422},
                                                       {"concurrency_max", 0, 422}}) {
    CAPTURE(name, value);
    CHECK(refused(runner, "POST", tasks, json{{"task", "true"}, {name, value}}, name) == status);
    const auto text = value.is_string() ? value.get<std::string>() : value.dump();
    CHECK(runner.http().post_form("/push", {{"task", "true"}, {name, text}}).status == status);
  }
  CHECK(refused(runner, "POST", tasks, json{{"task", "true"}, {"env", "A=B"}}, "env") == 400);
  CHECK(refused(runner, "POST", tasks, json{{"task", "true"}, {"distinct_key", 5}}, "distinct_key") == 400);
  CHECK(runner.http().post_form(tasks, {{"task", "true"}, {"env", "novalue"}}).status == 400);
  CHECK(runner.http().post_form(tasks, {{"task", "true"}, {"limits.files", "5"}}).status == 400);
  CHECK(refused(runner, "POST", tasks, json{{"task", "true"}, {"distinct_key", std::string(513, 'x')}}) ==
        413);
  CHECK(data_of(runner, "GET", tasks).at("items").empty());
}

TEST_CASE("a custom distinct key decides what is a duplicate, and can be released") {
  test_daemon runner(idle());
  const auto holder = push_json(runner, {{"task", "echo one"}, {"distinct_key", "order-1"}});
  const auto duplicate = data_of(runner, "POST", tasks, {{"task", "echo two"}, {"distinct_key", "order-1"}});
  CHECK(duplicate.at("result") == false);
  CHECK(duplicate.at("task_id") == holder);
  CHECK(runner.task(holder).at("distinct_key") == "order-1");
  CHECK(ids_of(data_of(runner, "GET", tasks + "?distinct_key=order-1")) == std::vector{holder});
  CHECK(data_of(runner, "POST", tasks + "/" + holder + "/release").at("distinct_key").is_null());
  CHECK(push_json(runner, {{"task", "echo two"}, {"distinct_key", "order-1"}}) != holder);
}

TEST_CASE("a task that is tried again shows each attempt") {
  test_daemon runner;
  runner.create_channel("plain");
  const auto id =
      push_json(runner, {{"task", "fails twice"},
                         {"command", "echo $TASK_RUNNER_ATTEMPT; test $TASK_RUNNER_ATTEMPT -ge 3 || exit 7"},
                         {"channel", "plain"},
                         {"max_attempts", 5},
                         {"backoff", "constant"},
                         {"backoff_s", 0.05}});
  const auto task = runner.settled(id);
  CHECK(task.at("state") == "finished");
  CHECK(task.at("attempt") == 3);
  const auto& attempts = task.at("attempts");
  REQUIRE(attempts.size() == 3);
  for (size_t i = 0; i < 3; ++i) {
    CHECK(attempts[i].at("attempt") == i + 1);
    CHECK(attempts[i].at("outcome") == json{{"kind", "exited"}, {"code", i < 2 ? 7 : 0}});
    CHECK(attempts[i].at("started_at").is_string());
    CHECK(attempts[i].at("ended_at").is_string());
    CHECK(attempts[i].at("duration_s").is_number());
    CHECK(attempts[i].at("output_bytes") == 2);
    CHECK(runner.http().get(tasks + "/" + id + "/output?attempt=" + std::to_string(i + 1)).body ==
          std::to_string(i + 1) + "\n");
  }
}

TEST_CASE("listings are newest first, filtered, and go on where they ended") {
  test_daemon runner;
  runner.create_channel("a");
  runner.create_channel("b", {{"worker", "1"}});
  std::vector<std::string> finished;
  for (int i = 0; i < 5; ++i)
    finished.push_back(runner.push_line("echo " + std::to_string(i), "a"));
  const auto dead = runner.push_line("exit 3", "a");
  for (const auto& id : finished)
    runner.settled(id);
  runner.settled(dead);
  const auto delayed = push_json(runner, {{"task", "echo late"}, {"channel", "b"}, {"delay", 3'600}});

  const auto ids = [&](const std::string& query) { return ids_of(data_of(runner, "GET", tasks + query)); };
  CHECK(ids("").size() == 7);
  CHECK(ids("").front() == delayed);
  CHECK(ids("?channel=b") == std::vector{delayed});
  CHECK(ids("?state=dead") == std::vector{dead});
  CHECK(ids("?state=dead,delayed") == std::vector{delayed, dead});
  CHECK(ids("?exit_code=3") == std::vector{dead});
  CHECK(ids("?outcome=exited").size() == 6);
  CHECK(ids("?outcome=lost").empty());
  CHECK(ids("?name=echo%203") == std::vector{finished[3]});
  CHECK(ids("?name=echo&channel=a").size() == 5);
  CHECK(ids("?created_from=2001-01-01T00:00:00Z&created_until=2002-01-01T00:00:00Z").empty());
  CHECK(ids("?ended_from=1000000000").size() == 6);
  CHECK(ids("?ended_until=1000000000").empty());
  CHECK(ids("?channel=none").empty());

  std::vector<std::string> seen;
  std::string cursor;
  do {
    const auto page = data_of(runner, "GET", tasks + "?channel=a&limit=2" + cursor);
    CHECK(page.at("items").size() <= 2);
    for (const auto& id : ids_of(page))
      seen.push_back(id);
    cursor = page.at("next").is_null() ? "" : "&cursor=" + page.at("next").get<std::string>();
    REQUIRE(seen.size() <= 6);
  } while (!cursor.empty());
  CHECK(seen == ids("?channel=a"));

  for (const std::string query : {"?limit=0", "?limit=1001"})
    CHECK(refused(runner, "GET", tasks + query, nullptr, "limit") == 422);
  for (const std::string query : {"limit=x", "state=done", "outcome=bad", "exit_code=x", "cursor=5",
                                  "cursor=t", "cursor=tzz", "created_from=yesterday", "chanel=a"})
    CHECK(refused(runner, "GET", tasks + "?" + query, nullptr, query.substr(0, query.find('='))) == 400);
  CHECK(refused(runner, "GET", tasks + "?ended_from=1700000000000", nullptr, "milliseconds") == 422);
}

TEST_CASE("a page of large tasks is cut by its bytes and loses nothing") {
  test_daemon runner(idle());
  runner.create_channel("plain");
  std::vector<std::string> pushed;
  for (int i = 0; i < 15; ++i)
    pushed.insert(pushed.begin(),
                  push_json(runner, {{"task", "echo " + std::string(120'000, 'x')}, {"channel", "plain"}}));
  std::vector<std::string> seen;
  std::string query = "?limit=1000";
  size_t pages = 0;
  for (;;) {
    const auto page = data_of(runner, "GET", tasks + query);
    ++pages;
    for (const auto& id : ids_of(page))
      seen.push_back(id);
    if (page.at("next").is_null())
      break;
    query = "?limit=1000&cursor=" + page.at("next").get<std::string>();
    REQUIRE(pages < 15);
  }
  CHECK(seen == pushed);
  CHECK(pages > 1);
}

TEST_CASE("one verb cancels what is pending, delayed or running, and answers with the final state") {
  test_daemon runner;
  runner.create_channel("one", {{"worker", "1"}});
  const gate end(runner.path("gate"));
  const auto running = runner.push_line(end.wait_line(), "one");
  REQUIRE(wait_state(runner, running, "running"));
  const auto pending = runner.push_line("echo never", "one");
  const auto delayed = push_json(runner, {{"task", "echo late"}, {"channel", "one"}, {"delay", 3'600}});
  for (const auto& id : {delayed, pending, running}) {
    const auto task = data_of(runner, "POST", tasks + "/" + id + "/cancel", {{"grace_s", 1}});
    CHECK(task.at("id") == id);
    CHECK(task.at("state") == "cancelled");
    CHECK(task.at("outcome").at("kind") == "cancelled");
  }
  CHECK(runner.task(running).at("attempts").size() == 1);
  CHECK(runner.task(pending).at("attempts").empty());
  CHECK(wait_until([&] { return runner.commands().empty(); }));

  CHECK(refused(runner, "POST", tasks + "/none/cancel") == 404);
  CHECK(refused(runner, "POST", tasks + "/" + running + "/cancel", {{"grace_s", 3'601}}, "grace_s") == 422);
  CHECK(refused(runner, "POST", tasks + "/" + running + "/cancel", {{"grace_s", "x"}}, "grace_s") == 400);
  CHECK(refused(runner, "POST", tasks + "/" + running + "/cancel", {{"force", true}}, "grace_s") == 400);
  CHECK(refused(runner, "GET", tasks + "/" + running + "/cancel") == 405);
}

TEST_CASE("a running task is signalled by name or number") {
  test_daemon runner;
  const auto seen = runner.path("seen");
  const auto id = runner.push_line("trap 'echo usr1 >> " + seen + "' USR1; trap 'echo hup >> " + seen +
                                   "; exit 5' HUP; echo ready >> " + seen + "; while :; do sleep 0.05; done");
  REQUIRE(wait_lines(seen, 1));
  CHECK(data_of(runner, "POST", tasks + "/" + id + "/signal", {{"signal", "USR1"}}).at("state") == "running");
  REQUIRE(wait_lines(seen, 2));
  CHECK(runner.http().post_form(tasks + "/" + id + "/signal", {{"signal", "SIGUSR1"}}).status == 200);
  REQUIRE(wait_lines(seen, 3));
  for (const json& bad : {json("NOPE"), json(""), json(0), json(65), json(1.5), json(true), json("-1")})
    CHECK(refused(runner, "POST", tasks + "/" + id + "/signal", {{"signal", bad}}, "signal") >= 400);
  CHECK(refused(runner, "POST", tasks + "/" + id + "/signal", nullptr, "signal") == 400);
  CHECK(refused(runner, "POST", tasks + "/none/signal", {{"signal", "TERM"}}) == 404);
  data_of(runner, "POST", tasks + "/" + id + "/signal", {{"signal", 1}});
  const auto ended = runner.settled(id);
  CHECK(ended.at("outcome") == json{{"kind", "exited"}, {"code", 5}});
  CHECK(lines_of(read_file(seen)) == std::vector<std::string>{"ready", "usr1", "usr1", "hup"});
  CHECK(refused(runner, "POST", tasks + "/" + id + "/signal", {{"signal", "TERM"}}) == 409);
}

TEST_CASE("a dead task is retried, an ended one deleted, an unfinished one is not") {
  test_daemon runner;
  runner.create_channel("plain");
  const auto flag = runner.path("flag");
  const auto id = runner.push_line("echo try; test -e " + flag, "plain");
  CHECK(runner.settled(id).at("state") == "dead");
  write_file(flag, "");
  CHECK(data_of(runner, "POST", tasks + "/" + id + "/retry").at("id") == id);
  REQUIRE(wait_state(runner, id, "finished"));
  const auto task = runner.task(id);
  REQUIRE(task.at("attempts").size() == 2);
  CHECK(task.at("attempts")[0].at("outcome").at("code") == 1);
  CHECK(task.at("attempts")[1].at("outcome").at("code") == 0);
  CHECK(refused(runner, "POST", tasks + "/" + id + "/retry") == 409);
  CHECK(data_of(runner, "DELETE", tasks + "/" + id).at("state") == "finished");
  CHECK(refused(runner, "GET", tasks + "/" + id) == 404);
  CHECK(refused(runner, "DELETE", tasks + "/" + id) == 404);
  const auto waiting = push_json(runner, {{"task", "echo"}, {"channel", "plain"}, {"delay", 3'600}});
  CHECK(refused(runner, "DELETE", tasks + "/" + waiting) == 409);
  CHECK(runner.task(waiting).at("state") == "delayed");
}

TEST_CASE("dead letters are listed, retried and deleted by filter, with a dry run first") {
  test_daemon runner;
  runner.create_channel("a");
  runner.create_channel("b");
  std::vector<std::string> dead;
  const auto flag = runner.path("flag");
  for (int i = 0; i < 4; ++i)
    dead.push_back(runner.push_line("test -e " + flag + " || exit " + std::to_string(3 + i % 2) + " # " +
                                        std::to_string(i),
                                    i < 3 ? "a" : "b"));
  for (const auto& id : dead)
    REQUIRE(runner.settled(id).at("state") == "dead");

  const auto counted = [&](const json& reply, int matched, int done) {
    CAPTURE(reply);
    CHECK(reply.at("matched") == matched);
    CHECK(reply.at("done") == done);
    CHECK(reply.at("more") == false);
    CHECK(reply.at("refused") == json::array());
  };
  counted(data_of(runner, "POST", tasks + ":retry", {{"channel", "a"}, {"dry_run", true}}), 3, 0);
  counted(
      data_of(runner, "POST", tasks + ":retry", {{"state", {"dead"}}, {"exit_code", 3}, {"dry_run", true}}),
      2, 0);
  for (const auto& id : dead)
    CHECK(runner.task(id).at("state") == "dead");
  write_file(flag, "");
  counted(data_of(runner, "POST", tasks + ":retry", {{"channel", "a"}}), 3, 3);
  for (int i = 0; i < 3; ++i)
    CHECK(wait_state(runner, dead[static_cast<size_t>(i)], "finished"));
  CHECK(runner.task(dead[3]).at("state") == "dead");
  counted(data_of(runner, "POST", tasks + ":delete", {{"state", "dead"}}), 1, 1);
  CHECK(refused(runner, "GET", tasks + "/" + dead[3]) == 404);
  const auto some = data_of(runner, "POST", tasks + ":delete", {{"all", true}, {"limit", 2}});
  CHECK(some.at("done") == 2);
  CHECK(some.at("more") == true);
  CHECK(runner.http().post_form(tasks + ":delete", {{"all", "true"}}).status == 200);
  CHECK(data_of(runner, "GET", tasks).at("items").empty());
}

TEST_CASE("all that match are cancelled, running ones too") {
  test_daemon runner;
  runner.create_channel("one", {{"worker", "1"}});
  const auto running = runner.push_line("exec sleep 1000", "one");
  REQUIRE(wait_state(runner, running, "running"));
  const auto pending = runner.push_line("echo never", "one");
  const auto other = push_json(runner, {{"task", "echo late"}, {"delay", 3'600}});
  const auto reply = data_of(runner, "POST", tasks + ":cancel", {{"channel", "one"}, {"grace_s", 1}});
  CHECK(reply.at("matched") == 2);
  CHECK(reply.at("done") == 2);
  CHECK(wait_state(runner, running, "cancelled"));
  CHECK(wait_state(runner, pending, "cancelled"));
  CHECK(runner.task(other).at("state") == "delayed");
}

TEST_CASE("a bulk verb without a filter, or with an empty or unknown one, touches nothing") {
  test_daemon runner(idle());
  const auto id = runner.push_line("echo x");
  for (const json& body :
       {json(nullptr), json::object(), json{{"dry_run", true}}, json{{"all", false}}, json{{"channel", ""}},
        json{{"channel", nullptr}}, json{{"state", json::array()}}, json{{"state", ""}},
        json{{"state", {{"a", 1}}}}, json{{"state", "pending"}, {"chanel", "x"}}, json{{"channel", 5}},
        json{{"all", "maybe"}}, json{{"state", "waiting"}}})
    CHECK(refused(runner, "POST", tasks + ":cancel", body) == 400);
  CHECK(refused(runner, "POST", tasks + ":cancel", {{"all", true}, {"limit", 0}}, "limit") == 422);
  // Nothing was before the beginning of all times; taken as "not said" it would mean everything.
  for (const char* until : {"created_until", "ended_until"})
    CHECK(refused(runner, "POST", tasks + ":delete", {{until, 0}}, until) == 422);
  CHECK(refused(runner, "POST", tasks + ":retry", {{"all", true}, {"grace_s", 1}}, "grace_s") == 400);
  CHECK(runner.http().post_form(tasks + ":cancel", {{"channel", ""}, {"state", "pending"}}).status == 400);
  CHECK(runner.task(id).at("state") == "pending");
}

TEST_CASE("path parameters are decoded, HEAD and OPTIONS and wrong methods are answered") {
  test_daemon runner(idle());
  const auto id = push_json(runner, {{"task", "echo"}, {"id", "order:17_a.b-c"}});
  CHECK(data_of(runner, "GET", tasks + "/order%3A17_a%2Eb-c").at("id") == id);
  CHECK(data_of(runner, "POST", tasks + "/order%3A17_a.b-c/cancel").at("state") == "cancelled");
  CHECK(refused(runner, "GET", tasks + "/a%2Fb") == 404);
  CHECK(runner.http().send("HEAD", tasks).status == 200);
  CHECK(runner.http().send("OPTIONS", tasks).header("allow").find("POST") != std::string::npos);
  CHECK(refused(runner, "PUT", tasks) == 405);
  CHECK(refused(runner, "GET", tasks + ":retry") == 405);
  CHECK(refused(runner, "POST", tasks + ":nope", {{"all", true}}) >= 404);
}

TEST_CASE("the daemon says that it lives and can work, and stops when it is told to") {
  test_daemon runner;
  CHECK(data_of(runner, "GET", "/livez").at("alive") == true);
  CHECK(data_of(runner, "GET", "/startupz").at("started") == true);
  CHECK(data_of(runner, "GET", "/readyz").at("ready") == true);
  CHECK_FALSE(request(runner, "GET", "/readyz").contains("checks"));
  const auto checks = request(runner, "GET", "/readyz?verbose").at("checks");
  CHECK(checks.size() >= 2);
  for (const auto& check : checks)
    CHECK(check.at("healthy") == true);
  for (const json& body : {json{{"now", "maybe"}}, json{{"later", true}}, json{{"now", 5}}})
    CHECK(refused(runner, "POST", "/api/v1/stop", body, "now") == 400);

  const auto running = runner.push_line("exec sleep 1000");
  REQUIRE(wait_state(runner, running, "running"));
  const auto answer = data_of(runner, "POST", "/api/v1/stop", {{"now", true}});
  CHECK(answer.at("stopping") == true);
  const auto end = runner.child().wait(std::chrono::seconds(30));
  REQUIRE(end);
  CHECK(*end == process_end{true, 0});
  CHECK(runner.commands().empty());
  runner.start();
  CHECK(runner.task(running).at("state") == "cancelled");
}

TEST_CASE("a draining daemon is alive, not ready, takes nothing, and can still be told to hurry") {
  test_daemon runner;
  const auto running = runner.push_line("exec sleep 1000");
  REQUIRE(wait_state(runner, running, "running"));
  CHECK(data_of(runner, "POST", "/api/v1/stop").at("now") == false);
  REQUIRE(wait_until([&] { return runner.http().get("/readyz").status == 503; }));
  const auto envelope = request(runner, "GET", "/readyz?verbose");
  CHECK(envelope.at("message").get<std::string>().find("not ready") == 0);
  CHECK(std::any_of(envelope.at("checks").begin(), envelope.at("checks").end(), [](const json& check) {
    return check.at("healthy") == false && !check.at("reason").get<std::string>().empty();
  }));
  CHECK(data_of(runner, "GET", "/livez").at("alive") == true);
  CHECK(data_of(runner, "GET", "/startupz").at("started") == true);
  const auto refused_push = runner.http().post_form("/push", {{"task", "true"}});
  CHECK(refused_push.status == 503);
  CHECK_FALSE(refused_push.header("retry-after").empty());
  CHECK(data_of(runner, "POST", "/api/v1/stop", {{"now", true}}).at("now") == true);
  const auto end = runner.child().wait(std::chrono::seconds(30));
  REQUIRE(end);
  CHECK(*end == process_end{true, 0});
  CHECK(runner.commands().empty());
}
