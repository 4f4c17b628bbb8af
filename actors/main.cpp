// The entry of the one binary: daemon, launcher, or a word about itself.
#include "actors/daemon.hpp"
#include "config/load.hpp"
#include "services/launcher/launcher.hpp"
#include "services/os/secret_args.hpp"
#include "services/os/service_notifier.hpp"
#include "services/os/signals.hpp"

#include <cstdio>
#include <string>

extern char** environ;

namespace {

int refuse(const std::string& message) {
  std::fprintf(stderr, "task-runner: %s\n", message.c_str());
  return 2;
}

void print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
}

} // namespace

int main(int argc, char** argv) {
  using namespace task_runner;
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
