// Ending attempts before their time: cancellation, timeout, the outcome that follows, and what stays alone.
#include "test/service/launcher_support.hpp"
#include "test/service/launcher_trees.hpp"
#include "test/support/wait.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <csignal>
#include <iostream>
#include <sys/stat.h>
#include <unistd.h>

using namespace task_runner;
using namespace launcher_test;

namespace {

class stopwatch {
public:
  int64_t ms() const {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began_)
        .count();
  }

private:
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

const outcome cancelled{outcome_kind::cancelled, 0, {}};
const outcome timed_out{outcome_kind::timed_out, 0, {}};

void start_with(launcher_fixture& fixture, const std::string& id, const std::string& line, int64_t timeout_ms,
                int64_t grace_ms) {
  attempt_start wanted;
  wanted.key = {id, 1};
  wanted.channel = "default";
  wanted.line = line;
  wanted.timeout_ms = timeout_ms;
  wanted.grace_ms = grace_ms;
  REQUIRE(fixture.client().start(wanted));
}

} // namespace

TEST_CASE("an attempt is over when its time is", "[launcher][stop]") {
  for (const std::string containment : {"cgroup", "tag"}) {
    if (containment == "cgroup" && !cgroups_available())
      continue;
    INFO(containment);
    launcher_fixture fixture({"--containment", containment});
    const stopwatch watch;
    start_with(fixture, "obeys", "trap 'echo bye; exit 3' TERM; while :; do sleep 0.05; done", 300, 10'000);
    CHECK(fixture.await("obeys").how == timed_out);
    CHECK(watch.ms() >= 300);
    CHECK(watch.ms() < 9'000);
    // The whole tree was asked, so the shell may have a word about its sleep.
    const std::string said = fixture.output("obeys");
    CHECK(said.find("bye\n") != std::string::npos);

    const tree_register book;
    const stopwatch longer;
    start_with(fixture, "refuses",
               "trap '' TERM; (setsid sh -c 'echo $$ >>" + book.path() + "; sleep 300') & echo $$ >>" +
                   book.path() + "; while :; do sleep 0.05; done",
               300, 200);
    CHECK(fixture.await("refuses").how == timed_out);
    CHECK(longer.ms() >= 500);
    CHECK(longer.ms() < 10'000);
    CHECK(book.pids().size() == 2);
    CHECK(book.living().empty());

    // One that ends in time keeps its outcome, and the clock of a later one is its own.
    start_with(fixture, "quick", "exit 4", 60'000, 1'000);
    CHECK(fixture.await("quick").how == outcome{outcome_kind::exited, 4, {}});
  }
}

TEST_CASE("the outcome of a command that ended by itself stays its own", "[launcher][stop]") {
  launcher_fixture fixture;
  for (int i = 0; i < 60; ++i) {
    const std::string id = "race" + std::to_string(i);
    fixture.start(id, "exit 7");
    REQUIRE(fixture.events().wait_started(fixture.key(id)));
    // It may have ended or not, and been heard of or not.
    static_cast<void>(fixture.client().stop(fixture.key(id), 100));
    const outcome how = fixture.await(id).how;
    CHECK((how == outcome{outcome_kind::exited, 7, {}} || how == cancelled));
    fixture.client().settled(fixture.key(id));
  }
  // Ended, but a descendant holds its output: that does not make it cancelled.
  const tree_register book;
  fixture.start("background", "sleep 300 & echo $! >>" + book.path() + "; exit 6");
  REQUIRE(book.wait_for(1));
  static_cast<void>(fixture.client().stop(fixture.key("background"), 0));
  const outcome how = fixture.await("background").how;
  CHECK((how == outcome{outcome_kind::exited, 6, {}} || how == cancelled));
  for (const int pid : book.pids())
    ::kill(pid, SIGKILL);
  fixture.client().settled(fixture.key("background"));
  const result<void> unknown = fixture.client().stop(fixture.key("background"), 0);
  REQUIRE_FALSE(unknown);
  CHECK(unknown.failure().code == error_code::not_found);
}

TEST_CASE("a repeated stop may only shorten the grace", "[launcher][stop]") {
  launcher_fixture fixture;
  const tree_register book;
  fixture.start("stubborn", "trap '' TERM; echo $$ >>" + book.path() + "; while :; do sleep 0.05; done");
  REQUIRE(book.wait_for(1));
  const stopwatch watch;
  REQUIRE(fixture.client().stop(fixture.key("stubborn"), 3'600'000));
  REQUIRE(fixture.client().stop(fixture.key("stubborn"), 300));
  REQUIRE(fixture.client().stop(fixture.key("stubborn"), 60'000));
  CHECK(fixture.await("stubborn").how == cancelled);
  CHECK(watch.ms() >= 300);
  CHECK(watch.ms() < 15'000);
  CHECK(book.living().empty());
}

TEST_CASE("stop at once, and right behind the start", "[launcher][stop]") {
  launcher_fixture fixture;
  for (int i = 0; i < 40; ++i) {
    const std::string id = "early" + std::to_string(i);
    fixture.start(id, i % 2 == 0 ? "sleep 300" : "trap '' TERM; sleep 300");
    REQUIRE(fixture.client().stop(fixture.key(id), i % 4 < 2 ? 0 : 100));
  }
  for (int i = 0; i < 40; ++i) {
    const std::string id = "early" + std::to_string(i);
    const attempt_ended end = fixture.await(id);
    CHECK(end.how == cancelled);
    CHECK(end.survivors == 0);
    fixture.client().settled(fixture.key(id));
  }
}

TEST_CASE("a signal still goes to the process group alone", "[launcher][stop]") {
  launcher_fixture fixture;
  const tree_register book;
  fixture.start("group", "setsid sh -c 'echo $$ >>" + book.path() + "; exec sleep 300' & sleep 300");
  REQUIRE(book.wait_for(1));
  REQUIRE(fixture.client().signal(fixture.key("group"), SIGTERM));
  CHECK(fixture.await("group").how == outcome{outcome_kind::signalled, SIGTERM, {}});
  // Outside of the group: alone, alive, and not in anybody's way.
  const std::vector<launcher::process_facts> left = book.living();
  REQUIRE(left.size() == 1);
  CHECK(fixture.run("next", "echo on").how == outcome{outcome_kind::exited, 0, {}});
  CHECK(still_lives(left[0]));
  ::kill(left[0].pid, SIGKILL);
}

TEST_CASE("what cannot be killed is counted and given up", "[launcher][stop]") {
  // A process in a frozen cgroup of version 1 does not even die of KILL, as one that hangs in the kernel.
  const std::string freezer = "/sys/fs/cgroup/freezer/tr-test-" + std::to_string(::getpid());
  if (::mkdir(freezer.c_str(), 0755) != 0) {
    std::cerr << "\n*** SKIPPED: survivors: there is no freezer of version 1 that may be used ***\n\n";
    return;
  }
  {
    launcher_fixture fixture;
    fixture.start("frozen", "sleep 300");
    const std::optional<attempt_started> started = fixture.events().wait_started(fixture.key("frozen"));
    REQUIRE(started);
    REQUIRE(wait_comm(started->pid, "sleep"));
    write_file(freezer + "/cgroup.procs", std::to_string(started->pid));
    write_file(freezer + "/freezer.state", "FROZEN");
    REQUIRE(test::wait_until([&] { return read_file(freezer + "/freezer.state") == "FROZEN\n"; }));
    const stopwatch watch;
    REQUIRE(fixture.client().stop(fixture.key("frozen"), 0));
    const attempt_ended end = fixture.await("frozen");
    CHECK(end.how == cancelled);
    CHECK(end.survivors == 1);
    CHECK(watch.ms() >= 2'000);
    CHECK(watch.ms() < 15'000);
    fixture.client().settled(fixture.key("frozen"));
    CHECK(fixture.run("next", "echo on").how == outcome{outcome_kind::exited, 0, {}});
    CHECK(read_file(fixture.dir() + "/launcher.log").find("1 of its processes could not be killed") !=
          std::string::npos);
    // Whenever it comes out it dies, and is reaped.
    write_file(freezer + "/freezer.state", "THAWED");
    CHECK(wait_gone(started->pid));
  }
  CHECK(test::wait_until([&] { return ::rmdir(freezer.c_str()) == 0; }));
}

TEST_CASE("two hundred trees end together", "[launcher][stop][many]") {
  for (const std::string containment : {"cgroup", "tag"}) {
    if (containment == "cgroup" && !cgroups_available())
      continue;
    INFO(containment);
    launcher_fixture fixture({"--containment", containment});
    const tree_register book;
    for (int i = 0; i < 200; ++i)
      fixture.start("many" + std::to_string(i), "trap '' TERM; (setsid sh -c 'echo $$ >>" + book.path() +
                                                    "; exec sleep 300') & echo $$ >>" + book.path() +
                                                    "; while :; do sleep 1; done");
    REQUIRE(book.wait_for(400));
    const stopwatch watch;
    for (int i = 0; i < 200; ++i)
      REQUIRE(fixture.client().stop(fixture.key("many" + std::to_string(i)), 100));
    REQUIRE(fixture.events().wait_ended_count(200));
    const int64_t took_ms = watch.ms();
    CHECK(book.living().empty());
    for (int i = 0; i < 200; ++i)
      CHECK(fixture.await("many" + std::to_string(i)).how == cancelled);
    std::cout << "two hundred trees of five (" << containment << "): gone after " << took_ms
              << " ms, grace 100\n";
    CHECK(took_ms < 15'000);
  }
}
