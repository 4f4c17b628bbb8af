// Rendering of the API's answers.
#include "actors/gateway/render.hpp"

#include "services/domain/time_text.hpp"

namespace task_runner {

namespace {

void write_time(json_writer& json, std::string_view name, wall_time_ms time_ms) {
  json.key(name);
  if (time_ms == 0)
    json.null();
  else
    json.value(format_time(time_ms));
}

void write_outcome(json_writer& json, const outcome& how) {
  json.begin_object().member("kind", to_string(how.kind));
  if (how.kind == outcome_kind::exited)
    json.member("code", how.code);
  if (how.kind == outcome_kind::signalled)
    json.member("signal", how.code);
  if (!how.error.empty())
    json.member("error", how.error);
  json.end_object();
}

void write_status_task(json_writer& json, const task& value) {
  json.begin_object()
      .member("task_name", value.name)
      .member("channel", value.channel)
      .member("status", value.state == task_state::running ? 2 : 1)
      .member("task_id", value.id)
      .member("state", to_string(value.state));
  if (value.state == task_state::delayed)
    write_time(json, "execute_at", value.not_before_ms);
  if (value.state == task_state::running)
    write_time(json, "started_at", value.started_at_ms);
  json.end_object();
}

void write_channel(json_writer& json, const channel_status& channel, size_t& bytes_left) {
  const auto& counts = channel.counts;
  bool truncated = false;
  json.begin_object().key("tasks").begin_array();
  for (const auto& value : channel.tasks) {
    if (value.name.size() > bytes_left) {
      truncated = true;
      break;
    }
    bytes_left -= value.name.size();
    write_status_task(json, value);
  }
  json.end_array()
      .member("count", counts.pending + counts.delayed + counts.running)
      .member("pending", counts.pending)
      .member("delayed", counts.delayed)
      .member("running", counts.running)
      .member("finished", counts.finished)
      .member("dead", counts.dead)
      .member("duplicates", counts.duplicates)
      .member("distinct", channel.distinct)
      .member("worker", channel.worker);
  if (truncated)
    json.member("truncated", true);
  if (channel.failure)
    json.member("error", channel.failure->message);
  json.end_object();
}

} // namespace

std::string render_push(const push_reply& reply) {
  std::string text;
  json_writer(text)
      .begin_object()
      .member("task_name", reply.task_name)
      .member("result", reply.accepted)
      .member("task_id", reply.task_id)
      .end_object();
  return text;
}

std::string render_channels(const std::vector<channel_status>& channels) {
  std::string text;
  json_writer json(text);
  size_t bytes_left = status_bytes_max;
  json.begin_object();
  for (const auto& channel : channels) {
    json.key(channel.channel);
    write_channel(json, channel, bytes_left);
  }
  json.end_object();
  return text;
}

std::string render_channel(const channel_status& channel) {
  std::string text;
  json_writer json(text);
  size_t bytes_left = status_bytes_max;
  write_channel(json, channel, bytes_left);
  return text;
}

std::string render_actors(const std::vector<std::shared_ptr<const actor_probe>>& probes) {
  std::string text;
  json_writer json(text);
  json.begin_array();
  for (const auto& probe : probes) {
    json.begin_object()
        .member("name", probe->name())
        .member("kind", probe->kind())
        .member("mailbox_depth", probe->mailbox_depth())
        .key("handled")
        .begin_object();
    const auto& kinds = probe->message_kinds();
    for (size_t i = 0; i < kinds.size(); ++i)
      json.member(kinds[i], probe->handled(i));
    json.end_object().member("restarts", probe->restarts());
    write_time(json, "busy_since", probe->busy_since_ms());
    json.end_object();
  }
  json.end_array();
  return text;
}

std::string render_task(const task& value) {
  std::string text;
  json_writer json(text);
  json.begin_object().member("id", value.id).member("channel", value.channel).member("task_name", value.name);
  json.key("command");
  if (value.command.argv.empty()) {
    json.value(value.line());
  } else {
    json.begin_object().member("name", value.command.argv.front()).key("args").begin_array();
    for (size_t i = 1; i < value.command.argv.size(); ++i)
      json.value(value.command.argv[i]);
    json.end_array().end_object();
  }
  json.member("state", to_string(value.state)).member("attempt", value.attempt);
  json.key("outcome");
  if (value.last_outcome)
    write_outcome(json, *value.last_outcome);
  else
    json.null();
  write_time(json, "created_at", value.created_at_ms);
  write_time(json, "execute_at", value.not_before_ms);
  write_time(json, "started_at", value.started_at_ms);
  write_time(json, "ended_at", value.ended_at_ms);
  json.key("duration_s");
  if (value.ended_at_ms != 0 && value.started_at_ms != 0)
    json.value(static_cast<double>(value.ended_at_ms - value.started_at_ms) / 1000.0);
  else
    json.null();
  json.end_object();
  return text;
}

} // namespace task_runner
