// What one actor is doing, readable from any thread without asking it: an actor that is stuck is seen too.
// An actor marks each message with a `handling` guard, actors/probed_actor.hpp counts its mailbox, and the
// registry lists all probes of the process.
#pragma once

#include "services/domain/task.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace task_runner {

/// The two ends of a way that messages take. Each is the name of an actor or of a service; `queue:*` stands
/// for the queue of the channel that the probe belongs to.
struct edge_ends {
  std::string_view from;
  std::string_view to;
};

/// What the probes of all actors of a kind have in common. One for each kind, which lives as long as the
/// program; so do all texts in it.
struct probe_shape {
  /// `own_kinds` are the kinds of message that the actor names itself. Two are added: `reply`, answers to
  /// what it has asked, and `other`, what CAF sends and the actor does not name, such as the end of another.
  probe_shape(std::string_view kind_name, std::vector<std::string_view> own_kinds);

  size_t reply_kind() const noexcept { return message_kinds.size() - 2; }
  size_t other_kind() const noexcept { return message_kinds.size() - 1; }

  std::string_view kind;
  std::vector<std::string_view> message_kinds;
  /// What is counted here: ways from this actor, and those to it from a service or from an actor that all
  /// channels share. So whoever lists a channel's actors has all edges that are the channel's.
  std::vector<edge_ends> edges;
  /// What actor_probe::set_credits sets.
  std::vector<std::string_view> credits;
  /// What actor_probe::set_facts sets.
  std::vector<std::string_view> facts;
  /// The kind of actor that is told when this one ends; empty: none.
  std::string_view watched_by;
};

/// Two clocks read at one moment. Probes note steady time, which costs them one clock and does not jump;
/// whoever reads them wants wall time.
struct two_clocks {
  static two_clocks read() noexcept;

  wall_time_ms wall_of(int64_t moment_ns) const noexcept {
    return wall_ms - (steady_ns - moment_ns) / 1'000'000;
  }

  /// Nanoseconds of the steady clock.
  int64_t steady_ns = 0;
  wall_time_ms wall_ms = 0;
};

/// What an actor was sent, and how much of it it has taken. Senders count on `arrived`, the actor alone on
/// the others.
struct mailbox_counters {
  std::atomic<uint64_t> arrived{0};
  std::atomic<uint64_t> taken{0};
  /// The most that waited when a message was taken, that one among them. Nothing is missed: what waits only
  /// grows until then.
  std::atomic<uint64_t> peak{0};
  /// The actor has ended, and takes nothing more.
  std::atomic<bool> closed{false};

  /// Messages that wait.
  uint64_t depth() const noexcept {
    if (closed.load(std::memory_order_relaxed))
      return 0;
    // In this order: what has been taken has arrived before.
    const auto out = taken.load(std::memory_order_acquire);
    const auto in = arrived.load(std::memory_order_relaxed);
    return in > out ? in - out : 0;
  }

  /// The actor takes a message.
  void take() noexcept {
    const auto waiting = depth();
    if (waiting > peak.load(std::memory_order_relaxed))
      peak.store(waiting, std::memory_order_relaxed);
    taken.store(taken.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }

  /// The actor puts it back, for later.
  void put_back() noexcept {
    taken.store(taken.load(std::memory_order_relaxed) - 1, std::memory_order_release);
  }
};

/// The messages of one kind that an actor has begun to handle, and the time that the ended ones took.
struct message_figures {
  uint64_t count = 0;
  int64_t total_ns = 0;
  int64_t longest_ns = 0;
};

/// Counters of one actor, since its start. Written by the actor, one thread at a time; read by anyone.
class actor_probe {
public:
  /// `channel` is empty for actors that all channels share. `before`: the probe of the same actor before its
  /// restart, whose edges go on counting, and its restarts.
  actor_probe(const probe_shape& shape, std::string channel, const actor_probe* before = nullptr);
  /// A service: it has a name, and nothing is counted.
  explicit actor_probe(std::string_view service);

  // -- for readers ------------------------------------------------------------------------------------------

  /// The kind, and `:CHANNEL` where it belongs to one.
  const std::string& name() const noexcept { return name_; }
  std::string_view kind() const noexcept { return shape_.kind; }
  const std::string& channel() const noexcept { return channel_; }
  /// Whether it stands for a service, of which nothing is counted.
  bool is_service() const noexcept { return edges_ == nullptr; }
  const probe_shape& shape() const noexcept { return shape_; }
  const std::vector<std::string_view>& message_kinds() const noexcept { return shape_.message_kinds; }
  wall_time_ms started_at_ms() const noexcept { return started_at_ms_; }
  uint64_t restarts() const noexcept { return restarts_.load(std::memory_order_relaxed); }

  /// Messages of a kind that it has begun to handle.
  uint64_t handled(size_t message_kind) const noexcept {
    return counts_[message_kind].load(std::memory_order_relaxed);
  }
  /// Messages of all kinds.
  uint64_t handled() const noexcept;
  message_figures figures(size_t message_kind) const noexcept;
  /// Messages that wait now, without the one that is handled. Counted where they arrive, so that it is right
  /// for an actor that is stuck.
  uint64_t mailbox_depth() const noexcept;
  /// The most messages that waited at once, the next one among them.
  uint64_t mailbox_peak() const noexcept;
  /// Whether it has started and not ended.
  bool is_alive() const noexcept;
  /// Start of the message being handled now, steady; 0 when idle.
  int64_t busy_since_ns() const noexcept { return busy_since_ns_.load(std::memory_order_relaxed); }
  /// Start of the last message, the one that is handled now among them, steady; 0 when there was none.
  int64_t last_begun_ns() const noexcept { return last_begun_ns_.load(std::memory_order_relaxed); }
  /// Its kind; empty when there was none.
  std::string_view last_kind() const noexcept;
  /// Requests that are open: those it waits for the answer of, and those that it has not answered.
  uint64_t in_flight() const noexcept { return in_flight_.load(std::memory_order_relaxed); }
  int64_t credit(size_t which) const noexcept { return gauges_[which].load(std::memory_order_relaxed); }
  int64_t fact(size_t which) const noexcept { return credit(shape_.credits.size() + which); }
  /// Messages that have taken an edge, since the daemon or the channel began.
  uint64_t edge_messages(size_t edge) const noexcept { return edges_[edge].load(std::memory_order_relaxed); }
  std::string edge_from(size_t edge) const { return name_of_end(shape_.edges[edge].from); }
  std::string edge_to(size_t edge) const { return name_of_end(shape_.edges[edge].to); }

  // -- for the actor ----------------------------------------------------------------------------------------

  void set_restarts(uint64_t count) noexcept { restarts_.store(count, std::memory_order_relaxed); }
  void set_in_flight(uint64_t count) noexcept { in_flight_.store(count, std::memory_order_relaxed); }
  /// All of them, in the order of the shape.
  void set_credits(std::initializer_list<int64_t> values) noexcept { set_gauges(0, values); }
  void set_facts(std::initializer_list<int64_t> values) noexcept {
    set_gauges(shape_.credits.size(), values);
  }
  /// One message takes an edge. Each edge is counted by one actor alone: that which sends, or that which
  /// receives from a service.
  template <class Edge>
  void count(Edge edge) noexcept {
    auto& messages = edges_[static_cast<size_t>(edge)];
    messages.store(messages.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  /// Where its mailbox is counted.
  void watch(std::shared_ptr<const mailbox_counters> mailbox);

private:
  friend class handling;

  struct time_counters {
    std::atomic<int64_t> total_ns{0};
    std::atomic<int64_t> longest_ns{0};
  };
  using edge_counter = std::atomic<uint64_t>;

  static constexpr size_t no_kind = SIZE_MAX;

  /// Begins a message that is of `otherwise` unless another kind is said. False when one is being handled
  /// already.
  bool begin(size_t otherwise) noexcept;
  /// Says what the message is that is being handled; the first word counts.
  void say_kind(size_t message_kind) noexcept;
  void end() noexcept;
  /// Ends one that was none.
  void drop() noexcept;
  void set_gauges(size_t first, std::initializer_list<int64_t> values) noexcept {
    for (const auto value : values)
      gauges_[first++].store(value, std::memory_order_relaxed);
  }
  std::string name_of_end(std::string_view end) const;

  const probe_shape& shape_;
  const std::string channel_;
  const std::string name_;
  const wall_time_ms started_at_ms_;
  /// Of each kind of message. Apart from the times, as who looks at all actors looks at these alone.
  const std::unique_ptr<std::atomic<uint64_t>[]> counts_;
  const std::unique_ptr<time_counters[]> times_;
  const std::unique_ptr<std::atomic<int64_t>[]> gauges_;
  const std::shared_ptr<edge_counter[]> edges_;
  /// Set once, by the actor; read by atomic_load.
  std::shared_ptr<const mailbox_counters> mailbox_;
  std::atomic<uint64_t> restarts_{0};
  std::atomic<uint64_t> in_flight_{0};
  std::atomic<int64_t> busy_since_ns_{0};
  std::atomic<int64_t> last_begun_ns_{0};
  std::atomic<size_t> last_kind_{no_kind};

  // The actor's own, of the message that it handles.
  int64_t begun_ns_ = 0;
  size_t kind_ = no_kind;
  size_t otherwise_ = no_kind;
  // And of the one before.
  int64_t begun_before_ns_ = 0;
  size_t kind_before_ = no_kind;
};

/// The kind of a message that is handled, unless another is said meanwhile.
struct unless_said {
  size_t message_kind;
};

/// Marks one message as being handled, for the lifetime of the guard. One inside of another says the kind,
/// unless that has been said, and measures nothing itself. A message is counted when its kind is said, so
/// that what follows from it comes after its count.
class handling {
public:
  handling(actor_probe& probe, unless_said otherwise) noexcept
      : probe_(probe)
      , measures_(probe.begin(otherwise.message_kind)) {}
  handling(actor_probe& probe, size_t message_kind) noexcept
      : handling(probe, unless_said{message_kind}) {
    probe_.say_kind(message_kind);
  }
  ~handling() {
    if (measures_)
      probe_.end();
  }
  handling(const handling&) = delete;
  handling& operator=(const handling&) = delete;

  /// It was no message after all, and does not count.
  void drop() noexcept {
    if (measures_)
      probe_.drop();
    measures_ = false;
  }

private:
  actor_probe& probe_;
  bool measures_;
};

/// Which probes are wanted; what is empty admits all.
struct probe_filter {
  std::string channel;
  std::string kind;
};

/// All actors of a kind.
struct actor_sums {
  /// Those that there are now, and the messages that wait for them.
  uint64_t actors = 0;
  uint64_t depth = 0;
  /// Messages handled since the daemon was started, by those that are gone too.
  uint64_t handled = 0;
  /// Those that took the place of one that had died, since the daemon was started.
  uint64_t restarts = 0;
};

/// All probes of the process, by name. Thread-safe. A probe leaves the list when its actor is gone, and
/// nobody else holds it; what it has counted stays in the sums.
class probe_registry {
public:
  using probes = std::vector<std::shared_ptr<const actor_probe>>;

  /// A probe for an actor that starts. One that is listed under the same name gives way to it. `before`: as
  /// of actor_probe.
  std::shared_ptr<actor_probe> add(const probe_shape& shape, std::string channel = {},
                                   const actor_probe* before = nullptr);
  /// Something outside of the actors where edges end, such as the store; it stays.
  void add_service(std::string_view name);

  /// In the order of their names, from the first behind `after` on, at most `limit`.
  probes list(const probe_filter& filter = {}, std::string_view after = {}, size_t limit = SIZE_MAX) const;

  /// Without services. What is counted here never falls.
  std::map<std::string_view, actor_sums> sums() const;

private:
  /// `continues`: it counts the restarts of the one that gives way to it, too.
  void put(std::shared_ptr<actor_probe> probe, bool continues);
  void sweep();
  /// Nobody but this registry holds it, and nobody will again.
  static bool is_gone(const std::shared_ptr<actor_probe>& probe) noexcept;

  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<actor_probe>, std::less<>> by_name_;
  /// Those that gave way to another and may still count.
  std::vector<std::shared_ptr<actor_probe>> replaced_;
  /// What was counted of those that have been swept out, and the restarts of those that gave way to another
  /// actor.
  std::map<std::string_view, actor_sums> gone_;
  /// At this many entries those are swept out whose actors are gone.
  size_t sweep_at_ = 64;
};

} // namespace task_runner
