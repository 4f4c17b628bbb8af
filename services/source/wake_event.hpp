// A flag that a poll(2) can wait for: set by any thread, seen by the one that waits.
// It is how completions and a stop reach a thread that otherwise waits for sockets.
#pragma once

namespace task_runner {

/// An eventfd. Thread-safe. Throws std::runtime_error when the process is out of descriptors.
class wake_event {
public:
  wake_event();
  ~wake_event();
  wake_event(const wake_event&) = delete;
  wake_event& operator=(const wake_event&) = delete;

  /// Readable while the event is set.
  int fd() const noexcept { return fd_; }
  void set() noexcept;
  void clear() noexcept;
  bool is_set() const noexcept;

private:
  int fd_;
};

} // namespace task_runner
