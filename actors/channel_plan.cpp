// The pure merge of stored channels and INI sections.
#include "actors/channel_plan.hpp"

#include <set>

namespace task_runner {

namespace {

/// `said` goes into force where it is not what was said before.
template <class T>
void take_over(T& value, const T& said, const T& said_before) {
  if (said != said_before)
    value = said;
}

void merge_limits(resource_limits& value, const resource_limits& said, const resource_limits& before) {
  take_over(value.memory_bytes, said.memory_bytes, before.memory_bytes);
  take_over(value.cpu_s, said.cpu_s, before.cpu_s);
  take_over(value.processes, said.processes, before.processes);
  take_over(value.file_size_bytes, said.file_size_bytes, before.file_size_bytes);
}

void merge_environment(execution_environment& value, const execution_environment& said,
                       const execution_environment& before) {
  take_over(value.variables, said.variables, before.variables);
  take_over(value.directory, said.directory, before.directory);
  take_over(value.input, said.input, before.input);
  take_over(value.user, said.user, before.user);
  take_over(value.nice, said.nice, before.nice);
  take_over(value.file_mask, said.file_mask, before.file_mask);
  merge_limits(value.limits, said.limits, before.limits);
}

void merge_defaults(task_options& value, const task_options& said, const task_options& before) {
  take_over(value.priority, said.priority, before.priority);
  take_over(value.max_attempts, said.max_attempts, before.max_attempts);
  take_over(value.backoff, said.backoff, before.backoff);
  take_over(value.backoff_ms, said.backoff_ms, before.backoff_ms);
  take_over(value.backoff_max_ms, said.backoff_max_ms, before.backoff_max_ms);
  take_over(value.jitter, said.jitter, before.jitter);
  take_over(value.retry_on, said.retry_on, before.retry_on);
  take_over(value.timeout_ms, said.timeout_ms, before.timeout_ms);
  take_over(value.grace_ms, said.grace_ms, before.grace_ms);
  take_over(value.expires_ms, said.expires_ms, before.expires_ms);
  take_over(value.delivery, said.delivery, before.delivery);
  take_over(value.concurrency_key, said.concurrency_key, before.concurrency_key);
  take_over(value.concurrency_max, said.concurrency_max, before.concurrency_max);
  merge_environment(value.environment, said.environment, before.environment);
}

} // namespace

std::vector<channel_record> first_channels(const std::string& channel_default, wall_time_ms now) {
  std::vector<channel_record> records;
  for (const auto& name : std::set<std::string>{"default", "biz", "cron", channel_default}) {
    channel_record record;
    record.name = name;
    record.distinct = distinct_mode::until_finished;
    record.created_at_ms = now;
    records.push_back(std::move(record));
  }
  return records;
}

std::vector<channel_record> merge_ini(const std::map<std::string, channel_record>& stored,
                                      const std::map<std::string, channel_settings>& sections,
                                      wall_time_ms now) {
  std::vector<channel_record> changed;
  for (const auto& [name, said] : sections) {
    const auto found = stored.find(name);
    channel_record record;
    if (found != stored.end()) {
      record = found->second;
      if (record.from_ini == said)
        continue;
    } else {
      record.name = name;
      record.created_at_ms = now;
    }
    if (said.distinct && said.distinct != record.from_ini.distinct)
      record.distinct = *said.distinct;
    if (said.weight != record.from_ini.weight)
      record.weight = said.weight.value_or(1);
    take_over(record.worker, said.worker, record.from_ini.worker);
    take_over(record.tasks_max, said.tasks_max, record.from_ini.tasks_max);
    merge_defaults(record.defaults, said.defaults, record.from_ini.defaults);
    record.from_ini = said;
    changed.push_back(std::move(record));
  }
  return changed;
}

uint64_t workers_of(const std::map<std::string, channel_record>& channels, uint32_t concurrent) {
  uint64_t sum = 0;
  for (const auto& [name, record] : channels)
    sum += record.worker.value_or(concurrent);
  return sum;
}

error too_many_channels(size_t count) {
  return {error_code::invalid_argument,
          "with the INI file's sections there would be " + std::to_string(count) + " channels; at most " +
              std::to_string(channels_max) + " are allowed, remove some sections"};
}

} // namespace task_runner
