// fork and fexecve of another program; fexecve in our own place.
#include "services/launcher/program_change.hpp"

#include "services/launcher/handover.hpp"
#include "services/launcher/packet_socket.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace task_runner::launcher {
namespace {

std::vector<char*> pointers_to(const std::vector<std::string>& words) {
  std::vector<char*> pointers;
  pointers.reserve(words.size() + 1);
  for (const std::string& word : words)
    pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

error failure_of(const std::string& what) {
  return {error_code::unavailable, what + ": " + std::strerror(errno)};
}

} // namespace

void set_close_on_exec(int descriptor, bool closes) noexcept {
  ::fcntl(descriptor, F_SETFD, closes ? FD_CLOEXEC : 0);
}

result<std::unique_ptr<program_probe>> program_probe::start(owned_descriptor program,
                                                            std::string_view handover) {
  struct stat facts {};
  if (::fstat(program.get(), &facts) != 0 || !S_ISREG(facts.st_mode))
    return error{error_code::invalid_argument, "what was sent as the new program is no file"};
  const result<owned_descriptor> memory = make_memfd("tr-handover", handover);
  if (!memory)
    return memory.failure();
  std::array<int, 2> ends{-1, -1};
  if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0)
    return failure_of("cannot make a pipe");
  std::unique_ptr<program_probe> probe(new program_probe);
  probe->failure_.reset(ends[0]);
  const owned_descriptor failure(ends[1]);
  const std::vector<std::string> words{"task-runner", "--launcher", "--check-handover",
                                       std::to_string(memory->get())};
  const std::vector<char*> argv = pointers_to(words);

  const pid_t child = ::fork();
  if (child < 0)
    return failure_of("cannot make a process");
  if (child == 0) {
    set_close_on_exec(memory->get(), false);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::fexecve(program.get(), argv.data(), ::environ);
    const int reason = errno;
    if (::write(failure.get(), &reason, sizeof(reason)) < 0)
      ::_exit(126);
    ::_exit(127);
  }
  probe->pid_ = child;
  probe->process_.reset(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  if (!probe->process_) {
    const error failed = failure_of("cannot watch the new program");
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    probe->reaped_ = true;
    return failed;
  }
  probe->program_ = std::move(program);
  return probe;
}

program_probe::~program_probe() {
  if (reaped_ || !process_)
    return;
  give_up();
  siginfo_t ignored{};
  ::waitid(P_PIDFD, static_cast<id_t>(process_.get()), &ignored, WEXITED);
}

void program_probe::give_up() noexcept {
  given_up_ = true;
  ::syscall(SYS_pidfd_send_signal, process_.get(), SIGKILL, nullptr, 0);
}

result<void> program_probe::verdict() {
  siginfo_t info{};
  if (::waitid(P_PIDFD, static_cast<id_t>(process_.get()), &info, WEXITED) != 0)
    return failure_of("cannot learn how the new program ended");
  reaped_ = true;
  const auto refusal = [](const std::string& why) { return error{error_code::unavailable, why}; };
  if (given_up_)
    return refusal("the new program did not say in time whether it understands the handover");
  int reason = 0;
  if (::read(failure_.get(), &reason, sizeof(reason)) == static_cast<ssize_t>(sizeof(reason)))
    return refusal(std::string("the new program cannot be executed: ") + std::strerror(reason));
  if (info.si_code == CLD_EXITED && info.si_status == handover_understood_exit)
    return {};
  return refusal("the new program does not understand the handover (it ended with " +
                 std::string(info.si_code == CLD_EXITED ? "code " : "signal ") +
                 std::to_string(info.si_status) + ")");
}

error execute_program(int program, const std::vector<std::string>& words, const std::vector<int>& kept) {
  const std::vector<char*> argv = pointers_to(words);
  for (const int descriptor : kept)
    set_close_on_exec(descriptor, false);
  ::fexecve(program, argv.data(), ::environ);
  error failed = failure_of("the new program cannot be executed");
  for (const int descriptor : kept)
    set_close_on_exec(descriptor, true);
  return failed;
}

} // namespace task_runner::launcher
