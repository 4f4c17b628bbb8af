// Symbols, colours and an estimate for people; `name=value` for programs.
#include "services/cli/channel_view.hpp"

#include "services/cli/task_view.hpp"
#include "services/domain/time_text.hpp"
#include "services/wire/rfc3339.hpp"

#include <algorithm>

namespace task_runner::cli {

namespace {

/// So many tasks that ran last tell how long one takes; asked for anew after a while.
constexpr int pace_sample = 20;
constexpr std::chrono::seconds pace_age_max{10};
/// Most channels whose pace is asked for.
constexpr size_t paces_max = 16;

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

std::optional<double> channel_view::eta_s(const std::string& name, const json_value& channel) {
  const auto waiting = channel["pending"].whole();
  const auto workers = channel["worker"].whole();
  if (waiting == 0 || workers == 0 || channel["paused"].is_true())
    return std::nullopt;
  const auto now = steady::now();
  auto known = paces_.find(name);
  if (known == paces_.end() && paces_.size() >= paces_max)
    return std::nullopt;
  if (known == paces_.end() || now - known->second.asked_at > pace_age_max) {
    const auto reply = daemon_.get("/api/v1/tasks?state=finished,dead&limit=" + std::to_string(pace_sample) +
                                   "&channel=" + url_encoded(name));
    pace found{now, std::nullopt};
    double sum_s = 0;
    const auto& items = reply.data()["items"].items();
    for (const auto& task : items)
      sum_s += task["duration_s"].number();
    if (!items.empty())
      found.task_s = sum_s / static_cast<double>(items.size());
    known = paces_.insert_or_assign(name, found).first;
  }
  if (!known->second.task_s)
    return std::nullopt;
  return *known->second.task_s * static_cast<double>(waiting) / static_cast<double>(workers);
}

std::string channel_view::show(const std::string& name, const json_value& channel) {
  std::string text;
  if (terminal_.is_terminal()) {
    const auto count = [&](std::string_view symbol, std::string_view letters, int64_t value, paint color) {
      const auto sign = std::string(terminal_.sign(symbol, letters)) + std::to_string(value);
      return " " + terminal_.colored(value == 0 ? paint::dim : color, sign);
    };
    text = terminal_.colored(paint::bold, printable(name)) + "  " + number(channel, "running") + "/" +
           number(channel, "worker") + " ";
    text += count("▶", "running ", channel["running"].whole(), paint::blue) +
            count("⧗", "waiting ", channel["pending"].whole(), paint::plain) +
            count("⏸", "delayed ", channel["delayed"].whole(), paint::yellow) +
            count("✗", "dead ", dead_letters(channel), paint::red);
    if (const auto left_s = eta_s(name, channel))
      text += "  eta " + short_duration(*left_s);
    if (const auto what = hindrance(channel); !what.empty())
      text += "  " + terminal_.colored(paint::yellow, what);
  } else {
    text = printable(name) + " state=" + state_word(channel);
    for (const std::string_view member : {"worker", "running", "pending", "delayed"})
      text += " " + std::string(member) + "=" + number(channel, member);
    text += " dead=" + std::to_string(dead_letters(channel));
  }
  text += '\n';
  for (const auto& task : channel["tasks"].items())
    text += row_of(task, terminal_);
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
