// The predecessor's later paths with the predecessor's shapes, as its clients send and read them.
// Members beside its own may come; none of its own may be missing or of another kind.
#include "test/e2e/api_support.hpp"
#include "test/e2e/gate.hpp"

using namespace task_runner::test;
using json = nlohmann::json;

namespace {

/// Whether a task has every member of the predecessor's, each of its kind.
void check_shape(const json& task) {
  CAPTURE(task);
  for (const std::string text : {"task_id", "task_name", "channel", "status", "execute_at", "failed_at"})
    CHECK(task.at(text).is_string());
  CHECK(task.at("command").at("name").is_string());
  CHECK((task.at("command").at("args").is_null() || task.at("command").at("args").is_array()));
  CHECK(task.at("retry_count").is_number_integer());
}

} // namespace

TEST_CASE("tasks are pushed to a channel's path as a multipart form with repeated arguments") {
  test_daemon runner;
  const std::string boundary = "--------------------------488585830099792470732554";
  std::string body;
  for (const auto& [name, value] : name_values{{"task", "count"},
                                               {"command", "printf"},
                                               {"args", "%s|%s\n"},
                                               {"args", "a b"},
                                               {"args", "$HOME"},
                                               {"delay", "0"}})
    body += "--" + boundary + "\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value +
            "\r\n";
  body += "--" + boundary + "--\r\n";
  const auto answer =
      runner.http().send("POST", "/channels/default/tasks",
                         {{"Content-Type", "multipart/form-data; boundary=" + boundary}}, body);
  REQUIRE(answer.status == 200);
  const auto envelope = answer.json();
  CHECK(envelope.at("message") == "ok");
  const auto& data = envelope.at("data");
  CHECK(data.at("task_name") == "count");
  CHECK(data.at("result") == true);
  const std::string id = data.at("task_id");
  CHECK(runner.settled(id).at("channel") == "default");
  CHECK(runner.output(id) == "a b|$HOME\n");

  CHECK(runner.http()
            .post_form("/channels/biz/tasks", {{"task", "echo x"}, {"id", "mine"}})
            .json()
            .at("data")
            .at("task_id") == "mine");
  CHECK(runner.settled("mine").at("channel") == "biz");
  CHECK(runner.http().post_form("/channels/none/tasks", {{"task", "echo x"}}).status == 404);
  CHECK(runner.http().post_form("/channels/biz/tasks", {{"task", ""}}).status == 400);
  CHECK(runner.http().post_form("/channels/biz/tasks", {{"task", "x"}, {"channel", "cron"}}).status == 400);
  CHECK(runner.http().post_form("/channels/biz/tasks", {{"task", "x"}, {"delay", "soon"}}).status == 400);
}

TEST_CASE("channels are listed with their tasks, and made with the predecessor's fields") {
  test_daemon runner;
  const auto made =
      runner.http().post_form("/channels", {{"name", "mail"}, {"distinct", "true"}, {"worker", "1"}});
  CHECK(made.json() == json{{"status_code", 200}, {"message", "ok"}, {"data", nullptr}});
  CHECK(runner.http().post_form("/channels", {{"name", "mail"}}).status == 409);
  const gate end(runner.path("gate"));
  const auto running = runner.push_line(end.wait_line(), "mail");
  REQUIRE(wait_state(runner, running, "running"));
  const auto queued = runner.push_line("echo next", "mail");

  const auto all = data_of(runner, "GET", "/channels");
  CHECK(all.at("biz") == json{{"tasks", json::array()}, {"count", 0}});
  const auto& mail = all.at("mail");
  CHECK(mail.at("count") == 2);
  REQUIRE(mail.at("tasks").size() == 2);
  for (const auto& task : mail.at("tasks")) {
    check_shape(task);
    CHECK(task.at("channel") == "mail");
  }
  CHECK(mail.at("tasks")[0].at("task_id") == running);
  CHECK(mail.at("tasks")[0].at("status") == "running");
  CHECK(mail.at("tasks")[1].at("status") == "queued");
  CHECK(mail.at("tasks")[1].at("command") == json{{"name", "echo next"}, {"args", nullptr}});
  CHECK(data_of(runner, "GET", "/channels/mail") == mail);
  CHECK(data_of(runner, "GET", "/channels/mail/tasks") == mail);
  CHECK(refused(runner, "GET", "/channels/none") == 404);

  const auto one = data_of(runner, "GET", "/channels/mail/tasks/" + queued);
  check_shape(one);
  CHECK(refused(runner, "GET", "/channels/biz/tasks/" + queued) == 404);
  CHECK(refused(runner, "DELETE", "/channels/biz/tasks/" + queued) == 404);
  CHECK(refused(runner, "DELETE", "/channels/mail") == 409);
  // The predecessor's own deletion of a queued task does nothing; this one does.
  check_shape(data_of(runner, "DELETE", "/channels/mail/tasks/" + queued));
  CHECK(runner.task(queued).at("state") == "cancelled");
  end.open();
  runner.settled(running);
  CHECK(data_of(runner, "DELETE", "/channels/mail").is_null());
  CHECK(refused(runner, "GET", "/channels/mail") == 404);
}

TEST_CASE("failed tasks are listed by id, shown, retried and deleted") {
  test_daemon runner;
  runner.create_channel("mail");
  const auto flag = runner.path("flag");
  const auto first = runner.push_line("test -e " + flag, "mail");
  const auto second =
      runner.push({{"task", "second"}, {"command", "false"}, {"args", "x"}, {"channel", "mail"}})
          .at("task_id")
          .get<std::string>();
  for (const auto& id : {first, second})
    REQUIRE(runner.settled(id).at("state") == "dead");
  const auto failed = data_of(runner, "GET", "/channels/mail/failed-tasks");
  REQUIRE(failed.size() == 2);
  check_shape(failed.at(first));
  CHECK(failed.at(second).at("task_id") == second);
  CHECK(failed.at(second).at("command") == json{{"name", "false"}, {"args", {"x"}}});
  CHECK(failed.at(second).at("failed_at") != "0001-01-01T00:00:00Z");
  CHECK(data_of(runner, "GET", "/channels/biz/failed-tasks") == json::object());
  CHECK(data_of(runner, "GET", "/channels/mail/failed-tasks?limit=1").size() == 1);
  const auto path = "/channels/mail/failed-tasks/";
  CHECK(data_of(runner, "GET", path + first) == failed.at(first));
  CHECK(refused(runner, "GET", "/channels/biz/failed-tasks/" + first) == 404);
  CHECK(refused(runner, "GET", path + std::string("none")) == 404);

  write_file(flag, "");
  CHECK(data_of(runner, "POST", path + first).is_null());
  REQUIRE(wait_state(runner, first, "finished"));
  CHECK(refused(runner, "POST", path + first) == 404);
  CHECK(refused(runner, "DELETE", path + first) == 404);
  CHECK(data_of(runner, "DELETE", path + second) == failed.at(second));
  CHECK(refused(runner, "GET", "/api/v1/tasks/" + second) == 404);
  CHECK(data_of(runner, "GET", "/channels/mail/failed-tasks") == json::object());
}

TEST_CASE("delayed tasks of all channels are listed by id, shown and deleted") {
  test_daemon runner;
  const auto first = runner.http()
                         .post_form("/channels/biz/tasks", {{"task", "echo one"}, {"delay", "3600"}})
                         .json()
                         .at("data")
                         .at("task_id")
                         .get<std::string>();
  const auto second = push_json(runner, {{"task", "echo two"}, {"channel", "cron"}, {"delay", 7'200}});
  const auto delayed = data_of(runner, "GET", "/delay-tasks");
  REQUIRE(delayed.size() == 2);
  check_shape(delayed.at(first));
  CHECK(delayed.at(first).at("channel") == "biz");
  CHECK(delayed.at(first).at("execute_at") == runner.task(first).at("execute_at"));
  CHECK(delayed.at(first).at("failed_at") == "0001-01-01T00:00:00Z");
  CHECK(data_of(runner, "GET", "/delay-tasks/" + second) == delayed.at(second));
  CHECK(data_of(runner, "DELETE", "/delay-tasks/" + second) == delayed.at(second));
  CHECK(runner.task(second).at("state") == "cancelled");
  CHECK(refused(runner, "GET", "/delay-tasks/" + second) == 404);
  CHECK(refused(runner, "DELETE", "/delay-tasks/" + second) == 404);
  CHECK(data_of(runner, "GET", "/delay-tasks").size() == 1);
}
