// The thread that reads captured output for whoever asks, one request after the other.
// A disk that is slow, or hangs, holds up this thread and those who want output; actors and HTTP go on.
#pragma once

#include "services/ports/output_reader.hpp"

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <string>
#include <thread>

namespace task_runner {

/// The bounds of an output_reading.
struct output_reading_limits {
  /// Most requests that wait for their turn; one more is `overloaded`.
  size_t waiting_max = 256;
  /// A request whose turn comes later than this is answered `timeout` and not read: nobody waits for it any
  /// more.
  std::chrono::milliseconds patience{30'000};
};

/// Owns the thread "tr-output". Thread-safe, but for start() and stop(), which belong to one thread.
class output_reading final : public output_reader {
public:
  explicit output_reading(std::string state_dir, output_reading_limits limits = {});
  /// Stops.
  ~output_reading() override;
  output_reading(const output_reading&) = delete;
  output_reading& operator=(const output_reading&) = delete;

  /// Starts the thread. `unavailable` when the system gives none.
  result<void> start();

  /// Takes nothing new, answers those that wait with `draining`, and ends the thread after what it is
  /// reading. Idempotent.
  void stop();

  result<void> read(attempt_key key, output_range wanted, output_completion done) override;

private:
  using steady = std::chrono::steady_clock;

  struct request {
    attempt_key key;
    output_range range;
    output_completion done;
    steady::time_point asked_at;
  };

  void run();
  result<output_piece> perform(const request& wanted) const;

  const std::string state_dir_;
  const output_reading_limits limits_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<request> waiting_;
  bool stopping_ = false;
  std::thread thread_;
};

} // namespace task_runner
