// The store in memory, for tests and the simulation: the same answers as the embedded store, kept nowhere.
// Written to be obviously right; the contract tests hold the other stores against it.
#pragma once

#include "services/ports/queue_store.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace task_runner {

/// A queue_store that forgets everything when destroyed. Never fails but for `invalid_argument`
/// (store_rules.hpp). Not thread-safe, like every queue_store.
class memory_store final : public queue_store {
public:
  result<std::vector<store_answer>> apply(const std::vector<store_operation>& operations) override;
  result<std::vector<channel_record>> load_channels() override;
  result<channel_recovery> recover_channel(const std::string& channel) override;
  result<std::vector<task>> load_pending(const std::string& channel, order_key after,
                                         window_limits limits) override;
  result<std::vector<task>> load_held(const std::string& channel, uint32_t limit) override;
  result<std::vector<task>> load_delayed(const std::string& channel, uint32_t limit) override;
  result<std::optional<task>> find_task(const std::string& id) override;
  result<std::vector<task>> find_tasks(const std::vector<std::string>& ids) override;
  result<std::vector<attempt_record>> load_attempts(const std::string& id) override;
  result<task_page> list_tasks(const task_filter& filter, listing_place after, uint32_t limit) override;
  result<std::optional<clock_mark>> load_clock() override;
  result<std::vector<uint32_t>> load_marks(uint64_t batch) override;
  result<std::vector<uint64_t>> load_marked_batches() override;
  result<store_totals> totals() override;
  result<void> try_commit() override { return {}; }
  result<void> keep_dead_letters(std::shared_ptr<dead_letter_counts> counts) override;

private:
  /// A task and the attempts before its last one.
  struct row {
    task value;
    std::map<uint32_t, attempt_record> attempts;
  };
  /// A moment, and the sequence of the task that it is about.
  using moment_key = std::pair<wall_time_ms, uint64_t>;

  /// A request that may be repeated.
  struct request_record {
    std::string key;
    std::string fingerprint;
    std::string task_id;
    wall_time_ms began_at_ms = 0;
    std::optional<given_answer> answer;
  };

  /// Which tasks of one channel stand where, by sequence.
  struct channel_index {
    std::set<order_key> pending;
    /// By sequence and, for the next in turn, by concurrency key.
    std::set<uint64_t> held;
    std::map<std::string, std::set<order_key>> held_by_key;
    std::set<moment_key> delayed;
    std::set<uint64_t> running;
    /// Tasks that can still expire, by that moment.
    std::set<moment_key> expiring;
    uint64_t ended = 0;
    /// Distinct keys of unfinished tasks.
    std::map<std::string, uint64_t> holders;
    /// How many tasks in line or running have the concurrency key.
    std::map<std::string, uint32_t> key_use;
  };

  store_answer apply_one(const insert_task& operation);
  store_answer apply_one(const lease_task& operation);
  store_answer apply_one(const return_lease& operation);
  store_answer apply_one(const settle_task& operation);
  store_answer apply_one(const promote_due& operation);
  store_answer apply_one(const expire_due& operation);
  store_answer apply_one(const cancel_task& operation);
  store_answer apply_one(const cancel_channel_tasks& operation);
  store_answer apply_one(const retry_task& operation);
  store_answer apply_one(const delete_task& operation);
  store_answer apply_one(const release_distinct& operation);
  store_answer apply_one(const release_held& operation);
  store_answer apply_one(const purge_ended& operation);
  store_answer apply_one(const adjust_clock& operation);
  store_answer apply_one(const mark_origin& operation);
  store_answer apply_one(const forget_batch& operation);
  store_answer apply_one(const save_channel& operation);
  store_answer apply_one(const remove_channel& operation);
  store_answer apply_one(const begin_request& operation);
  store_answer apply_one(const finish_request& operation);

  /// The task with this id, or nullptr.
  row* find(const std::string& id);
  /// Whether the task waits for its first attempt, and for no longer than until a moment.
  static bool can_expire(const task& value) noexcept;
  /// Takes the task out of, or puts it into, the index of its channel, as its present state demands.
  void unlink(const task& value);
  void link(const task& value);
  /// Whether another task with this task's concurrency key may be in line or run; true without a key.
  bool has_room(const task& value);
  /// Keeps the last attempt as a record, unless there is one of it, or there was none.
  static void record_attempt(row& of);
  /// Cancels a task that waits. Answers with it as it stood before.
  task end_waiting(row& waiting, outcome_kind why, wall_time_ms now_ms);
  /// Lets held tasks with this key into line while there is room, at most `limit`.
  void release_key(const std::string& channel, const std::string& key, uint32_t limit,
                   std::vector<task>& released);
  /// Ends those tasks, then releases what their concurrency keys have room for; fills the whole answer.
  sweep_answer end_all(const std::string& channel, const std::vector<uint64_t>& sequences, outcome_kind why,
                       wall_time_ms now_ms);
  /// The ended task that goes next, 0 for none. `kept_bytes` is the output of all ended tasks.
  uint64_t next_to_purge(const purge_ended& rule, uint64_t kept_bytes) const;
  void erase(uint64_t sequence);
  void unmark(const push_origin& origin);
  void forget_request(uint64_t number);

  uint64_t next_sequence_ = 1;
  std::map<uint64_t, row> tasks_;
  std::unordered_map<std::string, uint64_t> sequences_;
  std::unordered_map<std::string, channel_index> index_;
  /// Ended tasks by their end: finished and cancelled ones, dead ones.
  std::set<moment_key> ended_;
  std::set<moment_key> dead_;
  /// Null: nobody wants to know.
  std::shared_ptr<dead_letter_counts> dead_letters_;
  std::map<std::string, channel_record> channels_;
  std::map<uint64_t, std::set<uint32_t>> marks_;
  /// By their numbers, in the order of their coming.
  std::map<uint64_t, request_record> requests_;
  uint64_t request_bytes_ = 0;
  std::optional<clock_mark> clock_;
};

} // namespace task_runner
