// The daemon's side of the launcher: starts or finds it, keeps the conversation going, and is the process
// port. The launcher outlives this object; what it did meanwhile is in the listing the next one receives.
#pragma once

#include "services/launcher/launcher_link.hpp"
#include "services/ports/process_runner.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace task_runner {

struct launcher_client_options {
  /// The state directory, absolute; it must exist.
  std::string state_dir;
  /// What is executed as `BINARY --launcher --state-dir DIR`. Through /proc/self/exe the process never
  /// carries the daemon's name, not even for the moment before it renames itself.
  std::string launcher_binary = "/proc/self/exe";
  /// Further arguments behind those; tests use them.
  std::vector<std::string> launcher_arguments;
  /// The program that a launcher is asked to go over to when it runs another one; empty: it is not asked.
  std::string program = "/proc/self/exe";
  /// Most requests waiting to be sent; start() and signal() answer `overloaded` beyond. Above 0.
  size_t queue_max = 16'384;
  /// How long start_service() waits for the listing, milliseconds.
  int start_wait_ms = 5'000;
  /// From one answer of the launcher to the next question whether it works, milliseconds.
  int ping_pause_ms = 5'000;
  /// A launcher that has said nothing for this long after it was asked counts as hanging, milliseconds.
  int silence_max_ms = 10'000;
  /// Starts that wait for processes, memory or descriptors for this long are told of, milliseconds.
  int shortage_max_ms = 10'000;
};

/// What `/status` tells of the launcher.
struct launcher_health {
  bool connected = false;
  /// 0 while none is connected.
  int launcher_pid = 0;
  std::string launcher_version;
  /// How the launcher holds whole process trees together; empty before the first connection.
  std::string containment;
  /// Most commands that the launcher runs at once.
  uint32_t running_max = 0;
  /// How often another launcher was started, or the same one found again after its connection was lost; one
  /// that goes over to a new program does not count.
  uint64_t restarts = 0;
  /// How often the launcher process that is connected has gone over to a new program.
  uint32_t upgrades = 0;
  /// Why the launcher stayed with another program than the daemon's; empty while it did not.
  std::string upgrade_failure;
  /// Attempts handed over that have not ended.
  size_t running = 0;
  /// Requests waiting to be sent.
  size_t queued = 0;
  /// The failure that keeps the launcher from being connected, in a sentence; empty while it is connected.
  std::string last_error;
  /// What keeps the launcher that is connected from its work, in a sentence: it does not answer, or starts
  /// wait for resources. Empty when nothing does.
  std::string trouble;

  /// Whether commands can be started.
  bool healthy() const { return connected && trouble.empty(); }
  /// Why they cannot, in a sentence; empty when they can.
  std::string reason() const;
};

/// Talks to the launcher of one state directory from a thread of its own, "tr-launch-io". Thread-safe; no
/// call but start_service() and stop() blocks.
///
/// A request is sent by its caller, where the socket takes it at once: that spares a start the way over
/// another thread. What cannot be sent so is the thread's business, which sends everything in its order.
///
/// When the launcher dies, a new one is started at once (then with backoff), and every attempt that it does
/// not know any more ends as `lost`. Requests made meanwhile wait in the queue.
///
/// A launcher that is connected is asked every few seconds whether it works. One that hangs, or that somebody
/// has stopped, is reported and left alone: its commands run on, and it may answer again.
///
/// A launcher that runs another program than `program` is asked, once, to go over to that; whatever comes of
/// it, no attempt and no request is lost, and it counts neither as a death nor as a restart.
class launcher_client : public process_runner {
public:
  explicit launcher_client(launcher_client_options options);
  /// Calls stop().
  ~launcher_client() override;
  launcher_client(const launcher_client&) = delete;
  launcher_client& operator=(const launcher_client&) = delete;

  /// Connects, starting a launcher when there is none, and waits for its listing. After success
  /// known_attempts() answers; what had ended before stands there, and on_ended is called only for what ends
  /// from now on. `events` must outlive stop(). Call once. `unavailable` with the reason when there is no
  /// launcher in time.
  result<void> start_service(process_events& events);

  /// Sends what is queued (for at most a second), closes the connection and joins the thread. The launcher
  /// and its commands go on. Idempotent; not to be called from process_events.
  void stop();

  /// `unavailable` after stop().
  result<void> start(attempt_start request) override;
  result<void> signal(const attempt_key& key, int signal_number) override;
  /// A start that no launcher has heard of yet is dropped, and ends as cancelled on the client's thread.
  result<void> stop(const attempt_key& key, int64_t grace_ms) override;
  void settled(const attempt_key& key) override;
  result<void> hand_over(const std::vector<attempt_key>& outcomes,
                         std::deque<attempt_start>& requests) override;
  std::vector<known_attempt> known_attempts(const std::string& channel) const override;
  uint64_t launcher_id() const override;

  launcher_health health() const;

private:
  struct signal_order {
    attempt_key key;
    int number = 0;
  };
  struct stop_order {
    attempt_key key;
    int64_t grace_ms = 0;
  };
  struct settle_order {
    attempt_key key;
  };
  using order = std::variant<attempt_start, signal_order, stop_order, settle_order>;

  struct attempt_entry {
    known_attempt attempt;
    /// Still in the queue: no launcher has heard of it.
    bool queued = false;
    /// Stopped while it was queued: it is not sent.
    bool dropped = false;
  };
  using channel_table = std::map<attempt_key, attempt_entry>;

  struct key_hash {
    size_t operator()(const attempt_key& key) const noexcept {
      return std::hash<std::string>()(key.task_id) * 31 + key.attempt;
    }
  };
  using clock = std::chrono::steady_clock;

  // All below runs on the client's own thread.
  void run();
  void connect();
  void lose_connection(const std::string& reason);
  void drop_link();
  void take_refusal(const launcher::refused_message& refused);
  void take_welcome(const launcher::welcome_message& welcome);
  void ask_for_upgrade();
  void take_upgrade_failure(const std::string& reason);
  void send_orders();
  /// Takes orders for one packet off the queue; a start that needs a descriptor alone.
  std::vector<order> take_batch();
  launcher::packet_status send_batch(const std::vector<order>& batch);
  /// Sends a start that is too large for a packet; false when orders must wait. With send_mutex_ held.
  bool send_large(std::vector<order>& batch);
  /// Puts orders that were not sent back where they were.
  void put_back(std::vector<order> batch);
  /// Puts stops and settlements before all starts, none of which they can be about; answers whether there are
  /// any.
  bool move_up_stops();
  /// Ends an attempt that can never reach the launcher.
  void end_unsent(const attempt_start& start, const error& why);
  void end_dropped();
  /// Asks the launcher whether it works when that is due, and tells of it when it does not answer. `heard`:
  /// something of it has come just now.
  void ask_for_life(clock::time_point now, bool heard);
  void take_pong(const launcher::pong_message& pong);
  /// What /status and the log say of a launcher that is connected; empty: all is well again.
  void tell_trouble(const std::string& kind, const std::string& trouble);
  void receive_packets();
  void take_message(launcher::any_message message);
  void take_listing();
  /// Notes events, and keeps those that are news for tell_events().
  void take_events(std::vector<attempt_event> events);
  void take_ended(attempt_ended event);
  /// Tells of what was noted; of starts alone not before tell_at_.
  void tell_events(clock::time_point now);
  int wait_ms(clock::time_point now) const;
  /// From now on settlements, and nothing else, may wait in the queue for a while.
  void expect_settlements(clock::time_point now);
  /// Whether there is something in the queue that is to be sent now.
  bool must_send(clock::time_point now);

  // On the threads of callers.
  /// Sends what is queued, or has the client's thread do it.
  void send_or_wake();
  /// With send_mutex_ held: whether everything that was queued could be sent at once.
  bool send_at_once();

  // With mutex_ held.
  attempt_entry* find(const attempt_key& key);
  /// Puts a start into the queue, moving it when it is taken.
  result<void> take_start(attempt_start& request);
  /// Puts the word into the queue that an outcome stands in the store; answers whether there was one.
  bool take_outcome(const attempt_key& key);
  /// Whether the thread must be woken for what was queued: once until it has looked.
  bool must_wake() noexcept { return !std::exchange(woken_, true); }
  bool only_settlements() const noexcept { return settlements_ == queue_.size(); }
  void enqueue_settlement(const attempt_key& key);
  attempt_entry& insert(const known_attempt& attempt);
  void erase(const attempt_key& key);
  void end_entry(attempt_entry& entry, const attempt_ended& end);

  const launcher_client_options options_;
  const launcher::program_identity program_;
  process_events* events_ = nullptr;

  mutable std::mutex mutex_;
  std::condition_variable ready_changed_;
  std::deque<order> queue_;
  /// Settlements in the queue. While the thread will look for them they wake nobody: they travel with the
  /// next start.
  size_t settlements_ = 0;
  bool settlements_expected_ = false;
  std::unordered_map<std::string, channel_table> channels_;
  std::unordered_map<attempt_key, std::string, key_hash> channel_of_;
  /// Attempts that were stopped in the queue and whose end has not been told yet.
  std::vector<attempt_key> dropped_;
  size_t live_ = 0;
  /// The thread has been woken and has not looked into the queue since.
  bool woken_ = false;
  /// The launcher of the last listing.
  uint64_t launcher_id_ = 0;
  launcher_health health_;
  /// The process at the other end of the last connection, whether it has answered or not.
  int peer_ = 0;
  bool ready_once_ = false;
  bool stopping_ = false;

  launcher::wake_descriptor wake_;
  /// Readable from stop() on: cuts the start of a launcher short.
  launcher::wake_descriptor cancel_;
  std::thread thread_;

  /// Held by whoever takes orders off the queue and sends them, so that they keep their order; always taken
  /// before mutex_. Callers only try to take it. The connection, and whether it is ready, change with it
  /// held, on the client's thread alone.
  std::mutex send_mutex_;
  std::unique_ptr<launcher::launcher_link> link_;
  bool ready_ = false;
  /// Orders wait until then: this process had no descriptor or memory left for one.
  clock::time_point send_at_{};
  /// The socket took no more; wait until it does.
  std::atomic<bool> blocked_{false};

  // Used by the thread alone.
  std::vector<known_attempt> listing_;
  /// What has been noted and not been told yet.
  std::vector<attempt_event> news_;
  /// When starts alone are told; unset while there are none.
  clock::time_point tell_at_{};
  /// When settlements are looked for that came alone; unset while none are expected.
  clock::time_point settle_at_{};
  bool large_starts_wait_ = false;
  /// Both speak this version.
  uint16_t version_ = 0;
  /// When the launcher is asked next whether it works.
  clock::time_point ping_at_{};
  /// It was asked and has not answered; silent since then, or since its last word.
  bool ping_open_ = false;
  clock::time_point silent_since_{};
  /// The socket took no more when it was to be asked.
  bool ping_unsent_ = false;
  /// What was told last of its trouble: `silence`, `shortage` or nothing.
  std::string trouble_kind_;
  clock::time_point ready_since_{};
  clock::time_point retry_at_{};
  clock::time_point handshake_until_{};
  clock::time_point stop_until_{};
  int backoff_ms_ = 0;
  std::string logged_failure_;
  /// Asked once, whatever comes of it: what has failed would fail again.
  bool upgrade_asked_ = false;
  /// The launcher may close the connection to go over to our program.
  bool going_over_ = false;
  /// The next connection is for the upgrade alone.
  bool upgrade_first_ = false;
  bool program_differs_ = false;
  /// The launcher of the last listing.
  int connected_pid_ = 0;
};

} // namespace task_runner
