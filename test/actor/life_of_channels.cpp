// Channels while they live: settings changed in the run, pause, drain, removal, the common limit.
#include "actors/channel_plan.hpp"
#include "test/actor/actor_fixture.hpp"

#include <catch2/catch.hpp>

using namespace task_runner;
using namespace task_runner::test;

namespace {

void push_many(actor_fixture& actors, const std::string& channel, int count) {
  std::vector<push_item> items;
  for (int i = 0; i < count; ++i)
    items.push_back(actors.item("command " + std::to_string(i), channel));
  actors.push_all(std::move(items));
  actors.settle();
}

/// Ends what runs, oldest first, until nothing is left; answers how many have ever been started.
size_t run_dry(actor_fixture& actors) {
  for (size_t i = 0; i < actors.runner.started.size(); ++i) {
    const auto key = actors.runner.started[i].key;
    if (actors.runner.known.count(key) == 0)
      continue; // it ended before
    actors.runner.end(key, 0);
    actors.settle();
  }
  return actors.runner.started.size();
}

std::shared_ptr<std::optional<channel_reply>> act(actor_fixture& actors, channel_verb verb,
                                                  int64_t wait_ms = 0) {
  auto answer = actors.request<channel_reply>(act_on_channel{"default", verb, wait_ms});
  actors.settle();
  return answer;
}

channel_record stored_channel(actor_fixture& actors, const std::string& name) {
  const auto channels = actors.writer.store.load_channels();
  REQUIRE(channels);
  for (const auto& record : *channels)
    if (record.name == name)
      return record;
  FAIL("no such channel in the store");
  return {};
}

} // namespace

TEST_CASE("the number of workers changes in the run, down to none and up again, and stays") {
  actor_fixture actors({actor_fixture::make_channel("default", false, 2)});
  push_many(actors, "default", 6);
  CHECK(actors.runner.started.size() == 2);
  const auto none = actors.change("default", [](channel_record& record) { record.worker = 0; });
  REQUIRE(none.status);
  CHECK(none.status->worker == 0);
  CHECK(stored_channel(actors, "default").worker == 0u);
  for (const size_t i : {0, 1})
    actors.runner.end(actors.runner.started[i].key, 0);
  actors.settle();
  CHECK(actors.runner.started.size() == 2);
  CHECK(actors.status("default").counts.pending == 4);
  const auto some = actors.change("default", [](channel_record& record) { record.worker = 3; });
  REQUIRE(some.status);
  CHECK(actors.runner.started.size() == 5);
  CHECK(run_dry(actors) == 6);
}

TEST_CASE("a change that the store does not take is refused and not in force") {
  actor_fixture actors({actor_fixture::make_channel("default", false, 1)});
  actors.writer.broken = true;
  const auto answer = actors.change("default", [](channel_record& record) { record.worker = 5; });
  REQUIRE(answer.failure);
  CHECK(answer.failure->code == error_code::unavailable);
  actors.writer.broken = false;
  CHECK(actors.status("default").worker == 1);
  push_many(actors, "default", 3);
  CHECK(actors.runner.started.size() == 1);
}

TEST_CASE("two changes at once are made one after the other, and none is lost") {
  actor_fixture actors({actor_fixture::make_channel("default", false, 1)});
  const auto change = [&](auto apply) {
    return actors.request<channel_reply>(
        change_channel{"default", [apply](channel_record& record) -> result<void> {
                         apply(record);
                         return {};
                       }});
  };
  const auto one = change([](channel_record& record) { record.worker = 4; });
  const auto two = change([](channel_record& record) { record.weight = 7; });
  actors.settle();
  REQUIRE((one->has_value() && two->has_value()));
  const auto record = stored_channel(actors, "default");
  CHECK(record.worker == 4u);
  CHECK(record.weight == 7);
}

TEST_CASE("settings out of their range and changes that refuse themselves change nothing") {
  actor_fixture actors;
  const auto heavy = actors.change("default", [](channel_record& record) { record.weight = 0; });
  REQUIRE(heavy.failure);
  CHECK(heavy.failure->code == error_code::out_of_range);
  const auto attempts =
      actors.change("default", [](channel_record& record) { record.defaults.max_attempts = 0; });
  CHECK(attempts.failure);
  const auto refused = actors.request<channel_reply>(
      change_channel{"default", [](channel_record&) -> result<void> {
                       return error{error_code::invalid_argument, "unknown member"};
                     }});
  actors.settle();
  CHECK((*refused)->failure->message == "unknown member");
  CHECK(actors.change("nowhere", [](channel_record&) {}).failure->code == error_code::not_found);
}

TEST_CASE("the name and the origin of a channel cannot be changed") {
  actor_fixture actors;
  const auto answer = actors.change("default", [](channel_record& record) {
    record.name = "other";
    record.created_at_ms = 5;
  });
  REQUIRE(answer.status);
  CHECK(answer.status->record.name == "default");
  CHECK(answer.status->record.created_at_ms != 5);
}

TEST_CASE("defaults of a channel reach the command: its environment, its time and its grace") {
  actor_fixture actors;
  actors.change("default", [](channel_record& record) {
    record.defaults.timeout_ms = 60'000;
    record.defaults.grace_ms = 2'000;
    record.defaults.environment.directory = "/var/tmp";
    record.defaults.environment.variables = {{"A", "channel"}, {"B", "channel"}};
  });
  auto one = actors.item("env");
  one.options.timeout_ms = 5'000;
  one.options.environment.variables = {{"B", "task"}};
  actors.push(std::move(one));
  actors.settle();
  REQUIRE(actors.runner.started.size() == 1);
  const auto& start = actors.runner.started[0];
  CHECK(start.timeout_ms == 5'000);
  CHECK(start.grace_ms == 2'000);
  CHECK(start.environment.directory == "/var/tmp");
  REQUIRE(start.environment.variables.size() == 3);
  CHECK(start.environment.variables.back().second == "task"); // a later one wins
}

TEST_CASE("a paused channel accepts and starts nothing, over a restart too, until it is resumed") {
  actor_fixture actors({actor_fixture::make_channel("default", false, 1)});
  push_many(actors, "default", 1);
  const auto paused = act(actors, channel_verb::pause);
  REQUIRE((paused->has_value() && (*paused)->status));
  CHECK((*paused)->status->record.paused);
  CHECK(stored_channel(actors, "default").paused);
  push_many(actors, "default", 2);
  actors.runner.end(actors.runner.started.at(0).key, 0);
  actors.settle();
  actors.break_executor("default");
  CHECK(actors.runner.started.size() == 1);
  CHECK(actors.status("default").counts.pending == 2);
  act(actors, channel_verb::resume);
  CHECK(actors.runner.started.size() == 2);
  CHECK(run_dry(actors) == 3);
}

TEST_CASE("draining a channel is answered when nothing of it runs, or when the time is over") {
  actor_fixture actors({actor_fixture::make_channel("default", false, 1)});
  push_many(actors, "default", 2);
  const auto over = act(actors, channel_verb::drain, 4'000);
  CHECK_FALSE(over->has_value());
  actors.pass(std::chrono::seconds(5));
  REQUIRE((over->has_value() && (*over)->status));
  CHECK((*over)->status->counts.running == 1);
  const auto dry = act(actors, channel_verb::drain, 60'000);
  CHECK_FALSE(dry->has_value());
  actors.runner.end(actors.runner.started.at(0).key, 0);
  actors.settle();
  REQUIRE((dry->has_value() && (*dry)->status));
  CHECK((*dry)->status->counts.running == 0);
  CHECK((*dry)->status->counts.pending == 1);
  CHECK(actors.runner.started.size() == 1);
}

TEST_CASE("a channel that holds tasks is removed only by force, which cancels and kills") {
  actor_fixture actors(
      {actor_fixture::make_channel("default", false, 1), actor_fixture::make_channel("mail", false, 1)});
  push_many(actors, "mail", 3);
  auto later = actors.item("later", "mail");
  later.delay_s = 600;
  const auto delayed = actors.push(std::move(later));
  actors.settle();
  const auto refused = actors.remove("mail", false);
  REQUIRE(refused.failure);
  CHECK(refused.failure->code == error_code::conflict);
  const auto still = actors.push(actors.item("again", "mail"));
  actors.settle();
  CHECK((*still)->accepted);
  CHECK_FALSE(actors.remove("mail", true).failure);
  CHECK(actors.runner.stopped.size() == 1);
  CHECK(actors.stored((*delayed)->task_id).state == task_state::cancelled);
  CHECK(actors.stored((*still)->task_id).state == task_state::cancelled);
  const auto channels = actors.writer.store.load_channels();
  REQUIRE(channels);
  CHECK(channels->size() == 1);
  CHECK(actors.bridge.executor_of("mail") == nullptr);
  const auto gone = actors.push(actors.item("date", "mail"));
  actors.settle();
  CHECK((*gone)->failure->code == error_code::not_found);
  CHECK_FALSE(actors.create(actor_fixture::make_channel("mail", false, 1)).failure); // the name is free again
  push_many(actors, "mail", 1);
  CHECK(actors.status("mail").counts.running == 1);
}

TEST_CASE("a removal whose commands take their time is answered in time, and goes on") {
  actor_fixture actors(
      {actor_fixture::make_channel("default", false, 1), actor_fixture::make_channel("mail", false, 1)});
  actors.runner.obedient = false;
  push_many(actors, "mail", 1);
  const auto answer = actors.request<action_reply>(remove_channel_request{"mail", true});
  actors.settle();
  const auto refused = actors.push(actors.item("date", "mail"));
  actors.settle();
  CHECK((*refused)->failure->code == error_code::not_found);
  CHECK(actors.change("mail", [](channel_record&) {}).failure->code == error_code::conflict);
  actors.pass(std::chrono::seconds(26));
  REQUIRE((answer->has_value() && (*answer)->failure));
  CHECK((*answer)->failure->code == error_code::timeout);
  const auto second = actors.request<action_reply>(remove_channel_request{"mail", true});
  actors.settle();
  actors.runner.end(actors.runner.started.at(0).key, outcome{outcome_kind::cancelled, 0, {}});
  actors.settle();
  REQUIRE(second->has_value());
  CHECK_FALSE((*second)->failure);
  CHECK(actors.writer.store.load_channels()->size() == 1);
}

TEST_CASE("a removal whose queue dies is told so, and the channel stays") {
  actor_fixture actors(
      {actor_fixture::make_channel("default", false, 1), actor_fixture::make_channel("mail", false, 1)});
  actors.runner.obedient = false;
  push_many(actors, "mail", 1);
  const auto answer = actors.request<action_reply>(remove_channel_request{"mail", true});
  actors.settle();
  actors.break_executor("mail");
  REQUIRE((answer->has_value() && (*answer)->failure));
  CHECK((*answer)->failure->code == error_code::unavailable);
  CHECK(actors.status("mail").counts.running == 1);
  const auto accepted = actors.push(actors.item("date", "mail"));
  actors.settle();
  CHECK((*accepted)->accepted);
}

TEST_CASE("a removal that the store refuses at its end is told so, and the channel is at work again") {
  actor_fixture actors(
      {actor_fixture::make_channel("default", false, 1), actor_fixture::make_channel("mail", false, 1)});
  actors.writer.refuses = [](const store_operation& operation) {
    return std::holds_alternative<remove_channel>(operation);
  };
  const auto answer = actors.remove("mail", true);
  REQUIRE(answer.failure);
  CHECK(answer.failure->code == error_code::unavailable);
  push_many(actors, "mail", 1);
  CHECK(actors.status("mail").counts.running == 1);
  actors.writer.refuses = nullptr;
  CHECK_FALSE(actors.remove("mail", true).failure);
}

TEST_CASE("a removal waits for a store that fails for a moment") {
  actor_fixture actors(
      {actor_fixture::make_channel("default", false, 1), actor_fixture::make_channel("mail", false, 0)});
  push_many(actors, "mail", 3);
  actors.writer.broken = true;
  const auto answer = actors.request<action_reply>(remove_channel_request{"mail", true});
  actors.settle();
  CHECK_FALSE(answer->has_value());
  actors.writer.broken = false;
  actors.pass(std::chrono::seconds(2));
  REQUIRE(answer->has_value());
  CHECK_FALSE((*answer)->failure);
  CHECK(actors.writer.store.totals()->pending == 0);
}

TEST_CASE("the channel for pushes without a channel cannot be removed") {
  actor_fixture actors;
  CHECK(actors.remove("default", true).failure->code == error_code::conflict);
  CHECK(actors.remove("nowhere", false).failure->code == error_code::not_found);
}

TEST_CASE("the common limit of running commands is shared by weight, and is never passed") {
  auto heavy = actor_fixture::make_channel("heavy", false, 10);
  heavy.weight = 3;
  auto light = actor_fixture::make_channel("light", false, 10);
  actor_fixture actors({actor_fixture::make_channel("default", false, 1), heavy, light}, 4);
  push_many(actors, "light", 12);
  push_many(actors, "heavy", 12);
  CHECK(actors.runner.started.size() == 4);
  size_t running_heavy = 0;
  size_t most = 0;
  for (size_t ended = 0; ended < actors.runner.started.size(); ++ended) {
    most = std::max(most, actors.runner.started.size() - ended);
    if (ended == 10) // both have wanted slots for a while
      for (size_t i = ended; i < actors.runner.started.size(); ++i)
        running_heavy += actors.runner.started[i].channel == "heavy" ? 1 : 0;
    actors.runner.end(actors.runner.started[ended].key, 0);
    actors.settle();
  }
  CHECK(actors.runner.started.size() == 24);
  CHECK(most == 4);
  CHECK(running_heavy == 3);
}

TEST_CASE("slots of a channel whose actors died, or that was removed, come back") {
  actor_fixture actors(
      {actor_fixture::make_channel("default", false, 5), actor_fixture::make_channel("mail", false, 5)}, 2);
  push_many(actors, "mail", 2);
  push_many(actors, "default", 3);
  CHECK(actors.runner.started.size() == 2);
  actors.break_executor("mail");
  CHECK(actors.runner.started.size() == 2); // what runs keeps its slots
  CHECK_FALSE(actors.remove("mail", true).failure);
  CHECK(actors.runner.started.size() == 4);
  CHECK(actors.status("default").counts.running == 2);
}

TEST_CASE("each member of an INI section counts where it differs from what it said last time") {
  channel_record stored = actor_fixture::make_channel("mail", false, 2);
  stored.from_ini.worker = 2;
  stored.from_ini.weight = 5;
  stored.weight = 9; // changed over the API since
  stored.from_ini.defaults.timeout_ms = 1'000;
  stored.defaults.timeout_ms = 1'000;
  stored.from_ini.defaults.environment.limits.cpu_s = 7;
  stored.defaults.environment.limits.cpu_s = 8;
  channel_settings said = stored.from_ini;
  CHECK(merge_ini({{"mail", stored}}, {{"mail", said}}, 1).empty());
  said.defaults.timeout_ms.reset();
  said.defaults.max_attempts = 4;
  said.tasks_max = 100;
  said.distinct = distinct_mode::while_pending;
  const auto changed = merge_ini({{"mail", stored}}, {{"mail", said}}, 1);
  REQUIRE(changed.size() == 1);
  const auto& record = changed[0];
  CHECK(record.weight == 9);
  CHECK(record.worker == 2u);
  CHECK_FALSE(record.defaults.timeout_ms);
  CHECK(record.defaults.max_attempts == 4u);
  CHECK(record.defaults.environment.limits.cpu_s == 8u);
  CHECK(record.tasks_max == 100u);
  CHECK(record.distinct == distinct_mode::while_pending);
  CHECK(record.from_ini == said);
  CHECK(workers_of({{"mail", record}, {"other", {}}}, 5) == 7);
}
