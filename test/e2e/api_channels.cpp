// Channels as resources of version 1: make, show, change, pause, drain, remove; and what lasts.
// Settings are shown in the words in which they are changed.
#include "test/e2e/api_support.hpp"
#include "test/e2e/gate.hpp"

using namespace task_runner::test;
using json = nlohmann::json;

namespace {

const std::string channels = "/api/v1/channels";

json patched(test_daemon& runner, const std::string& name, const json& body) {
  return data_of(runner, "PATCH", channels + "/" + name, body);
}

} // namespace

TEST_CASE("a channel is made with its settings and shown with them") {
  test_daemon runner;
  const json settings{{"distinct", "while-pending"},
                      {"worker", 3},
                      {"weight", 7},
                      {"tasks_max", 50},
                      {"max_attempts", 3},
                      {"timeout_s", 60},
                      {"env", {{"A", "1"}}},
                      {"limits", {{"memory", 1'073'741'824}}}};
  json body = settings;
  body["name"] = "mail";
  const auto made = data_of(runner, "POST", channels, body);
  CHECK(made.at("name") == "mail");
  CHECK(made.at("settings") == settings);
  CHECK(made.at("state") == "open");
  CHECK(made.at("worker") == 3);
  CHECK(made.at("count") == 0);
  CHECK(made.at("created_at").is_string());
  CHECK(made.at("error").is_null());
  CHECK(data_of(runner, "GET", channels + "/mail") == made);
  const auto by_form = runner.http().post_form(channels, {{"name", "form"},
                                                          {"distinct", "while-pending"},
                                                          {"worker", "3"},
                                                          {"weight", "7"},
                                                          {"tasks_max", "50"},
                                                          {"max_attempts", "3"},
                                                          {"timeout", "1m"},
                                                          {"env[A]", "1"},
                                                          {"limits.memory", "1G"}});
  CHECK(by_form.json().at("data").at("settings") == settings);
  const auto listed = data_of(runner, "GET", channels);
  CHECK(listed.at("next").is_null());
  std::vector<std::string> names;
  for (const auto& item : listed.at("items"))
    names.push_back(item.at("name"));
  CHECK(names == std::vector<std::string>{"biz", "cron", "default", "form", "mail"});
}

TEST_CASE("channels are listed in pages, each once, also while some are removed") {
  test_daemon runner;
  for (const auto* name : {"a", "b", "c", "Z", "d.e"})
    runner.create_channel(name);
  const auto page_from = [&](const std::string& query) {
    auto page = data_of(runner, "GET", channels + "?limit=3" + query);
    std::vector<std::string> names;
    for (const auto& item : page.at("items"))
      names.push_back(item.at("name"));
    return std::pair(names, page.at("next"));
  };
  const auto [first, behind_first] = page_from("");
  CHECK(first == std::vector<std::string>{"Z", "a", "b"});
  REQUIRE(behind_first.is_string());
  // The one that the page ended with may be gone when the next is asked for.
  data_of(runner, "DELETE", channels + "/b");
  const auto [second, behind_second] = page_from("&cursor=" + behind_first.get<std::string>());
  CHECK(second == std::vector<std::string>{"biz", "c", "cron"});
  const auto [third, end] = page_from("&cursor=" + behind_second.get<std::string>());
  CHECK(third == std::vector<std::string>{"d.e", "default"});
  CHECK(end.is_null());
  CHECK(runner.http().get(channels + "?limit=0").status == 422);
  CHECK(runner.http().get(channels + "?limit=4097").status == 422);
  CHECK(runner.http().get(channels + "?cursor=x").status == 400);
  CHECK(runner.http().get(channels + "?page=2").status == 400);
}

TEST_CASE("a channel that is wrong, or exists, is refused") {
  test_daemon runner;
  for (const auto& [body, status, says] : std::vector<std::tuple<json, int, std::string>>{
           {json::object(), 400, "name"},
           {{{"name", ""}}, 400, "name"},
           {{{"name", "a/b"}}, 400, ""},
           {{{"name", std::string(129, 'x')}}, 400, ""},
           {{{"name", 5}}, 400, "name"},
           {{{"name", "x"}, {"workers", 5}}, 400, "workers"},
           {{{"name", "x"}, {"worker", "many"}}, 400, "worker"},
           {{{"name", "x"}, {"worker", 1'025}}, 422, "worker"},
           {{{"name", "x"}, {"distinct", "maybe"}}, 400, "distinct"},
           {{{"name", "x"}, {"weight", 0}}, 422, "weight"},
           {{{"name", "x"}, {"tasks_max", 0}}, 422, "tasks_max"},
           {{{"name", "x"}, {"timeout", "5w"}}, 400, "timeout"},
           {{{"name", "x"}, {"max_attempts", 0}}, 422, "max_attempts"},
           {{{"name", "default"}}, 409, "default"}})
    CHECK(refused(runner, "POST", channels, body, says) == status);
  CHECK(refused(runner, "POST", channels, json::array()) == 400);
  CHECK(refused(runner, "GET", channels + "/x") == 404);
  CHECK(data_of(runner, "GET", channels).at("items").size() == 3);
}

TEST_CASE("a patch changes what it names, null goes back to the default, and it lasts") {
  test_daemon runner;
  data_of(runner, "POST", channels,
          {{"name", "mail"}, {"worker", 2}, {"max_attempts", 3}, {"env", {{"A", "1"}, {"B", "2"}}}});
  auto settings =
      patched(runner, "mail", {{"worker", 4}, {"timeout", "5m"}, {"env", {{"A", nullptr}, {"C", "3"}}}})
          .at("settings");
  CHECK(settings == json{{"distinct", "off"},
                         {"worker", 4},
                         {"weight", 1},
                         {"tasks_max", nullptr},
                         {"max_attempts", 3},
                         {"timeout_s", 300},
                         {"env", {{"B", "2"}, {"C", "3"}}}});
  settings = patched(runner, "mail",
                     {{"worker", nullptr}, {"max_attempts", nullptr}, {"env", nullptr}, {"distinct", true}})
                 .at("settings");
  CHECK(settings == json{{"distinct", "until-finished"},
                         {"worker", nullptr},
                         {"weight", 1},
                         {"tasks_max", nullptr},
                         {"timeout_s", 300}});
  CHECK(patched(runner, "mail", json::object()).at("settings") == settings);
  // What is wrong changes nothing, not even what stands before it.
  CHECK(refused(runner, "PATCH", channels + "/mail", {{"weight", 9}, {"worker", 5'000}}, "worker") == 422);
  CHECK(refused(runner, "PATCH", channels + "/mail", {{"weight", 9}, {"timeout", 0}}, "timeout") == 422);
  CHECK(refused(runner, "PATCH", channels + "/mail", {{"weight", 9}, {"name", "post"}}, "name") == 400);
  CHECK(refused(runner, "PATCH", channels + "/mail", {{"weight", 9}, {"wieght", 9}}, "wieght") == 400);
  CHECK(refused(runner, "PATCH", channels + "/none", {{"weight", 9}}) == 404);
  CHECK(data_of(runner, "GET", channels + "/mail").at("settings") == settings);
  runner.kill();
  runner.start();
  CHECK(data_of(runner, "GET", channels + "/mail").at("settings") == settings);
}

TEST_CASE("the options of a channel hold for its tasks, what a task says goes before") {
  test_daemon runner;
  data_of(runner, "POST", channels,
          {{"name", "mail"},
           {"env", {{"A", "channel"}, {"B", "channel"}}},
           {"cwd", "/"},
           {"max_attempts", 2},
           {"backoff_s", 0}});
  const auto id =
      push_json(runner, {{"task", "echo $A $B; pwd; exit 1"}, {"channel", "mail"}, {"env", {{"A", "task"}}}});
  const auto task = runner.settled(id);
  CHECK(task.at("attempts").size() == 2);
  CHECK(task.at("options") == json{{"env", {{"A", "task"}}}});
  CHECK(runner.output(id) == "task channel\n/\n");
}

TEST_CASE("worker 0 accepts and runs nothing, more workers run more at once") {
  test_daemon runner;
  data_of(runner, "POST", channels, {{"name", "mail"}, {"worker", 0}});
  const gate end(runner.path("gate"));
  std::vector<std::string> ids;
  for (int i = 0; i < 3; ++i)
    ids.push_back(runner.push_line(end.wait_line() + " # " + std::to_string(i), "mail"));
  const auto running = [&] { return runner.channel("mail").at("running").get<int>(); };
  CHECK(runner.channel("mail").at("pending") == 3);
  CHECK(runner.channel("mail").at("worker") == 0);
  CHECK(patched(runner, "mail", {{"worker", 2}}).at("worker") == 2);
  CHECK(wait_until([&] { return running() == 2; }));
  CHECK(patched(runner, "mail", {{"worker", nullptr}}).at("worker") == 5);
  CHECK(wait_until([&] { return running() == 3; }));
  // The old path's 0 has always meant the daemon's default.
  runner.create_channel("old", {{"worker", "0"}});
  CHECK(runner.channel("old").at("worker") == 5);
  end.open();
  for (const auto& id : ids)
    CHECK(runner.settled(id).at("state") == "finished");
}

TEST_CASE("a paused channel accepts and starts nothing until it is resumed, also after a restart") {
  test_daemon runner;
  data_of(runner, "POST", channels, {{"name", "mail"}});
  CHECK(data_of(runner, "POST", channels + "/mail/pause").at("state") == "drained");
  const auto id = runner.push_line("echo x", "mail");
  CHECK(data_of(runner, "GET", channels + "/mail").at("state") == "paused");
  CHECK(runner.channel("mail").at("paused") == true);
  CHECK(runner.stop() == process_end{true, 0});
  runner.start();
  CHECK(runner.task(id).at("state") == "pending");
  CHECK(data_of(runner, "GET", channels + "/mail").at("state") == "paused");
  CHECK(data_of(runner, "POST", channels + "/mail/resume").at("state") == "open");
  CHECK(runner.settled(id).at("state") == "finished");
  for (const std::string verb : {"pause", "resume", "drain"}) {
    CHECK(refused(runner, "POST", channels + "/none/" + verb) == 404);
    CHECK(refused(runner, "POST", channels + "/mail/" + verb, {{"nope", 1}}, "nope") == 400);
  }
}

TEST_CASE("a drain waits for what runs, as long as it is told to") {
  test_daemon runner;
  data_of(runner, "POST", channels, {{"name", "mail"}, {"worker", 1}});
  const gate end(runner.path("gate"));
  const auto running = runner.push_line(end.wait_line(), "mail");
  REQUIRE(wait_state(runner, running, "running"));
  const auto waiting = runner.push_line("echo x", "mail");
  CHECK(data_of(runner, "POST", channels + "/mail/drain", {{"wait_s", 0}}).at("state") == "draining");
  CHECK(data_of(runner, "POST", channels + "/mail/drain", {{"wait_s", 0.2}}).at("state") == "draining");
  end.open();
  const auto drained = data_of(runner, "POST", channels + "/mail/drain");
  CHECK(drained.at("counts").at("running") == 0);
  CHECK(drained.at("state") == "paused"); // one is waiting yet
  CHECK(runner.task(running).at("state") == "finished");
  CHECK(runner.task(waiting).at("state") == "pending");
  CHECK(refused(runner, "POST", channels + "/mail/drain", {{"wait_s", 26}}, "wait_s") == 422);
  CHECK(refused(runner, "POST", channels + "/mail/drain", {{"wait_s", "long"}}, "wait_s") == 400);
}

TEST_CASE("a channel goes when it is empty, or with its tasks when it is forced") {
  test_daemon runner;
  data_of(runner, "POST", channels, {{"name", "mail"}, {"worker", 1}, {"grace", 1}});
  const auto done = runner.push_line("echo x", "mail");
  runner.settled(done);
  const auto running = runner.push_line("exec sleep 1000", "mail");
  REQUIRE(wait_state(runner, running, "running"));
  const auto waiting = runner.push_line("echo never", "mail");
  CHECK(refused(runner, "DELETE", channels + "/mail", nullptr, "force") == 409);
  CHECK(refused(runner, "DELETE", channels + "/mail?force=maybe", nullptr, "force") == 400);
  CHECK(refused(runner, "DELETE", channels + "/mail?farce=true", nullptr, "farce") == 400);
  CHECK(runner.task(waiting).at("state") == "pending");
  CHECK(request(runner, "DELETE", channels + "/mail?force=true").at("status_code") == 200);
  CHECK(refused(runner, "GET", channels + "/mail") == 404);
  CHECK(refused(runner, "DELETE", channels + "/mail") == 404);
  for (const auto& id : {running, waiting})
    CHECK(runner.task(id).at("state") == "cancelled");
  CHECK(runner.task(done).at("state") == "finished"); // what has ended stays
  CHECK(wait_until([&] { return runner.commands().empty(); }));
  CHECK(runner.http().post_form("/push", {{"task", "x"}, {"channel", "mail"}}).status == 404);
  runner.kill();
  runner.start();
  CHECK(refused(runner, "GET", channels + "/mail") == 404);
  data_of(runner, "POST", channels, {{"name", "mail"}});
  CHECK(runner.run_line("echo again", "mail") == "again\n");
}

TEST_CASE("a channel's own bound on waiting tasks answers 429") {
  test_daemon runner;
  data_of(runner, "POST", channels, {{"name", "mail"}, {"worker", 0}, {"tasks_max", 2}});
  runner.push_line("echo 1", "mail");
  runner.push_line("echo 2", "mail");
  const auto answer = runner.http().post_form("/push", {{"task", "echo 3"}, {"channel", "mail"}});
  CHECK(answer.status == 429);
  CHECK_FALSE(answer.header("retry-after").empty());
  patched(runner, "mail", {{"tasks_max", nullptr}});
  runner.push_line("echo 3", "mail");
}

TEST_CASE("the status of one channel shows its own actors, its dedup mode and its counts") {
  test_daemon runner;
  data_of(runner, "POST", channels, {{"name", "mail"}, {"distinct", "while-pending"}});
  runner.run_line("echo x", "mail");
  const auto envelope = runner.http().get("/status?channel=mail").json();
  const auto& data = envelope.at("data");
  CHECK(data.at("distinct") == true);
  CHECK(data.at("distinct_mode") == "while-pending");
  for (const std::string count : {"pending", "held", "delayed", "running", "dead", "cancelled", "expired",
                                  "retried", "lost", "duplicates", "count"})
    CHECK(data.at(count) == 0);
  CHECK(data.at("finished") == 1);
  REQUIRE(envelope.at("actors").size() == 2);
  for (const auto& actor : envelope.at("actors"))
    CHECK(actor.at("name").get<std::string>() == actor.at("kind").get<std::string>() + ":mail");
  CHECK(runner.http().get("/status").json().at("actors").size() > 8);
}

TEST_CASE("a channel's section of the INI file holds the options of its tasks") {
  daemon_options options;
  options.ini = "[channel.mail]\nmax-attempts = 2\nbackoff-s = 0\nenv.WHO = ini\ndistinct = while-pending\n"
                "weight = 3\ntasks-max = 9\n";
  test_daemon runner(options);
  CHECK(data_of(runner, "GET", channels + "/mail").at("settings") == json{{"distinct", "while-pending"},
                                                                          {"worker", nullptr},
                                                                          {"weight", 3},
                                                                          {"tasks_max", 9},
                                                                          {"max_attempts", 2},
                                                                          {"backoff_s", 0},
                                                                          {"env", {{"WHO", "ini"}}}});
  const auto id = runner.push_line("echo $WHO; exit 1", "mail");
  CHECK(runner.settled(id).at("attempts").size() == 2);
  CHECK(runner.output(id) == "ini\n");
}
