// The main of the launcher's tests, which is also the launcher's binary and a daemon to be killed.
// So the tests drive real processes without another executable beside them.
#define CATCH_CONFIG_RUNNER
#include "services/launcher/launcher.hpp"
#include "services/observability/log.hpp"
#include "test/service/launcher_support.hpp"

#include <catch2/catch.hpp>

#include <csignal>
#include <cstdio>
#include <cstring>

namespace {

int be_launcher(int count, char** words) {
  task_runner::launcher_options options;
  for (int i = 2; i + 1 < count; i += 2) {
    const std::string name = words[i];
    const std::string value = words[i + 1];
    if (name == "--state-dir")
      options.state_dir = value;
    else if (name == "--idle-grace-ms")
      options.idle_grace_ms = std::stoi(value);
    else if (name == "--head-bytes")
      options.output.head_bytes = std::stoull(value);
    else if (name == "--tail-bytes")
      options.output.tail_bytes = std::stoull(value);
  }
  return task_runner::run_launcher(options);
}

/// Starts one command through a launcher, waits until it runs, and dies of KILL.
int be_doomed_daemon(const std::string& dir, const std::string& line) {
  launcher_test::recorder events;
  task_runner::launcher_client_options options;
  options.state_dir = dir;
  options.launcher_arguments = {"--idle-grace-ms", "500"};
  task_runner::launcher_client client(options);
  if (!client.start_service(events))
    return 1;
  task_runner::attempt_start start;
  start.key = {"orphaned", 1};
  start.channel = "default";
  start.line = line;
  if (!client.start(start) || !events.wait_started(start.key))
    return 1;
  std::raise(SIGKILL);
  return 1;
}

} // namespace

int main(int count, char** words) {
  if (count > 1 && std::strcmp(words[1], "--launcher") == 0)
    return be_launcher(count, words);
  if (count > 3 && std::strcmp(words[1], "--doomed-daemon") == 0)
    return be_doomed_daemon(words[2], words[3]);
  task_runner::log_options quiet;
  quiet.level = task_runner::log_level::off;
  if (!task_runner::configure_log(quiet))
    return 1;
  return Catch::Session().run(count, words);
}
