// What one actor is doing, readable from any thread without asking it: /status sees a stuck actor too.
// An actor marks each message with a `handling` guard; the registry lists all probes of the process.
#pragma once

#include "services/domain/task.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace task_runner {

/// Most kinds of message that one actor counts.
constexpr size_t message_kinds_max = 32;

/// Counters of one actor. Written by the actor, read by anyone.
class actor_probe {
public:
  actor_probe(std::string name, std::string_view kind, std::vector<std::string_view> message_kinds)
      : name_(std::move(name))
      , kind_(kind)
      , message_kinds_(std::move(message_kinds)) {}

  const std::string& name() const noexcept { return name_; }
  std::string_view kind() const noexcept { return kind_; }
  const std::vector<std::string_view>& message_kinds() const noexcept { return message_kinds_; }
  uint64_t handled(size_t message_kind) const noexcept {
    return handled_[message_kind].load(std::memory_order_relaxed);
  }
  uint64_t mailbox_depth() const noexcept { return mailbox_depth_.load(std::memory_order_relaxed); }
  /// Start of the message being handled now; 0 when idle.
  wall_time_ms busy_since_ms() const noexcept { return busy_since_ms_.load(std::memory_order_relaxed); }
  uint64_t restarts() const noexcept { return restarts_.load(std::memory_order_relaxed); }
  void set_restarts(uint64_t count) noexcept { restarts_.store(count, std::memory_order_relaxed); }

private:
  friend class handling;

  const std::string name_;
  const std::string_view kind_;
  const std::vector<std::string_view> message_kinds_;
  std::array<std::atomic<uint64_t>, message_kinds_max> handled_{};
  std::atomic<uint64_t> mailbox_depth_{0};
  std::atomic<wall_time_ms> busy_since_ms_{0};
  std::atomic<uint64_t> restarts_{0};
};

/// Marks one message as being handled, for the lifetime of the guard.
class handling {
public:
  handling(actor_probe& probe, size_t message_kind, size_t mailbox_depth);
  ~handling();
  handling(const handling&) = delete;
  handling& operator=(const handling&) = delete;

private:
  actor_probe& probe_;
};

/// All probes of the process. Thread-safe. A probe leaves the list when its actor is gone.
class probe_registry {
public:
  std::shared_ptr<actor_probe> add(std::string name, std::string_view kind,
                                   std::vector<std::string_view> message_kinds);
  std::vector<std::shared_ptr<const actor_probe>> list() const;

private:
  mutable std::mutex mutex_;
  mutable std::vector<std::weak_ptr<actor_probe>> probes_;
};

} // namespace task_runner
