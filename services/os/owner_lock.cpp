// flock() without waiting, again and again while nobody alive is named.
#include "services/os/owner_lock.hpp"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <sys/file.h>
#include <thread>

namespace task_runner {

namespace {

constexpr std::chrono::milliseconds pause_between_tries{10};

bool is_gone(std::optional<pid_t> process) {
  return process && *process > 0 && ::kill(*process, 0) != 0 && errno == ESRCH;
}

} // namespace

result<bool> lock_as_owner(int file, const std::function<std::optional<pid_t>()>& owner) {
  using clock = std::chrono::steady_clock;
  const auto deadline = clock::now() + std::chrono::milliseconds(dead_owner_wait_max_ms);
  for (;;) {
    if (::flock(file, LOCK_EX | LOCK_NB) == 0)
      return true;
    if (errno != EWOULDBLOCK && errno != EINTR)
      return error{error_code::unavailable, std::strerror(errno)};
    if (!is_gone(owner()) || clock::now() >= deadline)
      return false;
    std::this_thread::sleep_for(pause_between_tries);
  }
}

} // namespace task_runner
