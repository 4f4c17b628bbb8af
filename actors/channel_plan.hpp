// Which channels exist and how they are set: the pure merge of what the store holds and what the INI says.
// What the API changed stands until the INI's own value changes.
#pragma once

#include "services/domain/channel.hpp"
#include "services/domain/error.hpp"

#include <map>
#include <string>
#include <vector>

namespace task_runner {

/// The channels of a first start, all distinct, as in the predecessor: default, biz, cron, and the default
/// channel when it has another name.
std::vector<channel_record> first_channels(const std::string& channel_default, wall_time_ms now);

/// Applies INI sections to the stored channels; answers with the records that are new or changed and have to
/// be saved. A section's value counts only where it differs from what the INI said the last time, each member
/// for itself; one that the INI does not name any more falls back to its default (the dedup mode stays).
std::vector<channel_record> merge_ini(const std::map<std::string, channel_record>& stored,
                                      const std::map<std::string, channel_settings>& sections,
                                      wall_time_ms now);

/// The workers of all channels together; `concurrent` for those without a number of their own.
uint64_t workers_of(const std::map<std::string, channel_record>& channels, uint32_t concurrent);

/// The error for more than channels_max channels.
error too_many_channels(size_t count);

} // namespace task_runner
