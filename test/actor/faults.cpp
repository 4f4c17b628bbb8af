// What goes wrong around the actors: the store away at the recovery, the launcher's client full, processes
// that vanish, a clock that is set, a stop that cannot wait.
#include "actors/clock_keeper.hpp"
#include "actors/daemon_report.hpp"
#include "test/actor/actor_fixture.hpp"

#include <catch2/catch.hpp>

using namespace task_runner;
using namespace task_runner::test;

TEST_CASE("a channel whose store is busy at the recovery tries again, and refuses meanwhile") {
  actor_fixture actors({actor_fixture::make_channel("default", false, 1)});
  const auto first = actors.push(actors.item("one"));
  actors.settle();
  actors.writer.unreadable = true;
  actors.break_executor("default");
  for (int i = 0; i < 20; ++i) {
    const auto refused = actors.push(actors.item("two"));
    actors.settle();
    REQUIRE((refused->has_value() && (*refused)->failure));
    CHECK((*refused)->failure->code == error_code::unavailable);
    CHECK(actors.status("default").failure);
    actors.pass(std::chrono::seconds(1));
  }
  CHECK(actors.facts->failed().empty());
  actors.writer.unreadable = false;
  actors.pass(std::chrono::seconds(2));
  CHECK(actors.status("default").counts.running == 1);
  actors.runner.end(actors.runner.started.at(0).key, 0);
  actors.settle();
  CHECK(actors.stored((*first)->task_id).state == task_state::finished);
  const auto accepted = actors.push(actors.item("two"));
  actors.settle();
  CHECK((*accepted)->accepted);
}

TEST_CASE("an attempt for which the launcher's client has no room waits, and is not lost") {
  actor_fixture actors({actor_fixture::make_channel("default", false, 3)});
  actors.runner.full = true;
  const auto one = actors.push(actors.item("one"));
  const auto two = actors.push(actors.item("two"));
  actors.settle();
  actors.pass(std::chrono::seconds(61)); // two checks see that the attempts wait
  CHECK(actors.status("default").counts.running == 2);
  const auto cancelled = actors.act(task_verb::cancel, (*one)->task_id);
  REQUIRE((cancelled->has_value() && (*cancelled)->value));
  CHECK((*cancelled)->value->state == task_state::cancelled);
  actors.runner.full = false;
  actors.pass(std::chrono::seconds(1));
  REQUIRE(actors.runner.started.size() == 1);
  CHECK(actors.runner.started[0].key == attempt_key{(*two)->task_id, 1});
  CHECK(actors.status("default").counts.lost == 0);
}

TEST_CASE(
    "an attempt that had not been handed over when its actors died is handed over by their successors") {
  actor_fixture actors({actor_fixture::make_channel("default", false, 1)});
  actors.runner.full = true;
  push_item item = actors.item("one");
  item.options.delivery = delivery_kind::at_most_once;
  const auto reply = actors.push(std::move(item));
  actors.settle();
  for (int i = 0; i < 4; ++i)
    actors.break_executor("default");
  const auto id = (*reply)->task_id;
  SECTION("the launcher is the same") {
    actors.runner.full = false;
    actors.pass(std::chrono::seconds(1));
    REQUIRE(actors.runner.started.size() == 1);
    CHECK(actors.runner.started[0].key == attempt_key{id, 1});
    CHECK(actors.stored(id).recoveries == 0);
    CHECK(actors.status("default").counts.lost == 0);
  }
  SECTION("it is another one, which cannot tell") {
    actors.runner.launcher = 2;
    actors.break_executor("default");
    CHECK(actors.runner.started.empty());
    CHECK(actors.stored(id).state == task_state::dead);
  }
}

TEST_CASE("an attempt that nobody runs any more is found by the check and run again") {
  actor_fixture actors({actor_fixture::make_channel("default", false, 1)});
  const auto reply = actors.push(actors.item("one"));
  actors.settle();
  actors.runner.known.clear(); // as if the launcher had forgotten it
  actors.pass(std::chrono::seconds(31));
  actors.pass(std::chrono::seconds(31));
  REQUIRE(actors.runner.started.size() == 2);
  CHECK(actors.runner.started[1].key == attempt_key{(*reply)->task_id, 2});
  CHECK(actors.status("default").counts.repairs > 0);
  CHECK(actors.stored((*reply)->task_id).recoveries == 1);
}

TEST_CASE("an end that was never heard of is found by the check") {
  actor_fixture actors({actor_fixture::make_channel("default", false, 1)});
  const auto reply = actors.push(actors.item("one"));
  actors.settle();
  const auto key = actors.runner.started.at(0).key;
  const auto executor = actors.bridge.executor_of("default");
  actors.bridge.detach("default");
  actors.runner.end(key, 7); // nobody hears it
  actors.bridge.attach("default", executor);
  actors.pass(std::chrono::seconds(31));
  actors.pass(std::chrono::seconds(31));
  const auto stored = actors.stored((*reply)->task_id);
  CHECK(stored.state == task_state::dead);
  CHECK(stored.last_outcome->code == 7);
}

TEST_CASE("a task that was stored unheard in an idle channel is found by the checks and run") {
  actor_fixture actors({actor_fixture::make_channel("default", false, 1)});
  actors.writer.unheard = true;
  const auto refused = actors.push(actors.item("one"));
  actors.settle();
  REQUIRE((refused->has_value() && (*refused)->failure));
  actors.writer.unheard = false;
  actors.pass(std::chrono::seconds(31));
  CHECK(actors.runner.started.empty());
  actors.pass(std::chrono::seconds(31));
  REQUIRE(actors.runner.started.size() == 1);
  CHECK(actors.runner.started[0].line == "one");
  CHECK(actors.status("default").counts.repairs == 1);
}

TEST_CASE("an idle queue is not woken by checks") {
  actor_fixture actors;
  const auto handled = [&] {
    uint64_t sum = 0;
    for (const auto& probe : actors.probes.list())
      if (probe->name() == "queue:default")
        for (size_t kind = 0; kind < probe->message_kinds().size(); ++kind)
          sum += probe->handled(kind);
    return sum;
  };
  actors.push(actors.item("one"));
  actors.settle();
  actors.runner.end(actors.runner.started.at(0).key, 0);
  actors.settle();
  actors.pass(std::chrono::seconds(31)); // the check that was armed while it ran
  const auto before = handled();
  for (int i = 0; i < 10; ++i)
    actors.pass(std::chrono::seconds(60));
  CHECK(handled() == before);
}

TEST_CASE("delays move along when the clock is set, and end after the time they were given") {
  actor_fixture actors;
  auto later = actors.item("later");
  later.delay_s = 100;
  actors.push(std::move(later));
  auto moment = actors.item("moment");
  moment.not_before_ms = actors.clock.now + 100'000;
  actors.push(std::move(moment));
  actors.settle();
  constexpr int64_t day_ms = 86'400'000;
  actors.clock.now += day_ms;
  REQUIRE(actors.writer.store.apply({adjust_clock{day_ms, clock_mark{"boot", day_ms}}}));
  caf::anon_send(actors.router_handle, clock_adjusted{day_ms});
  actors.settle();
  actors.pass(std::chrono::seconds(31)); // the alarm looks at least this often
  REQUIRE(actors.runner.started.size() == 1);
  CHECK(actors.runner.started[0].line == "moment"); // a moment is a moment of the clock
  actors.pass(std::chrono::seconds(31));
  actors.pass(std::chrono::seconds(31));
  CHECK(actors.runner.started.size() == 1);
  actors.pass(std::chrono::seconds(31));
  CHECK(actors.runner.started.size() == 2);
}

TEST_CASE("a clock that was set back keeps nobody waiting longer than asked") {
  actor_fixture actors;
  auto later = actors.item("later");
  later.delay_s = 20;
  actors.push(std::move(later));
  actors.settle();
  constexpr int64_t day_ms = 86'400'000;
  actors.clock.now -= day_ms;
  REQUIRE(actors.writer.store.apply({adjust_clock{-day_ms, clock_mark{"boot", -day_ms}}}));
  caf::anon_send(actors.router_handle, clock_adjusted{-day_ms});
  actors.settle();
  actors.pass(std::chrono::seconds(21));
  CHECK(actors.runner.started.size() == 1);
}

TEST_CASE("stopping now cancels what runs, starts nothing more, and leaves what waits for the next start") {
  actor_fixture actors({actor_fixture::make_channel("default", false, 2)});
  std::vector<std::shared_ptr<std::optional<push_reply>>> replies;
  for (int i = 0; i < 4; ++i)
    replies.push_back(actors.push(actors.item("command " + std::to_string(i))));
  actors.settle();
  caf::anon_send(actors.supervisor_handle, stop_now{});
  actors.settle();
  CHECK(actors.quiet);
  CHECK(actors.runner.stopped.size() == 2);
  CHECK(actors.runner.started.size() == 2);
  for (const size_t i : {0, 1}) {
    CHECK(actors.stored((*replies[i])->task_id).state == task_state::cancelled);
    CHECK(actors.stored((*replies[i])->task_id).last_outcome->kind == outcome_kind::cancelled);
  }
  for (const size_t i : {2, 3})
    CHECK(actors.stored((*replies[i])->task_id).state == task_state::pending);
  const auto refused = actors.push(actors.item("more"));
  actors.settle();
  CHECK((*refused)->failure->code == error_code::draining);
}

TEST_CASE("a drain becomes a stop when that is asked for later") {
  actor_fixture actors({actor_fixture::make_channel("default", false, 1)});
  actors.push(actors.item("long"));
  actors.settle();
  caf::anon_send(actors.supervisor_handle, drain{});
  actors.settle();
  CHECK_FALSE(actors.quiet);
  CHECK(actors.runner.stopped.empty());
  caf::anon_send(actors.supervisor_handle, stop_now{});
  actors.settle();
  CHECK(actors.quiet);
  CHECK(actors.runner.stopped.size() == 1);
}

TEST_CASE("a channel that has failed is among the facts that readiness reads") {
  actor_fixture actors(
      {actor_fixture::make_channel("default", false, 1), actor_fixture::make_channel("mail", false, 3)});
  CHECK(actors.facts->workers() == 4);
  for (size_t i = 0; i <= restarts_max; ++i)
    actors.break_executor("mail");
  CHECK(actors.facts->failed() == std::vector<std::string>{"mail"});
  const auto answer = actors.change("mail", [](channel_record& record) { record.worker = 9; });
  REQUIRE(answer.status);
  CHECK(answer.status->failure);
  CHECK(actors.facts->workers() == 10);
}

namespace {

/// A writer that does its work at once.
class prompt_writer final : public store_writer {
public:
  result<void> submit(std::vector<store_operation> operations, store_completion done) override {
    done(broken ? result<std::vector<store_answer>>(error{error_code::unavailable, "broken"})
                : store.apply(operations));
    return {};
  }
  result<void> read(store_read_job job) override {
    job(store);
    return {};
  }

  memory_store store;
  bool broken = false;
};

int64_t difference(const clock_mark& before, const clock_mark& now) {
  return before.boot_id == now.boot_id ? now.offset_ms - before.offset_ms : 0;
}

} // namespace

TEST_CASE("a step of the clock while the daemon was down is found at its start") {
  prompt_writer writer;
  task delayed;
  delayed.id = "later";
  delayed.channel = "default";
  delayed.name = "date";
  delayed.state = task_state::delayed;
  delayed.not_before_ms = 1'000'000;
  delayed.delay_is_relative = true;
  REQUIRE(writer.store.apply({insert_task{delayed, std::nullopt}}));
  const auto moment = [&] { return (*writer.store.find_task("later"))->not_before_ms; };
  REQUIRE(settle_clock(writer, {"boot 1", 500}, difference)); // the first start leaves the mark
  CHECK(moment() == 1'000'000);
  REQUIRE(settle_clock(writer, {"boot 1", 5'500}, difference));
  CHECK(moment() == 1'005'000);
  REQUIRE(settle_clock(writer, {"boot 1", 5'500}, difference));
  CHECK(moment() == 1'005'000);
  REQUIRE(settle_clock(writer, {"boot 2", 99'000}, difference)); // another boot cannot be compared
  CHECK(moment() == 1'005'000);
  CHECK((*writer.store.load_clock())->boot_id == "boot 2");
  int64_t moved = 0;
  writer.broken = true;
  CHECK_FALSE(take_clock_step(writer, 70, {"boot 2", 99'070}, [&](int64_t step) { moved = step; }));
  CHECK(moved == 0);
  writer.broken = false;
  CHECK(take_clock_step(writer, 70, {"boot 2", 99'070}, [&](int64_t step) { moved = step; }));
  CHECK(moved == 70);
  CHECK(moment() == 1'005'070);
  CHECK((*writer.store.load_clock())->offset_ms == 99'070);
}

TEST_CASE("the daemon is ready when all is well, and says what is not") {
  daemon_report report;
  report.launcher.connected = true;
  const auto unwell = [&] {
    std::vector<std::string> names;
    for (const auto& check : check_health(report))
      if (!check.healthy) {
        CHECK_FALSE(check.reason.empty());
        names.push_back(check.name);
      } else {
        CHECK(check.reason.empty());
      }
    return names;
  };
  source_status redis;
  redis.name = "redis";
  redis.last_error = "connection refused";
  report.sources = {redis};
  CHECK(unwell().empty()); // a broker that never was there is not missed
  report.sources_worked = {"redis"};
  report.draining = true;
  report.store.last_commit_failed = true;
  report.store.last_error = "disk full";
  report.launcher.connected = false;
  report.failed_channels = {"mail"};
  CHECK(unwell() == std::vector<std::string>{"daemon", "store", "launcher", "channel mail", "redis"});
}
