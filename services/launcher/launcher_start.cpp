// posix_spawn of the starter, and a bounded wait for its end and its words.
#include "services/launcher/launcher_start.hpp"

#include "services/launcher/command_environment.hpp"
#include "services/launcher/owned_descriptor.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace task_runner::launcher {
namespace {

error cannot_start(const std::string& why) {
  return {error_code::unavailable, "cannot start the launcher: " + why};
}

/// What the starter wrote to stderr; the pipe is non-blocking and its writer has ended.
std::string read_words(int pipe) {
  std::array<char, 2'048> buffer{};
  const ssize_t n = ::read(pipe, buffer.data(), buffer.size());
  std::string words(buffer.data(), n > 0 ? static_cast<size_t>(n) : 0);
  while (!words.empty() && words.back() == '\n')
    words.pop_back();
  return words;
}

/// Waits for the end of the starter; false when it takes too long or is not wanted any more.
bool wait_for_end(int process, int cancel) {
  std::array<pollfd, 2> waits{pollfd{process, POLLIN, 0}, pollfd{cancel, POLLIN, 0}};
  int ready = 0;
  do {
    ready = ::poll(waits.data(), waits.size(), launcher_start_wait_ms);
  } while (ready < 0 && errno == EINTR);
  return waits[0].revents != 0;
}

} // namespace

result<void> start_launcher(const std::string& binary, const std::string& state_dir,
                            const std::vector<std::string>& arguments, int cancel) {
  std::array<int, 2> ends{-1, -1};
  if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0)
    return cannot_start(std::strerror(errno));
  const owned_descriptor words(ends[0]);
  owned_descriptor stderr_end(ends[1]);

  std::vector<std::string> command{"task-runner", "--launcher", "--state-dir", state_dir};
  command.insert(command.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : command)
    argv.push_back(word.data());
  argv.push_back(nullptr);
  // The launcher's own environment stays readable in /proc for as long as it lives.
  std::vector<char*> environment;
  for (char** entry = ::environ; entry != nullptr && *entry != nullptr; ++entry)
    if (!is_secret_entry(*entry))
      environment.push_back(*entry);
  environment.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, stderr_end.get(), STDERR_FILENO);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
  pid_t pid = 0;
  const int failed =
      ::posix_spawn(&pid, binary.c_str(), &actions, &attributes, argv.data(), environment.data());
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  stderr_end.reset();
  if (failed != 0)
    return cannot_start(binary + ": " + std::strerror(failed));

  // Where SIGCHLD is ignored the starter may be gone already; then the connection attempt decides.
  const owned_descriptor process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  const bool ended = !process || wait_for_end(process.get(), cancel);
  if (!ended)
    ::kill(pid, SIGKILL);
  int status = 0;
  pid_t reaped = 0;
  do {
    reaped = ::waitpid(pid, &status, 0);
  } while (reaped < 0 && errno == EINTR);
  if (!ended)
    return cannot_start("it was not ready within " + std::to_string(launcher_start_wait_ms) + " ms");
  if (reaped < 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 0))
    return {};
  const std::string said = read_words(words.get());
  if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
    return error{error_code::conflict, said.empty() ? "another launcher holds the state directory" : said};
  if (!said.empty())
    return cannot_start(said);
  return cannot_start(WIFSIGNALED(status) ? "it was ended by signal " + std::to_string(WTERMSIG(status))
                                          : "it ended with code " + std::to_string(WEXITSTATUS(status)));
}

} // namespace task_runner::launcher
