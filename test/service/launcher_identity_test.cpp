// The name of a launcher: the same for every daemon as long as the process lives, another for every other.
#include "test/service/launcher_support.hpp"
#include "test/support/wait.hpp"

#include <catch2/catch.hpp>

#include <csignal>
#include <cstdint>
#include <string>

using namespace task_runner;
using launcher_test::launcher_fixture;

TEST_CASE("a launcher has one name for all its daemons, and its successor another", "[launcher]") {
  launcher_fixture fixture;
  const uint64_t name = fixture.client().launcher_id();
  CHECK(name != 0);
  CHECK(name >> 63U == 0);
  fixture.next_daemon();
  CHECK(fixture.client().launcher_id() == name);
  const int pid = fixture.launcher_pid();
  REQUIRE(pid > 0);
  REQUIRE(::kill(pid, SIGKILL) == 0);
  REQUIRE(test::wait_until([&] { return fixture.client().health().restarts == 1; }));
  const uint64_t successor = fixture.client().launcher_id();
  CHECK(successor != 0);
  CHECK(successor != name);
}

TEST_CASE("a launcher keeps its name when it goes over to another program", "[launcher][upgrade]") {
  const launcher_test::scratch_directory programs;
  const std::string newer = launcher_test::copy_of_self(programs.path(), "newer");
  launcher_fixture fixture;
  const uint64_t name = fixture.client().launcher_id();
  fixture.next_daemon(newer);
  REQUIRE(test::wait_until([&] { return fixture.client().health().upgrades == 1; }));
  CHECK(fixture.client().launcher_id() == name);
}
