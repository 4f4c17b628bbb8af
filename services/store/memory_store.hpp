// The store in memory, for tests and the simulation: the same answers as the embedded store, kept nowhere.
// Written to be obviously right; the contract tests hold the other stores against it.
#pragma once

#include "services/ports/queue_store.hpp"

#include <cstdint>
#include <map>
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
  result<std::vector<task>> load_delayed(const std::string& channel, uint32_t limit) override;
  result<std::optional<task>> find_task(const std::string& id) override;
  result<std::vector<uint32_t>> load_marks(uint64_t batch) override;
  result<std::vector<uint64_t>> load_marked_batches() override;
  result<store_totals> totals() override;

private:
  /// Which tasks of one channel stand where, by sequence.
  struct channel_index {
    std::set<uint64_t> pending;
    /// By moment, then sequence.
    std::set<std::pair<wall_time_ms, uint64_t>> delayed;
    std::set<uint64_t> running;
    uint64_t ended = 0;
    /// Distinct keys of unfinished tasks.
    std::map<std::string, uint64_t> holders;
  };

  store_answer apply_one(const insert_task& operation);
  store_answer apply_one(const lease_task& operation);
  store_answer apply_one(const settle_task& operation);
  store_answer apply_one(const promote_due& operation);
  store_answer apply_one(const mark_origin& operation);
  store_answer apply_one(const forget_batch& operation);
  store_answer apply_one(const save_channel& operation);

  /// The task with this id, or nullptr.
  task* find(const std::string& id);
  /// Takes the task out of, or puts it into, the index of its channel, as its present state demands.
  void unlink(const task& value);
  void link(const task& value);

  uint64_t next_sequence_ = 1;
  std::unordered_map<uint64_t, task> tasks_;
  std::unordered_map<std::string, uint64_t> sequences_;
  std::map<std::string, channel_index> index_;
  std::map<std::string, channel_record> channels_;
  std::map<uint64_t, std::set<uint32_t>> marks_;
};

} // namespace task_runner
