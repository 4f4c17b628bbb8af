// Rendering of dead letters by what they died of.
#include "actors/gateway/grouping.hpp"
#include "actors/gateway/render.hpp"
#include "actors/gateway/render_parts.hpp"
#include "services/wire/outcome_json.hpp"

#include <algorithm>

namespace task_runner {

namespace {

void write_names(json_writer& json, std::string_view name, const std::vector<std::string>& names) {
  json.key(name).begin_array();
  for (const auto& one : names)
    json.value(one);
  json.end_array();
}

void write_group(json_writer& json, const dead_group& group) {
  json.begin_object();
  write_outcome(json.key("outcome"), group.how);
  write_text_or_null(json, "fingerprint", group.fingerprint.hash);
  write_text_or_null(json, "line", group.fingerprint.line);
  json.member("count", group.count).member("sample_id", group.ids.front());
  write_time(json, "newest_ended_at", group.newest_ended_at_ms);
  write_time(json, "oldest_ended_at", group.oldest_ended_at_ms);
  write_names(json, "channels", {group.channels.begin(), group.channels.end()});
  write_names(json, "ids", group.ids);
  json.end_object();
}

} // namespace

std::string render_groups(const dead_groups& found, size_t limit) {
  std::string text;
  json_writer json(text);
  json.begin_object()
      .member("looked_at", found.looked_at)
      .member("unread", found.unread)
      .member("truncated", found.truncated)
      .member("groups", found.groups.size())
      .key("items")
      .begin_array();
  for (size_t i = 0; i < std::min(limit, found.groups.size()); ++i)
    write_group(json, found.groups[i]);
  json.end_array().key("next").null().end_object();
  return text;
}

} // namespace task_runner
