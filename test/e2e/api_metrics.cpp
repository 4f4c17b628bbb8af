// GET /metrics of a real daemon: held against promtool, against what was pushed, and against the dashboard
// and the alert rules that come with the program.
#include "test/e2e/api_support.hpp"
#include "test/e2e/gate.hpp"
#include "test/support/redis_server.hpp"

#include <map>
#include <regex>
#include <set>
#include <sstream>

using namespace task_runner::test;
using json = nlohmann::json;

namespace {

/// Values by name and labels as they are written, and the types by name.
struct metrics {
  explicit metrics(test_daemon& runner) {
    const auto answer = runner.http().get("/metrics");
    REQUIRE(answer.status == 200);
    CHECK(answer.header("content-type") == "text/plain; version=0.0.4; charset=utf-8");
    text = answer.body;
    for (const auto& line : lines_of(text)) {
      if (line.rfind("# TYPE ", 0) == 0) {
        std::istringstream words(line.substr(7));
        std::string name;
        words >> name >> types[name];
      } else if (!line.empty() && line.front() != '#') {
        const auto space = line.rfind(' ');
        values[line.substr(0, space)] = std::stod(line.substr(space + 1));
      }
    }
  }

  double operator[](const std::string& name) const {
    const auto found = values.find(name);
    INFO(name);
    REQUIRE(found != values.end());
    return found->second;
  }

  std::string text;
  std::map<std::string, double> values;
  std::map<std::string, std::string> types;
};

std::string packaging(const std::string& name) {
  return std::string(TASK_RUNNER_PACKAGING_DIR) + "/" + name;
}

/// Every name of a metric of ours in a text.
std::set<std::string> names_in(const std::string& text) {
  std::set<std::string> names;
  const std::regex name(R"(\b(?:task_runner|process)_[a-z_]+\b)");
  for (std::sregex_iterator at(text.begin(), text.end(), name), end; at != end; ++at)
    names.insert(at->str());
  return names;
}

} // namespace

TEST_CASE("the metrics count what was pushed, how it ended, and how long that took") {
  test_daemon runner;
  runner.create_channel("mail", {{"worker", "1"}, {"distinct", "true"}});
  for (int i = 0; i < 7; ++i)
    runner.settled(runner.push_line("echo " + std::to_string(i), "mail"));
  runner.settled(runner.push_line("exit 3", "mail"));
  const gate held(runner.path("gate"));
  const auto running = runner.push_line(held.wait_line(), "mail");
  REQUIRE(wait_state(runner, running, "running"));
  const auto waiting = runner.push_line("echo waits", "mail");
  CHECK_FALSE(runner.push({{"task", "echo waits"}, {"channel", "mail"}}).at("result"));
  const metrics found(runner);
  CHECK(found[R"(task_runner_tasks{channel="mail",state="running"})"] == 1);
  CHECK(found[R"(task_runner_tasks{channel="mail",state="pending"})"] == 1);
  CHECK(found[R"(task_runner_tasks{channel="default",state="pending"})"] == 0);
  CHECK(found[R"(task_runner_workers{channel="mail"})"] == 1);
  CHECK(found[R"(task_runner_channel_paused{channel="mail"})"] == 0);
  CHECK(found[R"(task_runner_tasks_pushed_total{channel="mail"})"] == 10);
  CHECK(found[R"(task_runner_tasks_duplicate_total{channel="mail"})"] == 1);
  CHECK(found[R"(task_runner_tasks_ended_total{channel="mail",state="finished"})"] == 7);
  CHECK(found[R"(task_runner_tasks_ended_total{channel="mail",state="dead"})"] == 1);
  CHECK(found[R"(task_runner_attempts_ended_total{channel="mail",outcome="succeeded"})"] == 7);
  CHECK(found[R"(task_runner_attempts_ended_total{channel="mail",outcome="failed"})"] == 1);
  CHECK(found[R"(task_runner_attempt_run_seconds_count{channel="mail"})"] == 8);
  CHECK(found[R"(task_runner_task_wait_seconds_count{channel="mail"})"] == 8);
  CHECK(found[R"(task_runner_task_wait_seconds_bucket{channel="mail",le="+Inf"})"] == 8);
  CHECK(found["task_runner_ready"] == 1);
  CHECK(found["task_runner_store_up"] == 1);
  CHECK(found["task_runner_launcher_up"] == 1);
  CHECK(found["task_runner_store_commits_total"] > 0);
  CHECK(found["process_resident_memory_bytes"] > 1'000'000);
  CHECK(found["process_open_fds"] > 5);
  held.open();
  CHECK(runner.settled(running).at("state") == "finished");
  CHECK(runner.settled(waiting).at("state") == "finished");
  REQUIRE(wait_until([&] {
    const metrics after(runner);
    return after[R"(task_runner_tasks{channel="mail",state="running"})"] == 0 &&
           after[R"(task_runner_tasks_ended_total{channel="mail",state="finished"})"] == 9;
  }));
}

TEST_CASE(
    "the metrics show that a channel is paused, how long its next task waits, and forget removed ones") {
  test_daemon runner;
  runner.create_channel("mail");
  data_of(runner, "POST", "/api/v1/channels/mail/pause");
  runner.push_line("true", "mail");
  REQUIRE(wait_until([&] {
    const metrics found(runner);
    return found[R"(task_runner_next_task_wait_seconds{channel="mail"})"] > 0.05;
  }));
  CHECK(metrics(runner)[R"(task_runner_channel_paused{channel="mail"})"] == 1);
  data_of(runner, "DELETE", "/api/v1/channels/mail?force=true");
  CHECK(metrics(runner).text.find(R"(channel="mail")") == std::string::npos);
}

TEST_CASE("promtool finds nothing to say against the metrics, nor against the alert rules") {
  test_daemon runner;
  runner.settled(runner.push_line("true"));
  const metrics found(runner);
  process_options promtool;
  promtool.argv = {"promtool", "check", "metrics"};
  promtool.input = found.text;
  promtool.merge_output = true;
  const auto checked = run_process(promtool);
  CHECK(checked.output.empty());
  CHECK(checked.end == process_end{true, 0});
  promtool.argv = {"promtool", "check", "rules", packaging("prometheus-alerts.yml")};
  const auto rules = run_process(promtool);
  INFO(rules.output);
  CHECK(rules.end == process_end{true, 0});
}

TEST_CASE("dashboard and alert rules ask for metrics that there are") {
  daemon_options options;
  redis_server redis;
  options.redis_port = redis.port();
  test_daemon runner(options);
  const metrics found(runner);
  const auto known = [&](const std::string& name) {
    for (const std::string end : {"_bucket", "_sum", "_count"})
      if (name.size() > end.size() && name.compare(name.size() - end.size(), end.size(), end) == 0 &&
          found.types.count(name.substr(0, name.size() - end.size())) != 0)
        return true;
    return found.types.count(name) != 0;
  };
  for (const std::string file : {"grafana-dashboard.json", "prometheus-alerts.yml"}) {
    const auto text = read_file(packaging(file));
    const auto names = names_in(text);
    REQUIRE(names.size() > 8);
    for (const auto& name : names) {
      INFO(file << ": " << name);
      CHECK(known(name));
    }
  }
  CHECK(json::parse(read_file(packaging("grafana-dashboard.json"))).at("panels").size() > 10);
}
