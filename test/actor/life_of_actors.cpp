// Channels that come and change, actors that die and come back, and the orderly end.
#include "actors/channel_plan.hpp"
#include "test/actor/actor_fixture.hpp"

#include <catch2/catch.hpp>

using namespace task_runner;
using namespace task_runner::test;

namespace {

std::shared_ptr<const actor_probe> probe_of(const actor_fixture& actors, const std::string& name) {
  for (const auto& probe : actors.probes.list())
    if (probe->name() == name)
      return probe;
  return nullptr;
}

channel_settings workers(uint32_t count) {
  channel_settings said;
  said.worker = count;
  return said;
}

} // namespace

TEST_CASE("a channel is created once, durably, and works at once") {
  actor_fixture actors;
  CHECK_FALSE(actors.create(actor_fixture::make_channel("mail", true, 3)).failure);
  const auto again = actors.create(actor_fixture::make_channel("mail", false, 1));
  REQUIRE(again.failure);
  CHECK(again.failure->code == error_code::conflict);
  const auto stored = actors.writer.store.load_channels();
  REQUIRE(stored);
  REQUIRE(stored->size() == 2);
  CHECK(stored->back().worker == 3u);
  actors.push(actors.item("date", "mail"));
  actors.settle();
  CHECK(actors.runner.started.size() == 1);
}

TEST_CASE("a channel with a bad name or too many workers is refused") {
  actor_fixture actors;
  CHECK(actors.create(actor_fixture::make_channel("no spaces", false, 1)).failure->code ==
        error_code::invalid_argument);
  CHECK(actors.create(actor_fixture::make_channel("mail", false, worker_max + 1)).failure->code ==
        error_code::out_of_range);
  CHECK_FALSE(actors.create(actor_fixture::make_channel("mail", false, worker_max)).failure);
}

TEST_CASE(
    "the INI changes the workers of a live channel, and the API's change stands until the INI changes") {
  channel_record stored = actor_fixture::make_channel("mail", false, 2);
  stored.from_ini.worker = 2;
  stored.worker = 7; // changed over the API since
  CHECK(merge_ini({{"mail", stored}}, {{"mail", workers(2)}}, 1).empty());
  const auto changed = merge_ini({{"mail", stored}}, {{"mail", workers(4)}}, 1);
  REQUIRE(changed.size() == 1);
  CHECK(changed[0].worker == 4u);

  actor_fixture actors({actor_fixture::make_channel("default", false, 1)});
  std::vector<push_item> items;
  for (int i = 0; i < 5; ++i)
    items.push_back(actors.item("command " + std::to_string(i)));
  actors.push_all(std::move(items));
  actors.settle();
  CHECK(actors.runner.started.size() == 1);
  caf::anon_send(actors.router_handle, apply_ini{{{"default", workers(3)}}});
  actors.settle();
  CHECK(actors.runner.started.size() == 3);
  caf::anon_send(actors.router_handle, apply_ini{{{"default", workers(1)}}});
  actors.settle();
  actors.runner.end(actors.runner.started[0].key, 0);
  actors.runner.end(actors.runner.started[1].key, 0);
  actors.settle();
  CHECK(actors.runner.started.size() == 3); // two of three slots were withdrawn
  actors.runner.end(actors.runner.started[2].key, 0);
  actors.settle();
  CHECK(actors.runner.started.size() == 4);
}

TEST_CASE("when one of a pair dies both come back, adopt what runs and run nothing twice") {
  actor_fixture actors({actor_fixture::make_channel("default", false, 1)});
  actors.push(actors.item("one"));
  actors.push(actors.item("two"));
  actors.settle();
  REQUIRE(actors.runner.started.size() == 1);
  actors.break_executor("default");
  CHECK(probe_of(actors, "queue:default")->restarts() == 1);
  CHECK(actors.runner.started.size() == 1);
  const auto status = actors.status("default");
  CHECK(status.counts.running == 1);
  CHECK(status.counts.pending == 1);
  actors.runner.end(actors.runner.started[0].key, 0);
  actors.settle();
  REQUIRE(actors.runner.started.size() == 2);
  CHECK(actors.runner.started[1].line == "two");
}

TEST_CASE("an end that came while the pair was down is settled by its recovery") {
  actor_fixture actors({actor_fixture::make_channel("default", false, 1)});
  const auto reply = actors.push(actors.item("one"));
  actors.settle();
  const auto key = actors.runner.started.at(0).key;
  caf::anon_send_exit(actors.bridge.executor_of("default"), caf::exit_reason::unhandled_exception);
  actors.bridge.detach("default");
  actors.runner.end(key, 5); // nobody is there to hear it
  actors.settle();
  const auto stored = actors.writer.store.find_task((*reply)->task_id);
  REQUIRE((stored && *stored));
  CHECK((*stored)->state == task_state::dead);
  CHECK((*stored)->last_outcome->code == 5);
  CHECK(actors.runner.forgotten == std::vector<attempt_key>{key});
}

TEST_CASE("a pair that dies too often stays down, and the channel says so") {
  actor_fixture actors(
      {actor_fixture::make_channel("default", false, 1), actor_fixture::make_channel("mail", false, 1)});
  for (size_t i = 0; i < restarts_max; ++i)
    actors.break_executor("mail");
  CHECK(probe_of(actors, "queue:mail")->restarts() == restarts_max);
  actors.break_executor("mail");
  const auto reply = actors.push(actors.item("date", "mail"));
  actors.settle();
  REQUIRE((reply->has_value() && (*reply)->failure));
  CHECK((*reply)->failure->code == error_code::unavailable);
  CHECK(actors.status("mail").failure);
  const auto other = actors.push(actors.item("date"));
  actors.settle();
  CHECK((*other)->accepted);
}

TEST_CASE("draining refuses pushes, starts nothing, and is over when the last command has ended") {
  actor_fixture actors({actor_fixture::make_channel("default", false, 1)});
  actors.push(actors.item("one"));
  actors.push(actors.item("two"));
  actors.settle();
  caf::anon_send(actors.supervisor_handle, drain{});
  actors.settle();
  CHECK_FALSE(actors.quiet);
  const auto refused = actors.push(actors.item("three"));
  actors.settle();
  CHECK((*refused)->failure->code == error_code::draining);
  CHECK(actors.create(actor_fixture::make_channel("mail", false, 1)).failure->code == error_code::draining);
  actors.runner.end(actors.runner.started.at(0).key, 0);
  actors.settle();
  CHECK(actors.quiet);
  CHECK(actors.runner.started.size() == 1);
  CHECK(actors.status("default").counts.pending == 1);
}

TEST_CASE("the daemon hears when an actor dies that it cannot live without") {
  actor_fixture actors;
  caf::anon_send_exit(actors.intake_handle, caf::exit_reason::unhandled_exception);
  actors.settle();
  CHECK(actors.died == "intake");
}

TEST_CASE("no queue or executor outlives the router") {
  actor_fixture actors;
  caf::anon_send_exit(actors.router_handle, caf::exit_reason::unhandled_exception);
  actors.settle();
  CHECK(actors.died == "router");
  CHECK(probe_of(actors, "queue:default") == nullptr);
  CHECK(probe_of(actors, "executor:default") == nullptr);
}

TEST_CASE("a request to an actor that is gone is answered, not forgotten") {
  actor_fixture actors;
  caf::anon_send_exit(actors.intake_handle, caf::exit_reason::user_shutdown);
  actors.settle();
  const auto reply = actors.push(actors.item("date"));
  actors.settle();
  REQUIRE((reply->has_value() && (*reply)->failure));
  CHECK((*reply)->failure->code == error_code::unavailable);
}

TEST_CASE("a status lists running, then pending in order, then delayed, and no more than asked") {
  actor_fixture actors({actor_fixture::make_channel("default", false, 1)});
  auto later = actors.item("later");
  later.delay_s = 1'000;
  actors.push(std::move(later));
  std::vector<push_item> items;
  for (int i = 0; i < 400; ++i) // more than the window holds
    items.push_back(actors.item("command " + std::to_string(i)));
  actors.push_all(std::move(items));
  actors.settle();
  const auto all = actors.status("default", 1'000);
  REQUIRE(all.tasks.size() == 401);
  for (size_t i = 0; i < 400; ++i)
    CHECK(all.tasks[i].name == "command " + std::to_string(i));
  CHECK(all.tasks[0].state == task_state::running);
  CHECK(all.tasks[400].name == "later");
  CHECK(actors.status("default", 10).tasks.size() == 10);
  CHECK(all.counts.pending == 399);
}
