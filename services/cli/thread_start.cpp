// A new thread inherits the mask of the one that starts it, so that is blocked for as long as it takes.
// Blocking it inside of the new thread would leave a moment in which a signal could end up there.
#include "services/cli/thread_start.hpp"

#include <csignal>
#include <utility>

namespace task_runner::cli {

namespace {

/// All signals of the calling thread, blocked for as long as it lives.
class signals_blocked {
public:
  signals_blocked() noexcept {
    sigset_t all;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~signals_blocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  signals_blocked(const signals_blocked&) = delete;
  signals_blocked& operator=(const signals_blocked&) = delete;

private:
  sigset_t before_{};
};

} // namespace

std::thread start_without_signals(std::function<void()> work) {
  const signals_blocked guard;
  return std::thread(std::move(work));
}

} // namespace task_runner::cli
