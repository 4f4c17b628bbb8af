// What every store has in common: which operations are well-formed, what a filter admits, how large a task
// counts. Shared, so that two stores can never disagree about what they refuse or where a window ends.
#pragma once

#include "services/domain/result.hpp"
#include "services/ports/queue_store.hpp"

#include <cstdint>
#include <vector>

namespace task_runner {

/// The latest moment that a store keeps, milliseconds since the epoch; far enough from the end of the number
/// range that a set clock cannot lead over it.
constexpr wall_time_ms moment_max_ms = wall_time_ms{1} << 53;

/// Most bytes of one page of a listing; a page has at least one task nevertheless, if one matches.
constexpr uint64_t page_bytes_max = uint64_t{16} * 1'048'576;

/// Most records of requests that one begin_request takes away because they are too old or too many. More than
/// one, so that what has piled up melts.
constexpr uint32_t requests_forgotten_max = 8;

/// Checks that every operation is one the port allows: an insert is pending, delayed (with its moment) or
/// running (with its attempt), a settled task is finished, dead, cancelled, pending or delayed (with its
/// moment), a concurrency key comes with its maximum, ids and channel names are not empty, moments are not
/// beyond moment_max_ms, numbers fit 63 bits. `invalid_argument` names the first operation that is not.
/// Pure and thread-safe.
result<void> check_operations(const std::vector<store_operation>& operations);

/// Whether the filter admits the task. Ends are those of tasks that have ended for good; an outcome is the
/// last one, of whatever attempt. Pure and thread-safe.
bool matches(const task_filter& filter, const task& value);

/// The moment of a relative delay or an expiry after the clock was set: never before 1, never beyond
/// moment_max_ms. Pure.
wall_time_ms shifted_moment(wall_time_ms moment_ms, int64_t shift_ms) noexcept;

/// How much of a window a task takes: the bytes of its texts and a fixed share for the rest. Thread-safe.
uint64_t counted_bytes(const task& value) noexcept;

/// How much of a queue of operations one operation takes, by the same measure. Thread-safe.
uint64_t counted_bytes(const store_operation& operation) noexcept;

/// Decides row by row where a window ends: at `tasks_max` rows, or before the row that would exceed
/// `bytes_max`; the first row always fits. Not thread-safe.
class window_meter {
public:
  explicit window_meter(window_limits limits) noexcept;

  /// Whether another row may be looked at.
  bool open() const noexcept { return tasks_ < limits_.tasks_max; }

  /// Counts the row in and answers true, or closes the window and answers false.
  bool admit(const task& row) noexcept;

private:
  window_limits limits_;
  uint32_t tasks_ = 0;
  uint64_t bytes_ = 0;
};

} // namespace task_runner
