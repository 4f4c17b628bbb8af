// What every store has in common: which operations are well-formed, and how large a task counts.
// Shared, so that two stores can never disagree about what they refuse or where a window ends.
#pragma once

#include "services/domain/result.hpp"
#include "services/ports/queue_store.hpp"

#include <cstdint>
#include <vector>

namespace task_runner {

/// Checks that every operation is one the port allows: an insert is pending, delayed (with its moment) or
/// running (with its attempt), a settled task is finished, dead, cancelled or pending, ids and channel names
/// are not empty, batch numbers fit 63 bits. `invalid_argument` names the first operation that is not.
/// Pure and thread-safe.
result<void> check_operations(const std::vector<store_operation>& operations);

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
