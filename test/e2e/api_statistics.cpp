// GET /api/v1/statistics: what a real daemon remembers of what it did, in columns.
// The steps are tested on their own; here is what the one in progress counts, and what is refused.
#include "test/e2e/api_support.hpp"

#include <algorithm>
#include <numeric>
#include <set>

using namespace task_runner::test;
using json = nlohmann::json;

namespace {

const std::string statistics = "/api/v1/statistics";

json show(test_daemon& runner, const std::string& query = {}) {
  return data_of(runner, "GET", statistics + query);
}

/// The sum of a column; gaps count as nothing.
uint64_t sum_of(const json& column) {
  return std::accumulate(column.begin(), column.end(), uint64_t{0}, [](uint64_t sum, const json& one) {
    return one.is_null() ? sum : sum + one.get<uint64_t>();
  });
}

/// All columns have one length, those within others too.
void check_lengths(const json& points, size_t length) {
  for (const auto& [name, column] : points.items()) {
    INFO(name);
    if (column.is_object())
      check_lengths(column, length);
    else
      CHECK(column.size() == length);
  }
}

} // namespace

TEST_CASE("what happened is in the statistics at once, by channel and in all") {
  test_daemon runner;
  runner.create_channel("mail");
  for (int i = 0; i < 5; ++i)
    runner.settled(push_json(runner, {{"task", "exit 0"}, {"channel", "mail"}}));
  runner.settled(push_json(runner, {{"task", "exit 7"}, {"channel", "mail"}}));
  runner.settled(push_json(runner, {{"task", "kill -9 $$"}}));
  json all;
  REQUIRE(wait_until([&] {
    all = show(runner);
    return sum_of(all.at("points").at("dead")) == 2;
  }));
  const auto& points = all.at("points");
  CHECK(all.at("channel").is_null());
  CHECK(all.at("span_s") == 3'600);
  CHECK(all.at("step_s") == 5);
  check_lengths(points, points.at("at").size());
  CHECK(sum_of(points.at("pushed")) == 7);
  CHECK(sum_of(points.at("finished")) == 5);
  CHECK(sum_of(points.at("attempts").at("succeeded")) == 5);
  CHECK(sum_of(points.at("attempts").at("failed")) == 1);
  CHECK(sum_of(points.at("attempts").at("signalled")) == 1);
  CHECK(points.at("running").back() == 0);
  CHECK(points.at("workers").back() == 20);
  for (const auto* window : {"last_5_minutes", "last_hour"}) {
    const auto& totals = all.at("totals").at(window);
    CHECK(totals.at("pushed") == 7);
    CHECK(totals.at("finished") == 5);
    CHECK(totals.at("dead") == 2);
    CHECK(totals.at("failure_share").get<double>() == Approx(2.0 / 7).margin(1e-5));
    CHECK(totals.at("wait_p50_s").is_number());
    CHECK(totals.at("run_p50_s").get<double>() <= totals.at("run_p99_s").get<double>());
    CHECK(totals.at("length_s").get<double>() > 0);
  }
  const auto day = show(runner, "?span=24h");
  CHECK(day.at("step_s") == 300);
  CHECK(day.at("span_s") == 86'400);
  CHECK(sum_of(day.at("points").at("pushed")) == 7);
  CHECK(show(runner, "?limit=1").at("points").at("at").size() == 1);

  const auto mail = show(runner, "?channel=mail");
  CHECK(mail.at("channel") == "mail");
  CHECK(mail.at("step_s") == 60);
  check_lengths(mail.at("points"), mail.at("points").at("at").size());
  CHECK(sum_of(mail.at("points").at("pushed")) == 6);
  CHECK(sum_of(mail.at("points").at("dead")) == 1);
  CHECK(mail.at("totals").at("last_hour").at("finished") == 5);
}

TEST_CASE("durations are told where they are long, and waiting is seen while it lasts") {
  test_daemon runner;
  runner.create_channel("slow", {{"worker", "1"}});
  const auto first = push_json(runner, {{"task", "sleep 1"}, {"channel", "slow"}});
  const auto second = push_json(runner, {{"task", "true"}, {"channel", "slow"}});
  REQUIRE(wait_until([&] {
    const auto points = show(runner).at("points");
    return points.at("running").back() == 1 && points.at("pending").back() == 1;
  }));
  const auto fare = data_of(runner, "GET", statistics + "/channels").at("items");
  const auto slow =
      std::find_if(fare.begin(), fare.end(), [](const json& one) { return one.at("channel") == "slow"; });
  REQUIRE(slow != fare.end());
  CHECK(slow->at("workers") == 1);
  CHECK(slow->at("pending") == 1);
  CHECK(slow->at("running") == 1);
  CHECK(slow->at("next_wait_s").get<double>() >= 0);
  CHECK(slow->at("ended_per_s") == 0);
  CHECK(slow->at("eta_s").is_null());
  runner.settled(first);
  runner.settled(second);
  json totals;
  REQUIRE(wait_until([&] {
    totals = show(runner).at("totals").at("last_hour");
    return totals.at("finished") == 2;
  }));
  CHECK(totals.at("run_p99_s").get<double>() >= 0.95);
  CHECK(totals.at("wait_p99_s").get<double>() >= 0.8);
  CHECK(totals.at("failure_share") == 0);
  const auto later = data_of(runner, "GET", statistics + "/channels?limit=1000").at("items");
  for (const auto& one : later)
    if (one.at("channel") == "slow") {
      CHECK(one.at("ended_per_s").get<double>() > 0);
      CHECK(one.at("eta_s") == 0);
      CHECK(one.at("next_wait_s").is_null());
    }
}

TEST_CASE("the statistics of the channels come by name, in parts, and go with a channel") {
  test_daemon runner;
  std::set<std::string> expected{"biz", "cron", "default"};
  for (int i = 0; i < 7; ++i)
    runner.create_channel(*expected.insert("c" + std::to_string(i)).first);
  std::vector<std::string> seen;
  std::string cursor;
  do {
    const auto page = data_of(runner, "GET",
                              statistics + "/channels?limit=4" + (cursor.empty() ? "" : "&cursor=" + cursor));
    CHECK(page.at("items").size() <= 4);
    const auto length = page.at("at").size();
    CHECK(page.at("length_s").size() == length);
    for (const auto& item : page.at("items")) {
      seen.push_back(item.at("channel"));
      check_lengths(item.at("points"), length);
    }
    cursor = page.at("next").is_null() ? "" : page.at("next").get<std::string>();
  } while (!cursor.empty());
  CHECK(seen == std::vector<std::string>(expected.begin(), expected.end()));
  data_of(runner, "DELETE", "/api/v1/channels/c0");
  CHECK(refused(runner, "GET", statistics + "?channel=c0", nullptr, "no channel c0") == 404);
}

TEST_CASE("a question about statistics that cannot be meant is refused") {
  test_daemon runner;
  CHECK(refused(runner, "GET", statistics + "?span=2h", nullptr, "1h or 24h") == 400);
  CHECK(refused(runner, "GET", statistics + "?channel=a%20b", nullptr, "no name") == 400);
  CHECK(refused(runner, "GET", statistics + "?channel=", nullptr, "no name") == 400);
  CHECK(refused(runner, "GET", statistics + "?colour=red", nullptr, "colour") == 400);
  CHECK(refused(runner, "GET", statistics + "?limit=0", nullptr, "limit") == 422);
  CHECK(refused(runner, "GET", statistics + "?limit=1001", nullptr, "limit") == 422);
  CHECK(refused(runner, "GET", statistics + "?span=24h&channel=default", nullptr, "one hour") == 422);
  CHECK(refused(runner, "GET", statistics + "?channel=none", nullptr, "no channel none") == 404);
  CHECK(refused(runner, "GET", statistics + "/channels?cursor=x", nullptr, "cursor") == 400);
  CHECK(refused(runner, "GET", statistics + "/channels?channel=default", nullptr, "channel") == 400);
  CHECK(refused(runner, "GET", statistics + "/channels?limit=many", nullptr, "limit") == 400);
}
