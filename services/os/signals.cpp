// signalfd and eventfd under one poll. No handler ever runs, so nothing here has to be async-signal-safe but
// wake() and reset_signals().
#include "services/os/signals.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <utility>

namespace task_runner {

namespace {

constexpr std::array awaited{SIGHUP, SIGINT, SIGTERM, SIGUSR2};
// XFSZ: a write past the file-size limit shall fail like one on a full disk, not end the process.
constexpr std::array ignored{SIGPIPE, SIGUSR1, SIGXFSZ};

sigset_t awaited_set() noexcept {
  sigset_t set;
  sigemptyset(&set);
  for (int number : awaited)
    sigaddset(&set, number);
  return set;
}

error failed_call(const char* what) {
  return error{error_code::internal, std::string("signals: ") + what + " failed: " + std::strerror(errno)};
}

} // namespace

void block_signals() noexcept {
  const sigset_t set = awaited_set();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  // The kernel drops a signal that is ignored even while it is blocked.
  for (int number : awaited)
    ::signal(number, SIG_DFL);
  for (int number : ignored)
    ::signal(number, SIG_IGN);
}

void reset_signals() noexcept {
  for (int number : ignored)
    ::signal(number, SIG_DFL);
  const sigset_t set = awaited_set();
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

result<signal_waiter> signal_waiter::create() {
  const sigset_t set = awaited_set();
  descriptor signals(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals)
    return failed_call("signalfd");
  descriptor wakes(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wakes)
    return failed_call("eventfd");
  return signal_waiter(std::move(signals), std::move(wakes));
}

signal_waiter::signal_waiter(descriptor signals, descriptor wakes)
    : signals_(std::move(signals))
    , wakes_(std::move(wakes)) {}

std::optional<received_signal> signal_waiter::wait(int timeout_ms) {
  using clock = std::chrono::steady_clock;
  const auto deadline = clock::now() + std::chrono::milliseconds(timeout_ms);
  for (;;) {
    int left_ms = -1;
    if (timeout_ms >= 0) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - clock::now()).count();
      left_ms = left > 0 ? static_cast<int>(left) : 0;
    }
    std::array<pollfd, 2> watched{{{signals_.get(), POLLIN, 0}, {wakes_.get(), POLLIN, 0}}};
    const int ready = ::poll(watched.data(), watched.size(), left_ms);
    if (ready == 0)
      return std::nullopt;
    signalfd_siginfo info{};
    if (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info))
      return received_signal{static_cast<int>(info.ssi_signo), static_cast<pid_t>(info.ssi_pid)};
    uint64_t wakes = 0;
    if (::read(wakes_.get(), &wakes, sizeof wakes) == static_cast<ssize_t>(sizeof wakes))
      return std::nullopt;
    // Interrupted, as by a debugger: wait for what is left of the time.
  }
}

void signal_waiter::wake() noexcept {
  const uint64_t one = 1;
  // It fails only when the counter is full, and then the wake is there already.
  [[maybe_unused]] const ssize_t written = ::write(wakes_.get(), &one, sizeof one);
}

} // namespace task_runner
