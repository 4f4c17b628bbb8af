// Why a task does not run: what the router answers itself, and that every way of asking has an answer.
// What the queues say is tried in test/property.
#include "test/actor/actor_fixture.hpp"

#include <catch2/catch.hpp>

using namespace task_runner;
using namespace task_runner::test;

namespace {

std::string push_one(actor_fixture& actors, push_item item) {
  const auto reply = actors.push(std::move(item));
  actors.settle();
  REQUIRE(reply->has_value());
  REQUIRE_FALSE((*reply)->failure);
  return (*reply)->task_id;
}

explanation_reply why(actor_fixture& actors, const std::string& id) {
  const auto answer = actors.request<explanation_reply>(explain_task{id});
  actors.settle();
  REQUIRE(answer->has_value());
  return **answer;
}

std::string reason(actor_fixture& actors, const std::string& id) {
  const auto reply = why(actors, id);
  REQUIRE_FALSE(reply.failure);
  CHECK(reply.value.id == id);
  return std::string(to_string(reply.why.reason));
}

} // namespace

TEST_CASE("a task is explained by its queue while it lives, and by the store when it has ended") {
  actor_fixture actors({actor_fixture::make_channel("default", false, 1)});
  const auto first = push_one(actors, actors.item("first"));
  const auto second = push_one(actors, actors.item("second"));
  CHECK(reason(actors, first) == "starting");
  attempt_started started;
  started.key = {first, 1};
  started.channel = "default";
  started.pid = 1;
  started.started_at_ms = actors.clock.now;
  actors.runner.events->on_started(started);
  CHECK(reason(actors, first) == "running");
  const auto waits = why(actors, second);
  CHECK(waits.why.reason == wait_reason::behind_others);
  CHECK(waits.why.position == 1U);
  REQUIRE(waits.why.blocked_by.size() == 2);
  CHECK(waits.why.blocked_by[1].name == first);
  actors.runner.end({first, 1}, 0);
  actors.settle();
  CHECK(reason(actors, first) == "finished");
  actors.act(task_verb::cancel, second);
  CHECK(reason(actors, second) == "cancelled");
  const auto none = why(actors, "nobody");
  REQUIRE(none.failure);
  CHECK(none.failure->code == error_code::not_found);
}

TEST_CASE("a task behind the limit over all channels is told how much of it is in use") {
  actor_fixture actors(
      {actor_fixture::make_channel("default", false, 2), actor_fixture::make_channel("mail", false, 2)}, 1);
  push_one(actors, actors.item("runs"));
  const auto waits = push_one(actors, actors.item("waits", "mail"));
  const auto told = why(actors, waits);
  CHECK(told.why.reason == wait_reason::running_limit);
  REQUIRE(told.why.blocked_by.size() == 1);
  CHECK(told.why.blocked_by[0].value == 1);
  CHECK(told.why.blocked_by[0].used == 1U);
}

TEST_CASE("a store that cannot be read, or has no room for the question, is the answer") {
  actor_fixture actors;
  const auto id = push_one(actors, actors.item("one"));
  actors.writer.unreadable = true;
  const auto unread = why(actors, id);
  REQUIRE(unread.failure);
  CHECK(unread.failure->code == error_code::unavailable);
  actors.writer.unreadable = false;
  actors.writer.full = true;
  const auto refused = why(actors, id);
  REQUIRE(refused.failure);
  CHECK(refused.failure->code == error_code::overloaded);
  actors.writer.full = false;
}

TEST_CASE("a task is explained while the queue of its channel dies, and starts again") {
  actor_fixture actors;
  const auto id = push_one(actors, actors.item("one"));
  SECTION("the queue has not read its channel yet") {
    const auto answer = actors.request<explanation_reply>(explain_task{id});
    caf::anon_send_exit(actors.bridge.executor_of("default"), caf::exit_reason::unhandled_exception);
    actors.run_actors(); // the store has not worked yet
    CHECK_FALSE(answer->has_value());
    actors.settle();
    REQUIRE(answer->has_value());
    REQUIRE_FALSE((*answer)->failure);
    CHECK((*answer)->why.reason == wait_reason::recovering);
  }
  SECTION("the queue is gone when it is asked") {
    const auto answer = actors.request<explanation_reply>(explain_task{id});
    caf::anon_send_exit(actors.bridge.executor_of("default"), caf::exit_reason::unhandled_exception);
    auto& coordinator = dynamic_cast<caf::scheduler::test_coordinator&>(actors.system->scheduler());
    coordinator.run_once(); // the executor ends, and the router has not heard of it
    actors.writer.work();
    actors.run_actors();
    REQUIRE(answer->has_value());
    REQUIRE_FALSE((*answer)->failure);
    CHECK((*answer)->value.id == id);
    CHECK((*answer)->why.reason == wait_reason::recovering);
    CHECK((*answer)->why.state == task_state::running);
  }
  SECTION("the store cannot be read for a while") {
    actors.writer.unreadable = true;
    actors.break_executor("default");
    actors.writer.unreadable = false;
    const auto told = why(actors, id);
    REQUIRE_FALSE(told.failure);
    CHECK(told.why.reason == wait_reason::store_unavailable);
    REQUIRE(told.why.blocked_by.size() == 1);
    CHECK(told.why.blocked_by[0].what == blocker::kind::store);
  }
  actors.pass(std::chrono::seconds(2));
  CHECK(reason(actors, id) == "running"); // the launcher says so
}

TEST_CASE("a task of a channel whose actors die too often is told that") {
  actor_fixture actors;
  const auto id = push_one(actors, actors.item("one"));
  for (size_t i = 0; i <= restarts_max; ++i)
    actors.break_executor("default");
  const auto told = why(actors, id);
  REQUIRE_FALSE(told.failure);
  CHECK(told.why.reason == wait_reason::channel_down);
  CHECK(told.why.state == task_state::running);
  REQUIRE(told.why.blocked_by.size() == 1);
  CHECK(told.why.blocked_by[0].condition == "down");
}

TEST_CASE("what stays unknown to the queue however often it is read is told as that") {
  actor_fixture actors;
  task value;
  value.id = "unheard";
  value.channel = "default";
  value.name = "true";
  value.created_at_ms = actors.clock.now;
  REQUIRE(actors.writer.store.apply({insert_task{value, {}}}));
  CHECK(reason(actors, "unheard") == "unnoticed");
}
