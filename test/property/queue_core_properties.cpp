// queue_core under thousands of random histories with faults; a failure prints the seed that replays it.
// TASK_RUNNER_SEEDS asks for another number of histories, TASK_RUNNER_SEED for one of them alone.
#include "test/property/queue_simulation.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <random>

using namespace task_runner;
using namespace task_runner::test;

namespace {

uint64_t number_from_environment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

/// Runs histories until one breaks a promise; answers with what it said.
std::string first_broken(uint64_t first, uint64_t count, simulation_faults faults, size_t& accepted,
                         size_t& starts) {
  for (uint64_t seed = first; seed < first + count; ++seed) {
    try {
      queue_simulation simulation(seed, faults);
      simulation.run(400);
      accepted += simulation.accepted();
      starts += simulation.starts();
    } catch (const std::exception& broken) {
      return std::string(broken.what()) + " (replay with TASK_RUNNER_SEED=" + std::to_string(seed) + ")";
    }
  }
  return {};
}

} // namespace

TEST_CASE("no history of faults loses a task or runs one twice") {
  size_t accepted = 0;
  size_t starts = 0;
  std::string broken;
  if (std::getenv("TASK_RUNNER_SEED") != nullptr) {
    broken = first_broken(number_from_environment("TASK_RUNNER_SEED", 0), 1, {}, accepted, starts);
  } else {
    std::random_device device;
    const uint64_t first = (static_cast<uint64_t>(device()) << 32) | device();
    const auto count = number_from_environment("TASK_RUNNER_SEEDS", 2'000);
    INFO("first seed " << first);
    broken = first_broken(first, count, {}, accepted, starts);
  }
  INFO(broken);
  REQUIRE(broken.empty());
  CHECK(accepted > 0);
  CHECK(starts > 0);
}

TEST_CASE("without faults every accepted task runs exactly once") {
  size_t accepted = 0;
  size_t starts = 0;
  const auto broken = first_broken(1, 500, simulation_faults{0, 0, 0, 0}, accepted, starts);
  INFO(broken);
  REQUIRE(broken.empty());
  CHECK(accepted == starts);
}
