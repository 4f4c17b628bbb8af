// Merges the sources in order of precedence. Then it settles what depends on more than one value: the
// password, the state directory, absolute paths and whether the address may be listened on.
#include "config/load.hpp"

#include "config/given_values.hpp"
#include "config/ini_file.hpp"
#include "config/option_table.hpp"
#include "config/text_file.hpp"
#include "config/values.hpp"

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <unistd.h>
#include <utility>

namespace task_runner {

namespace {

/// A password file may hold one password and the end of its line.
constexpr size_t password_file_bytes_max = text_length_max + 2;

error refusal(const std::string& place, const std::string& what) {
  return error{error_code::invalid_argument, place + ": " + what};
}

const given_value* find_given(const std::vector<given_value>& given, std::string_view name) {
  const auto at = std::find_if(given.begin(), given.end(),
                               [name](const given_value& one) { return one.row->name == name; });
  return at == given.end() ? nullptr : &*at;
}

/// Boolean flags that say what to do are given bare, but `-help=false` is legal and means nothing.
result<bool> asks_for(const std::vector<given_value>& flags, std::string_view name) {
  const given_value* given = find_given(flags, name);
  if (given == nullptr)
    return false;
  auto value = parse_switch(given->text);
  if (!value)
    return refusal(given->place,
                   quote_for_message(given->text) + " is not accepted; " + value.failure().message);
  return value;
}

result<daemon_action> find_action(const std::vector<given_value>& flags) {
  constexpr std::pair<std::string_view, daemon_action> actions[] = {
      {"help", daemon_action::help},
      {"version", daemon_action::version},
      {"check-config", daemon_action::check_config}};
  for (const auto& [name, action] : actions) {
    auto asked = asks_for(flags, name);
    if (!asked)
      return asked.failure();
    if (*asked)
      return action;
  }
  return daemon_action::run;
}

/// Where the values came from that are judged once all are known.
struct decisive_places {
  std::string address;
  std::string password_file;
  std::string state_dir;
};

/// Lays one source over what is there already.
result<void> apply_source(const std::vector<given_value>& given, settings& into, decisive_places& places) {
  const given_value* password = find_given(given, "redis-password");
  const given_value* file = find_given(given, "redis-password-file");
  const bool both = password != nullptr && file != nullptr;
  if (both && !password->text.empty() && !file->text.empty())
    return refusal(file->place,
                   "the password itself is given too (" + password->place + "); give one of the two");
  // An empty one means "none": it must not undo the other, whichever stands first.
  const given_value* idle = !both ? nullptr : password->text.empty() ? password : file;
  const auto checked = check_values(given);
  if (!checked)
    return checked.failure();
  for (const auto& one : *checked) {
    if (one.given.row->apply == nullptr || (idle != nullptr && one.given.row == idle->row))
      continue;
    one.given.row->apply(one.value, into);
    if (one.given.row->name == "http-addr")
      places.address = one.given.place + ": " + shown_value(one.given);
    else if (one.given.row->name == "redis-password-file")
      places.password_file = one.given.place;
    else if (one.given.row->name == "state-dir")
      places.state_dir = one.given.place;
  }
  return {};
}

result<std::string> absolute_path(const std::string& path, const std::string& working_directory,
                                  const std::string& place) {
  std::filesystem::path whole(path);
  if (whole.is_relative()) {
    if (working_directory.empty())
      return refusal(place,
                     "the path is relative and the working directory is unknown; give an absolute path");
    whole = std::filesystem::path(working_directory) / whole;
  }
  std::string text = whole.lexically_normal().string();
  while (text.size() > 1 && text.back() == '/')
    text.pop_back();
  return text;
}

result<std::string> default_state_dir(const load_input& input) {
  if (input.is_root)
    return std::string("/var/lib/task-runner");
  const auto variable = [&input](const char* name) {
    const auto at = input.environment.find(name);
    // Both must be absolute; the XDG specification has a relative one ignored.
    return at != input.environment.end() && !at->second.empty() && at->second[0] == '/' ? at->second : "";
  };
  if (const std::string state_home = variable("XDG_STATE_HOME"); !state_home.empty())
    return state_home + "/task-runner";
  if (const std::string home = variable("HOME"); !home.empty())
    return home + "/.local/state/task-runner";
  return refusal("state directory",
                 "there is no default, because neither XDG_STATE_HOME nor HOME is set to an "
                 "absolute path; give -state-dir DIR");
}

result<void> make_paths_absolute(const load_input& input, settings& values, const decisive_places& places) {
  if (values.state_dir.empty()) {
    auto directory = default_state_dir(input);
    if (!directory)
      return directory.failure();
    values.state_dir = *std::move(directory);
  }
  const std::pair<std::string*, std::string> paths[] = {
      {&values.state_dir, places.state_dir.empty() ? "state directory" : places.state_dir},
      {&values.pidfile, "pidfile"},
      {&values.log_file, "log-file"},
      {&values.redis_password_file, places.password_file}};
  for (const auto& [path, place] : paths) {
    if (path->empty())
      continue;
    auto absolute = absolute_path(*path, input.working_directory, place);
    if (!absolute)
      return absolute.failure();
    *path = *std::move(absolute);
  }
  return {};
}

result<void> read_password(settings& values, const std::string& place, std::vector<std::string>& warnings) {
  if (values.redis_password_from != redis_password_source::file)
    return {};
  auto file = read_text_file(values.redis_password_file, password_file_bytes_max);
  if (!file)
    return refusal(place, file.failure().message);
  std::string& text = file->text;
  // An editor ends the line; nothing else is taken away, for blanks may be part of a password.
  if (!text.empty() && text.back() == '\n')
    text.pop_back();
  if (!text.empty() && text.back() == '\r')
    text.pop_back();
  if (text.empty())
    return refusal(place,
                   quote_for_message(values.redis_password_file) + " is empty; put the password there");
  if (text.find('\n') != std::string::npos)
    return refusal(place, quote_for_message(values.redis_password_file) +
                              " has several lines; put the password alone there");
  auto password = parse_password(text);
  if (!password)
    return refusal(place, quote_for_message(values.redis_password_file) + " is not accepted; " +
                              password.failure().message);
  values.redis_password = *std::move(password);
  if (file->readable_by_all)
    warnings.push_back(place + ": every user of this machine can read " +
                       quote_for_message(values.redis_password_file) + "; chmod 600 it");
  return {};
}

result<void> check_listening(const settings& values, const std::string& place,
                             std::vector<std::string>& warnings) {
  if (is_loopback(values.http_host))
    return {};
  if (!values.http_allow_remote)
    return refusal(
        place, "other machines could reach it and run commands here; listen on a loopback address such as "
               "127.0.0.1:60001, or write allow-remote = true under [http] in the INI file");
  warnings.push_back(place +
                     ": other machines can reach it and run commands here, as allow-remote permits; keep it "
                     "behind a firewall");
  return {};
}

/// An INI file that was named, read.
struct ini_source {
  std::string path;
  ini_content content;
};

result<ini_content> read_ini(const std::string& path, const std::string& place,
                             std::vector<std::string>& warnings) {
  const auto file = read_text_file(path, ini_bytes_max);
  if (!file)
    return refusal(place, file.failure().message);
  auto content = parse_ini(file->text, path);
  if (!content)
    return content;
  const given_value* password = find_given(content->values, "redis-password");
  if (password != nullptr && !password->text.empty() && file->readable_by_all)
    warnings.push_back(password->place + ": every user of this machine can read the file; chmod 600 it");
  return content;
}

result<ini_source> find_ini(const load_input& input, const std::vector<given_value>& flags,
                            const std::vector<given_value>& environment, std::vector<std::string>& warnings) {
  const given_value* given = find_given(flags, "config");
  if (given == nullptr)
    given = find_given(environment, "config");
  ini_source source;
  if (given == nullptr)
    return source;
  if (auto path = parse_path(given->text); !path)
    return refusal(given->place, path.failure().message);
  auto path = absolute_path(given->text, input.working_directory, given->place);
  if (!path)
    return path.failure();
  source.path = *std::move(path);
  auto content = read_ini(source.path, given->place, warnings);
  if (!content)
    return content.failure();
  source.content = *std::move(content);
  return source;
}

} // namespace

load_input capture_input(int argc, const char* const* argv, const char* const* environment) {
  load_input input;
  for (int i = 1; i < argc; ++i)
    input.arguments.emplace_back(argv[i]);
  for (; environment != nullptr && *environment != nullptr; ++environment) {
    const std::string_view entry = *environment;
    const size_t equals = entry.find('=');
    if (equals != std::string_view::npos)
      input.environment.emplace(entry.substr(0, equals), entry.substr(equals + 1));
  }
  input.is_root = ::geteuid() == 0;
  std::error_code failure;
  input.working_directory = std::filesystem::current_path(failure).string();
  return input;
}

result<loaded_settings> load_settings(const load_input& input) {
  auto given_flags = parse_arguments(input.arguments);
  if (!given_flags)
    return given_flags.failure();
  const auto action = find_action(*given_flags);
  if (!action)
    return action.failure();
  loaded_settings loaded;
  loaded.action = *action;
  if (*action == daemon_action::help || *action == daemon_action::version)
    return loaded;

  const auto flags = resolve_aliases(*std::move(given_flags), loaded.warnings);
  const auto environment =
      resolve_aliases(parse_environment(input.environment, loaded.warnings), loaded.warnings);
  auto ini = find_ini(input, flags, environment, loaded.warnings);
  if (!ini)
    return ini.failure();
  loaded.config_file = ini->path;
  loaded.values.channels = std::move(ini->content.channels);

  decisive_places places;
  places.address = "http-addr";
  const std::vector<given_value>* const sources[] = {&ini->content.values, &environment, &flags};
  for (const auto* source : sources)
    if (auto ok = apply_source(*source, loaded.values, places); !ok)
      return ok.failure();
  if (auto ok = make_paths_absolute(input, loaded.values, places); !ok)
    return ok.failure();
  if (auto ok = read_password(loaded.values, places.password_file, loaded.warnings); !ok)
    return ok.failure();
  if (auto ok = check_listening(loaded.values, places.address, loaded.warnings); !ok)
    return ok.failure();
  return loaded;
}

result<std::map<std::string, channel_settings>> reload_channels(const std::string& config_file) {
  std::vector<std::string> repeated_warnings; // The same as at the start, where they were said.
  auto content = read_ini(config_file, "reload", repeated_warnings);
  if (!content)
    return content.failure();
  if (const auto checked = check_values(content->values); !checked)
    return checked.failure();
  return std::move(content->channels);
}

} // namespace task_runner
