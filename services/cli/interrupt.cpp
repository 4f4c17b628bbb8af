// A flag that a signal handler sets, and a sleep in slices, for which no race matters.
#include "services/cli/interrupt.hpp"

#include <algorithm>
#include <csignal>
#include <poll.h>

namespace task_runner::cli {

namespace {

constexpr std::chrono::milliseconds slice{200};

volatile std::sig_atomic_t interrupted = 0;

extern "C" void note_interrupt(int) {
  interrupted = 1;
}

} // namespace

void note_interrupts() noexcept {
  struct sigaction action {};
  // Whoever started it in the background of a script means Ctrl-C for others.
  if (::sigaction(SIGINT, nullptr, &action) == 0 && action.sa_handler == SIG_IGN)
    return;
  action = {};
  action.sa_handler = note_interrupt;
  action.sa_flags = static_cast<int>(SA_RESETHAND); // and no SA_RESTART: a sleep ends
  sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, nullptr);
}

bool is_interrupted() noexcept {
  return interrupted != 0;
}

void pause_for(std::chrono::milliseconds time) noexcept {
  const auto until = std::chrono::steady_clock::now() + time;
  while (!is_interrupted()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    if (left.count() <= 0)
      return;
    ::poll(nullptr, 0, static_cast<int>(std::min(left, slice).count()));
  }
}

} // namespace task_runner::cli
