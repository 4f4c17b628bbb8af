// Listings in every order that there is, and one verb on tasks that are named.
// A cursor is good for its own order alone, and a name that does not fit is answered with a reason.
#include "test/e2e/api_support.hpp"

#include <algorithm>

using namespace task_runner::test;
using json = nlohmann::json;

namespace {

const std::string tasks = "/api/v1/tasks";

/// All pages of a listing.
std::vector<std::string> paged(test_daemon& runner, const std::string& query) {
  std::vector<std::string> seen;
  std::string cursor;
  do {
    const auto page = data_of(runner, "GET", tasks + "?limit=2" + query + cursor);
    for (const auto& id : ids_of(page))
      seen.push_back(id);
    cursor = page.at("next").is_null() ? "" : "&cursor=" + page.at("next").get<std::string>();
    REQUIRE(seen.size() <= 100);
  } while (!cursor.empty());
  return seen;
}

} // namespace

TEST_CASE("tasks are listed by their acceptance and by their end, both ways, page by page") {
  test_daemon runner;
  runner.create_channel("one", {{"worker", "1"}});
  std::vector<std::string> pushed;
  std::vector<std::string> ended;
  for (int i = 0; i < 5; ++i) {
    // Of two, the later one ends first.
    const auto first = push_json(runner, {{"task", "exit 1"}, {"channel", "one"}, {"delay", 3'600}});
    const auto second = runner.push_line("echo " + std::to_string(i), "one");
    runner.settled(second);
    CHECK(data_of(runner, "POST", tasks + "/" + first + "/cancel").at("state") == "cancelled");
    pushed.insert(pushed.end(), {first, second});
    ended.insert(ended.end(), {second, first});
  }
  const auto waiting = push_json(runner, {{"task", "echo late"}, {"delay", 3'600}});

  auto accepted = pushed;
  accepted.push_back(waiting);
  CHECK(paged(runner, "&sort=created") == accepted);
  CHECK(paged(runner, "&sort=created&state=delayed,running") == std::vector{waiting});
  std::reverse(accepted.begin(), accepted.end());
  CHECK(paged(runner, "") == accepted);
  CHECK(paged(runner, "&sort=-created") == accepted);
  // Ends within one millisecond stand in the order of acceptance.
  const auto by_end = paged(runner, "&sort=ended");
  REQUIRE(by_end.size() == ended.size());
  std::vector<std::pair<std::string, std::string>> ends;
  for (const auto& id : by_end)
    ends.emplace_back(runner.task(id).at("ended_at").get<std::string>(), id);
  CHECK(std::is_sorted(ends.begin(), ends.end(),
                       [](const auto& one, const auto& other) { return one.first < other.first; }));
  for (size_t i = 0; i + 3 < by_end.size(); i += 2)
    CHECK(std::is_permutation(by_end.begin() + static_cast<std::ptrdiff_t>(i),
                              by_end.begin() + static_cast<std::ptrdiff_t>(i + 2),
                              ended.begin() + static_cast<std::ptrdiff_t>(i)));
  auto reversed = by_end;
  std::reverse(reversed.begin(), reversed.end());
  CHECK(paged(runner, "&sort=-ended") == reversed);
  CHECK(paged(runner, "&sort=-ended&state=cancelled").size() == 5);
  CHECK(paged(runner, "&sort=ended&channel=default").empty());

  const auto cursor = data_of(runner, "GET", tasks + "?limit=2&sort=-ended").at("next").get<std::string>();
  // The cursor remembers its order.
  CHECK(ids_of(data_of(runner, "GET", tasks + "?limit=2&cursor=" + cursor)).front() == reversed[2]);
  for (const std::string other : {"ended", "created", "-created"})
    CHECK(refused(runner, "GET", tasks + "?sort=" + other + "&cursor=" + cursor, nullptr, "sort=-ended") ==
          400);
  for (const std::string wrong : {"duration", "+created", "name", "Created"})
    CHECK(refused(runner, "GET", tasks + "?sort=" + wrong, nullptr, "created, -created, ended or -ended") ==
          400);
  CHECK(refused(runner, "GET", tasks + "?sort=ended&state=dead,pending", nullptr, "state") == 400);
  CHECK(refused(runner, "GET", "/delay-tasks?sort=ended", nullptr, "sort=created") == 400);
  CHECK(runner.http().get("/delay-tasks?sort=created").status == 200);
  for (const std::string bad : {"e1", "e1.", "e1.x", "e.1", "e0.1", "t1.1", "f-1.1", "x1", "a", "ndefault"})
    CHECK(refused(runner, "GET", tasks + "?cursor=" + bad, nullptr, "cursor") == 400);
  const auto of_order = data_of(runner, "GET", tasks + "?limit=1&sort=created").at("next").get<std::string>();
  CHECK(refused(runner, "GET", "/api/v1/actors?cursor=" + of_order, nullptr, "cursor") == 400);
  // A comma behind the last state does no harm; alone it is no state.
  CHECK(ids_of(data_of(runner, "GET", tasks + "?state=cancelled,")) ==
        ids_of(data_of(runner, "GET", tasks + "?state=cancelled")));
  CHECK(refused(runner, "GET", tasks + "?state=,", nullptr, "state") == 400);
}

TEST_CASE("tasks that are named are cancelled, retried and deleted, and each refusal has its reason") {
  test_daemon runner;
  runner.create_channel("one", {{"worker", "1"}});
  const auto dead = runner.push_line("exit 1", "one");
  CHECK(runner.settled(dead).at("state") == "dead");
  const auto waiting = push_json(runner, {{"task", "echo late"}, {"channel", "one"}, {"delay", 3'600}});
  const auto other = push_json(runner, {{"task", "echo later"}, {"channel", "one"}, {"delay", 3'600}});

  const auto dry =
      data_of(runner, "POST", tasks + ":delete", {{"ids", {dead, waiting, dead, "none"}}, {"dry_run", true}});
  CHECK(dry.at("matched") == 2);
  CHECK(dry.at("done") == 0);
  const json none{{"id", "none"}, {"status_code", 404}, {"reason", "there is no such task"}};
  CHECK(dry.at("refused") == json::array({none}));

  const auto reply = data_of(runner, "POST", tasks + ":delete", {{"ids", {dead, "none", waiting}}});
  CAPTURE(reply);
  CHECK(reply.at("matched") == 2);
  CHECK(reply.at("done") == 1);
  CHECK(reply.at("more") == false);
  REQUIRE(reply.at("refused").size() == 2);
  CHECK(reply.at("refused")[0] == none);
  CHECK(reply.at("refused")[1].at("id") == waiting);
  CHECK(reply.at("refused")[1].at("status_code") == 409);
  CHECK(refused(runner, "GET", tasks + "/" + dead) == 404);

  CHECK(data_of(runner, "POST", tasks + ":cancel", {{"ids", waiting}, {"grace_s", 1}}).at("done") == 1);
  CHECK(runner.task(waiting).at("state") == "cancelled");
  CHECK(runner.task(other).at("state") == "delayed");
  const auto retried = runner.http().post_form(tasks + ":retry", {{"ids", waiting + "," + other}});
  REQUIRE(retried.status == 200);
  CHECK(retried.json().at("data").at("done") == 1);
  CHECK(wait_state(runner, waiting, "finished"));

  for (const json& wrong :
       {json{{"ids", json::array()}}, json{{"ids", ""}}, json{{"ids", {""}}}, json{{"ids", "a b"}},
        json{{"ids", 5}}, json{{"ids", {other}}, {"all", true}}, json{{"ids", {other}}, {"state", "delayed"}},
        json{{"ids", {other}}, {"limit", 5}}, json{{"ids", {{"a", 1}}}}})
    CHECK(refused(runner, "POST", tasks + ":cancel", wrong, "ids") == 400);
  json many = json::array();
  for (int i = 0; i < 1'000; ++i)
    many.push_back("t" + std::to_string(i));
  CHECK(data_of(runner, "POST", tasks + ":cancel", {{"ids", many}}).at("refused").size() == 1'000);
  many.push_back("one-too-many");
  CHECK(refused(runner, "POST", tasks + ":cancel", {{"ids", many}}, "1000") == 422);
  CHECK(runner.task(other).at("state") == "delayed");
}
