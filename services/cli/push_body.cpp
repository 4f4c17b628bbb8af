// Options go through the same table as everywhere, so that a flag means what the member of its name means.
#include "services/cli/push_body.hpp"

#include "services/domain/names.hpp"
#include "services/domain/quantities.hpp"
#include "services/wire/json_text.hpp"
#include "services/wire/rfc3339.hpp"
#include "services/wire/task_options_json.hpp"
#include "services/wire/task_options_table.hpp"

#include <algorithm>
#include <utility>

namespace task_runner::cli {

namespace {

/// Unix seconds of the year 9999.
constexpr uint64_t unix_seconds_max = 253'402'300'799;

error about_flag(std::string_view flag, const error& why) {
  return {why.code, "--" + std::string(flag) + ": " + why.message};
}

result<void> read_options(const arguments& given, task_options& options) {
  for (const auto& flag : option_flags())
    for (const auto& text : given.texts(flag))
      if (auto set = set_task_option(options, flag, text); !set)
        return about_flag(flag, set.failure());
  for (const auto& text : given.texts("limit")) {
    const auto equals = text.find('=');
    if (equals == std::string::npos)
      return error{error_code::invalid_argument, "--limit: it is NAME=VALUE, such as memory=64M"};
    if (auto set = set_task_option(options, "limits." + text.substr(0, equals), text.substr(equals + 1));
        !set)
      return about_flag("limit", set.failure());
  }
  return {};
}

result<void> read_moments(const arguments& given, push_body& body) {
  if (given.has("delay") && given.has("at"))
    return error{error_code::invalid_argument, "--delay and --at are both given; give one of them"};
  if (given.has("delay")) {
    auto delay_ms = parse_duration_ms(given.text("delay"));
    if (!delay_ms)
      return about_flag("delay", delay_ms.failure());
    body.delay_ms = *delay_ms;
  }
  if (given.has("at")) {
    body.execute_at = given.text("at");
    if (!parse_digits(body.execute_at, unix_seconds_max) && !parse_rfc3339(body.execute_at))
      return error{error_code::invalid_argument,
                   "--at: it is no moment; give one such as 2026-01-31T12:00:00Z, or Unix seconds"};
  }
  return {};
}

void write_common(json_writer& json, const push_body& body, std::string_view id) {
  if (!id.empty())
    json.member("id", id);
  if (!body.channel.empty())
    json.member("channel", body.channel);
  if (!body.distinct_key.empty())
    json.member("distinct_key", body.distinct_key);
  if (body.delay_ms)
    json.member("delay", static_cast<double>(*body.delay_ms) / 1'000.0);
  if (const auto seconds = parse_digits(body.execute_at, unix_seconds_max))
    json.member("execute_at", *seconds);
  else if (!body.execute_at.empty())
    json.member("execute_at", body.execute_at);
  write_task_options(json, body.options);
}

} // namespace

std::vector<std::string> option_flags() {
  const auto* push = find_verb("push");
  std::vector<std::string> flags;
  const auto add = [&](std::string_view name) {
    std::string flag(name);
    std::replace(flag.begin(), flag.end(), '_', '-');
    if (find_flag(*push, flag) != nullptr)
      flags.push_back(std::move(flag));
  };
  for (const auto& option : single_options()) {
    if (option.name == "stdin")
      continue; // its flag has no value: it reads standard input
    add(option.name);
    if (!option.alias.empty())
      add(option.alias);
  }
  add("retry_on");
  add("env");
  return flags;
}

result<push_body> read_push_body(const arguments& given) {
  push_body body;
  body.channel = given.text("channel");
  body.name = given.text("name");
  body.distinct_key = given.text("distinct-key");
  for (const std::string_view flag : {"channel", "name", "distinct-key", "id"}) {
    if (given.has(flag) && given.text(flag).empty())
      return error{error_code::invalid_argument, "--" + std::string(flag) + ": it is empty; leave it out"};
    if (auto valid = check_text("--" + std::string(flag), given.text(flag)); !valid)
      return valid.failure();
  }
  for (const std::string_view flag : {"channel", "id"})
    if (given.has(flag) && !is_valid_name(given.text(flag)))
      return error{error_code::invalid_argument,
                   "--" + std::string(flag) + ": it has 1 to 128 of A-Z a-z 0-9 . _ : -"};
  if (auto read = read_moments(given, body); !read)
    return read.failure();
  if (auto read = read_options(given, body.options); !read)
    return read.failure();
  return body;
}

std::string push_json_of_line(const push_body& body, std::string_view id, std::string_view line) {
  std::string text;
  json_writer json(text);
  json.begin_object().member("task", body.name.empty() ? line : std::string_view(body.name));
  if (!body.name.empty())
    json.member("command", line);
  write_common(json, body, id);
  json.end_object();
  return text;
}

std::string push_json_of_words(const push_body& body, std::string_view id,
                               const std::vector<std::string>& words) {
  std::string text;
  json_writer json(text);
  json.begin_object();
  if (!body.name.empty())
    json.member("task", body.name);
  json.key("command").begin_object().member("name", words.front()).key("args").begin_array();
  for (size_t i = 1; i < words.size(); ++i)
    json.value(words[i]);
  json.end_array().end_object();
  write_common(json, body, id);
  json.end_object();
  return text;
}

} // namespace task_runner::cli
