// Becoming the launcher: a process of its own, detached from the daemon's terminal, alone on its state
// directory. The starter waits until the launcher is ready, so that whoever started it learns at once why it
// could not.
#include "services/launcher/launcher.hpp"

#include "services/launcher/handover.hpp"
#include "services/launcher/launcher_arguments.hpp"
#include "services/launcher/launcher_server.hpp"
#include "services/launcher/packet_socket.hpp"
#include "services/launcher/program_change.hpp"
#include "services/launcher/state_claim.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <optional>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace task_runner {
namespace {

using launcher::owned_descriptor;

/// Whoever wants to end the launcher uses KILL; everything else is meant for the daemon, or is answered by an
/// error of the call that caused it (PIPE, XFSZ). Blocked, not ignored: a child that is just being made must
/// not lose a signal that was sent to it. Faults of our own must end us.
void block_signals() noexcept {
  sigset_t blocked;
  ::sigfillset(&blocked);
  for (const int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS})
    ::sigdelset(&blocked, number);
  ::sigprocmask(SIG_SETMASK, &blocked, nullptr);
}

/// Nothing of the daemon's may live on in the launcher: descriptors, signal dispositions, signal mask.
void shed_inheritance() noexcept {
  ::syscall(SYS_close_range, 3U, ~0U, 0U);
  // Straight to the kernel, whose structure of nothing but zeros means SIG_DFL: the C library would keep its
  // hands over the two signals it reserves for itself, and an ignored one of those is inherited like any
  // other.
  constexpr std::array<char, 64> standard{};
  constexpr size_t kernel_signal_set_size = 8;
  for (int number = 1; number <= SIGRTMAX; ++number)
    ::syscall(SYS_rt_sigaction, number, standard.data(), nullptr, kernel_signal_set_size);
  block_signals();
}

/// Raises the soft limit of descriptors to the hard one; returns what it was, for the commands.
rlimit raise_descriptor_limit() noexcept {
  rlimit before{};
  if (::getrlimit(RLIMIT_NOFILE, &before) != 0)
    before = {1'024, 4'096};
  rlimit raised = before;
  raised.rlim_cur = raised.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &raised);
  return before;
}

/// stdin, stdout and stderr become /dev/null: they are the daemon's, and a terminal may hang on them.
void leave_terminal() noexcept {
  const owned_descriptor nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!nothing)
    return;
  for (int standard = 0; standard <= 2; ++standard)
    ::dup2(nothing.get(), standard);
}

/// Tells the starter: nothing but a newline when ready, else the exit code as a digit and the reason.
void report(owned_descriptor& pipe, const std::string& text) noexcept {
  if (::write(pipe.get(), text.data(), text.size()) < 0)
    pipe.reset(); // The starter has gone; the launcher serves whoever comes.
  pipe.reset();
}

/// The launcher itself, after the fork.
int serve(const launcher_options& options, owned_descriptor ready) {
  ::setsid();
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  result<owned_descriptor> state_dir = launcher::open_directory(options.state_dir);
  if (!state_dir) {
    report(ready, "1" + state_dir.failure().message);
    return 1;
  }
  result<owned_descriptor> lock = launcher::claim_directory(state_dir->get());
  if (!lock) {
    const int code = lock.failure().code == error_code::conflict ? 2 : 1;
    report(ready, std::to_string(code) + lock.failure().message);
    return code;
  }
  rlimit command_descriptors = raise_descriptor_limit();
  if (options.command_descriptors > 0)
    command_descriptors.rlim_cur =
        std::min<rlim_t>(options.command_descriptors, command_descriptors.rlim_max);
  const int directory = state_dir->get();
  result<std::unique_ptr<launcher::launcher_server>> server = launcher::launcher_server::open(
      {std::move(*state_dir), std::move(*lock)}, options, command_descriptors);
  if (!server) {
    ::unlinkat(directory, launcher::pid_file_name, 0);
    report(ready, "1" + server.failure().message);
    return 1;
  }
  leave_terminal();
  report(ready, "0");
  return (*server)->run();
}

int tell(const std::string& message, int code) {
  std::fprintf(stderr, "task-runner --launcher: %s\n", message.c_str());
  return code;
}

/// The child of a launcher that would go over to this program: whether it would go well.
int check_handover(int descriptor) {
  const result<std::string> bytes = launcher::read_memfd(descriptor, launcher::handover_bytes_max);
  if (!bytes)
    return tell(bytes.failure().message, 1);
  const result<launcher::handover> read = launcher::decode_handover(*bytes);
  return read ? launcher::handover_understood_exit : tell(read.failure().message, 1);
}

/// The launcher with a new program in it. Nothing that was handed on is given up before all is well, so that
/// the former program can take over again.
int resume(const launcher::launcher_command& command) {
  ::prctl(PR_SET_NAME, "tr-launcher");
  block_signals();
  const auto go_on = [&command]() -> result<std::unique_ptr<launcher::launcher_server>> {
    const result<std::string> bytes = launcher::read_memfd(command.resume, launcher::handover_bytes_max);
    if (!bytes)
      return bytes.failure();
    result<launcher::handover> handed = launcher::decode_handover(*bytes);
    if (!handed)
      return handed.failure();
    return launcher::launcher_server::resume(std::move(*handed), command.options);
  };
  result<std::unique_ptr<launcher::launcher_server>> server = go_on();
  if (server) {
    ::close(command.resume);
    if (command.fallback >= 0)
      ::close(command.fallback);
    return (*server)->run();
  }
  std::string reason = "cannot go on from the handover: " + server.failure().message;
  const result<owned_descriptor> state_dir = launcher::open_directory(command.options.state_dir);
  if (state_dir)
    launcher::launcher_log(state_dir->get()).write(reason);
  if (command.fallback >= 0) {
    std::vector<std::string> words = launcher::launcher_words(command.options);
    words.insert(words.begin(), "task-runner");
    words.insert(words.end(), {"--resume", std::to_string(command.resume)});
    launcher::set_close_on_exec(command.fallback, true);
    reason = launcher::execute_program(command.fallback, words, {}).message;
    if (state_dir)
      launcher::launcher_log(state_dir->get()).write(reason);
  }
  return tell(reason, 1);
}

/// What the launcher reports through the pipe, until it closes it.
std::string read_report(int pipe) {
  std::string text;
  std::array<char, 1'024> buffer{};
  for (;;) {
    const ssize_t n = ::read(pipe, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return text;
    text.append(buffer.data(), static_cast<size_t>(n));
  }
}

} // namespace

std::optional<int> run_launcher_command(int count, const char* const* words) {
  if (count < 2 || std::strcmp(words[1], "--launcher") != 0)
    return std::nullopt;
  result<launcher::launcher_command> command = launcher::parse_launcher_words({words + 1, words + count});
  if (!command)
    return tell(command.failure().message, 2);
  if (command->check >= 0)
    return check_handover(command->check);
  if (command->resume >= 0)
    return resume(*command);
  return run_launcher(command->options);
}

int run_launcher(const launcher_options& wanted) {
  launcher_options options = wanted;
  // The launcher's working directory becomes that of each daemon that comes.
  std::error_code failure;
  const std::filesystem::path absolute = std::filesystem::absolute(wanted.state_dir, failure);
  if (!failure)
    options.state_dir = absolute.string();
  ::prctl(PR_SET_NAME, "tr-launcher");
  shed_inheritance();
  std::array<int, 2> ends{-1, -1};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    std::perror("task-runner --launcher: cannot make a pipe");
    return 1;
  }
  owned_descriptor reading(ends[0]);
  owned_descriptor writing(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) {
    std::perror("task-runner --launcher: cannot fork");
    return 1;
  }
  if (child == 0) {
    reading.reset();
    return serve(options, std::move(writing));
  }
  writing.reset();
  const std::string text = read_report(reading.get());
  if (text == "0")
    return 0;
  int status = 0;
  ::waitpid(child, &status, 0);
  if (text.empty()) {
    std::fprintf(stderr, "task-runner --launcher: the launcher died before it was ready\n");
    return 1;
  }
  return tell(text.substr(1), text[0] == '2' ? 2 : 1);
}

} // namespace task_runner
