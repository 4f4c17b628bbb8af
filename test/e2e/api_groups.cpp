// GET /api/v1/tasks:groups: dead letters by what they died of, of a real daemon, and a group run again.
#include "test/e2e/api_support.hpp"

#include <algorithm>
#include <set>

using namespace task_runner::test;
using json = nlohmann::json;

namespace {

const std::string groups = "/api/v1/tasks:groups";

json show(test_daemon& runner, const std::string& query = {}) {
  return data_of(runner, "GET", groups + query);
}

std::string die(test_daemon& runner, const std::string& command, const std::string& channel = "default") {
  const auto id = push_json(runner, {{"task", command}, {"channel", channel}});
  CHECK(runner.settled(id).at("state") == "dead");
  return id;
}

} // namespace

TEST_CASE("dead letters come in groups of the same error, and a group is run again at once") {
  test_daemon runner;
  runner.create_channel("mail");
  CHECK(show(runner).at("items").empty());
  const auto first = die(runner, "echo working; echo 'ValueError: no such order: 17' >&2; exit 1");
  const auto second =
      die(runner, "printf '\\033[31mValueError: no such order: 4711\\033[0m'; exit 1", "mail");
  const auto other = die(runner, "echo 'ValueError: no such order: 1'; exit 2");
  const auto silent = die(runner, "kill -9 $$");
  const auto absent = die(runner, "no-such-command");
  CHECK(runner.settled(push_json(runner, {{"task", "echo 'error: but well'"}})).at("state") == "finished");

  const auto found = show(runner);
  CHECK(found.at("looked_at") == 5);
  CHECK(found.at("unread") == 0);
  CHECK(found.at("truncated") == false);
  CHECK(found.at("groups") == 4);
  CHECK(found.at("next").is_null());
  const auto& items = found.at("items");
  REQUIRE(items.size() == 4);
  const auto& largest = items[0];
  CHECK(largest.at("count") == 2);
  CHECK(largest.at("outcome") == json{{"kind", "exited"}, {"code", 1}});
  CHECK(largest.at("line") == "ValueError: no such order: 4711");
  CHECK(largest.at("fingerprint").get<std::string>().size() == 16);
  CHECK(largest.at("sample_id") == second);
  CHECK(largest.at("ids") == json{second, first});
  CHECK(largest.at("channels") == json{"default", "mail"});
  CHECK(largest.at("oldest_ended_at") <= largest.at("newest_ended_at"));
  const auto of = [&](const std::string& id) {
    const auto at =
        std::find_if(items.begin(), items.end(), [&](const json& one) { return one.at("sample_id") == id; });
    REQUIRE(at != items.end());
    return *at;
  };
  CHECK(of(other).at("fingerprint") == largest.at("fingerprint"));
  CHECK(of(other).at("outcome").at("code") == 2);
  CHECK(of(silent).at("outcome") == json{{"kind", "signalled"}, {"signal", 9}});
  CHECK(of(silent).at("fingerprint").is_null());
  CHECK(of(silent).at("line").is_null());
  CHECK(of(absent).at("outcome").at("code") == 127);
  CHECK(of(absent).at("line").get<std::string>().find("not found") != std::string::npos);

  CHECK(show(runner, "?limit=1").at("items").size() == 1);
  CHECK(show(runner, "?limit=1").at("groups") == 4);
  CHECK(show(runner, "?channel=mail").at("items").at(0).at("ids") == json{second});
  CHECK(show(runner, "?channel=none").at("items").empty());
  CHECK(show(runner, "?ended_until=2001-01-01T00:00:00Z").at("items").empty());
  CHECK(show(runner, "?ended_from=2001-01-01T00:00:00Z").at("looked_at") == 5);

  const auto retried = data_of(runner, "POST", "/api/v1/tasks:retry", {{"ids", largest.at("ids")}});
  CHECK(retried.at("done") == 2);
  CHECK(runner.settled(first).at("attempt") == 2);
  CHECK(runner.settled(second).at("attempt") == 2);
  CHECK(show(runner).at("items").at(0).at("count") == 2);
}

TEST_CASE("a channel says how many dead letters it has, also of before the start") {
  test_daemon runner;
  runner.create_channel("mail");
  const auto letters = [&](const std::string& channel) {
    const auto counts = data_of(runner, "GET", "/api/v1/channels/" + channel).at("counts");
    const auto line = "\ntask_runner_dead_letters{channel=\"" + channel + "\"} " +
                      std::to_string(counts.at("dead_letters").get<int>()) + "\n";
    CHECK(runner.http().get("/metrics").body.find(line) != std::string::npos);
    CHECK(data_of(runner, "GET", "/status?channel=" + channel).at("dead_letters") ==
          counts.at("dead_letters"));
    return counts.at("dead_letters").get<int>();
  };
  const auto first = die(runner, "exit 1", "mail");
  die(runner, "exit 2", "mail");
  die(runner, "exit 3", "default");
  CHECK(letters("mail") == 2);
  CHECK(letters("default") == 1);
  runner.kill();
  runner.start();
  CHECK(letters("mail") == 2);
  CHECK(data_of(runner, "GET", "/api/v1/channels/mail").at("counts").at("dead") == 0);
  data_of(runner, "POST", "/api/v1/tasks/" + first + "/retry");
  CHECK(runner.settled(first).at("state") == "dead");
  CHECK(letters("mail") == 2);
  data_of(runner, "DELETE", "/api/v1/tasks/" + first);
  CHECK(letters("mail") == 1);
}

TEST_CASE("the groups look at the last attempt, and at the end of what it wrote") {
  test_daemon runner;
  const auto id = push_json(runner, {{"task", "yes 'error: early' | head -n 10000; echo \"error in attempt "
                                              "$TASK_RUNNER_ATTEMPT of many\"; exit 1"},
                                     {"max_attempts", 2},
                                     {"backoff_s", 0}});
  CHECK(runner.settled(id).at("attempt") == 2);
  CHECK(show(runner).at("items").at(0).at("line") == "error in attempt 2 of many");
}

TEST_CASE("a question about groups that cannot be meant is refused") {
  test_daemon runner;
  CHECK(refused(runner, "GET", groups + "?state=finished", nullptr, "state") == 400);
  CHECK(refused(runner, "GET", groups + "?sort=ended", nullptr, "sort") == 400);
  CHECK(refused(runner, "GET", groups + "?cursor=t1", nullptr, "cursor") == 400);
  CHECK(refused(runner, "GET", groups + "?ended_from=soon", nullptr, "ended_from") == 400);
  CHECK(refused(runner, "GET", groups + "?limit=0", nullptr, "limit") == 422);
  CHECK(refused(runner, "GET", groups + "?limit=1001", nullptr, "limit") == 422);
}
