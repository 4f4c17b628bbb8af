// Waiting in tests: for a condition or a descriptor, always with a deadline, never for a fixed time.
// The only places where a test may pause.
#pragma once

#include <cerrno>
#include <chrono>
#include <poll.h>

namespace task_runner::test {

/// Generous on purpose: it is only ever reached by a failure, or by a machine under heavy load.
constexpr std::chrono::milliseconds default_deadline{15'000};

/// Looks at `condition` every few milliseconds until it holds. False when the deadline passed first.
template <class Condition>
[[nodiscard]] bool wait_until(Condition condition, std::chrono::milliseconds deadline = default_deadline) {
  const auto end = std::chrono::steady_clock::now() + deadline;
  int pause_ms = 1;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= end)
      return condition();
    poll(nullptr, 0, pause_ms);
    pause_ms = pause_ms < 8 ? pause_ms * 2 : 10;
  }
  return true;
}

/// Waits until the descriptor can be read, or is closed at the other end. False at the deadline.
[[nodiscard]] inline bool wait_readable(int fd, std::chrono::milliseconds deadline = default_deadline) {
  const auto end = std::chrono::steady_clock::now() + deadline;
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    pollfd one{fd, POLLIN, 0};
    const int ready = poll(&one, 1, left.count() > 0 ? static_cast<int>(left.count()) : 0);
    if (ready > 0)
      return true;
    if (ready == 0 || errno != EINTR)
      return false;
  }
}

} // namespace task_runner::test
