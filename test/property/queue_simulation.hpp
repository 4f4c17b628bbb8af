// A daemon in miniature: queues with a fake store thread, a fake launcher, a fake clock and the common limit.
// One seed decides everything, faults and settings included, so that a failure is replayed by its number.
#pragma once

#include "actors/queue_core.hpp"
#include "actors/slot_allocator.hpp"
#include "services/store/memory_store.hpp"

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

namespace task_runner::test {

/// What may go wrong, and how often in a thousand chances.
struct simulation_faults {
  /// Commits that fail, and those of them that happen all the same.
  uint32_t commit_fails = 20;
  uint32_t commit_fails_yet_happens = 10;
  uint32_t queue_dies = 4;
  uint32_t daemon_dies = 3;
  /// Alone; and with every third daemon, unless this is 0.
  uint32_t launcher_dies = 3;
  /// With the launcher, when it dies with the daemon.
  uint32_t journal_lost = 300;
  uint32_t clock_jumps = 3;
  /// The news of an end, or a wish to stop, gets lost.
  uint32_t end_unheard = 5;
  uint32_t stop_unheard = 50;

  bool none() const {
    return commit_fails + commit_fails_yet_happens + queue_dies + daemon_dies + launcher_dies + clock_jumps +
               end_unheard + stop_unheard ==
           0;
  }
};
constexpr simulation_faults no_faults{0, 0, 0, 0, 0, 0, 0, 0, 0};

/// Runs one simulation; a broken promise throws std::runtime_error that names it.
class queue_simulation {
public:
  /// With `in_step` everything is delivered at once and one worker runs: then the order is exact.
  queue_simulation(uint64_t seed, simulation_faults faults, bool in_step = false);

  /// Random events with faults, then no more faults until everything is settled; checks both phases.
  void run(size_t steps);

  /// What happened, summed up over histories, so that a test can tell that it tests something.
  struct tally {
    size_t accepted = 0;
    size_t starts = 0;
    /// Leases ahead that were taken back.
    size_t returned = 0;
    size_t finished = 0;
    size_t retried_by_queue = 0;
    size_t retried_by_person = 0;
    size_t cancelled_waiting = 0;
    size_t cancelled_running = 0;
    size_t cancelled_unstarted = 0;
    size_t expired = 0;
    size_t held = 0;
    size_t lost = 0;
    /// Attempts that were handed out once more, because no launcher had heard of them.
    size_t handed_again = 0;
    size_t repairs = 0;
    size_t signals = 0;
    size_t removed = 0;
    size_t released = 0;
    size_t closed = 0;
    size_t slots_granted = 0;
    /// What tasks were told when they were asked why they do not run.
    std::set<wait_reason> reasons;

    void add(const tally& other);
  };
  const tally& seen() const noexcept { return tally_; }

private:
  using delivery = std::function<void()>;

  /// A command at the launcher.
  struct process {
    std::string concurrency_key;
    uint32_t concurrency_max = 0;
    std::string distinct_key;
    /// It does not end of TERM.
    bool stubborn = false;
    bool stopped = false;
    wall_time_ms kill_at_ms = 0;
  };

  /// What the simulation remembers of a task, to judge what the queue does with it.
  struct history {
    bool accepted = false;
    /// A person asked for it, whether or not the answer came.
    bool cancel_asked = false;
    bool retry_asked = false;
    bool remove_asked = false;
    bool cancel_answered = false;
    bool succeeded = false;
    /// How its attempts ended at the launcher.
    std::map<uint32_t, outcome> ends;
  };

  /// A message of a taken batch: it is submitted under fresh ids until it is decided.
  struct sourced_message {
    push_origin origin;
    std::string name;
    size_t channel = 0;
  };

  struct channel {
    channel_record record;
    std::unique_ptr<queue_core> core;
    /// Changes when the queue dies: what was meant for its predecessor is not delivered.
    uint64_t epoch = 0;
    std::deque<delivery> mailbox;
    /// Ends that the launcher's client has seen and will tell of together.
    std::vector<attempt_event> untold;
    int64_t workers = 1;
    /// The most slots ever granted: withdrawn ones stay occupied until their commands end.
    int64_t workers_peak = 1;
    bool leasing_stopped = false;
    bool closed = false;
    bool checking = false;
    /// Whether some push may have been a duplicate.
    bool distinct_ever = false;
    std::map<batch_token, std::vector<std::string>> batches;
    std::map<action_token, task_action> actions;
    std::vector<std::string> ids;
    /// On their way to the launcher: at the executor, which dies with the queue, and at the launcher's
    /// client, which dies with the daemon.
    std::deque<attempt_order> waiting;
    std::deque<attempt_order> queued;
    std::map<attempt_key, process> processes;
    std::map<attempt_key, attempt_ended> ended;
  };

  uint64_t random(uint64_t below) { return std::uniform_int_distribution<uint64_t>(0, below - 1)(engine_); }
  bool one_in(uint64_t count) { return random(count) == 0; }
  bool chance(uint32_t per_mille) { return per_mille > 0 && faulty_ && random(1000) < per_mille; }
  /// Called all the time: what it says is put together only when a promise is broken.
  static void demand(bool holds, const char* promise) {
    if (!holds)
      throw std::runtime_error(std::string("broken promise: ") + promise);
  }
  static void demand(bool holds, const char* promise, const std::string& about) {
    if (!holds)
      throw std::runtime_error(std::string("broken promise: ") + promise + ": " + about);
  }
  channel& any_channel() { return channels_[random(channels_.size())]; }

  // Events (queue_simulation.cpp).
  channel_record random_record(const std::string& name);
  task_options random_options();
  void start_queue(channel& of);
  void start_queues();
  void kill_queue(channel& of);
  void kill_daemon();
  void push_some(channel& of);
  admitted_push random_push(channel& of);
  void act_on_some(channel& of);
  void change_settings(channel& of);
  void change_workers(channel& of);
  void check(channel& of);
  /// As the queue's actor does it: an empty queue that is sure of its store is left alone.
  void check_when_wanted(channel& of);
  void jump_clock();
  /// Whether a lease of the task could be taken back before it begins.
  static bool is_returnable(const channel& of, const task& value);
  void change_something(channel& of);
  void step();
  void finish();
  /// Of a channel: in the store pending, held, delayed and running; repairs of the queue.
  using standing = std::array<uint64_t, 5>;
  std::vector<standing> how_channels_stand();
  void settle_everything();
  bool is_settled() const;

  // The other side of the queues (simulated_parts.cpp).
  void apply(channel& of, queue_effects effects);
  void submit(channel& of, store_submission submission);
  void note_leases(const std::vector<store_operation>& operations, const std::vector<store_answer>& answers);
  void load(channel& of, const window_request& request);
  void hand_over(channel& of);
  void launch(channel& of, const attempt_order& order);
  void stop(channel& of, const attempt_stop& wish);
  void take_answer(channel& of, const batch_answer& answer);
  void take_action_answer(channel& of, const action_answer& answer);
  void report_slots(channel& of, const slot_report& report);
  void grant(const std::vector<slot_grant>& grants);
  void answer_later(channel& of, delivery answer);
  void work_store();
  void run_store_job();
  void deliver(channel& of);
  void post(channel& of, std::function<queue_effects(queue_core&)> event);
  void post_end(channel& of, const attempt_ended& end);
  void tell_ends(channel& of);
  launcher_knowledge known(const channel& of) const;
  void end_process(channel& of);
  void end_attempt(channel& of, const attempt_key& key, outcome how);
  void end_unstarted(channel& of, const attempt_key& key, bool by_client);
  void kill_launcher();
  void lose_journal();
  void drain_all();

  // Promises (simulated_promises.cpp).
  /// Of an attempt whose end is counted.
  void check_ended(const task_transition& change);
  /// The ids of what stands in line in the store, of the first of it.
  std::set<std::string> ids_in_line(const channel& of);
  /// `seen`: what stood in line when the submission was made; what came into line since then, as a key became
  /// free, nobody can have known.
  void check_order(const channel& of, const store_submission& submission, const std::set<std::string>& seen);
  void check_order_to_run(const channel& of, const attempt_order& order);
  void check_start(channel& of, const attempt_order& order);
  void check_safety(const channel& of);
  void check_settled();
  void check_task(const channel& of, const std::string& id);
  void check_no_record_is_left();

  // Why a task does not run (simulated_rest.cpp).
  wait_surroundings surroundings() const;
  /// Any task of the channel, in the middle of everything.
  void check_explained_now(const channel& of);
  /// No more faults, and time passes until nothing changes: what runs goes on, settings stay.
  void come_to_rest();
  /// Every task, at rest.
  void check_explained();
  bool is_running(const channel& of, const task& value) const;
  /// What must be in the way of a task in line, when so many commands of the channel run.
  wait_reason reason_in_line(const channel& of, uint64_t running) const;
  void check_in_line(const channel& of, const task& value, uint64_t place, uint64_t running);
  void check_leased(const channel& of, const task& value, uint64_t leased, uint64_t running);
  void check_running(const channel& of, const task& value);
  void check_out_of_line(const channel& of, const task& value);
  void check_blockers(const channel& of, const explanation& told, const std::string& what);

  std::mt19937_64 engine_;
  simulation_faults faults_;
  const bool in_step_;
  bool faulty_ = true;
  bool clock_jumped_ = false;
  /// All jumps of the clock towards the past, summed up.
  int64_t turned_back_ms_ = 0;
  wall_time_ms now_ = 1'700'000'000'000;

  memory_store store_;
  std::deque<delivery> store_jobs_;
  std::vector<channel> channels_;
  /// The common limit; unset where none is set.
  std::optional<slot_allocator> slots_;
  uint64_t capacity_peak_ = 0;
  /// What queues and death notices say to the router, in order.
  std::deque<delivery> router_mailbox_;

  uint64_t next_id_ = 1;
  uint32_t next_position_ = 0;
  /// Messages of the source by the id they are submitted under now, and those to be submitted again.
  std::map<std::string, sourced_message> submitted_;
  std::deque<sourced_message> undecided_;
  /// Every id that each message was ever submitted under.
  std::map<uint32_t, std::set<std::string>> ids_of_message_;
  /// Messages that were refused for good, because their channel is being removed.
  std::set<uint32_t> rejected_;
  std::map<std::string, history> tasks_;
  uint64_t next_token_ = 1;
  uint64_t launcher_id_ = 1;
  /// Attempts that were handed out, and those that a launcher began.
  std::set<attempt_key> ordered_ever_;
  /// Attempts whose end was counted.
  std::set<attempt_key> ended_ever_;
  std::set<attempt_key> started_ever_;
  /// The launcher under whose name each attempt was leased.
  std::map<attempt_key, uint64_t> leased_for_;
  tally tally_;
};

} // namespace task_runner::test
