// One taken batch: its messages, and which of them are decided.
// Pure bookkeeping without I/O; the loop around it talks to Redis and to the sink.
#pragma once

#include "services/domain/push.hpp"
#include "services/source/redis_connection.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace task_runner {

/// Whether a refusal only means "not now": the message is to be submitted again.
bool is_undecided(error_code code) noexcept;

/// A message that was refused for good.
struct rejection {
  uint32_t position = 0;
  std::string reason;
  wall_time_ms at_ms = 0;
};

/// What one round of submission came to.
struct batch_progress {
  uint64_t accepted = 0;
  uint64_t duplicates = 0;
  /// Set when messages are left to be submitted again: one of the failures.
  std::optional<error> undecided;
};

/// Not thread-safe.
class taken_batch {
public:
  /// `reply` is a script's answer ({left, message…}) or a single text, as redis_connection gave it.
  /// `key_index` is the caller's.
  taken_batch(uint64_t number, size_t key_index, redis_reply reply);

  uint64_t number() const noexcept { return number_; }
  size_t key_index() const noexcept { return key_index_; }
  /// All messages of the batch.
  size_t size() const noexcept { return messages_.size(); }
  /// Messages without a decision.
  size_t open_count() const noexcept { return open_count_; }
  const std::vector<rejection>& rejections() const noexcept { return rejections_; }

  /// Takes these positions as decided, by an earlier run.
  void skip(const std::vector<uint32_t>& positions);

  /// The open messages as items with their origin, in order. Those that cannot be decoded, or are longer than
  /// `message_bytes_max`, become rejections instead.
  std::vector<push_item> make_items(uint64_t message_bytes_max);

  /// Takes the replies to the items that make_items gave last. Too few replies leave the rest undecided.
  batch_progress apply(const std::vector<push_reply>& replies);

  /// The entries for the list of rejected messages, in order.
  std::vector<std::string> make_rejected_entries() const;

private:
  struct message {
    std::string_view text;
    /// Of the whole message; more than `text` when that is only its beginning.
    uint64_t length = 0;
    bool open = true;
  };

  void reject(uint32_t position, std::string reason);

  uint64_t number_;
  size_t key_index_;
  /// Owns the bytes that `messages_` points into.
  redis_reply reply_;
  std::vector<message> messages_;
  size_t open_count_ = 0;
  std::vector<uint32_t> submitted_;
  std::vector<rejection> rejections_;
};

} // namespace task_runner
