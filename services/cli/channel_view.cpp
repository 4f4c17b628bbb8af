// Symbols, colours and an ETA for people; `name=value` for programs.
#include "services/cli/channel_view.hpp"

#include "services/cli/task_view.hpp"
#include "services/domain/time_text.hpp"
#include "services/wire/rfc3339.hpp"

#include <algorithm>

namespace task_runner::cli {

namespace {

/// The largest page of channels, and so many pages that all that a daemon can have are among them; others are
/// shown without an ETA.
constexpr int eta_page_max = 1'000;
constexpr int eta_pages_max = 16;

std::string number(const json_value& channel, std::string_view name) {
  return std::to_string(channel[name].whole());
}

/// What stands in the way of the channel; empty where nothing does.
std::string hindrance(const json_value& channel) {
  if (!channel["error"].text().empty())
    return "failed: " + printable(channel["error"].text());
  if (channel["paused"].is_true())
    return channel["running"].whole() == 0 ? "paused" : "paused, some run on";
  return channel["worker"].whole() == 0 ? "no workers" : "";
}

std::string state_word(const json_value& channel) {
  if (!channel["error"].text().empty())
    return "failed";
  return channel["paused"].is_true() ? "paused" : "open";
}

std::string_view sign_of(std::string_view state, const console& terminal) {
  if (state == "running")
    return terminal.sign("▶", "run");
  if (state == "delayed")
    return terminal.sign("⏸", "delayed");
  if (state == "dead")
    return terminal.sign("✗", "dead");
  if (state == "finished")
    return terminal.sign("✓", "done");
  if (state == "cancelled")
    return terminal.sign("⊘", "cancelled");
  return terminal.sign("⧗", "wait");
}

/// How long it runs, or until it may start.
std::string time_of(const json_value& task) {
  const auto now_ms = system_now_ms();
  const auto& state = task["state"].text();
  if (const auto started_ms = parse_rfc3339(task["started_at"].text()); started_ms && state == "running")
    return short_duration(static_cast<double>(now_ms - *started_ms) / 1'000.0);
  if (const auto due_ms = parse_rfc3339(task["execute_at"].text()); due_ms && state == "delayed")
    return "in " + short_duration(static_cast<double>(*due_ms - now_ms) / 1'000.0);
  if (!task["duration_s"].is_null() && task["duration_s"].number() > 0)
    return short_duration(task["duration_s"].number());
  return task["held"].is_true() ? "held" : "";
}

/// One task below its channel. /status and listings name the id differently.
std::string row_of(const json_value& task, const console& terminal) {
  const auto& state = task["state"].text();
  const auto id = printable(task["id"].text().empty() ? task["task_id"].text() : task["id"].text());
  const auto name = printable(task["task_name"].text());
  const auto time = time_of(task);
  const auto how = state == "running" || state == "finished" ? "" : outcome_text(task["outcome"]);
  if (!terminal.is_terminal())
    return "  " + id + " " + state + (how.empty() ? "" : " (" + how + ")") + " " + name + "\n";
  const std::string sign(sign_of(state, terminal));
  const auto head = "  " + sign + " " + id + "  " + (time.empty() ? "" : time + "  ") +
                    (how.empty() || how == state ? "" : "(" + how + ")  ");
  const size_t used = width_of(head);
  const size_t room = terminal.columns() - std::min(terminal.columns(), used);
  return "  " + terminal.colored(color_of(state), sign) + head.substr(2 + sign.size()) +
         clipped(name, room, terminal.sign("…", "...")) + "\n";
}

} // namespace

channel_etas read_etas(daemon_api& daemon) {
  channel_etas etas;
  std::string cursor;
  for (int page = 0; page < eta_pages_max; ++page) {
    const auto reply =
        daemon.get("/api/v1/statistics/channels?limit=" + std::to_string(eta_page_max) + cursor);
    for (const auto& one : reply.data()["items"].items())
      if (const auto eta_s = one["eta_s"]; !eta_s.is_null())
        etas[one["channel"].text()] = eta_s.number();
    const auto& next = reply.data()["next"].text();
    if (next.empty())
      break;
    cursor = "&cursor=" + url_encoded(next);
  }
  return etas;
}

bool stands_in_line(const json_value& channel) {
  return channel["pending"].whole() > 0;
}

std::string channel_text(const std::string& name, const json_value& channel, const channel_etas& etas,
                         const console& terminal) {
  std::string text;
  if (terminal.is_terminal()) {
    const auto count = [&](std::string_view symbol, std::string_view letters, int64_t value, paint color) {
      const auto sign = std::string(terminal.sign(symbol, letters)) + std::to_string(value);
      return " " + terminal.colored(value == 0 ? paint::dim : color, sign);
    };
    text = terminal.colored(paint::bold, printable(name)) + "  " + number(channel, "running") + "/" +
           number(channel, "worker") + " ";
    text += count("▶", "running ", channel["running"].whole(), paint::blue) +
            count("⧗", "waiting ", channel["pending"].whole(), paint::plain) +
            count("⏸", "delayed ", channel["delayed"].whole(), paint::yellow) +
            count("✗", "dead ", dead_letters(channel), paint::red);
    if (const auto eta = etas.find(name); eta != etas.end() && stands_in_line(channel))
      text += "  eta " + short_duration(eta->second);
    if (const auto what = hindrance(channel); !what.empty())
      text += "  " + terminal.colored(paint::yellow, what);
  } else {
    text = printable(name) + " state=" + state_word(channel);
    for (const std::string_view member : {"worker", "running", "pending", "delayed"})
      text += " " + std::string(member) + "=" + number(channel, member);
    text += " dead=" + std::to_string(dead_letters(channel));
  }
  text += '\n';
  for (const auto& task : channel["tasks"].items())
    text += row_of(task, terminal);
  return text;
}

int64_t dead_letters(const json_value& counts) {
  return counts[counts["dead_letters"].is_null() ? "dead" : "dead_letters"].whole();
}

std::string sign_legend(const console& terminal) {
  if (!terminal.has_symbols())
    return {};
  return terminal.colored(paint::dim, "▶ running  ⧗ waiting  ⏸ delayed  ✗ dead") + "\n";
}

std::string listed_by_channel(const std::vector<json_value>& tasks, const console& terminal) {
  std::vector<std::pair<std::string, std::string>> groups;
  for (const auto& task : tasks) {
    const auto& channel = task["channel"].text();
    auto group =
        std::find_if(groups.begin(), groups.end(), [&](const auto& one) { return one.first == channel; });
    if (group == groups.end())
      group = groups.insert(groups.end(), {channel, {}});
    group->second += row_of(task, terminal);
  }
  std::string text;
  for (const auto& [channel, rows] : groups)
    text += terminal.colored(paint::bold, printable(channel)) + "\n" + rows;
  return text;
}

} // namespace task_runner::cli
