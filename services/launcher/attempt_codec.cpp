// Attempts as bytes, with every value checked on the way in.
#include "services/launcher/attempt_codec.hpp"

#include "services/domain/names.hpp"

namespace task_runner::launcher {

void write_key(byte_writer& out, const attempt_key& key) {
  out.text(key.task_id);
  out.number(key.attempt);
}

void write_outcome(byte_writer& out, const outcome& how) {
  out.number(static_cast<uint8_t>(how.kind));
  out.number(static_cast<int32_t>(how.code));
  out.text(std::string_view(how.error).substr(0, spawn_error_length_max));
}

void write_started(byte_writer& out, const attempt_started& event) {
  write_key(out, event.key);
  out.text(event.channel);
  out.number(static_cast<int32_t>(event.pid));
  out.number(event.started_at_ms);
}

void write_ended(byte_writer& out, const attempt_ended& event) {
  write_key(out, event.key);
  out.text(event.channel);
  write_outcome(out, event.how);
  out.number(event.started_at_ms);
  out.number(event.ended_at_ms);
  out.number(event.output_bytes);
}

void write_known(byte_writer& out, const known_attempt& attempt) {
  write_key(out, attempt.key);
  out.text(attempt.channel);
  out.number(static_cast<int32_t>(attempt.pid));
  out.number(attempt.started_at_ms);
  out.number(static_cast<uint8_t>(attempt.ended ? 1 : 0));
  if (attempt.ended) {
    write_outcome(out, attempt.end.how);
    out.number(attempt.end.ended_at_ms);
    out.number(attempt.end.output_bytes);
  }
}

std::string read_name(byte_reader& in) {
  const std::string_view name = in.text(name_length_max);
  if (in.ok() && !is_valid_name(name))
    in.reject();
  return in.ok() ? std::string(name) : std::string();
}

attempt_key read_key(byte_reader& in) {
  attempt_key key;
  key.task_id = read_name(in);
  key.attempt = in.number<uint32_t>();
  if (key.attempt == 0)
    in.reject();
  return key;
}

outcome read_outcome(byte_reader& in) {
  outcome how;
  const auto kind = in.number<uint8_t>();
  if (kind > static_cast<uint8_t>(outcome_kind::lost))
    in.reject();
  else
    how.kind = static_cast<outcome_kind>(kind);
  how.code = in.number<int32_t>();
  how.error = std::string(in.text(spawn_error_length_max));
  return how;
}

attempt_started read_started(byte_reader& in) {
  attempt_started event;
  event.key = read_key(in);
  event.channel = read_name(in);
  event.pid = in.number<int32_t>();
  event.started_at_ms = in.number<int64_t>();
  return event;
}

attempt_ended read_ended(byte_reader& in) {
  attempt_ended event;
  event.key = read_key(in);
  event.channel = read_name(in);
  event.how = read_outcome(in);
  event.started_at_ms = in.number<int64_t>();
  event.ended_at_ms = in.number<int64_t>();
  event.output_bytes = in.number<uint64_t>();
  return event;
}

known_attempt read_known(byte_reader& in) {
  known_attempt attempt;
  attempt.key = read_key(in);
  attempt.channel = read_name(in);
  attempt.pid = in.number<int32_t>();
  attempt.started_at_ms = in.number<int64_t>();
  const auto ended = in.number<uint8_t>();
  if (ended > 1)
    in.reject();
  if (ended == 1) {
    attempt.ended = true;
    attempt.end.key = attempt.key;
    attempt.end.channel = attempt.channel;
    attempt.end.how = read_outcome(in);
    attempt.end.started_at_ms = attempt.started_at_ms;
    attempt.end.ended_at_ms = in.number<int64_t>();
    attempt.end.output_bytes = in.number<uint64_t>();
  }
  return attempt;
}

} // namespace task_runner::launcher
