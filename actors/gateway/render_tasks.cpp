// Rendering of tasks as resources, and of what was done to many of them.
#include "actors/gateway/render.hpp"
#include "actors/gateway/render_parts.hpp"
#include "actors/gateway/requests.hpp"
#include "services/wire/outcome_json.hpp"
#include "services/wire/task_options_json.hpp"

#include <algorithm>

namespace task_runner {

namespace {

void write_outcome(json_writer& json, std::string_view name, const std::optional<outcome>& how) {
  write_outcome(json.key(name), how);
}

void write_duration(json_writer& json, wall_time_ms started_at_ms, wall_time_ms ended_at_ms) {
  json.key("duration_s");
  if (started_at_ms != 0 && ended_at_ms >= started_at_ms)
    json.value(static_cast<double>(ended_at_ms - started_at_ms) / 1000.0);
  else
    json.null();
}

void write_command(json_writer& json, const task& value) {
  json.key("command");
  if (value.command.argv.empty()) {
    json.value(value.line());
    return;
  }
  json.begin_object().member("name", value.command.argv.front()).key("args").begin_array();
  for (size_t i = 1; i < value.command.argv.size(); ++i)
    json.value(value.command.argv[i]);
  json.end_array().end_object();
}

/// What lists and single tasks have in common; the object stays open.
void write_task(json_writer& json, const task& value) {
  const bool running = value.state == task_state::running;
  json.begin_object().member("id", value.id).member("channel", value.channel).member("task_name", value.name);
  write_command(json, value);
  json.member("state", to_string(value.state)).member("attempt", value.attempt);
  write_outcome(json, "outcome", running ? std::nullopt : value.last_outcome);
  write_time(json, "created_at", value.created_at_ms);
  write_time(json, "execute_at", value.not_before_ms);
  write_time(json, "started_at", value.started_at_ms);
  write_time(json, "ended_at", running ? 0 : value.ended_at_ms);
  write_duration(json, value.started_at_ms, running ? 0 : value.ended_at_ms);
  write_time(json, "expires_at", value.expires_at_ms);
  json.member("priority", value.priority);
  write_text_or_null(json, "distinct_key", value.distinct_key);
  write_text_or_null(json, "concurrency_key", value.concurrency_key);
  json.member("held", value.held)
      .member("cancel_requested", value.cancel_requested)
      .member("recoveries", value.recoveries)
      .member("output_bytes", running ? uint64_t{0} : value.output_bytes);
}

void write_attempt(json_writer& json, const attempt_record& record, bool running) {
  json.begin_object().member("attempt", record.attempt);
  write_time(json, "started_at", record.started_at_ms);
  write_time(json, "ended_at", running ? 0 : record.ended_at_ms);
  write_duration(json, record.started_at_ms, running ? 0 : record.ended_at_ms);
  write_outcome(json, "outcome", running ? std::nullopt : std::optional(record.how));
  json.member("output_bytes", running ? uint64_t{0} : record.output_bytes).end_object();
}

void write_attempts(json_writer& json, const task& value, const std::vector<attempt_record>& attempts) {
  json.key("attempts").begin_array();
  bool last_is_there = value.attempt == 0;
  for (const auto& record : attempts) {
    write_attempt(json, record, false);
    last_is_there = last_is_there || record.attempt == value.attempt;
  }
  // The last one stands in the task itself until another follows.
  if (!last_is_there) {
    attempt_record last;
    last.attempt = value.attempt;
    last.started_at_ms = value.started_at_ms;
    last.ended_at_ms = value.ended_at_ms;
    last.how = value.last_outcome.value_or(outcome{});
    last.output_bytes = value.output_bytes;
    write_attempt(json, last, value.state == task_state::running);
  }
  json.end_array();
}

/// `{"kind":S,…}`: what each kind has is what is known of it.
void write_blocker(json_writer& json, const blocker& one) {
  json.begin_object().member("kind", to_string(one.what));
  switch (one.what) {
  case blocker::kind::task:
    json.member("id", one.name).member("state", one.condition);
    break;
  case blocker::kind::channel:
    json.member("name", one.name).member(one.condition, true);
    break;
  case blocker::kind::limit:
    json.member("name", one.name).member("value", one.value);
    if (one.used)
      json.member("used", *one.used);
    break;
  case blocker::kind::time:
  case blocker::kind::store:
    write_time(json, "until", one.until_ms);
    break;
  case blocker::kind::daemon:
    json.member(one.condition, true);
    break;
  }
  json.end_object();
}

void write_place(json_writer& json, std::string_view name, const std::optional<uint64_t>& place) {
  json.key(name);
  if (place)
    json.value(*place);
  else
    json.null();
}

} // namespace

std::string render_explanation(const explanation_reply& reply) {
  const auto& why = reply.why;
  std::string text;
  json_writer json(text);
  json.begin_object()
      .member("id", reply.value.id)
      .member("channel", reply.value.channel)
      .member("state", to_string(why.state))
      .member("reason", to_string(why.reason))
      .member("message", message_of(why, reply.value.last_outcome))
      .key("blocked_by")
      .begin_array();
  for (const auto& one : why.blocked_by)
    write_blocker(json, one);
  json.end_array();
  write_place(json, "position", why.position);
  write_place(json, "position_at_least", why.position_at_least);
  write_time(json, "may_start_at", why.may_start_at_ms);
  json.end_object();
  return text;
}

std::string render_task(const task_reply& reply) {
  const auto& value = *reply.value;
  static const task_options nothing_said;
  const auto& options = value.options ? *value.options : nothing_said;
  std::string text;
  json_writer json(text);
  write_task(json, value);
  json.member("attempts_before", value.attempts_before)
      .member("max_attempts", reply.max_attempts)
      .key("options")
      .begin_object();
  write_task_options(json, options);
  json.end_object();
  write_attempts(json, value, reply.attempts);
  json.end_object();
  return text;
}

std::string render_page(const task_page& page, task_order order) {
  std::string text;
  json_writer json(text);
  auto next = page.next;
  json.begin_object().key("items").begin_array();
  for (const auto& value : page.tasks) {
    write_task(json, value);
    json.end_object();
    if (text.size() >= page_bytes_max && &value != &page.tasks.back()) {
      next = place_behind(value, order);
      break;
    }
  }
  json.end_array().key("next");
  if (next.is_beginning())
    json.null();
  else
    json.value(encode_cursor(next));
  json.end_object();
  return text;
}

std::string render_bulk(const tasks_reply& reply) {
  std::string text;
  json_writer json(text);
  json.begin_object()
      .member("matched", reply.matched)
      .member("done", reply.done)
      .member("more", reply.more)
      .key("refused")
      .begin_array();
  for (const auto& [id, why] : reply.refused)
    json.begin_object()
        .member("id", id)
        .member("status_code", http_status(why.code))
        .member("reason", why.message)
        .end_object();
  json.end_array().end_object();
  return text;
}

} // namespace task_runner
