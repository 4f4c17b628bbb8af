// Notices that the wall clock was set, at the moment it happens, without ever looking at it in between.
// The kernel cancels a timer on the wall clock when somebody sets it; that is what wakes the watch.
#pragma once

#include "services/domain/result.hpp"
#include "services/os/descriptor.hpp"
#include "services/ports/queue_store.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

namespace task_runner {

/// A change of the wall clock by no more than this is the usual steering of a time server, milliseconds.
constexpr int64_t clock_step_min_ms = 1'000;

/// How the wall clock stands against the clock since boot now. `internal` when the boot cannot be named.
result<clock_mark> read_clock_mark();

/// By how much the wall clock was set between two marks; 0 when it was steered at most, and when the marks
/// are of different boots and cannot be compared. Pure.
int64_t clock_step_ms(const clock_mark& before, const clock_mark& now) noexcept;

/// Watches the wall clock from a thread of its own, "tr-clock", which sleeps until the clock is set.
class clock_watch {
public:
  /// Called on the watch's thread with the step and the clock as it stands now; may block it. False: the step
  /// could not be dealt with; it is told again, a little later, with whatever was set since.
  using listener = std::function<bool(int64_t step_ms, const clock_mark& now)>;
  /// Where marks come from; tests give their own.
  using reader = std::function<result<clock_mark>()>;

  /// `known`: the mark that steps are measured from. `unavailable` when the system gives no timer or thread.
  static result<std::unique_ptr<clock_watch>> start(clock_mark known, listener on_step,
                                                    reader read = read_clock_mark);

  /// Stops.
  ~clock_watch();
  clock_watch(const clock_watch&) = delete;
  clock_watch& operator=(const clock_watch&) = delete;

  /// Compares at once, on the watch's thread. Thread-safe.
  void look() noexcept;

  /// Ends the thread; the listener is not called any more. Idempotent.
  void stop() noexcept;

private:
  clock_watch(clock_mark known, listener on_step, reader read, descriptor timer, descriptor wakes);

  void run();
  bool arm() noexcept;
  /// False when it is to be repeated soon.
  bool compare();

  clock_mark known_;
  const listener on_step_;
  const reader read_;
  descriptor timer_;
  descriptor wakes_;
  std::mutex mutex_;
  bool stopping_ = false;
  std::thread thread_;
};

} // namespace task_runner
