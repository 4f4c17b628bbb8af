// Rendering of /status, and of pushes.
#include "actors/gateway/render.hpp"

#include "actors/gateway/render_parts.hpp"
#include "services/domain/time_text.hpp"

namespace task_runner {

namespace {

void write_status_task(json_writer& json, const task& value) {
  json.begin_object()
      .member("task_name", value.name)
      .member("channel", value.channel)
      .member("status", value.state == task_state::running ? 2 : 1)
      .member("task_id", value.id)
      .member("state", to_string(value.state));
  if (value.held)
    json.member("held", true);
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
  json.end_array().member("count", unfinished(counts));
  write_counts(json, channel);
  json.member("distinct", channel.record.distinct != distinct_mode::off)
      .member("distinct_mode", to_string(channel.record.distinct))
      .member("paused", channel.record.paused)
      .member("worker", channel.worker);
  if (truncated)
    json.member("truncated", true);
  if (channel.failure)
    json.member("error", channel.failure->message);
  json.end_object();
}

/// The predecessor's members of the answer to a push; the object stays open.
void write_push(json_writer& json, const push_reply& reply) {
  json.begin_object()
      .member("task_name", reply.task_name)
      .member("result", reply.accepted)
      .member("task_id", reply.task_id);
}

} // namespace

void write_text_or_null(json_writer& json, std::string_view name, std::string_view text) {
  json.key(name);
  if (text.empty())
    json.null();
  else
    json.value(text);
}

void write_time(json_writer& json, std::string_view name, wall_time_ms time_ms) {
  json.key(name);
  if (time_ms == 0)
    json.null();
  else
    json.value(format_time(time_ms));
}

uint64_t unfinished(const queue_counts& counts) {
  return counts.pending + counts.held + counts.delayed + counts.running;
}

void write_counts(json_writer& json, const channel_status& channel) {
  const auto& counts = channel.counts;
  json.member("pending", counts.pending + counts.held)
      .member("held", counts.held)
      .member("delayed", counts.delayed)
      .member("running", counts.running)
      .member("finished", counts.finished)
      .member("dead", counts.dead)
      .member("cancelled", counts.cancelled)
      .member("expired", counts.expired)
      .member("retried", counts.retried)
      .member("lost", counts.lost)
      .member("duplicates", counts.duplicates)
      .member("repairs", counts.repairs)
      .member("dead_letters", channel.dead_letters);
}

std::string render_push(const push_reply& reply) {
  std::string text;
  json_writer json(text);
  write_push(json, reply);
  json.end_object();
  return text;
}

std::string render_pushed_task(const push_reply& reply) {
  std::string text;
  json_writer json(text);
  write_push(json, reply);
  json.key("state");
  if (reply.state)
    json.value(to_string(*reply.state));
  else
    json.null();
  json.end_object();
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

} // namespace task_runner
