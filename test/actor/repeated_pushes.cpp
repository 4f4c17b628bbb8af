// Pushes of a request that is carried out again: accepted as the first time, and one task.
// What the store says counts, not what the queue has in memory.
#include "test/actor/actor_fixture.hpp"

#include <catch2/catch.hpp>

using namespace task_runner;
using namespace task_runner::test;

namespace {

push_item of_request(const std::string& line, uint32_t position = 0) {
  auto item = actor_fixture::item(line);
  identify(item, {"00000000-0000-7000-8000-000000000001", request_batches_begin + 1}, position);
  return item;
}

push_reply push_and_settle(actor_fixture& actors, push_item item) {
  const auto reply = actors.push(std::move(item));
  actors.settle();
  REQUIRE(reply->has_value());
  REQUIRE_FALSE((*reply)->failure);
  return **reply;
}

} // namespace

TEST_CASE("a push that is repeated is accepted again with the same id, and runs once") {
  actor_fixture actors({actor_fixture::make_channel("default", false, 2)});
  const auto first = push_and_settle(actors, of_request("date"));
  CHECK(first.accepted);
  CHECK(first.state == task_state::running);
  const auto again = push_and_settle(actors, of_request("date"));
  CHECK(again.accepted);
  CHECK(again.task_id == first.task_id);
  CHECK_FALSE(again.state);
  CHECK(actors.runner.started.size() == 1);
  CHECK(actors.status("default").counts.running == 1);
  CHECK(actors.status("default").counts.credit == 1); // the place that it would have taken is free
  // Gone since, and still not carried out anew.
  actors.runner.end(actors.runner.started.at(0).key, 0);
  actors.settle();
  actors.act(task_verb::remove, first.task_id);
  CHECK(push_and_settle(actors, of_request("date")).accepted);
  CHECK(actors.runner.started.size() == 1);
  CHECK(actors.metrics->of("default")->pushed == 1);
}

TEST_CASE("a distinct push that is repeated is no duplicate of itself") {
  actor_fixture actors({actor_fixture::make_channel("default", true, 1)});
  const auto first = push_and_settle(actors, of_request("date"));
  CHECK(first.accepted);
  const auto again = push_and_settle(actors, of_request("date"));
  CHECK(again.accepted);
  CHECK(again.task_id == first.task_id);
  // Another one is, each time it comes.
  for (int i = 0; i < 2; ++i) {
    const auto other = push_and_settle(actors, of_request("date", 1));
    CHECK_FALSE(other.accepted);
    CHECK(other.task_id == first.task_id);
  }
  CHECK(actors.runner.started.size() == 1);
}

TEST_CASE("a batch of a request that is repeated after a part of it was taken is completed") {
  actor_fixture actors({actor_fixture::make_channel("default", false, 0)});
  const auto push = [&](uint32_t count) {
    std::vector<push_item> items;
    for (uint32_t i = 0; i < count; ++i)
      items.push_back(of_request("command " + std::to_string(i), i));
    const auto replies = actors.push_all(std::move(items));
    actors.settle();
    REQUIRE(replies->has_value());
    for (const auto& one : (*replies)->replies)
      CHECK(one.accepted);
  };
  push(30);
  push(50);
  push(50);
  CHECK(actors.status("default").counts.pending == 50);
}
