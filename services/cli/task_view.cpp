// Reads the members of a task and puts them into words.
#include "services/cli/task_view.hpp"

#include "services/cli/exit_codes.hpp"
#include "services/domain/names.hpp"
#include "services/wire/byte_text.hpp"

#include <cstring>

namespace task_runner::cli {

namespace {

constexpr int exit_code_max = 255;
constexpr int signal_max = 64;
constexpr size_t label_columns = 12;
constexpr size_t short_id_length = 8;

void append_detail(std::string& text, std::string_view label, const std::string& value) {
  if (!value.empty())
    text += "  " + padded(label, label_columns) + value + "\n";
}

std::string attempt_text(const json_value& attempt) {
  auto text = std::to_string(attempt["attempt"].whole()) + "  " + printable(attempt["started_at"].text());
  if (!attempt["duration_s"].is_null())
    text += "  " + short_duration(attempt["duration_s"].number());
  const auto how = outcome_text(attempt["outcome"]);
  if (how.empty())
    return text + "  running"; // how much it has written is known at its end
  return text + "  " + how + "  " + grouped(static_cast<uint64_t>(attempt["output_bytes"].whole())) +
         " bytes of output";
}

/// The outcome in brackets; that of a state of the same name says nothing new.
std::string how_it_ended(const json_value& task) {
  const auto& state = task["state"].text();
  const auto how = outcome_text(task["outcome"]);
  return how.empty() || how == state || state == "running" ? std::string() : "(" + how + ")";
}

/// One thing that is in a task's way.
std::string blocker_text(const json_value& one) {
  const auto& kind = one["kind"].text();
  if (kind == "task")
    return "task " + printable(one["id"].text()) + ", which is " + printable(one["state"].text());
  if (kind == "limit") {
    const auto name = printable(one["name"].text());
    const auto value = std::to_string(one["value"].whole());
    return one["used"].is_null()
               ? name + " is " + value
               : name + ": " + std::to_string(one["used"].whole()) + " of " + value + " are used";
  }
  if (kind == "time")
    return "the time, until " + printable(one["until"].text());
  // A channel, the store, the daemon, and what newer daemons know: its members say it.
  std::string text = printable(kind);
  for (const auto& [name, value] : one.members()) {
    const auto& plain = value.text();
    if (name != "kind" && !value.is_null())
      text += " " + printable(name) + "=" + printable(plain.empty() ? value.dump() : plain);
  }
  return text;
}

/// The running or last attempt, and how many there may be. Those before a retry by hand count no more; with
/// those that were lost in crashes there may be more than may fail.
std::string attempt_count(const json_value& task) {
  const auto attempt = task["attempt"].whole();
  const auto before = task["attempts_before"].whole();
  const auto most = task["max_attempts"].whole();
  if (attempt - before > most)
    return std::to_string(attempt);
  const auto limit = " of " + std::to_string(most);
  if (before == 0)
    return std::to_string(attempt) + limit;
  return std::to_string(attempt) + " (" + std::to_string(attempt - before) + limit +
         " since the retry by hand)";
}

} // namespace

int exit_code_of(const json_value& task) {
  const auto& state = task["state"].text();
  if (state == "finished")
    return exit_done;
  const auto& how = task["outcome"];
  const auto& kind = how["kind"].text();
  if (state != "cancelled" && kind == "exited" && how["code"].whole() > 0 &&
      how["code"].whole() <= exit_code_max)
    return static_cast<int>(how["code"].whole());
  if (state != "cancelled" && kind == "signalled" && how["signal"].whole() > 0 &&
      how["signal"].whole() <= signal_max)
    return exit_signal_base + static_cast<int>(how["signal"].whole());
  return kind == "timed_out" ? exit_timed_out : exit_refused;
}

bool is_ended(std::string_view state) noexcept {
  return state == "finished" || state == "dead" || state == "cancelled";
}

std::string_view short_id(std::string_view id) noexcept {
  return id.size() == generated_id_length ? id.substr(id.size() - short_id_length) : id;
}

std::string outcome_text(const json_value& outcome) {
  const auto& kind = outcome["kind"].text();
  if (kind == "exited")
    return "exit code " + std::to_string(outcome["code"].whole());
  if (kind == "signalled") {
    const auto number = static_cast<int>(outcome["signal"].whole());
    const char* name = ::sigabbrev_np(number);
    return "signal " + std::to_string(number) +
           (name == nullptr ? std::string() : " (" + std::string(name) + ")");
  }
  if (kind == "timed_out")
    return "timed out";
  if (kind == "spawn_failed")
    return "could not be started: " + printable(outcome["error"].text());
  return printable(kind);
}

std::string task_line(const json_value& task, const console& terminal) {
  const auto& state = task["state"].text();
  const auto how = how_it_ended(task);
  return printable(task["id"].text()) + " " + terminal.colored(color_of(state), printable(state)) +
         (how.empty() ? "" : " " + terminal.colored(paint::dim, how));
}

std::string retried_text(const json_value& task) {
  return printable(task["id"].text()) + " " + printable(task["state"].text()) + " again";
}

std::string end_text(const json_value& task) {
  const auto how = how_it_ended(task);
  return printable(task["id"].text()) + " is " + printable(task["state"].text()) +
         (how.empty() ? "" : " " + how);
}

std::string command_text(const json_value& task) {
  const auto& command = task["command"];
  if (!command.is_object())
    return printable(command.text());
  auto text = printable(command["name"].text());
  for (const auto& word : command["args"].items()) {
    const bool is_plain =
        !word.text().empty() && word.text().find_first_of(" \t\n\"'\\$&|;<>()*?[]{}~#`") == std::string::npos;
    text += is_plain ? " " + printable(word.text()) : " '" + printable(word.text()) + "'";
  }
  return text;
}

paint color_of(std::string_view state) noexcept {
  if (state == "running")
    return paint::blue;
  if (state == "finished")
    return paint::green;
  if (state == "dead")
    return paint::red;
  if (state == "delayed" || state == "cancelled")
    return paint::yellow;
  return paint::plain;
}

std::string task_details(const json_value& task, const console& terminal) {
  std::string text = task_line(task, terminal) + "\n";
  const auto name = printable(task["task_name"].text());
  const auto command = command_text(task);
  append_detail(text, "channel", printable(task["channel"].text()));
  append_detail(text, "name", name == command ? std::string() : name);
  append_detail(text, "command", command);
  append_detail(text, "attempt", attempt_count(task));
  append_detail(text, "pushed", printable(task["created_at"].text()));
  append_detail(text, "not before", printable(task["execute_at"].text()));
  append_detail(text, "started", printable(task["started_at"].text()));
  append_detail(text, "ended", printable(task["ended_at"].text()));
  if (!task["duration_s"].is_null())
    append_detail(text, "took", short_duration(task["duration_s"].number()));
  append_detail(text, "expires", printable(task["expires_at"].text()));
  if (task["priority"].whole() != 0)
    append_detail(text, "priority", std::to_string(task["priority"].whole()));
  append_detail(text, "key", printable(task["concurrency_key"].text()));
  append_detail(text, "held", task["held"].is_true() ? "until another task with its key has ended" : "");
  if (const auto& options = task["options"]; !options.members().empty())
    append_detail(text, "options", printable(options.dump()));
  for (const auto& one : task["attempts"].items())
    append_detail(text, "attempt", attempt_text(one));
  return text;
}

void write_output_member(json_writer& json, std::string_view bytes) {
  if (is_valid_utf8(bytes))
    json.member("output", bytes);
  else
    json.member("base64", encode_base64(bytes));
}

std::string reason_text(const json_value& why, const console& terminal) {
  const auto& state = why["state"].text();
  std::string text = printable(why["id"].text()) + " " + terminal.colored(color_of(state), printable(state)) +
                     ": " + printable(why["message"].text()) + "\n";
  const auto detail = [&text](std::string_view label, const std::string& value) {
    constexpr size_t reason_columns = 14;
    if (!value.empty())
      text += "  " + padded(label, reason_columns) + value + "\n";
  };
  for (const auto& one : why["blocked_by"].items())
    detail("blocked by", blocker_text(one));
  if (why["position"].whole() != 0)
    detail("position", grouped(static_cast<uint64_t>(why["position"].whole())));
  else if (why["position_at_least"].whole() != 0)
    detail("position", grouped(static_cast<uint64_t>(why["position_at_least"].whole())) + " or more");
  detail("may start at", printable(why["may_start_at"].text()));
  return text;
}

} // namespace task_runner::cli
