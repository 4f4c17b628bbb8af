// The main of the launcher's tests, which is also the launcher's binary and a daemon to be killed.
// So the tests drive real processes without another executable beside them.
#define CATCH_CONFIG_RUNNER
#include "services/launcher/launcher.hpp"
#include "services/observability/log.hpp"
#include "test/service/launcher_hostile_program.hpp"
#include "test/service/launcher_support.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>

namespace {

/// The launcher, or its child. A copy of this program behaves as its file name says.
std::optional<int> be_launcher(int count, char** words) {
  const auto has_word = [&](const char* word) {
    return std::any_of(words + 1, words + count,
                       [word](const char* one) { return std::strcmp(one, word) == 0; });
  };
  if (count < 2 || std::strcmp(words[1], "--launcher") != 0)
    return std::nullopt;
  const std::string self = std::filesystem::read_symlink("/proc/self/exe").filename();
  if (has_word("--resume") && self == "waits") {
    // Everything that happens meanwhile happens to nobody's knowledge.
    const std::string beside = std::filesystem::read_symlink("/proc/self/exe").parent_path();
    launcher_test::write_file(beside + "/waiting", "yes");
    launcher_test::wait_file(beside + "/go-on");
  }
  if (has_word("--fallback") && self == "stumbles") {
    // No descriptor is left for it; they are all free again for the program before it.
    while (::fcntl(0, F_DUPFD_CLOEXEC, 3) >= 0) {
    }
  }
  while (has_word("--check-handover") && self == "hangs")
    ::pause();
  const std::optional<int> code = task_runner::run_launcher_command(count, words);
  if (has_word("--check-handover") && self == "vanishes")
    ::chmod(std::filesystem::read_symlink("/proc/self/exe").c_str(), 0);
  return code;
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
  if (count > 3 && std::strcmp(words[1], "--hostile") == 0)
    return launcher_test::be_hostile(words[2], words[3]);
  if (const std::optional<int> code = be_launcher(count, words))
    return *code;
  if (count > 3 && std::strcmp(words[1], "--doomed-daemon") == 0)
    return be_doomed_daemon(words[2], words[3]);
  task_runner::log_options quiet;
  quiet.level = task_runner::log_level::off;
  if (!task_runner::configure_log(quiet))
    return 1;
  return Catch::Session().run(count, words);
}
