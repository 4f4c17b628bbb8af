// The pure merge of stored channels and INI sections.
#include "actors/channel_plan.hpp"

#include <set>

namespace task_runner {

std::vector<channel_record> first_channels(const std::string& channel_default, wall_time_ms now) {
  std::vector<channel_record> records;
  for (const auto& name : std::set<std::string>{"default", "biz", "cron", channel_default}) {
    channel_record record;
    record.name = name;
    record.distinct = true;
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
    if (said.worker != record.from_ini.worker)
      record.worker = said.worker;
    record.from_ini = said;
    changed.push_back(std::move(record));
  }
  return changed;
}

error too_many_channels(size_t count) {
  return {error_code::invalid_argument,
          "with the INI file's sections there would be " + std::to_string(count) + " channels; at most " +
              std::to_string(channels_max) + " are allowed, remove some sections"};
}

} // namespace task_runner
