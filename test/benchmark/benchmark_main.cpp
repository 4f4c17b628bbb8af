// The main of the micro-benchmarks, which is also the launcher's binary: the real launcher is measured
// without another executable beside it. scripts/bench/micro.sh runs it and compares.
#include "services/launcher/launcher.hpp"
#include "services/observability/log.hpp"

#include <benchmark/benchmark.h>
#include <cstdio>
#include <optional>

int main(int count, char** words) {
  if (const std::optional<int> code = task_runner::run_launcher_command(count, words))
    return *code;
  task_runner::log_options quiet;
  quiet.level = task_runner::log_level::off;
  if (const auto configured = task_runner::configure_log(quiet); !configured) {
    std::fprintf(stderr, "micro-benchmarks: %s\n", configured.failure().message.c_str());
    return 1;
  }
  benchmark::Initialize(&count, words);
  if (benchmark::ReportUnrecognizedArguments(count, words))
    return 2;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
