// Rendering in the shapes of the predecessor's later paths.
#include "actors/gateway/render.hpp"
#include "actors/gateway/render_parts.hpp"
#include "services/domain/time_text.hpp"

namespace task_runner {

namespace {

/// How the predecessor writes a time that is not set.
constexpr std::string_view no_time = "0001-01-01T00:00:00Z";

std::string_view status_of(const task& value) {
  switch (value.state) {
  case task_state::pending:
  case task_state::delayed:
    return "queued";
  case task_state::running:
    return "running";
  case task_state::dead:
    return "failed";
  case task_state::finished:
  case task_state::cancelled:
    break;
  }
  return to_string(value.state);
}

void write_old_time(json_writer& json, std::string_view name, wall_time_ms time_ms) {
  if (time_ms == 0)
    json.member(name, no_time);
  else
    json.member(name, format_time(time_ms));
}

void write_old_task(json_writer& json, const task& value) {
  json.begin_object().member("task_id", value.id).member("task_name", value.name);
  const auto& argv = value.command.argv;
  json.key("command").begin_object().member("name", argv.empty() ? value.line() : argv.front()).key("args");
  if (argv.size() > 1) {
    json.begin_array();
    for (size_t i = 1; i < argv.size(); ++i)
      json.value(argv[i]);
    json.end_array();
  } else {
    json.null();
  }
  json.end_object().member("channel", value.channel).member("status", status_of(value));
  write_old_time(json, "execute_at", value.not_before_ms);
  json.member("retry_count", value.attempt > 1 ? value.attempt - 1 : 0U);
  write_old_time(json, "failed_at", value.state == task_state::dead ? value.ended_at_ms : 0);
  json.end_object();
}

void write_old_channel(json_writer& json, const channel_status& channel, const std::string& text,
                       size_t bytes_max) {
  const size_t begin = text.size();
  json.begin_object().key("tasks").begin_array();
  for (const auto& value : channel.tasks) {
    if (text.size() - begin >= bytes_max)
      break;
    write_old_task(json, value);
  }
  json.end_array().member("count", unfinished(channel.counts)).end_object();
}

} // namespace

std::string render_old_task(const task& value) {
  std::string text;
  json_writer json(text);
  write_old_task(json, value);
  return text;
}

std::string render_old_tasks(const std::vector<task>& tasks) {
  std::string text;
  json_writer json(text);
  json.begin_object();
  for (const auto& value : tasks) {
    json.key(value.id);
    write_old_task(json, value);
  }
  json.end_object();
  return text;
}

std::string render_old_channel(const channel_status& channel) {
  std::string text;
  json_writer json(text);
  write_old_channel(json, channel, text, status_bytes_max);
  return text;
}

std::string render_old_channels(const std::vector<channel_status>& channels) {
  std::string text;
  json_writer json(text);
  json.begin_object();
  for (const auto& channel : channels) {
    json.key(channel.channel);
    write_old_channel(json, channel, text, status_bytes_max / (channels.size() + 1));
  }
  json.end_object();
  return text;
}

} // namespace task_runner
