// forkpty, poll and waitpid.
#include "test/e2e/cli_terminal.hpp"

#include "test/support/wait.hpp"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <poll.h>
#include <pty.h>
#include <stdexcept>
#include <sys/wait.h>
#include <unistd.h>

namespace task_runner::test {

terminal_process::terminal_process(const std::vector<std::string>& argv,
                                   const std::vector<std::pair<std::string, std::string>>& environment) {
  std::vector<std::string> words = argv;
  std::vector<char*> pointers;
  for (auto& word : words)
    pointers.push_back(word.data());
  pointers.push_back(nullptr);
  winsize size{};
  size.ws_col = 100;
  size.ws_row = 30;
  pid_ = forkpty(&terminal_, nullptr, nullptr, &size);
  if (pid_ < 0)
    throw std::runtime_error("cannot make a terminal");
  if (pid_ == 0) {
    setenv("TERM", "xterm", 1);
    setenv("LC_ALL", "C.UTF-8", 1);
    unsetenv("NO_COLOR");
    unsetenv("COLUMNS");
    for (const auto& [name, value] : environment)
      setenv(name.c_str(), value.c_str(), 1);
    execvp(pointers[0], pointers.data());
    _exit(127);
  }
}

terminal_process::~terminal_process() {
  if (!ended_) {
    ::kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  close(terminal_);
}

bool terminal_process::read_some(std::chrono::milliseconds wait) {
  pollfd ready{terminal_, POLLIN, 0};
  if (poll(&ready, 1, static_cast<int>(wait.count())) <= 0)
    return true;
  char piece[65'536];
  const auto got = read(terminal_, piece, sizeof piece);
  if (got <= 0)
    return got < 0 && errno == EINTR; // EIO: nobody has the terminal open any more
  drawn_.append(piece, static_cast<size_t>(got));
  return true;
}

bool terminal_process::wait_text(const std::string& text, std::chrono::milliseconds deadline) {
  const auto until = std::chrono::steady_clock::now() + deadline;
  while (drawn_.find(text) == std::string::npos) {
    if (!read_some(std::chrono::milliseconds(50)) || std::chrono::steady_clock::now() > until)
      return drawn_.find(text) != std::string::npos;
  }
  return true;
}

bool terminal_process::wait_handler(std::chrono::milliseconds deadline) const {
  return wait_until(
      [this] {
        // Before it is executed it is still the test itself, whose handlers are meant for tests.
        std::error_code failure;
        const auto program = std::filesystem::read_symlink("/proc/" + std::to_string(pid_) + "/exe", failure);
        if (failure || program == std::filesystem::read_symlink("/proc/self/exe"))
          return false;
        std::ifstream status("/proc/" + std::to_string(pid_) + "/status");
        for (std::string line; std::getline(status, line);)
          if (line.compare(0, 7, "SigCgt:") == 0)
            return (std::stoull(line.substr(7), nullptr, 16) & (1ULL << (SIGINT - 1))) != 0;
        return false;
      },
      deadline);
}

void terminal_process::type(const std::string& keys) {
  if (write(terminal_, keys.data(), keys.size()) != static_cast<ssize_t>(keys.size()))
    throw std::runtime_error("cannot type into the terminal");
}

process_end terminal_process::wait(std::chrono::milliseconds deadline) {
  const auto until = std::chrono::steady_clock::now() + deadline;
  bool open = true;
  int status = 0;
  while (waitpid(pid_, &status, WNOHANG) != pid_) {
    if (std::chrono::steady_clock::now() > until)
      throw std::runtime_error("it does not end; it has drawn:\n" + drawn_);
    if (open)
      open = read_some(std::chrono::milliseconds(20));
    else
      usleep(1'000);
  }
  ended_ = true;
  // What it has written last may still be in the terminal.
  while (open && [this] {
    pollfd ready{terminal_, POLLIN, 0};
    return poll(&ready, 1, 0) > 0;
  }())
    open = read_some(std::chrono::milliseconds(0));
  return WIFEXITED(status) ? process_end{true, WEXITSTATUS(status)} : process_end{false, WTERMSIG(status)};
}

std::string terminal_process::drawn() const {
  std::string text;
  for (size_t i = 0; i < drawn_.size(); ++i)
    if (drawn_[i] != '\r' || i + 1 == drawn_.size() || drawn_[i + 1] != '\n')
      text += drawn_[i];
  return text;
}

} // namespace task_runner::test
