// Keeps what has ended within bounds: the oldest finished tasks and their output go by age, count and bytes.
// It works in small steps with pauses between them, so that the store's thread stays free for commits.
#pragma once

#include "services/ports/clock.hpp"
#include "services/ports/history.hpp"
#include "services/ports/output_archive.hpp"
#include "services/ports/store_writer.hpp"

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace task_runner {

/// What is kept, and how the work is paced.
struct retention_options {
  /// How long finished and cancelled tasks are kept, milliseconds; 0: for ever.
  int64_t age_ms = 0;
  /// How long dead tasks are kept, milliseconds; 0: for ever.
  int64_t dead_age_ms = 0;
  /// How many ended tasks are kept; 0: any number.
  uint64_t count = 0;
  /// How much output of ended tasks is kept, bytes; 0: any amount.
  uint64_t bytes = 0;
  /// Most bytes of one attempt's output that are kept: the head and the tail.
  uint64_t kept_bytes_max = 0;

  /// After an end nothing is looked at for this long, so that many ends cost one look.
  std::chrono::milliseconds settle_pause{10'000};
  /// Tasks purged by one commit.
  uint32_t batch = 200;
  /// Between two steps the thread rests this many times as long as the step took, and at least `rest_min`.
  uint32_t rest_factor = 4;
  std::chrono::milliseconds rest_min{5};
  /// After the store or a file failed.
  std::chrono::milliseconds retry_pause{30'000};
  /// Most attempts of deleted tasks whose output waits to be deleted; more are left to the next start.
  size_t discards_max = 65'536;
  /// Most entries of one shard that a sweep looks at; more are left to the next start.
  size_t sweep_max = 100'000;
};

/// What the retention has done since the start.
struct retention_counters {
  uint64_t tasks_purged = 0;
  uint64_t outputs_deleted = 0;
  /// Output files that no task claimed: left by a crash between a purge and its deletions.
  uint64_t orphans_deleted = 0;
  /// Whether the sweep for orphans is done.
  bool swept = false;
  /// The last failure in a sentence; empty when there was none, or when it is over.
  std::string last_error;
};

/// Owns the thread "tr-retention". Thread-safe. The writer, the archive and the clock must outlive stop().
///
/// While nothing has ended and nothing can get too old the thread sleeps without end.
class retention final : public history_keeper {
public:
  retention(retention_options options, store_writer& writer, output_archive& archive,
            const wall_clock& clock);
  /// Stops.
  ~retention() override;
  retention(const retention&) = delete;
  retention& operator=(const retention&) = delete;

  /// Starts the thread: first the sweep for orphans, then a purge. `unavailable` when there is no thread.
  result<void> start();

  /// Ends the thread after its current step. Idempotent.
  void stop();

  void task_ended() noexcept override;
  void discard(std::vector<attempt_key> attempts) override;

  retention_counters counters() const;

private:
  using steady = std::chrono::steady_clock;

  void run();
  /// Deletes output files that no task claims; false when it is to be tried again later.
  bool sweep();
  bool sweep_shard(uint32_t shard);
  /// One commit's worth; nothing when it failed.
  std::optional<purge_answer> purge_batch();
  /// Purges until nothing is left to purge; false when it is to be tried again later.
  bool purge();
  void delete_discards();
  bool delete_outputs(const std::vector<attempt_key>& keys, bool orphans);
  /// Whether something that is kept now can get too old.
  bool may_age();
  std::chrono::milliseconds age_check_period() const;

  /// Rests after a step that took so long; false when it is time to end.
  bool rest(steady::duration step);
  bool pause(std::chrono::milliseconds time);
  bool stopping() const;
  void note_failure(const error& why);

  const retention_options options_;
  store_writer& writer_;
  output_archive& archive_;
  const wall_clock& clock_;
  wall_time_ms started_at_ms_ = 0;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  bool ended_ = false;
  std::deque<attempt_key> discards_;
  retention_counters counters_;
  std::thread thread_;
};

} // namespace task_runner
