// One taken batch: its messages, and which of them are decided.
// Pure bookkeeping without I/O; the loop around it talks to Redis and to the sink.
#pragma once

#include "services/domain/push.hpp"
#include "services/domain/result.hpp"
#include "services/source/redis_connection.hpp"

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace task_runner {

/// A message that was refused for good.
struct rejection {
  uint32_t position = 0;
  std::string reason;
  wall_time_ms at_ms = 0;
};

/// Not thread-safe. A position that is asked for must be that of an open message.
class taken_batch {
public:
  /// `reply` is a script's answer ({left, message…}) or a single text, as redis_connection gave it.
  /// `key_index` is the caller's.
  taken_batch(uint64_t number, size_t key_index, redis_reply reply);

  uint64_t number() const noexcept { return number_; }
  size_t key_index() const noexcept { return key_index_; }
  /// All messages of the batch.
  size_t size() const noexcept { return size_; }
  /// Bytes of all messages of the batch, as its list holds them.
  uint64_t bytes() const noexcept { return bytes_; }
  /// Messages without a decision.
  size_t open_count() const noexcept { return open_count_; }
  std::vector<uint32_t> open_positions() const;
  /// Bytes of one message.
  uint64_t length(uint32_t position) const noexcept { return find(position).length; }
  const std::vector<rejection>& rejections() const noexcept { return rejections_; }

  /// Takes these positions as decided, by an earlier run. Ignores positions that the batch does not have.
  void skip(const std::vector<uint32_t>& positions);

  /// The message as an item with its origin. When it cannot be decoded, or is longer than
  /// `message_bytes_max`, it becomes a rejection instead, for the reason that is returned.
  result<push_item> make_item(uint32_t position, uint64_t message_bytes_max);

  /// The message is durably accepted, or a duplicate.
  void decide(uint32_t position);
  /// The message is refused for good.
  void reject(uint32_t position, std::string reason);

  /// Lets go of the memory of every message that is neither open nor among the rejections from `first` on:
  /// for a batch that is about to be kept for long.
  void shrink(size_t first_rejection);

  /// The entries for the list of rejected messages, from the rejection `first` on, in order of their
  /// messages.
  std::vector<std::string> make_rejected_entries(size_t first) const;
  /// The positions that make_rejected_entries tells of, in the same order.
  std::vector<uint32_t> rejected_positions(size_t first) const;

private:
  struct message {
    uint32_t position = 0;
    bool open = true;
    std::string_view text;
    /// Of the whole message; more than `text` when that is only its beginning.
    uint64_t length = 0;
  };

  const message& find(uint32_t position) const noexcept;
  message& find(uint32_t position) noexcept {
    return const_cast<message&>(static_cast<const taken_batch*>(this)->find(position));
  }
  std::vector<rejection> ordered_rejections(size_t first) const;

  uint64_t number_;
  size_t key_index_;
  /// Own the bytes that `messages_` points into: the one at first, the other after shrink.
  redis_reply reply_;
  std::deque<std::string> kept_texts_;
  /// In ascending order of positions; without those that were let go.
  std::vector<message> messages_;
  size_t size_ = 0;
  uint64_t bytes_ = 0;
  size_t open_count_ = 0;
  std::vector<rejection> rejections_;
};

} // namespace task_runner
