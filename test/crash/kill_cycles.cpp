// kill -9 of the daemon, the launcher, both, or Redis at random moments under load, again and again; then the
// history of what really ran is held against what was acknowledged. Seed and figures are printed.
//
//     build/test-crash "[cycles]"                                300 cycles, about two minutes
//     TASK_RUNNER_CRASH_CYCLES=1000 build/test-crash "[cycles]"  so many, half a second each
//     TASK_RUNNER_SEED=123456 build/test-crash "[cycles]"        the same tasks and kills once more
//     TASK_RUNNER_CRASH_KEEP=DIR build/test-crash "[cycles]"     keeps history, logs and state of failures
//
// A run ends at the first cycle that finds something wrong.
#include "test/crash/kill_run.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <random>

using namespace task_runner::test;

namespace {

constexpr uint64_t cycles_default = 300;
/// The promise is 2 s; a machine that builds and tests beside it may be slower.
constexpr std::chrono::seconds return_time_max{10};

uint64_t number_from_environment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr || *text == '\0' ? otherwise : std::strtoull(text, nullptr, 10);
}

void keep(const kill_run& run, const std::string& directory) {
  std::filesystem::create_directories(directory);
  write_file(directory + "/daemon.log", run.logs());
  for (const auto& one : run.directories()) {
    process_options copy;
    copy.argv = {"cp", "-a", one, directory}; // takes sockets too, unlike std::filesystem::copy
    run_process(copy);
  }
}

} // namespace

TEST_CASE("kill -9 of any part at random moments loses no task and runs none twice", "[cycles]") {
  const auto seed = number_from_environment("TASK_RUNNER_SEED", std::random_device{}() % 1'000'000);
  const auto cycles = number_from_environment("TASK_RUNNER_CRASH_CYCLES", cycles_default);
  const char* keep_directory = std::getenv("TASK_RUNNER_CRASH_KEEP");
  const std::string kept = keep_directory == nullptr ? "" : keep_directory;
  // The daemon would warn of settings that it does not know.
  for (const char* name : {"TASK_RUNNER_SEED", "TASK_RUNNER_CRASH_CYCLES", "TASK_RUNNER_CRASH_KEEP"})
    unsetenv(name);
  std::cout << "TASK_RUNNER_SEED=" << seed << " TASK_RUNNER_CRASH_CYCLES=" << cycles << std::endl;
  CAPTURE(seed);
  std::vector<std::string> directories;
  {
    kill_run run(seed);
    for (uint64_t i = 0; i < cycles && run.offences().empty(); ++i)
      run.cycle();
    run.settle();
    std::cout << run.summary() << std::flush;
    directories = run.directories();
    if (!run.offences().empty() && !kept.empty())
      keep(run, kept);
    for (const auto& offence : run.offences())
      UNSCOPED_INFO(offence);
    if (!run.offences().empty())
      UNSCOPED_INFO("logs of the last daemons:\n" + run.logs());
    REQUIRE(run.offences().empty());
    CHECK(run.slowest_return() < return_time_max);
    run.stop();
    CHECK(run.offences() == std::vector<std::string>{});
  }
  for (const auto& directory : directories)
    CHECK(!std::filesystem::exists(directory));
}
