// Rendering of channels as resources.
#include "actors/gateway/render.hpp"
#include "actors/gateway/render_parts.hpp"
#include "actors/gateway/requests.hpp"
#include "services/wire/task_options_json.hpp"

#include <algorithm>

namespace task_runner {

namespace {

/// open; paused (tasks wait, none runs); draining (paused, and something runs yet); drained (paused, and
/// nothing waits or runs); failed (its actors do not answer).
std::string_view state_of(const channel_status& channel) {
  if (channel.failure)
    return "failed";
  if (!channel.record.paused)
    return "open";
  if (channel.counts.running != 0)
    return "draining";
  return unfinished(channel.counts) == 0 ? "drained" : "paused";
}

template <class Number>
void write_number_or_null(json_writer& json, std::string_view name, const std::optional<Number>& number) {
  json.key(name);
  if (number)
    json.value(*number);
  else
    json.null();
}

void write_resource(json_writer& json, const channel_status& channel) {
  const auto& record = channel.record;
  json.begin_object().member("name", channel.channel).member("state", state_of(channel));
  json.key("settings").begin_object().member("distinct", to_string(record.distinct));
  write_number_or_null(json, "worker", record.worker);
  json.member("weight", record.weight);
  write_number_or_null(json, "tasks_max", record.tasks_max);
  write_task_options(json, record.defaults);
  json.end_object().member("worker", channel.worker).member("count", unfinished(channel.counts));
  json.key("counts").begin_object();
  write_counts(json, channel);
  json.end_object();
  write_time(json, "created_at", record.created_at_ms);
  json.key("error");
  if (channel.failure)
    json.value(channel.failure->message);
  else
    json.null();
  json.end_object();
}

} // namespace

std::string render_channel_resource(const channel_status& channel) {
  std::string text;
  json_writer json(text);
  write_resource(json, channel);
  return text;
}

std::string render_channel_list(const std::vector<channel_status>& channels, std::string_view after,
                                size_t limit) {
  auto one = std::find_if(channels.begin(), channels.end(),
                          [after](const channel_status& channel) { return channel.record.name > after; });

  std::string text;
  json_writer json(text);
  json.begin_object().key("items").begin_array();
  const channel_status* last = nullptr;
  for (; one != channels.end() && limit > 0; ++one, --limit) {
    write_resource(json, *one);
    last = &*one;
  }
  json.end_array().key("next");
  if (one != channels.end() && last != nullptr)
    json.value(encode_cursor(last->record.name));
  else
    json.null();
  json.end_object();
  return text;
}

} // namespace task_runner
