// The verbs of channels: pause, resume, drain, and making, changing, removing and listing them.
#include "services/cli/channel_view.hpp"
#include "services/cli/interrupt.hpp"
#include "services/cli/verb_call.hpp"
#include "services/domain/spelling.hpp"
#include "services/wire/json_text.hpp"
#include "services/wire/task_options_json.hpp"
#include "services/wire/task_options_table.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <optional>
#include <utility>

namespace task_runner::cli {

namespace {

using settings_list = std::vector<std::pair<std::string, std::string>>;

paint color_of_channel(std::string_view state) noexcept {
  if (state == "open")
    return paint::green;
  return state == "failed" ? paint::red : paint::yellow;
}

void show_state(const verb_call& call, const json_value& channel) {
  const auto& state = channel["state"].text();
  if (call.wants_json())
    call.terminal.line(channel.dump());
  else
    call.terminal.line(printable(channel["name"].text()) + " " +
                       call.terminal.colored(color_of_channel(state), printable(state)));
  call.terminal.flush();
}

int for_each_channel(const verb_call& call, const std::function<int(const std::string& name)>& act) {
  int code = exit_done;
  for (const auto& name : call.given.words) {
    const int one = act(name);
    code = code == exit_done ? one : code;
    if (one == exit_unreachable || is_interrupted())
      break;
  }
  return code;
}

int act_on_each(const verb_call& call, std::string_view verb) {
  return for_each_channel(call, [&](const std::string& name) {
    const auto reply = call.api().post(channel_path(name, verb));
    if (!reply.is_ok())
      return call.fail(reply, name);
    show_state(call, reply.data());
    return exit_done;
  });
}

/// Asks again and again, as one answer comes after 25 s at the latest. Short waits hear of Ctrl-C soon.
int drain_one(const verb_call& call, const std::string& name, bool waits) {
  for (;;) {
    const auto reply =
        call.api().post(channel_path(name, "/drain"), waits ? R"({"wait_s":1})" : R"({"wait_s":0})");
    if (!reply.is_ok())
      return call.fail(reply, name);
    const auto running = reply.data()["counts"]["running"].whole();
    if (is_interrupted()) {
      call.terminal.complain("not waiting any more; " + printable(name) + " stays paused, " +
                             std::to_string(running) + " of its commands run on");
      return exit_interrupted;
    }
    if (running == 0 || !waits) {
      show_state(call, reply.data());
      return exit_done;
    }
  }
}

/// SETTING=VALUE words from the second on, and the flags that stand for settings.
result<settings_list> read_settings(const arguments& given) {
  settings_list settings;
  for (const std::string flag : {"worker", "distinct"})
    if (given.has(flag))
      settings.emplace_back(flag, given.text(flag));
  for (size_t i = 1; i < given.words.size(); ++i) {
    const auto& word = given.words[i];
    const auto equals = word.find('=');
    if (equals == 0 || equals == std::string::npos)
      return error{error_code::invalid_argument,
                   "'" + printable(word) + "' is no SETTING=VALUE, such as worker=4"};
    auto name = word.substr(0, equals);
    if (name.compare(0, 4, "env.") != 0)
      std::replace(name.begin(), name.end(), '-', '_');
    settings.emplace_back(std::move(name), word.substr(equals + 1));
  }
  for (size_t i = 0; i < settings.size(); ++i)
    for (size_t j = 0; j < i; ++j)
      if (settings[i].first == settings[j].first)
        return error{error_code::invalid_argument,
                     printable(settings[i].first) + " is given twice; give it once"};
  return settings;
}

/// The settings NAME of `PREFIX.NAME` as one object; those without a value are reset.
void write_group(json_writer& json, const settings_list& settings, const std::string& prefix) {
  bool is_open = false;
  for (const auto& [name, value] : settings) {
    if (name.compare(0, prefix.size() + 1, prefix + ".") != 0)
      continue;
    if (!std::exchange(is_open, true))
      json.key(prefix).begin_object();
    json.key(name.substr(prefix.size() + 1));
    if (value.empty())
      json.null();
    else
      json.value(value);
  }
  if (is_open)
    json.end_object();
}

bool is_of_channel(std::string_view name) noexcept {
  return std::find(channel_settings.begin(), channel_settings.end(), name) != channel_settings.end();
}

/// Says that it is no setting, which one was probably meant, and which there are.
error no_setting(const std::string& name) {
  std::vector<std::string_view> names(channel_settings.begin(), channel_settings.end());
  for (const auto& option : single_options())
    if (option.name != "stdin") // of tasks alone
      names.push_back(option.name);
  names.emplace_back("retry_on");
  const auto meant = nearest_name(name, names);
  std::string list;
  for (const auto one : names)
    list += std::string(one) + ", ";
  return {error_code::invalid_argument,
          "'" + printable(name) + "' is no setting" +
              (meant.empty() ? std::string() : ", perhaps " + std::string(meant) + " is meant") +
              "; there are " + list + "env.NAME, limits.NAME"};
}

/// Checks what is an option of tasks, so that a typo is told with the name that was typed.
result<void> check_settings(const settings_list& settings) {
  task_options scratch;
  for (const auto& [name, value] : settings) {
    if (is_of_channel(name))
      continue;
    if (name.find('.') == std::string::npos && name != "retry_on" && find_option_entry(name) == nullptr)
      return no_setting(name);
    const bool is_variable = name.compare(0, 4, "env.") == 0;
    if (value.empty())
      continue;
    const auto set = is_variable ? set_task_option(scratch, "env", name.substr(4) + "=" + value)
                                 : set_task_option(scratch, name, value);
    if (!set)
      return error{set.failure().code, printable(name) + ": " + set.failure().message};
  }
  return {};
}

/// A list of numbers; check_settings has seen that it is one.
void write_codes(json_writer& json, std::string_view text) {
  json.key("retry_on").begin_array();
  task_options scratch;
  if (set_task_option(scratch, "retry_on", text) && scratch.retry_on)
    for (const auto code : *scratch.retry_on)
      json.value(code);
  json.end_array();
}

std::string settings_json(const std::optional<std::string>& name, const settings_list& settings) {
  std::string text;
  json_writer json(text);
  json.begin_object();
  if (name)
    json.member("name", *name);
  for (const auto& [key, value] : settings) {
    if (key.find('.') != std::string::npos)
      continue;
    if (value.empty())
      json.key(key).null();
    else if (key == "retry_on")
      write_codes(json, value);
    else
      json.member(key, value);
  }
  write_group(json, settings, "env");
  write_group(json, settings, "limits");
  json.end_object();
  return text;
}

/// Shows a channel that was made or changed, or says why not.
int show_result(const verb_call& call, const api_reply& reply) {
  if (!reply.is_ok())
    return call.fail(reply);
  show_state(call, reply.data());
  return exit_done;
}

std::string settings_text(const json_value& channel) {
  std::string text;
  for (const auto& [name, value] : channel["settings"].members()) {
    if (value.is_null() || name == "worker")
      continue;
    const auto& plain = value.text();
    text += (text.empty() ? "" : " ") + name + "=" + (plain.empty() ? value.dump() : plain);
  }
  return printable(text);
}

} // namespace

int run_pause(verb_call& call) {
  return act_on_each(call, "/pause");
}

int run_resume(verb_call& call) {
  return act_on_each(call, "/resume");
}

int run_drain(verb_call& call) {
  note_interrupts();
  return for_each_channel(
      call, [&](const std::string& name) { return drain_one(call, name, !call.given.is_set("no-wait")); });
}

int run_channel_add(verb_call& call) {
  auto settings = read_settings(call.given);
  if (!settings)
    return call.misuse(settings.failure().message);
  if (auto valid = check_settings(*settings); !valid)
    return call.misuse(valid.failure().message);
  return show_result(call,
                     call.api().post("/api/v1/channels", settings_json(call.given.words[0], *settings)));
}

int run_channel_set(verb_call& call) {
  auto settings = read_settings(call.given);
  if (!settings)
    return call.misuse(settings.failure().message);
  if (settings->empty())
    return call.misuse("no setting is given; give SETTING=VALUE, such as worker=4");
  if (auto valid = check_settings(*settings); !valid)
    return call.misuse(valid.failure().message);
  return show_result(call, call.api().patch(channel_path(call.given.words[0]), settings_json({}, *settings)));
}

int run_channel_rm(verb_call& call) {
  const bool force = call.given.is_set("force");
  return for_each_channel(call, [&](const std::string& name) {
    const auto reply = call.api().remove(channel_path(name, force ? "?force=true" : ""));
    if (!reply.is_ok())
      return call.fail(reply, name);
    if (call.wants_json()) {
      std::string text;
      json_writer(text).begin_object().member("name", name).member("removed", true).end_object();
      call.terminal.line(text);
    } else {
      call.terminal.line(printable(name) + " removed");
    }
    call.terminal.flush();
    if (const auto& warning = reply.envelope["warning"].text(); !warning.empty())
      call.terminal.complain(printable(warning));
    return exit_done;
  });
}

int run_channel_list(verb_call& call) {
  const auto reply = call.api().get("/api/v1/channels");
  if (!reply.is_ok())
    return call.fail(reply);
  const auto& channels = reply.data()["items"].items();
  if (call.wants_json()) {
    for (const auto& one : channels)
      call.terminal.line(one.dump());
    return exit_done;
  }
  constexpr std::array<std::string_view, 8> heads{"NAME",    "STATE",   "WORKER", "RUNNING",
                                                  "WAITING", "DELAYED", "DEAD",   "SETTINGS"};
  std::vector<std::array<std::string, heads.size()>> rows;
  if (call.terminal.is_terminal()) {
    rows.emplace_back();
    std::copy(heads.begin(), heads.end(), rows.back().begin());
  }
  for (const auto& one : channels) {
    const auto& counts = one["counts"];
    const auto count = [&](std::string_view name) { return std::to_string(counts[name].whole()); };
    rows.push_back({printable(one["name"].text()), printable(one["state"].text()),
                    std::to_string(one["worker"].whole()), count("running"), count("pending"),
                    count("delayed"), std::to_string(dead_letters(counts)), settings_text(one)});
  }
  std::array<size_t, heads.size()> widths{};
  for (const auto& row : rows)
    for (size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], width_of(row[i]));
  for (const auto& row : rows) {
    std::string text;
    for (size_t i = 0; i + 1 < row.size(); ++i)
      text += padded(row[i], widths[i]) + "  ";
    call.terminal.line(clipped(text + row.back(), call.terminal.columns(), call.terminal.sign("…", "...")));
  }
  return exit_done;
}

} // namespace task_runner::cli
