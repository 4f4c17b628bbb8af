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
constexpr uint64_t number_max = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());

/// Bytes of the texts of some options.
uint64_t option_bytes(const task_options& options) noexcept {
  uint64_t bytes = fixed_bytes;
  if (options.retry_on)
    bytes += options.retry_on->size();
  if (options.concurrency_key)
    bytes += options.concurrency_key->size();
  const auto& around = options.environment;
  for (const auto& [name, value] : around.variables)
    bytes += name.size() + value.size() + 2 * sizeof(std::string);
  for (const auto* text : {&around.directory, &around.input, &around.user})
    if (*text)
      bytes += (*text)->size();
  return bytes;
}

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
    if (!value.concurrency_key.empty() && value.concurrency_max == 0)
      return "a task with a concurrency key needs to say how many may have it, from 1";
    if (value.not_before_ms > moment_max_ms || value.expires_at_ms > moment_max_ms)
      return moment_fault;
    if (value.output_bytes > number_max || value.launcher_id > number_max)
      return number_fault;
    if (operation.origin && operation.origin->batch > number_max)
      return number_fault;
    return nullptr;
  }
  const char* operator()(const lease_task& operation) const {
    if (operation.attempt == 0)
      return "a lease needs the number of the attempt that begins, from 1";
    return operation.launcher_id > number_max ? number_fault : nullptr;
  }
  const char* operator()(const settle_task& operation) const {
    if (operation.state == task_state::running)
      return "a settled task is finished, dead, cancelled, pending or delayed";
    if (operation.state == task_state::delayed && operation.not_before_ms <= 0)
      return "a task that is settled as delayed needs the moment before which it may not start";
    if (operation.not_before_ms > moment_max_ms)
      return moment_fault;
    return operation.output_bytes > number_max ? number_fault : nullptr;
  }
  const char* operator()(const return_lease&) const { return nullptr; }
  const char* operator()(const promote_due&) const { return nullptr; }
  const char* operator()(const expire_due&) const { return nullptr; }
  const char* operator()(const cancel_task&) const { return nullptr; }
  const char* operator()(const cancel_channel_tasks&) const { return nullptr; }
  const char* operator()(const retry_task&) const { return nullptr; }
  const char* operator()(const delete_task&) const { return nullptr; }
  const char* operator()(const release_distinct&) const { return nullptr; }
  const char* operator()(const release_held&) const { return nullptr; }
  const char* operator()(const purge_ended& operation) const {
    return operation.tasks_max > number_max || operation.output_bytes_max > number_max ||
                   operation.kept_bytes_max > kept_bytes_max
               ? number_fault
               : nullptr;
  }
  const char* operator()(const adjust_clock& operation) const {
    return operation.shift_ms > moment_max_ms || operation.shift_ms < -moment_max_ms ? moment_fault : nullptr;
  }
  const char* operator()(const mark_origin& operation) const {
    return operation.origin.batch > number_max ? number_fault : nullptr;
  }
  const char* operator()(const forget_batch& operation) const {
    return operation.batch > number_max ? number_fault : nullptr;
  }
  const char* operator()(const save_channel& operation) const {
    const auto& record = *operation.record;
    if (record.name.empty())
      return "a channel needs a name";
    return record.tasks_max.value_or(0) > number_max || record.from_ini.tasks_max.value_or(0) > number_max
               ? number_fault
               : nullptr;
  }
  const char* operator()(const remove_channel& operation) const {
    return operation.name.empty() ? "a channel needs a name" : nullptr;
  }
  const char* operator()(const begin_request& operation) const {
    if (operation.key.empty() || operation.task_id.empty())
      return "a request that may be repeated needs a key, and an id for its task";
    return operation.records_max == 0 || operation.records_max > number_max ||
                   operation.bytes_max > number_max
               ? "the bounds of kept requests start at 1 and must fit 63 bits"
               : nullptr;
  }
  const char* operator()(const finish_request& operation) const {
    return operation.batch > number_max || operation.batch < request_batches_begin ? number_fault : nullptr;
  }

private:
  /// One attempt keeps less than this, so that sums over all tasks fit.
  static constexpr uint64_t kept_bytes_max = uint64_t{1} << 40;
  static constexpr const char* number_fault = "batch and launcher numbers, counts and bytes must fit 63 "
                                              "bits, and an attempt keeps at most a tebibyte";
  static constexpr const char* moment_fault = "a moment or a shift is beyond 2^53 milliseconds";
};

struct operation_bytes {
  uint64_t operator()(const insert_task& operation) const { return counted_bytes(operation.value); }
  uint64_t operator()(const settle_task& operation) const {
    return fixed_bytes + operation.id.size() + operation.how.error.size();
  }
  uint64_t operator()(const save_channel& operation) const {
    return fixed_bytes + operation.record->name.size() + option_bytes(operation.record->defaults) +
           option_bytes(operation.record->from_ini.defaults);
  }
  uint64_t operator()(const remove_channel& operation) const { return fixed_bytes + operation.name.size(); }
  uint64_t operator()(const adjust_clock& operation) const {
    return fixed_bytes + operation.mark.boot_id.size();
  }
  uint64_t operator()(const mark_origin&) const { return fixed_bytes; }
  uint64_t operator()(const forget_batch&) const { return fixed_bytes; }
  uint64_t operator()(const purge_ended&) const { return fixed_bytes; }
  uint64_t operator()(const begin_request& operation) const {
    return fixed_bytes + operation.key.size() + operation.fingerprint.size();
  }
  uint64_t operator()(const finish_request& operation) const {
    return fixed_bytes + operation.answer.body.size();
  }
  uint64_t operator()(const lease_task& operation) const { return of_task(operation); }
  uint64_t operator()(const return_lease& operation) const {
    return fixed_bytes + operation.id.size() + operation.channel.size();
  }
  uint64_t operator()(const cancel_task& operation) const { return of_task(operation); }
  uint64_t operator()(const retry_task& operation) const { return of_task(operation); }
  uint64_t operator()(const delete_task& operation) const { return of_task(operation); }
  uint64_t operator()(const release_distinct& operation) const { return of_task(operation); }
  uint64_t operator()(const promote_due& operation) const { return of_channel(operation); }
  uint64_t operator()(const expire_due& operation) const { return of_channel(operation); }
  uint64_t operator()(const cancel_channel_tasks& operation) const { return of_channel(operation); }
  uint64_t operator()(const release_held& operation) const { return of_channel(operation); }

private:
  template <class Operation>
  static uint64_t of_task(const Operation& operation) {
    return fixed_bytes + operation.id.size();
  }
  template <class Operation>
  static uint64_t of_channel(const Operation& operation) {
    return fixed_bytes + operation.channel.size();
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

bool matches(const task_filter& filter, const task& value) {
  if (filter.channel && value.channel != *filter.channel)
    return false;
  if (!filter.states.empty() &&
      std::find(filter.states.begin(), filter.states.end(), value.state) == filter.states.end())
    return false;
  if (filter.distinct_key && value.distinct_key != *filter.distinct_key)
    return false;
  const auto& how = value.last_outcome;
  if (filter.outcome && (!how || how->kind != *filter.outcome))
    return false;
  if (filter.exit_code && (!how || how->kind != outcome_kind::exited || how->code != *filter.exit_code))
    return false;
  const auto within = [](wall_time_ms moment, wall_time_ms from, wall_time_ms until) {
    return (from == 0 || moment >= from) && (until == 0 || moment < until);
  };
  if (!within(value.created_at_ms, filter.created_from_ms, filter.created_until_ms))
    return false;
  if (filter.ended_from_ms != 0 || filter.ended_until_ms != 0)
    if (!is_terminal(value.state) || !within(value.ended_at_ms, filter.ended_from_ms, filter.ended_until_ms))
      return false;
  return filter.name_contains.empty() || value.name.find(filter.name_contains) != std::string::npos;
}

wall_time_ms shifted_moment(wall_time_ms moment_ms, int64_t shift_ms) noexcept {
  return std::clamp<wall_time_ms>(moment_ms + shift_ms, 1, moment_max_ms);
}

uint64_t counted_bytes(const task& value) noexcept {
  uint64_t bytes = fixed_bytes + value.id.size() + value.channel.size() + value.name.size() +
                   value.command.line.size() + value.distinct_key.size() + value.concurrency_key.size();
  if (value.options)
    bytes += option_bytes(*value.options);
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
