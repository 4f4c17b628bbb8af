// `doctor`: puts the checks together. Each goes as far as it can, whatever the others find.
#include "services/cli/doctor.hpp"

#include "services/cli/verb_call.hpp"
#include "services/wire/json_text.hpp"

#include <algorithm>

namespace task_runner::cli {

namespace {

std::string_view word_of(verdict what) noexcept {
  return what == verdict::good ? "ok" : what == verdict::warning ? "warning" : "wrong";
}

void show(const verb_call& call, const finding& one) {
  auto& terminal = call.terminal;
  const auto color = one.what == verdict::good      ? paint::green
                     : one.what == verdict::warning ? paint::yellow
                                                    : paint::red;
  const auto symbol = one.what == verdict::good      ? terminal.sign("✓", "ok     ")
                      : one.what == verdict::warning ? terminal.sign("!", "warning")
                                                     : terminal.sign("✗", "wrong  ");
  terminal.line(terminal.colored(color, symbol) + " " + printable(one.name) + ": " + printable(one.text));
}

void show_json(const verb_call& call, const findings& found, bool all_good) {
  std::string text;
  json_writer json(text);
  json.begin_object().member("ok", all_good).key("checks").begin_array();
  for (const auto& one : found)
    json.begin_object()
        .member("name", one.name)
        .member("verdict", word_of(one.what))
        .member("text", one.text)
        .end_object();
  json.end_array().end_object();
  call.terminal.line(text);
}

void check_settings(const result<local_settings>& settings, findings& found) {
  if (!settings) {
    found.push_back({"settings", verdict::bad, settings.failure().message});
    return;
  }
  found.push_back({"settings", verdict::good,
                   settings->config_file.empty()
                       ? "defaults and environment; give --config FILE where the daemon has one"
                       : settings->config_file});
  for (const auto& warning : settings->warnings)
    found.push_back({"settings", verdict::warning, warning});
}

} // namespace

int run_doctor(verb_call& call) {
  findings found;
  const auto settings = call.around.load_settings(call.given.text("config"));
  check_settings(settings, found);
  bool is_reached = false;
  auto place = call.find_daemon();
  if (place) {
    daemon_api daemon(*place);
    is_reached = check_daemon(daemon, found);
  } else {
    found.push_back({"address", verdict::bad, place.failure().message});
  }
  if (settings) {
    check_state_dir(*settings, found);
    check_permissions(*settings, found);
    check_intake(*settings, found);
  }
  const bool all_good =
      std::none_of(found.begin(), found.end(), [](const finding& one) { return one.what == verdict::bad; });
  if (call.wants_json())
    show_json(call, found, all_good);
  else
    for (const auto& one : found)
      show(call, one);
  if (!is_reached && place)
    return exit_unreachable;
  return all_good ? exit_done : exit_refused;
}

} // namespace task_runner::cli
