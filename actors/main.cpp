// The entry of the one binary: daemon, launcher, client, or a word about itself.
#include "actors/daemon.hpp"
#include "config/client_settings.hpp"
#include "config/load.hpp"
#include "services/cli/client.hpp"
#include "services/launcher/launcher.hpp"
#include "services/os/secret_args.hpp"
#include "services/os/service_notifier.hpp"
#include "services/os/signals.hpp"
#include "services/os/standard_streams.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <string>
#include <system_error>
#include <unistd.h>
#include <utility>

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

/// The settings of a daemon that would be started here, as far as a client's doctor looks at them.
result<cli::local_settings> load_local_settings(load_input input, const std::string& config_file) {
  // The client's own flags are none of the daemon's.
  input.arguments.clear();
  if (!config_file.empty())
    input.arguments = {"-config", config_file};
  auto loaded = load_settings(input);
  if (!loaded)
    return loaded.failure();
  auto& values = loaded->values;
  cli::local_settings local;
  local.config_file = std::move(loaded->config_file);
  local.warnings = std::move(loaded->warnings);
  local.state_dir = std::move(values.state_dir);
  local.redis_intake = values.redis_intake;
  local.redis = {std::move(values.redis_host), values.redis_port, std::move(values.redis_password),
                 values.redis_db};
  local.intake_keys = std::move(values.intake_keys);
  return local;
}

int run_as_client(int argc, char** argv) {
  const auto input = capture_input(argc, argv, environ);
  cli::client_surroundings around;
  around.environment = input.environment;
  around.find_daemon = [&input](const std::string& address,
                                const std::string& config_file) -> result<cli::daemon_place> {
    auto found = find_daemon_address({address, config_file, input.environment});
    if (!found)
      return found.failure();
    return cli::daemon_place{std::move(found->host), found->port, std::move(found->token),
                             std::move(found->said_by)};
  };
  around.load_settings = [&input](const std::string& config_file) {
    return load_local_settings(input, config_file);
  };
  return cli::run_client(input.arguments, around);
}

int start(int argc, char** argv) {
  if (const auto launcher_code = run_launcher_command(argc, argv))
    return *launcher_code;
  if (cli::calls_client({argv + std::min(argc, 1), argv + argc}))
    return run_as_client(argc, argv);
  if (argc > 1 && argv[1][0] != '-')
    return refuse(cli::unknown_verb_message(argv[1]));
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
  case daemon_action::run:
    break;
  }
  block_signals();
  return run_daemon(*loaded, service_notifier::from_environment());
}

/// Out of threads or memory: nobody can go on after it, and it is no defect.
void report_shortage(const char* what) noexcept {
  std::fprintf(stderr,
               "task-runner: cannot go on: %s; look at the limits on memory, processes and open files\n",
               what);
}

/// For exceptions that libraries let escape from their own threads. A shortage ends in one line and exit code
/// 1; anything else is a defect, and its core is wanted.
[[noreturn]] void end_by_exception() noexcept {
  try {
    if (const auto thrown = std::current_exception())
      std::rethrow_exception(thrown);
  } catch (const std::bad_alloc& failure) {
    report_shortage(failure.what());
    ::_exit(1);
  } catch (const std::system_error& failure) {
    report_shortage(failure.what());
    ::_exit(1);
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "task-runner: a defect: %s\n", failure.what());
  } catch (...) {
    std::fprintf(stderr, "task-runner: a defect: an exception of unknown kind\n");
  }
  std::abort();
}

} // namespace

int main(int argc, char** argv) {
  std::set_terminate(end_by_exception);
  take_closed_standard_streams();
  // Before anything else: the launcher's own words are no flags of the daemon.
  if (const auto code = run_launcher_command(argc, argv))
    return *code;
  try {
    return start(argc, argv);
  } catch (const std::exception& failure) {
    report_shortage(failure.what());
    return 1;
  }
}
