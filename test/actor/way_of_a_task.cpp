// The way of a task through intake, router, queue and executor, message by message.
#include "test/actor/actor_fixture.hpp"

#include <catch2/catch.hpp>

using namespace task_runner;
using namespace task_runner::test;

namespace {

const task& only_insert(const std::vector<store_operation>& commit) {
  return std::get<insert_task>(commit.at(0)).value;
}

} // namespace

TEST_CASE("a push is answered after its commit, and not before") {
  actor_fixture actors;
  const auto reply = actors.push(actors.item("date"));
  CHECK_FALSE(reply->has_value());
  CHECK(actors.runner.started.empty());
  actors.settle();
  REQUIRE(reply->has_value());
  CHECK((*reply)->accepted);
  CHECK((*reply)->task_name == "date");
  REQUIRE(actors.runner.started.size() == 1);
  CHECK(actors.runner.started[0].line == "date");
  CHECK(actors.runner.started[0].key.task_id == (*reply)->task_id);
}

TEST_CASE("with a free worker, enqueue and lease share one commit") {
  actor_fixture actors;
  actors.push(actors.item("date"));
  actors.settle();
  REQUIRE(actors.writer.commits.size() == 1);
  CHECK(only_insert(actors.writer.commits[0]).state == task_state::running);
}

TEST_CASE("never more commands run than the channel has workers, and they run in order") {
  actor_fixture actors;
  std::vector<push_item> items;
  for (int i = 0; i < 6; ++i)
    items.push_back(actors.item("command " + std::to_string(i)));
  actors.push_all(std::move(items));
  actors.settle();
  for (size_t ended = 0; ended < 6; ++ended) {
    const size_t running = actors.runner.started.size() - ended;
    CHECK(running == std::min<size_t>(2, 6 - ended));
    CHECK(actors.runner.started.at(ended).line == "command " + std::to_string(ended));
    actors.runner.end(actors.runner.started.at(ended).key, 0);
    actors.settle();
  }
  const auto status = actors.status("default");
  CHECK(status.counts.finished == 6);
  CHECK(status.counts.running == 0);
  CHECK(actors.runner.forgotten.size() == 6);
}

TEST_CASE("the outcome stands in the store before the launcher may forget it") {
  actor_fixture actors;
  const auto reply = actors.push(actors.item("false"));
  actors.settle();
  const auto key = actors.runner.started.at(0).key;
  actors.writer.broken = true;
  actors.runner.end(key, 3);
  actors.settle();
  CHECK(actors.runner.forgotten.empty());
  actors.writer.broken = false;
  actors.pass(std::chrono::seconds(2));
  CHECK(actors.runner.forgotten == std::vector<attempt_key>{key});
  const auto stored = actors.writer.store.find_task((*reply)->task_id);
  REQUIRE((stored && *stored));
  CHECK((*stored)->state == task_state::dead);
  CHECK((*stored)->last_outcome->code == 3);
}

TEST_CASE("a push that cannot be committed is refused, and its worker is free again") {
  actor_fixture actors;
  actors.writer.broken = true;
  const auto refused = actors.push(actors.item("date"));
  actors.settle();
  REQUIRE(refused->has_value());
  REQUIRE((*refused)->failure);
  CHECK((*refused)->failure->code == error_code::unavailable);
  CHECK(actors.runner.started.empty());
  actors.writer.broken = false;
  actors.pass(std::chrono::seconds(2));
  const auto accepted = actors.push(actors.item("date"));
  actors.settle();
  CHECK((*accepted)->accepted);
  CHECK(actors.runner.started.size() == 1);
  CHECK(actors.status("default").counts.credit == 1);
}

TEST_CASE("a store whose queue is full refuses the push as overloaded") {
  actor_fixture actors;
  actors.writer.full = true;
  const auto refused = actors.push(actors.item("date"));
  actors.settle();
  REQUIRE((refused->has_value() && (*refused)->failure));
  CHECK((*refused)->failure->code == error_code::overloaded);
}

TEST_CASE("a duplicate in a distinct channel answers with its holder, pending and running") {
  actor_fixture actors({actor_fixture::make_channel("default", true, 1)});
  const auto running = actors.push(actors.item("date"));
  const auto pending = actors.push(actors.item("uptime"));
  actors.settle();
  const auto first = actors.push(actors.item("date"));
  const auto second = actors.push(actors.item("uptime"));
  actors.settle();
  CHECK_FALSE((*first)->accepted);
  CHECK_FALSE((*first)->failure);
  CHECK((*first)->task_id == (*running)->task_id);
  CHECK((*second)->task_id == (*pending)->task_id);
  actors.runner.end(actors.runner.started.at(0).key, 0);
  actors.settle();
  const auto again = actors.push(actors.item("date"));
  actors.settle();
  CHECK((*again)->accepted);
}

TEST_CASE("two equal pushes on their way to the store at once make one task") {
  actor_fixture actors({actor_fixture::make_channel("default", true, 1)});
  const auto one = actors.push(actors.item("date"));
  const auto two = actors.push(actors.item("date"));
  actors.settle();
  CHECK((*one)->accepted);
  CHECK_FALSE((*two)->accepted);
  CHECK((*two)->task_id == (*one)->task_id);
  CHECK(actors.runner.started.size() == 1);
  CHECK(actors.status("default").counts.credit == 0);
}

TEST_CASE("a batch for several channels is answered item by item, refusals included") {
  actor_fixture actors(
      {actor_fixture::make_channel("default", false, 1), actor_fixture::make_channel("mail", false, 1)});
  const auto answer = actors.push_all({actors.item("one"), actors.item("two", "mail"), actors.item(""),
                                       actors.item("four", "nowhere"), actors.item("five")});
  actors.settle();
  REQUIRE(answer->has_value());
  const auto& replies = (*answer)->replies;
  REQUIRE(replies.size() == 5);
  CHECK((replies[0].accepted && replies[0].task_name == "one"));
  CHECK((replies[1].accepted && replies[1].task_name == "two"));
  REQUIRE(replies[2].failure);
  CHECK(replies[2].failure->code == error_code::invalid_argument);
  REQUIRE(replies[3].failure);
  CHECK(replies[3].failure->code == error_code::not_found);
  CHECK((replies[4].accepted && replies[4].task_name == "five"));
}

TEST_CASE("a delayed task waits in its own channel and starts at its moment") {
  actor_fixture actors;
  auto later = actors.item("date");
  later.delay_s = 90;
  actors.push(std::move(later));
  actors.settle();
  CHECK(actors.status("default").counts.delayed == 1);
  actors.pass(std::chrono::seconds(89));
  CHECK(actors.runner.started.empty());
  actors.pass(std::chrono::seconds(2));
  actors.pass(std::chrono::seconds(31)); // the alarm looks at the clock every 30 s at the latest
  CHECK(actors.runner.started.size() == 1);
  CHECK(actors.status("default").counts.delayed == 0);
}

TEST_CASE("a message that a crash had decided is not taken in again") {
  actor_fixture actors;
  auto first = actors.item("date");
  first.origin = push_origin{7, 0};
  const auto accepted = actors.push(first);
  actors.settle();
  CHECK((*accepted)->accepted);
  const auto repeated = actors.push(first);
  actors.settle();
  CHECK_FALSE((*repeated)->accepted);
  CHECK_FALSE((*repeated)->failure);
  CHECK(actors.runner.started.size() == 1);
}
