// A whole channel in miniature: queue_core against a fake store thread, a fake launcher and a fake clock.
// One seed decides everything, faults included, so that a failure is replayed by its number.
#pragma once

#include "actors/queue_core.hpp"
#include "services/store/memory_store.hpp"

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

/// What may go wrong, and how often in a thousand steps.
struct simulation_faults {
  uint32_t commit_fails = 20;
  uint32_t queue_dies = 4;
  uint32_t launcher_dies = 3;
  uint32_t clock_jumps = 3;
};

/// Runs one simulation; a broken promise throws std::runtime_error that names it.
class queue_simulation {
public:
  queue_simulation(uint64_t seed, simulation_faults faults);

  /// Random events with faults, then no more faults until everything is settled; checks both phases.
  void run(size_t steps);

  size_t accepted() const noexcept { return accepted_.size(); }
  size_t starts() const noexcept { return starts_total_; }

private:
  struct live_process {
    bool started = false;
  };
  using delivery = std::function<void()>;

  uint64_t random(uint64_t below) { return std::uniform_int_distribution<uint64_t>(0, below - 1)(engine_); }
  bool chance(uint32_t per_mille) { return faulty_ && random(1000) < per_mille; }
  static void demand(bool holds, const std::string& promise);

  void start_queue();
  void apply(queue_effects effects);
  void push_some();
  void work_store();
  void deliver();
  void end_process();
  void kill_launcher();
  void kill_queue();
  void change_workers();
  void check_safety();
  void check_settled();

  std::mt19937_64 engine_;
  simulation_faults faults_;
  bool faulty_ = true;
  wall_time_ms now_ = 1'700'000'000'000;
  const bool distinct_;
  int64_t workers_;
  /// The most slots ever granted: withdrawn ones stay occupied until their commands end.
  int64_t workers_peak_;

  memory_store store_;
  std::unique_ptr<queue_core> core_;
  /// Changes when the queue dies: what was meant for its predecessor is not delivered.
  uint64_t epoch_ = 0;
  std::deque<delivery> store_jobs_;
  std::deque<delivery> mailbox_;

  /// The launcher's table: running, and ended without having been settled.
  std::map<attempt_key, live_process> processes_;
  std::map<attempt_key, attempt_ended> ended_;

  /// A message of a taken batch: it is submitted under fresh ids until it is decided.
  struct sourced_message {
    push_origin origin;
    std::string name;
  };

  uint64_t next_id_ = 1;
  uint32_t next_position_ = 0;
  /// Messages of the source by the id they are submitted under now, and those to be submitted again.
  std::map<std::string, sourced_message> submitted_;
  std::deque<sourced_message> undecided_;
  /// Every id that each message was ever submitted under.
  std::map<uint32_t, std::set<std::string>> ids_of_message_;
  batch_token next_batch_ = 1;
  std::map<batch_token, std::vector<std::string>> open_batches_;
  std::set<std::string> accepted_;
  std::set<attempt_key> started_ever_;
  std::map<std::string, uint32_t> lost_attempts_;
  std::map<std::string, std::set<uint32_t>> ends_;
  size_t starts_total_ = 0;
};

} // namespace task_runner::test
