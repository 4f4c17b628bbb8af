// The entry of the one binary: daemon, launcher, or a word about itself.
#include "actors/daemon.hpp"
#include "config/load.hpp"
#include "services/launcher/launcher.hpp"
#include "services/os/secret_args.hpp"
#include "services/os/service_notifier.hpp"
#include "services/os/signals.hpp"

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <string>
#include <system_error>
#include <unistd.h>

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
  if (const auto launcher_code = run_launcher_command(argc, argv))
    return *launcher_code;
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
