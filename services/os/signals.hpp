// The daemon's signals, blocked before any thread starts. The one thread that waits for them takes them as
// values.
#pragma once

#include "services/domain/result.hpp"
#include "services/os/descriptor.hpp"

#include <optional>
#include <sys/types.h>

namespace task_runner {

/// Blocks HUP, INT, TERM and USR2 for this thread and all it starts, and ignores PIPE, USR1 and XFSZ. Signals
/// that the parent had set to be ignored (nohup, a shell's background job) are heard again. Call it first
/// thing in main, while there is one thread. A process that is started from here inherits both the mask and
/// what is ignored: reset_signals() undoes them.
void block_signals() noexcept;

/// Gives all of block_signals() its default back. Async-signal-safe, for use between fork and exec.
void reset_signals() noexcept;

/// A signal that came.
struct received_signal {
  /// SIGHUP, SIGINT, SIGTERM or SIGUSR2.
  int number = 0;
  /// Who sent it; 0 when the kernel did, as a terminal's Ctrl-C.
  pid_t sender = 0;
};

/// Waits for the blocked signals. One thread waits; wake() may be called from any. Move-only.
class signal_waiter {
public:
  /// Requires block_signals(). `internal` when the kernel gives no descriptor.
  static result<signal_waiter> create();

  /// The next signal, or nothing after wake() or when `timeout_ms` has passed (negative waits without end).
  /// Signals that came before are waiting here; several of one number may have become one. A signal that is
  /// there goes before a wake.
  std::optional<received_signal> wait(int timeout_ms = -1);

  /// Makes the current or the next wait() return. Several before one wait() count once. Thread-safe and
  /// async-signal-safe.
  void wake() noexcept;

private:
  signal_waiter(descriptor signals, descriptor wakes);

  descriptor signals_;
  descriptor wakes_;
};

} // namespace task_runner
