// When the machine counts as busy, by a file in the place of /proc/stat.
#include "services/os/processor_load.hpp"
#include "test/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <fstream>

using namespace task_runner;
using namespace std::chrono_literals;

namespace {

/// A machine whose counts a test sets.
struct made_up_machine {
  test::temp_dir place;
  std::string path = place.path() + "/stat";
  processor_load load{path};
  processor_load::clock::time_point now = processor_load::clock::now();

  void count(uint64_t used, uint64_t idle, uint64_t waiting = 0) const {
    std::ofstream(path) << "cpu  " << used << " 0 0 " << idle << ' ' << waiting << " 0 0 0 0 0\ncpu0 1 2 3\n";
  }
  bool is_busy_after(std::chrono::milliseconds pause) {
    now += pause;
    return load.is_busy(now);
  }
};

} // namespace

TEST_CASE("a machine is busy when less than a tenth of its time was idle") {
  made_up_machine machine;
  machine.count(1'000, 1'000);
  CHECK_FALSE(machine.is_busy_after(0ms)); // nothing to compare with yet
  machine.count(1'091, 1'009);
  CHECK(machine.is_busy_after(100ms));
  machine.count(1'181, 1'019);
  CHECK_FALSE(machine.is_busy_after(100ms));
  // Waiting for the disk is idle time as well.
  machine.count(1'271, 1'019, 10);
  CHECK_FALSE(machine.is_busy_after(100ms));
  machine.count(1'371, 1'019, 10);
  CHECK(machine.is_busy_after(100ms));
}

TEST_CASE("what was seen holds for a tenth of a second, and not after a long pause") {
  made_up_machine machine;
  machine.count(0, 0);
  machine.is_busy_after(0ms);
  machine.count(100, 0);
  CHECK(machine.is_busy_after(100ms));
  machine.count(100, 1'000);
  CHECK(machine.is_busy_after(99ms));
  CHECK_FALSE(machine.is_busy_after(1ms));
  machine.count(9'000, 1'000);
  CHECK_FALSE(machine.is_busy_after(1'001ms));
  machine.count(9'100, 1'000);
  CHECK(machine.is_busy_after(200ms));
}

TEST_CASE("a machine without readable counts is not busy") {
  made_up_machine machine;
  CHECK_FALSE(machine.is_busy_after(0ms));
  std::ofstream(machine.path) << "intr 5\n";
  CHECK_FALSE(machine.is_busy_after(100ms));
  machine.count(100, 0);
  CHECK_FALSE(machine.is_busy_after(100ms));
  // Counts that went back, as after a machine was restored from a snapshot.
  machine.count(50, 0);
  CHECK_FALSE(machine.is_busy_after(100ms));
}
