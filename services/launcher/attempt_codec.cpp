// Attempts as bytes, with every value checked on the way in.
#include "services/launcher/attempt_codec.hpp"

#include "services/domain/names.hpp"

namespace task_runner::launcher {
namespace {

/// A channel's variables and a task's own come together.
constexpr size_t joined_variables_max = 2 * variables_max;
constexpr size_t joined_variables_bytes_max = 2 * variables_bytes_max;
constexpr size_t directory_length_max = 4'096;
constexpr int nice_min = -20;
constexpr int nice_max = 19;
constexpr uint32_t file_mask_max = 0777;
/// About what a start takes besides its texts, bytes.
constexpr size_t start_overhead = 400;

void write_limit(byte_writer& out, const std::optional<uint64_t>& limit) {
  out.flag(limit.has_value());
  if (limit)
    out.number(*limit);
}

std::optional<uint64_t> read_limit(byte_reader& in) {
  if (!in.flag())
    return std::nullopt;
  return in.number<uint64_t>();
}

void write_optional(byte_writer& out, const std::optional<std::string>& text) {
  out.flag(text.has_value());
  if (text)
    out.text(*text);
}

std::optional<std::string> read_optional(byte_reader& in, size_t length_max) {
  if (!in.flag())
    return std::nullopt;
  return std::string(in.text(length_max));
}

bool has_nul(std::string_view text) noexcept {
  return text.find('\0') != std::string_view::npos;
}

size_t size_of(const execution_environment& environment) noexcept {
  size_t bytes = 0;
  for (const auto* text : {&environment.directory, &environment.user, &environment.input})
    bytes += *text ? (*text)->size() : 0;
  for (const auto& [name, value] : environment.variables)
    bytes += name.size() + value.size() + 2 * sizeof(uint32_t);
  return bytes;
}

result<void> check_environment(const execution_environment& environment) {
  size_t bytes = 0;
  bool wrong = false;
  for (const auto& [name, value] : environment.variables) {
    bytes += name.size() + value.size();
    wrong = wrong || name.empty() || name.find('=') != std::string::npos || has_nul(name) || has_nul(value);
  }
  if (wrong)
    return error{error_code::invalid_argument,
                 "a variable needs a name without = and NUL, and a value without NUL"};
  if (environment.variables.size() > joined_variables_max || bytes > joined_variables_bytes_max ||
      (environment.input && environment.input->size() > input_bytes_max))
    return error{error_code::too_large, "an attempt has at most " + std::to_string(joined_variables_max) +
                                            " variables of " + std::to_string(joined_variables_bytes_max) +
                                            " bytes together, and " + std::to_string(input_bytes_max) +
                                            " bytes of input"};
  if (environment.directory && (environment.directory->size() > directory_length_max ||
                                environment.directory->empty() || has_nul(*environment.directory)))
    return error{error_code::invalid_argument, "a directory has 1 to 4096 bytes, none of them NUL"};
  if (environment.user &&
      (environment.user->size() > name_length_max || environment.user->empty() || has_nul(*environment.user)))
    return error{error_code::invalid_argument, "a user has 1 to 128 bytes, none of them NUL"};
  if ((environment.nice && (*environment.nice < nice_min || *environment.nice > nice_max)) ||
      (environment.file_mask && *environment.file_mask > file_mask_max))
    return error{error_code::out_of_range, "nice is -20 to 19, a umask at most 0777"};
  return {};
}

void write_environment(byte_writer& out, const execution_environment& environment) {
  out.number(static_cast<uint32_t>(environment.variables.size()));
  for (const auto& [name, value] : environment.variables) {
    out.text(name);
    out.text(value);
  }
  write_optional(out, environment.directory);
  write_optional(out, environment.input);
  write_optional(out, environment.user);
  out.flag(environment.nice.has_value());
  if (environment.nice)
    out.number(static_cast<int32_t>(*environment.nice));
  out.flag(environment.file_mask.has_value());
  if (environment.file_mask)
    out.number(*environment.file_mask);
  write_limit(out, environment.limits.memory_bytes);
  write_limit(out, environment.limits.cpu_s);
  write_limit(out, environment.limits.processes);
  write_limit(out, environment.limits.file_size_bytes);
}

execution_environment read_environment(byte_reader& in) {
  execution_environment environment;
  const auto count = in.number<uint32_t>();
  if (count > joined_variables_max)
    in.reject();
  for (uint32_t i = 0; i < count && in.ok(); ++i) {
    std::string name(in.text(joined_variables_bytes_max));
    std::string value(in.text(joined_variables_bytes_max));
    environment.variables.emplace_back(std::move(name), std::move(value));
  }
  environment.directory = read_optional(in, directory_length_max);
  environment.input = read_optional(in, input_bytes_max);
  environment.user = read_optional(in, name_length_max);
  if (in.flag())
    environment.nice = in.number<int32_t>();
  if (in.flag())
    environment.file_mask = in.number<uint32_t>();
  environment.limits.memory_bytes = read_limit(in);
  environment.limits.cpu_s = read_limit(in);
  environment.limits.processes = read_limit(in);
  environment.limits.file_size_bytes = read_limit(in);
  return environment;
}

} // namespace

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
  out.number(event.survivors);
}

void write_known(byte_writer& out, const known_attempt& attempt) {
  write_key(out, attempt.key);
  out.text(attempt.channel);
  out.number(static_cast<int32_t>(attempt.pid));
  out.number(attempt.started_at_ms);
  out.flag(attempt.ended);
  if (attempt.ended) {
    write_outcome(out, attempt.end.how);
    out.number(attempt.end.ended_at_ms);
    out.number(attempt.end.output_bytes);
    out.number(attempt.end.survivors);
  }
}

void write_start(byte_writer& out, const attempt_start& start) {
  write_key(out, start.key);
  out.text(start.channel);
  out.text(start.line);
  out.number(static_cast<uint32_t>(start.argv.size()));
  for (const std::string& argument : start.argv)
    out.text(argument);
  out.number(start.timeout_ms);
  out.number(start.grace_ms);
  // Most have none of their own.
  out.flag(!start.environment.empty());
  if (!start.environment.empty())
    write_environment(out, start.environment);
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
  event.survivors = in.number<uint32_t>();
  return event;
}

known_attempt read_known(byte_reader& in) {
  known_attempt attempt;
  attempt.key = read_key(in);
  attempt.channel = read_name(in);
  attempt.pid = in.number<int32_t>();
  attempt.started_at_ms = in.number<int64_t>();
  if (in.flag()) {
    attempt.ended = true;
    attempt.end.key = attempt.key;
    attempt.end.channel = attempt.channel;
    attempt.end.how = read_outcome(in);
    attempt.end.started_at_ms = attempt.started_at_ms;
    attempt.end.ended_at_ms = in.number<int64_t>();
    attempt.end.output_bytes = in.number<uint64_t>();
    attempt.end.survivors = in.number<uint32_t>();
  }
  return attempt;
}

attempt_start read_start(byte_reader& in) {
  attempt_start start;
  start.key = read_key(in);
  start.channel = read_name(in);
  start.line = std::string(in.text(command_length_max));
  const auto count = in.number<uint32_t>();
  if (count > argument_count_max)
    in.reject();
  for (uint32_t i = 0; i < count && in.ok(); ++i)
    start.argv.emplace_back(in.text(command_length_max));
  start.timeout_ms = in.number<int64_t>();
  start.grace_ms = in.number<int64_t>();
  if (in.flag())
    start.environment = read_environment(in);
  if (in.ok() && !check_start(start))
    in.reject();
  return start;
}

result<void> check_start(const attempt_start& start) {
  if (!is_valid_name(start.key.task_id) || !is_valid_name(start.channel) || start.key.attempt == 0)
    return error{error_code::invalid_argument,
                 "an attempt needs a valid task id and channel, and a number from 1"};
  if (start.line.empty() && start.argv.empty())
    return error{error_code::invalid_argument, "an attempt needs a command line or an argv"};
  size_t bytes = start.line.size();
  bool nul_inside = has_nul(start.line);
  bool too_long = start.line.size() > command_length_max || start.argv.size() > argument_count_max;
  for (const std::string& argument : start.argv) {
    bytes += argument.size();
    nul_inside = nul_inside || has_nul(argument);
    too_long = too_long || argument.size() > command_length_max;
  }
  if (nul_inside)
    return error{error_code::invalid_argument, "a command cannot contain a NUL byte"};
  if (too_long || bytes > argument_bytes_max + command_length_max)
    return error{error_code::too_large, "a command line or argument has at most 131071 bytes, an argv 4096 "
                                        "arguments and 1 MiB together"};
  if (start.timeout_ms < 0 || start.grace_ms < 0 || start.grace_ms > grace_ms_max)
    return error{error_code::out_of_range, "a timeout is 0 or more, a grace 0 ms to an hour"};
  return check_environment(start.environment);
}

size_t size_of(const attempt_start& start) noexcept {
  size_t bytes = start_overhead + start.line.size() + size_of(start.environment);
  for (const std::string& argument : start.argv)
    bytes += argument.size() + sizeof(uint32_t);
  return bytes;
}

} // namespace task_runner::launcher
