// Members of answers become members of plain values; everything that is shown is made printable here.
#include "services/cli/top_data.hpp"

#include "services/cli/channel_view.hpp"
#include "services/cli/console.hpp"
#include "services/cli/task_view.hpp"
#include "services/wire/rfc3339.hpp"

#include <charconv>

namespace task_runner::cli {

namespace {

/// Longest name of a task that is kept: no screen is wider.
constexpr size_t name_columns_max = 1'000;

std::optional<int64_t> moment_of(const json_value& value) {
  const auto moment_ms = parse_rfc3339(value.text());
  return moment_ms ? std::optional<int64_t>(*moment_ms) : std::nullopt;
}

/// When a generated id was made: a UUID of version 7 begins with 48 bits of Unix milliseconds.
std::optional<int64_t> moment_of_id(const std::string& id) {
  constexpr size_t uuid_length = 36;
  constexpr size_t version_at = 14;
  if (id.size() != uuid_length || id[version_at] != '7' || id[8] != '-' || id[13] != '-')
    return std::nullopt;
  const auto digits = id.substr(0, 8) + id.substr(9, 4);
  int64_t moment_ms = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), moment_ms, 16);
  return read.ptr == digits.data() + digits.size() ? std::optional(moment_ms) : std::nullopt;
}

} // namespace

std::string_view name_of(top_view view) noexcept {
  switch (view) {
  case top_view::unfinished:
    return "unfinished";
  case top_view::dead:
    return "dead";
  case top_view::ended:
    return "ended";
  }
  return "";
}

top_channel read_top_channel(const json_value& channel) {
  top_channel read;
  read.name = printable(channel["name"].text());
  read.state = printable(channel["state"].text());
  read.failure = printable(channel["error"].text());
  read.workers = channel["worker"].whole();
  const auto& counts = channel["counts"];
  read.running = counts["running"].whole();
  read.pending = counts["pending"].whole();
  read.delayed = counts["delayed"].whole();
  read.finished = counts["finished"].whole();
  read.dead = counts["dead"].whole();
  read.cancelled = counts["cancelled"].whole();
  read.dead_letters = dead_letters(counts);
  return read;
}

top_fare read_top_fare(const json_value& fare) {
  top_fare read;
  read.channel = printable(fare["channel"].text());
  if (!fare["next_wait_s"].is_null())
    read.wait_s = fare["next_wait_s"].number();
  if (!fare["eta_s"].is_null())
    read.eta_s = fare["eta_s"].number();
  return read;
}

top_task read_top_task(const json_value& task) {
  top_task read;
  read.id = printable(task["id"].text().empty() ? task["task_id"].text() : task["id"].text());
  read.channel = printable(task["channel"].text());
  read.name = clipped(printable(task["task_name"].text()), name_columns_max, "...");
  if (const auto command = command_text(task); !command.empty() && command != read.name)
    read.name = clipped(read.name + ": " + command, name_columns_max, "...");
  read.state = printable(task["state"].text());
  read.outcome = read.state == "running" ? std::string() : outcome_text(task["outcome"]);
  read.attempt = task["attempt"].whole();
  read.created_ms = moment_of(task["created_at"]);
  if (!read.created_ms)
    read.created_ms = moment_of_id(read.id); // /status does not say it
  read.started_ms = moment_of(task["started_at"]);
  read.due_ms = moment_of(task["execute_at"]);
  read.ended_ms = moment_of(task["ended_at"]);
  if (!task["duration_s"].is_null())
    read.duration_s = task["duration_s"].number();
  read.is_held = task["held"].is_true();
  return read;
}

top_daemon read_top_daemon(const json_value& daemon) {
  top_daemon read;
  read.version = printable(daemon["version"].text());
  read.state = printable(daemon["state"].text());
  read.uptime_s = daemon["uptime_s"].number();
  read.workers = daemon["workers"].whole();
  read.running_max = daemon["running_max"].whole();
  read.runs_tasks = daemon["task_mode"].is_null() || daemon["task_mode"].is_true();
  for (const auto& reason : daemon["not_ready"].items())
    read.not_ready.push_back(printable(reason.text().empty() ? reason.dump() : reason.text()));
  read.clock_ms = moment_of(daemon["now"]);
  return read;
}

} // namespace task_runner::cli
