// The last events of the daemon, numbered in the order in which they happened, for those who come back.
// Bounded by number and bytes; who has missed more than is there is told so. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace task_runner {

enum class event_kind : uint8_t { task, channel };

/// The kind's name on the wire.
std::string_view to_string(event_kind kind) noexcept;

/// What somebody wants to hear of.
struct event_filter {
  /// By name, each once; empty: all.
  std::vector<std::string> channels;
  /// Events about tasks.
  bool tasks = true;
  /// Events about channels: their counts.
  bool counts = true;

  bool lets_through(event_kind kind, const std::string& channel) const;
  bool operator==(const event_filter& other) const {
    return channels == other.channels && tasks == other.tasks && counts == other.counts;
  }
};

/// The bounds of an event_ring; the oldest events go first.
struct event_ring_limits {
  size_t events_max = 8'192;
  /// Names and data together.
  size_t bytes_max = 4'194'304;
};

/// Events are numbered from 1. A place is the number of the last event that somebody has seen.
class event_ring {
public:
  /// `epoch` stands before each number: those of another daemon's life mean nothing here.
  explicit event_ring(std::string epoch, event_ring_limits limits = {});

  /// Appends an event about a task or a channel, as `subject` names it. `data` is JSON.
  void add(event_kind kind, const std::string& subject, const std::string& channel, std::string data);

  /// Something was not recorded: nothing that comes now follows from what is there, which is forgotten.
  void lose();

  /// The place behind all events.
  uint64_t last() const noexcept { return next_ - 1; }

  /// Whether all events behind a place are there.
  bool reaches(uint64_t place) const noexcept { return place + 1 >= first_ && place < next_; }

  /// A place as events have it in their id: EPOCH-NUMBER.
  std::string id_of(uint64_t place) const;

  struct stretch {
    /// As server-sent events.
    std::string text;
    /// The place behind them.
    uint64_t up_to = 0;
  };
  /// The events behind `after`, up to place `up_to`, or fewer when they come to more than `bytes_max`; at
  /// least one. Of several about the same task or channel the last alone. REQUIRES: reaches(after).
  stretch collect(uint64_t after, uint64_t up_to, const event_filter& filter, size_t bytes_max) const;

private:
  struct entry {
    event_kind kind;
    /// Kind and subject.
    std::string key;
    std::string channel;
    std::string data;
    /// The next event about the same; 0: none.
    uint64_t next_same = 0;

    size_t cost() const noexcept { return key.size() + channel.size() + data.size(); }
  };

  void drop_first();

  const std::string epoch_;
  const event_ring_limits limits_;
  std::deque<entry> entries_;
  std::unordered_map<std::string, uint64_t> latest_;
  /// Of the first entry, and of the next one to come.
  uint64_t first_ = 1;
  uint64_t next_ = 1;
  size_t bytes_ = 0;
};

} // namespace task_runner
