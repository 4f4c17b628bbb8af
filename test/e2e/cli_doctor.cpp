// `doctor` of the command-line client: what is well, what is not, and what to do about it.
#include "test/e2e/api_support.hpp"
#include "test/e2e/cli_support.hpp"
#include "test/support/free_port.hpp"
#include "test/support/redis_server.hpp"

#include <algorithm>
#include <filesystem>
#include <sys/stat.h>

using namespace task_runner::test;
using json = nlohmann::json;

namespace {

/// A daemon with settings in a file, so that the doctor can be given the same.
class patient {
public:
  explicit patient(const std::string& ini = {}, std::optional<uint16_t> redis_port = std::nullopt)
      : runner_(options_with(ini, redis_port)) {
    write_file(runner_.path("doctor.ini"), "[daemon]\nstate-dir = " + runner_.state_dir() + "\n[redis]\n" +
                                               (redis_port ? "host = 127.0.0.1:" + std::to_string(*redis_port)
                                                           : std::string("intake = off")) +
                                               "\n" + ini);
  }

  test_daemon& runner() { return runner_; }

  json examine(int code) {
    const auto ran = call(runner_, {"doctor", "--json", "--config", runner_.path("doctor.ini")});
    INFO(ran.output << ran.error_output);
    CHECK(ran.end == process_end{true, code});
    const auto report = json::parse(ran.output);
    CHECK(report.at("ok") == (code == 0));
    return report.at("checks");
  }

private:
  static daemon_options options_with(const std::string& ini, std::optional<uint16_t> redis_port) {
    daemon_options options;
    options.redis_port = redis_port;
    options.ini = ini;
    return options;
  }

  test_daemon runner_;
};

/// The text of a check with this name and verdict; fails the test when there is none that holds `says`.
void check_found(const json& checks, const std::string& name, const std::string& verdict,
                 const std::string& says) {
  INFO(checks.dump(1));
  CHECK(std::any_of(checks.begin(), checks.end(), [&](const json& one) {
    return one.at("name") == name && one.at("verdict") == verdict &&
           one.at("text").get<std::string>().find(says) != std::string::npos;
  }));
}

} // namespace

TEST_CASE("the doctor finds nothing wrong with a daemon that is well") {
  const redis_server redis;
  patient well({}, redis.port());
  // The source counts only once it has worked.
  REQUIRE(wait_until([&] { return well.runner().report().at("sources").at(0).at("healthy") == true; }));
  const auto checks = well.examine(0);
  check_found(checks, "settings", "ok", "doctor.ini");
  check_found(checks, "daemon", "ok", "answers at 127.0.0.1:");
  check_found(checks, "ready: store", "ok", "healthy");
  check_found(checks, "ready: launcher", "ok", "healthy");
  check_found(checks, "store", "ok", "none failed");
  check_found(checks, "launcher", "ok", ", 0 commands are running now");
  check_found(checks, "channels", "ok", "3");
  check_found(checks, "state directory", "ok", well.runner().state_dir());
  check_found(checks, "redis", "ok", "0 in task:prepare:queue");
  check_found(checks, "intake keys", "ok", "nothing waits elsewhere");
  CHECK(std::any_of(checks.begin(), checks.end(),
                    [](const json& one) { return one.at("name") == "containment"; }));
  const auto plain = call(well.runner(), {"doctor", "--config", well.runner().path("doctor.ini")});
  CHECK(plain.end == process_end{true, 0});
  CHECK(plain.output.find("ok      settings: ") == 0);
}

TEST_CASE("the doctor sees messages that nobody takes") {
  const redis_server redis;
  redis.command({"LPUSH", "laravel_database_task:prepare:queue", "{}"});
  redis.command({"LPUSH", ":task:prepare:queue", "{}", "{}"});
  redis.command({"LPUSH", "task:perpare:queue", "{}"});
  redis.command({"LPUSH", "tasks", "{}"});
  redis.command({"SET", "some:task:prepare:queue", "no list"});
  redis.command({"LPUSH", "{task:prepare:queue}:taken:other-node:1", "{}"});
  redis.command({"LPUSH", "task:prepare:rejected", "{}"});
  redis.client(5)->command({"LPUSH", "task:prepare:queue", "{}"});
  patient patient({}, redis.port());
  const auto checks = patient.examine(0);
  check_found(checks, "intake keys", "warning", "1 message waits in laravel_database_task:prepare:queue");
  check_found(checks, "intake keys", "warning", "2 messages wait in :task:prepare:queue");
  check_found(checks, "intake keys", "warning",
              "task:perpare:queue, which only looks like task:prepare:queue");
  check_found(checks, "intake keys", "warning", "1 message waits in task:prepare:queue of database 5");
  check_found(checks, "rejected messages", "warning", "1 wait");
  CHECK(std::count_if(checks.begin(), checks.end(),
                      [](const json& one) { return one.at("name") == "intake keys"; }) == 4);
}

TEST_CASE("the doctor says what is wrong, and goes on") {
  const auto nowhere = std::to_string(free_port());
  patient patient("[channel.mail]\nworker = 2\n", static_cast<uint16_t>(std::stoi(nowhere)));
  auto& runner = patient.runner();
  data_of(runner, "POST", "/api/v1/channels/mail/pause");
  runner.push_line("echo waits", "mail");
  REQUIRE(chmod(runner.path("doctor.ini").c_str(), 0666) == 0);
  REQUIRE(chmod(runner.state_dir().c_str(), 0755) == 0);
  const auto checks = patient.examine(1);
  check_found(checks, "redis", "wrong", "start the daemon with -redis-intake off");
  check_found(checks, "channel mail", "warning", "task-runner resume mail");
  check_found(checks, "permissions", "wrong", "0666");
  check_found(checks, "state directory", "wrong", "0755");
  check_found(checks, "daemon", "ok", "answers");
}

TEST_CASE("the doctor ends with 3 without a daemon, and tells wrong settings") {
  const temp_dir home{"tr-doctor"};
  process_options start;
  start.environment = {{"TASK_RUNNER_REDIS_INTAKE", "off"}};
  start.argv = {task_runner_binary(), "doctor", "--json", "--address", "127.0.0.1:1"};
  const auto alone = run_process(start);
  CHECK(alone.end == process_end{true, 3});
  check_found(json::parse(alone.output).at("checks"), "daemon", "wrong", "nobody answers");
  write_file(home / "wrong.ini", "[daemon]\nconcurent = 5\n");
  start.argv = {task_runner_binary(), "doctor", "--json", "--config", home / "wrong.ini"};
  const auto wrong = run_process(start);
  CHECK(wrong.end == process_end{true, 1});
  check_found(json::parse(wrong.output).at("checks"), "settings", "wrong", "concurent");
}
