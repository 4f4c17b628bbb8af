// The rules that all stores share.
// A wrong operation is found before anything is written, so that no store needs an answer of its own for it.
#include "services/store/store_rules.hpp"

#include <algorithm>
#include <limits>
#include <string>
#include <variant>

namespace task_runner {

namespace {

/// Numbers, flags and the overhead of a row, in bytes; an estimate that keeps tiny tasks from counting
/// nothing.
constexpr uint64_t fixed_bytes = 128;

/// The largest number that SQLite's signed integers keep in order.
constexpr uint64_t batch_max = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());

/// Says what is wrong with one operation, or nothing.
struct operation_fault {
  const char* operator()(const insert_task& operation) const {
    const auto& value = operation.value;
    if (value.id.empty())
      return "an inserted task needs an id";
    if (value.channel.empty())
      return "an inserted task needs a channel";
    if (is_terminal(value.state))
      return "an inserted task is pending, delayed or running, never ended";
    if (value.state == task_state::delayed && value.not_before_ms <= 0)
      return "a delayed task needs the moment before which it may not start";
    if (value.state == task_state::running && value.attempt == 0)
      return "a task inserted as running needs the number of its attempt, from 1";
    if (operation.origin)
      return batch_fault(operation.origin->batch);
    return nullptr;
  }
  const char* operator()(const lease_task& operation) const {
    return operation.attempt == 0 ? "a lease needs the number of the attempt that begins, from 1" : nullptr;
  }
  const char* operator()(const settle_task& operation) const {
    if (operation.state == task_state::running || operation.state == task_state::delayed)
      return "a settled task is finished, dead, cancelled or pending";
    return nullptr;
  }
  const char* operator()(const promote_due&) const { return nullptr; }
  const char* operator()(const mark_origin& operation) const { return batch_fault(operation.origin.batch); }
  const char* operator()(const forget_batch& operation) const { return batch_fault(operation.batch); }
  const char* operator()(const save_channel& operation) const {
    return operation.record.name.empty() ? "a channel needs a name" : nullptr;
  }

private:
  static const char* batch_fault(uint64_t batch) {
    return batch > batch_max ? "a batch number must fit 63 bits" : nullptr;
  }
};

struct operation_bytes {
  uint64_t operator()(const insert_task& operation) const { return counted_bytes(operation.value); }
  uint64_t operator()(const lease_task& operation) const { return fixed_bytes + operation.id.size(); }
  uint64_t operator()(const settle_task& operation) const {
    return fixed_bytes + operation.id.size() + operation.how.error.size();
  }
  uint64_t operator()(const promote_due& operation) const { return fixed_bytes + operation.channel.size(); }
  uint64_t operator()(const mark_origin&) const { return fixed_bytes; }
  uint64_t operator()(const forget_batch&) const { return fixed_bytes; }
  uint64_t operator()(const save_channel& operation) const {
    return fixed_bytes + operation.record.name.size();
  }
};

} // namespace

result<void> check_operations(const std::vector<store_operation>& operations) {
  for (size_t i = 0; i < operations.size(); ++i)
    if (const char* fault = std::visit(operation_fault{}, operations[i]))
      return error{error_code::invalid_argument, "operation " + std::to_string(i + 1) + " of " +
                                                     std::to_string(operations.size()) +
                                                     " is refused: " + fault};
  return {};
}

uint64_t counted_bytes(const task& value) noexcept {
  uint64_t bytes = fixed_bytes + value.id.size() + value.channel.size() + value.name.size() +
                   value.command.line.size() + value.distinct_key.size();
  for (const auto& word : value.command.argv)
    bytes += word.size() + sizeof(std::string);
  if (value.last_outcome)
    bytes += value.last_outcome->error.size();
  return bytes;
}

uint64_t counted_bytes(const store_operation& operation) noexcept {
  return std::visit(operation_bytes{}, operation);
}

window_meter::window_meter(window_limits limits) noexcept
    : limits_(limits) {
  limits_.tasks_max = std::max<uint32_t>(limits_.tasks_max, 1);
}

bool window_meter::admit(const task& row) noexcept {
  const uint64_t bytes = counted_bytes(row);
  if (tasks_ > 0 && (bytes_ > limits_.bytes_max || bytes > limits_.bytes_max - bytes_)) {
    tasks_ = limits_.tasks_max;
    return false;
  }
  ++tasks_;
  bytes_ += bytes;
  return true;
}

} // namespace task_runner
