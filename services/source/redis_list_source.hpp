// The Redis intake: drains lists of JSON messages into the intake, losing nothing and running nothing twice.
// One thread of its own takes numbered batches, submits them, and deletes each when all of it is decided.
#pragma once

#include "services/domain/result.hpp"
#include "services/ports/intake_journal.hpp"
#include "services/ports/push_sink.hpp"
#include "services/source/redis_endpoint.hpp"
#include "services/source/source_status.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace task_runner {

/// Settings of a redis_list_source; the limits are checked by its `start`.
struct redis_source_options {
  redis_endpoint endpoint;
  /// The lists to drain: 1 to 16, all different.
  std::vector<std::string> keys = {"task:prepare:queue"};
  /// This node's name in the names of taken lists: 1 to 128 of `A-Z a-z 0-9 . _ : -`. No two running daemons
  /// may share one, and it must stay the same across restarts.
  std::string node_id;
  /// Most messages of a batch, 1 to 5,000 (Lua passes no more values to one call).
  uint32_t batch_max = 1'000;
  /// Most bytes of a batch; its last message may exceed it.
  uint64_t batch_bytes_max = 4 * 1'048'576;
  /// Longer messages are rejected, and only their first 64 KiB kept.
  uint64_t message_bytes_max = 2 * 1'048'576;
  /// Batches of one key that are submitted and not decided, 1 to 64. Beyond it Redis keeps the backlog.
  uint32_t batches_in_flight_max = 8;
  /// The channel of messages that name none.
  std::string channel_default = "default";
  /// Messages of one key that are parked because their channels take nothing now, and the bytes of the
  /// taken lists that hold them, at least 1 each. When either is reached nothing more is taken from the key
  /// until a tenth of them is handed over; what was being taken at that moment may exceed it.
  uint64_t parked_max = 10'000;
  uint64_t parked_bytes_max = 64 * 1'048'576;
  /// The list of refused messages, newest first, and how many it keeps.
  std::string rejected_key = "task:prepare:rejected";
  uint32_t rejected_max = 10'000;
  /// Pause before trying again, growing from the first to the second, less a random part of up to a half.
  int64_t backoff_min_ms = 100;
  int64_t backoff_max_ms = 5'000;
  /// How long Redis holds back an answer while a list is empty, seconds, 1 to 60.
  uint32_t block_s = 5;
  /// After a connect the lists of lost connections are looked for once more when this time has passed: only
  /// then has Redis given up on everyone who waited before. Longer than `block_s`.
  int64_t leftover_check_ms = 15'000;
};

/// Drains Redis lists into a push_sink. A taken batch waits in the list `{KEY}:taken:NODE:NUMBER`.
///
/// Messages of one channel, out of one key, are submitted in the order in which they were pushed. When a
/// channel takes nothing now, its messages wait, parked, without stopping those of other channels.
///
/// What holds: a message is in an intake list, in a taken list, or decided durably; each move between them
/// is one atomic step of Redis or of the store. A batch that is taken in again after a crash skips the
/// positions that the store has marked. This rests on Redis keeping what it was told: a Redis that comes
/// back with older data hands out again what had been taken since.
///
/// Redis being away is no error of `start`: the source reports it and tries again with backoff.
class redis_list_source {
public:
  /// `sink` and `journal` must outlive the source. The sink's completions may come later than that.
  redis_list_source(redis_source_options options, push_sink& sink, intake_journal& journal);
  /// Stops.
  ~redis_list_source();
  redis_list_source(const redis_list_source&) = delete;
  redis_list_source& operator=(const redis_list_source&) = delete;

  /// Starts the thread, once. `invalid_argument` for settings out of their limits, `conflict` when it was
  /// started before.
  result<void> start();

  /// Takes nothing more, waits up to three seconds for what is in flight, and joins the thread. What is not
  /// decided by then stays in its taken list for the next start. Idempotent, thread-safe.
  void stop();

  /// Thread-safe.
  source_status status() const;

private:
  class running;
  redis_source_options options_;
  std::unique_ptr<running> running_;
};

} // namespace task_runner
