// slot_allocator: whatever channels want, shares follow weights, no slot idles that somebody wants, and
// nobody waits for ever.
#include "actors/slot_allocator.hpp"

#include <catch2/catch.hpp>

#include <iterator>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

using namespace task_runner;

namespace {

/// Channels that run commands on the slots they are granted, without delay in between.
class slot_world {
public:
  explicit slot_world(uint64_t capacity)
      : allocator(capacity) {}

  void add(const std::string& name, uint32_t weight) { take(allocator.set_weight(name, weight)); }

  void want(const std::string& name, uint64_t wanted) {
    wanted_[name] = wanted;
    take(allocator.report(name, {std::nullopt, 0, wanted}));
  }

  /// A command of the channel ends; it wants as much as before.
  void end(const std::string& name) {
    --running_[name];
    take(allocator.report(name, {std::nullopt, 1, wanted_[name]}));
  }

  uint64_t running(const std::string& name) { return running_[name]; }
  uint64_t starts(const std::string& name) { return starts_[name]; }

  slot_allocator allocator;

private:
  void take(const std::vector<slot_grant>& grants) {
    for (const auto& one : grants) {
      running_[one.channel] += one.slots;
      starts_[one.channel] += one.slots;
    }
  }

  std::map<std::string, uint64_t> wanted_;
  std::map<std::string, uint64_t> running_;
  std::map<std::string, uint64_t> starts_;
};

constexpr uint64_t plenty = 1'000;

} // namespace

TEST_CASE("after a start nothing is granted before every channel has said what it runs") {
  slot_allocator allocator(4);
  for (const char* name : {"a", "b"}) {
    allocator.await_report(name);
    CHECK(allocator.set_weight(name, 1).empty());
  }
  CHECK(allocator.report("a", {uint64_t{0}, 0, 4}).empty());
  std::vector<slot_grant> grants;
  SECTION("three of its commands have outlived the daemon") {
    grants = allocator.report("b", {uint64_t{3}, 0, 3});
    REQUIRE(grants.size() == 1);
    CHECK(grants[0].slots == 1);
    CHECK(allocator.granted() == 4);
  }
  SECTION("it cannot be read") {
    grants = allocator.report("b", {});
    REQUIRE(grants.size() == 1);
    CHECK(grants[0].slots == 4);
  }
  SECTION("it is removed") {
    grants = allocator.remove("b");
    REQUIRE(grants.size() == 1);
    CHECK(grants[0].slots == 4);
  }
  CHECK(grants[0].channel == "a");
}

TEST_CASE("one channel may have every slot") {
  slot_world world(5);
  world.add("a", 1);
  world.add("b", 100);
  world.want("a", plenty);
  CHECK(world.running("a") == 5);
  CHECK(world.allocator.granted() == 5);
}

TEST_CASE("shares follow the weights of those who want more") {
  slot_world world(12);
  world.add("a", 1);
  world.add("b", 2);
  world.add("c", 3);
  world.want("a", plenty); // takes all; nothing is taken back
  world.want("b", plenty);
  world.want("c", plenty);
  CHECK(world.running("a") == 12);
  for (int i = 0; i < 100; ++i)
    for (const std::string name : {"a", "b", "c"})
      if (world.running(name) > 0)
        world.end(name);
  CHECK(world.running("a") == 2);
  CHECK(world.running("b") == 4);
  CHECK(world.running("c") == 6);
}

TEST_CASE("what one leaves is shared among the others by their weights") {
  slot_world world(10);
  world.add("a", 5);
  world.add("b", 1);
  world.add("c", 2);
  world.want("a", 1); // wants far less than its share
  world.want("b", plenty);
  world.want("c", plenty);
  for (int i = 0; i < 100; ++i)
    for (const std::string name : {"b", "c"})
      if (world.running(name) > 0)
        world.end(name);
  CHECK(world.running("a") == 1);
  CHECK(world.running("b") == 3);
  CHECK(world.running("c") == 6);
}

TEST_CASE("with fewer slots than channels turns are taken as often as weights say") {
  slot_world world(1);
  world.add("heavy", 3);
  world.add("light", 1);
  world.want("heavy", plenty);
  world.want("light", plenty);
  for (int i = 0; i < 400; ++i)
    world.end(world.running("heavy") > 0 ? "heavy" : "light");
  CHECK(world.starts("light") >= 99);
  CHECK(world.starts("light") <= 102);
  CHECK(world.starts("heavy") >= 299);
}

TEST_CASE("many short commands of a heavy channel starve no light one, nor one that comes late") {
  slot_world world(2);
  world.add("heavy", 1'000);
  world.add("light", 1);
  world.want("heavy", plenty);
  world.want("light", plenty);
  for (int i = 0; i < 20'000; ++i)
    world.end("heavy");
  CHECK(world.starts("light") >= 1);
  world.add("late", 1);
  world.want("late", plenty);
  uint64_t ended = 0;
  for (; world.starts("late") == 0 && ended < 10'000; ++ended)
    world.end(ended % 10 == 9 && world.running("light") > 0 ? "light" : "heavy");
  CHECK(world.starts("late") >= 1);
}

TEST_CASE("a lower limit waits until enough has come back") {
  slot_world world(4);
  world.add("a", 1);
  world.want("a", plenty);
  CHECK(world.allocator.set_capacity(2).empty());
  CHECK(world.allocator.granted() == 4);
  world.end("a");
  world.end("a");
  CHECK(world.running("a") == 2);
  world.end("a");
  CHECK(world.running("a") == 2);
  const auto more = world.allocator.set_capacity(3);
  REQUIRE(more.size() == 1);
  CHECK(more.front().slots == 1);
}

TEST_CASE("a queue that begins anew reports what runs, and what it was granted before is forgotten") {
  slot_allocator allocator(4);
  allocator.set_weight("a", 1);
  CHECK(allocator.report("a", {std::nullopt, 0, 4}).front().slots == 4);
  CHECK(allocator.queue_lost("a").empty());
  CHECK(allocator.granted_to("a") == 4); // its commands go on
  const auto grants = allocator.report("a", {uint64_t{1}, 0, 3});
  REQUIRE(grants.size() == 1);
  CHECK(grants.front().slots == 2);
  CHECK(allocator.granted() == 3);
}

TEST_CASE("a lost queue is granted nothing until it reports") {
  slot_allocator allocator(2);
  allocator.report("a", {std::nullopt, 0, 2});
  CHECK(allocator.report("b", {std::nullopt, 0, 2}).empty());
  allocator.queue_lost("b");
  CHECK(allocator.report("a", {std::nullopt, 1, 1}).empty());
  CHECK(allocator.report("b", {uint64_t{0}, 0, 1}).front().channel == "b");
}

TEST_CASE("what a removed channel had goes to the others") {
  slot_allocator allocator(2);
  allocator.report("a", {std::nullopt, 0, 2});
  allocator.report("b", {std::nullopt, 0, 2});
  const auto grants = allocator.remove("a");
  REQUIRE(grants.size() == 1);
  CHECK(grants.front().channel == "b");
  CHECK(grants.front().slots == 2);
  CHECK(allocator.granted_to("a") == 0);
  CHECK(allocator.remove("nobody").empty());
}

TEST_CASE("whatever happens, the limit holds and no slot idles that is wanted") {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    INFO("seed " << seed);
    std::mt19937_64 engine(seed);
    const auto random = [&engine](uint64_t below) { return engine() % below; };
    slot_allocator allocator(1 + random(8));
    struct channel {
      uint64_t held = 0;
      uint64_t wanted = 0;
    };
    std::map<std::string, channel> channels;
    for (uint64_t i = 0; i < 2 + random(4); ++i) {
      const auto name = "channel-" + std::to_string(i);
      channels[name];
      allocator.set_weight(name, static_cast<uint32_t>(1 + random(5)));
    }
    for (int round = 0; round < 300; ++round) {
      auto at = channels.begin();
      std::advance(at, static_cast<std::ptrdiff_t>(random(channels.size())));
      auto& [name, of] = *at;
      slot_report report;
      if (of.held > 0 && random(3) > 0) {
        report.returned = 1 + random(of.held);
        of.held -= report.returned;
      }
      of.wanted = of.held + random(4);
      report.wanted = of.wanted;
      for (const auto& grant : allocator.report(name, report))
        channels.at(grant.channel).held += grant.slots;
      uint64_t held = 0;
      bool missing = false;
      for (auto& [one, state] : channels) {
        REQUIRE(allocator.granted_to(one) == state.held);
        REQUIRE((state.held <= state.wanted || one == name));
        held += state.held;
        missing = missing || state.wanted > state.held;
      }
      REQUIRE(held == allocator.granted());
      REQUIRE(held <= allocator.capacity());
      REQUIRE((!missing || held == allocator.capacity()));
    }
  }
}
