// Short ways to speak to version 1 of the API in tests.
// Each checks that the envelope says what the status line says.
#pragma once

#include "test/support/daemon.hpp"
#include "test/support/wait.hpp"

#include <catch2/catch.hpp>

#include <string>

namespace task_runner::test {

/// One request; `body` null: none. Gives the whole envelope, whose `status_code` is the HTTP status.
inline nlohmann::json request(test_daemon& runner, const std::string& method, const std::string& target,
                              const nlohmann::json& body = nullptr) {
  const auto answer =
      body.is_null()
          ? runner.http().send(method, target)
          : runner.http().send(method, target, {{"Content-Type", "application/json"}}, body.dump());
  INFO(method << " " << target << " " << body.dump() << " -> " << answer.status << " " << answer.body);
  auto envelope = answer.json();
  REQUIRE(envelope.at("status_code") == answer.status);
  CHECK(answer.header("content-type") == "application/json; charset=utf-8");
  if (answer.status >= 400) {
    CHECK(envelope.at("data").is_null());
    CHECK(envelope.at("message").get<std::string>().size() > 10);
  }
  return envelope;
}

/// `data` of a request that must be answered 200.
inline nlohmann::json data_of(test_daemon& runner, const std::string& method, const std::string& target,
                              const nlohmann::json& body = nullptr) {
  const auto envelope = request(runner, method, target, body);
  INFO(method << " " << target << " " << body.dump() << " -> " << envelope.dump());
  REQUIRE(envelope.at("status_code") == 200);
  return envelope.at("data");
}

/// The status of a request, and, where it is refused, that its message holds `says`.
inline int refused(test_daemon& runner, const std::string& method, const std::string& target,
                   const nlohmann::json& body = nullptr, const std::string& says = {}) {
  const auto envelope = request(runner, method, target, body);
  INFO(method << " " << target << " " << body.dump() << " -> " << envelope.dump());
  CHECK(envelope.at("message").get<std::string>().find(says) != std::string::npos);
  return envelope.at("status_code");
}

/// Pushes as JSON; must be accepted. Gives the task id.
inline std::string push_json(test_daemon& runner, const nlohmann::json& body) {
  const auto pushed = data_of(runner, "POST", "/api/v1/tasks", body);
  REQUIRE(pushed.at("result") == true);
  return pushed.at("task_id");
}

/// Waits until a task is in the state.
inline bool wait_state(test_daemon& runner, const std::string& id, const std::string& state) {
  return wait_until([&] { return runner.task(id).at("state") == state; }, std::chrono::seconds(30));
}

/// The ids of a listing, in its order.
inline std::vector<std::string> ids_of(const nlohmann::json& page) {
  std::vector<std::string> ids;
  for (const auto& item : page.at("items"))
    ids.push_back(item.at("id"));
  return ids;
}

} // namespace task_runner::test
