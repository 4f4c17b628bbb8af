// fork, exec, pidfd and memory files.
// A pidfd gives waits a deadline, and memory files take any amount of output without a reading thread.
#include "test/support/process.hpp"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <stdexcept>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace task_runner::test {

namespace {

int make_memory_file(const char* name) {
  const int fd = memfd_create(name, MFD_CLOEXEC);
  // Appending, so that several writers never overwrite each other.
  if (fd < 0 || fcntl(fd, F_SETFL, O_APPEND) != 0)
    throw std::runtime_error(std::string("cannot make a memory file: ") + std::strerror(errno));
  return fd;
}

std::string read_whole(int fd) {
  std::string text;
  char part[65'536];
  for (;;) {
    const auto got = pread(fd, part, sizeof part, static_cast<off_t>(text.size()));
    if (got > 0)
      text.append(part, static_cast<size_t>(got));
    else if (got == 0 || errno != EINTR)
      return text;
  }
}

int make_input(const std::string& text) {
  if (text.empty()) {
    const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
      throw std::runtime_error("cannot open /dev/null");
    return fd;
  }
  const int fd = memfd_create("input", MFD_CLOEXEC);
  if (fd < 0 || write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      lseek(fd, 0, SEEK_SET) != 0)
    throw std::runtime_error("cannot make the input of a process");
  return fd;
}

/// The strings, and the pointers that exec takes.
struct exec_words {
  std::vector<std::string> words;
  std::vector<char*> pointers;
  explicit exec_words(std::vector<std::string> texts)
      : words(std::move(texts)) {
    for (auto& word : words)
      pointers.push_back(word.data());
    pointers.push_back(nullptr);
  }
};

std::vector<std::string> make_environment(const process_options& options) {
  std::vector<std::string> lines;
  if (!options.clear_environment)
    for (char** line = environ; *line != nullptr; ++line) {
      bool replaced = false;
      for (const auto& [name, value] : options.environment)
        replaced = replaced || std::strncmp(*line, (name + "=").c_str(), name.size() + 1) == 0;
      if (!replaced)
        lines.emplace_back(*line);
    }
  for (const auto& [name, value] : options.environment)
    lines.push_back(name + "=" + value);
  return lines;
}

} // namespace

process::process(process_options options) {
  exec_words argv(options.argv);
  exec_words environment(make_environment(options));
  output_ = make_memory_file("stdout");
  error_ = options.merge_output ? output_ : make_memory_file("stderr");
  const int input = make_input(options.input);
  const int starter = getpid();
  pid_ = fork();
  if (pid_ == 0) {
    // Only calls that are safe after a fork of a program with threads.
    if (options.dies_with_starter) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() != starter)
        _exit(126);
    }
    if (options.own_group)
      setpgid(0, 0);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    if (dup2(input, 0) < 0 || dup2(output_, 1) < 0 || dup2(error_, 2) < 0)
      _exit(126);
    if (!options.directory.empty() && chdir(options.directory.c_str()) != 0)
      _exit(126);
    execvpe(argv.pointers[0], argv.pointers.data(), environment.pointers.data());
    _exit(127);
  }
  close(input);
  if (pid_ < 0)
    throw std::runtime_error(std::string("cannot fork: ") + std::strerror(errno));
  pidfd_ = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
  if (pidfd_ < 0) {
    kill();
    throw std::runtime_error(std::string("no pidfd: ") + std::strerror(errno));
  }
}

process::~process() {
  kill();
  if (pidfd_ >= 0)
    close(pidfd_);
  if (error_ != output_)
    close(error_);
  close(output_);
}

std::string process::output() const {
  return read_whole(output_);
}

std::string process::error_output() const {
  return read_whole(error_);
}

bool process::wait_output(const std::string& text, std::chrono::milliseconds deadline) const {
  return wait_until(
      [&] {
        return output().find(text) != std::string::npos || error_output().find(text) != std::string::npos;
      },
      deadline);
}

bool process::running() {
  return !wait(std::chrono::milliseconds(0));
}

void process::reap() {
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0)
    if (errno != EINTR)
      throw std::runtime_error("somebody else waited for a child of the test");
  end_ = WIFEXITED(status) ? process_end{true, WEXITSTATUS(status)} : process_end{false, WTERMSIG(status)};
}

std::optional<process_end> process::wait(std::chrono::milliseconds deadline) {
  if (!end_ && wait_readable(pidfd_, deadline))
    reap();
  return end_;
}

bool process::signal(int number) {
  return !end_ && ::kill(pid_, number) == 0; // not reaped yet, so the pid is still ours
}

process_end process::kill() {
  if (!end_) {
    signal(SIGKILL);
    reap();
  }
  return *end_;
}

run_result run_process(process_options options, std::chrono::milliseconds deadline) {
  process child(std::move(options));
  auto end = child.wait(deadline);
  if (!end)
    end = child.kill();
  return {*end, child.output(), child.error_output()};
}

} // namespace task_runner::test
