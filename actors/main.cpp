// The entry of the one binary: daemon, launcher, or a word about itself.
#include "actors/daemon.hpp"
#include "config/load.hpp"
#include "services/launcher/launcher.hpp"
#include "services/os/secret_args.hpp"
#include "services/os/service_notifier.hpp"
#include "services/os/signals.hpp"

#include <cstdio>
#include <exception>
#include <string>

extern char** environ;

namespace {

using namespace task_runner;

int refuse(const std::string& message) {
  std::fprintf(stderr, "task-runner: %s\n", message.c_str());
  return 2;
}

void print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
}

int start(int argc, char** argv) {
  const auto input = capture_input(argc, argv, environ);
  scrub_secrets(argc, argv);
  const auto loaded = load_settings(input);
  if (!loaded)
    return refuse(loaded.failure().message);
  switch (loaded->action) {
  case daemon_action::help:
    print(help_text());
    return 0;
  case daemon_action::version:
    print("task-runner " TASK_RUNNER_VERSION "\n");
    return 0;
  case daemon_action::check_config:
    for (const auto& warning : loaded->warnings)
      std::fprintf(stderr, "task-runner: %s\n", warning.c_str());
    print(describe_settings(loaded->values));
    return 0;
  case daemon_action::launcher: {
    launcher_options options;
    options.state_dir = loaded->values.state_dir;
    return run_launcher(options);
  }
  case daemon_action::run:
    break;
  }
  block_signals();
  return run_daemon(*loaded, service_notifier::from_environment());
}

} // namespace

int main(int argc, char** argv) {
  try {
    return start(argc, argv);
  } catch (const std::exception& failure) {
    // Out of threads or memory: what the libraries underneath throw and nobody can go on after.
    std::fprintf(stderr,
                 "task-runner: cannot go on: %s; look at the limits on memory, processes and open files\n",
                 failure.what());
    return 1;
  }
}
