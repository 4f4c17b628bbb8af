// What the store in memory answers when it is asked; memory_store.cpp has what it is told.
// Nothing here changes anything, but for the empty index that an unknown channel gets.
#include "services/store/memory_store.hpp"
#include "services/store/store_rules.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace task_runner {

namespace {

/// Whether one place comes before another in their common order.
bool is_listed_before(const listing_place& one, const listing_place& other) {
  const auto key = [](const listing_place& place) { return std::pair(place.ended_at_ms, place.sequence); };
  const bool ascends = one.order == task_order::oldest_first || one.order == task_order::first_ended_first;
  return ascends ? key(one) < key(other) : key(other) < key(one);
}

} // namespace

result<std::vector<channel_record>> memory_store::load_channels() {
  std::vector<channel_record> records;
  for (const auto& [name, record] : channels_)
    records.push_back(record);
  return records;
}

result<channel_recovery> memory_store::recover_channel(const std::string& channel) {
  channel_recovery recovery;
  const auto& index = index_[channel];
  for (const uint64_t sequence : index.running)
    recovery.running.push_back(tasks_.at(sequence).value);
  recovery.pending_count = index.pending.size();
  recovery.held_count = index.held.size();
  recovery.delayed_count = index.delayed.size();
  if (!index.expiring.empty())
    recovery.next_expiry_ms = index.expiring.begin()->first;
  if (!index.delayed.empty())
    recovery.next_due_ms = index.delayed.begin()->first;
  return recovery;
}

result<std::vector<task>> memory_store::load_pending(const std::string& channel, order_key after,
                                                     window_limits limits) {
  std::vector<task> window;
  const auto& pending = index_[channel].pending;
  window_meter meter(limits);
  for (auto at = pending.upper_bound(after); at != pending.end() && meter.open(); ++at) {
    const task& value = tasks_.at(at->sequence).value;
    if (!meter.admit(value))
      break;
    window.push_back(value);
  }
  return window;
}

result<std::vector<task>> memory_store::load_held(const std::string& channel, uint32_t limit) {
  std::vector<task> rows;
  for (const uint64_t sequence : index_[channel].held) {
    if (rows.size() >= limit)
      break;
    rows.push_back(tasks_.at(sequence).value);
  }
  return rows;
}

result<std::vector<task>> memory_store::load_delayed(const std::string& channel, uint32_t limit) {
  std::vector<task> rows;
  for (const auto& [moment, sequence] : index_[channel].delayed) {
    if (rows.size() >= limit)
      break;
    rows.push_back(tasks_.at(sequence).value);
  }
  return rows;
}

result<std::optional<task>> memory_store::find_task(const std::string& id) {
  const row* const found = find(id);
  return found == nullptr ? std::optional<task>{} : std::optional<task>{found->value};
}

result<std::vector<task>> memory_store::find_tasks(const std::vector<std::string>& ids) {
  std::vector<task> tasks;
  for (const auto& id : ids)
    if (const row* const found = find(id); found != nullptr)
      tasks.push_back(found->value);
  return tasks;
}

result<std::vector<attempt_record>> memory_store::load_attempts(const std::string& id) {
  std::vector<attempt_record> attempts;
  if (const row* const found = find(id); found != nullptr)
    for (const auto& [number, attempt] : found->attempts)
      attempts.push_back(attempt);
  return attempts;
}

result<task_page> memory_store::list_tasks(const task_filter& filter, listing_place after, uint32_t limit) {
  const auto order = after.order;
  std::vector<const task*> candidates;
  for (const auto& [sequence, kept] : tasks_)
    if (matches(filter, kept.value) && (!is_by_end(order) || is_terminal(kept.value.state)) &&
        (after.is_beginning() || is_listed_before(after, place_behind(kept.value, order))))
      candidates.push_back(&kept.value);
  std::sort(candidates.begin(), candidates.end(), [order](const task* one, const task* other) {
    return is_listed_before(place_behind(*one, order), place_behind(*other, order));
  });
  task_page page;
  window_meter meter({limit, page_bytes_max});
  for (const task* const value : candidates) {
    // The page is full and there is more: it goes on behind what it has.
    if (!meter.open() || !meter.admit(*value)) {
      page.next = place_behind(page.tasks.back(), order);
      break;
    }
    page.tasks.push_back(*value);
  }
  return page;
}

result<std::optional<clock_mark>> memory_store::load_clock() {
  return clock_;
}

result<std::vector<uint32_t>> memory_store::load_marks(uint64_t batch) {
  const auto found = marks_.find(batch);
  if (found == marks_.end())
    return std::vector<uint32_t>{};
  return std::vector<uint32_t>(found->second.begin(), found->second.end());
}

result<std::vector<uint64_t>> memory_store::load_marked_batches() {
  std::vector<uint64_t> batches;
  for (const auto& [batch, positions] : marks_)
    if (batch < request_batches_begin)
      batches.push_back(batch);
  return batches;
}

result<store_totals> memory_store::totals() {
  store_totals sums;
  for (const auto& [name, index] : index_) {
    sums.pending += index.pending.size() + index.held.size();
    sums.delayed += index.delayed.size();
    sums.running += index.running.size();
    sums.ended += index.ended;
  }
  return sums;
}

result<void> memory_store::keep_dead_letters(std::shared_ptr<dead_letter_counts> counts) {
  std::map<std::string, int64_t> found;
  for (const auto& [ended_at_ms, sequence] : dead_)
    ++found[tasks_.at(sequence).value.channel];
  counts->set(std::move(found));
  dead_letters_ = std::move(counts);
  return {};
}

} // namespace task_runner
