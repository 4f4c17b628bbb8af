// The table's rows, and the binding of each grammar in values.hpp to a Boost.Program_options validator.
// `checked<Parse>` gives every grammar a type of its own, because Program_options chooses validators by type.
#include "config/option_table.hpp"

#include "config/values.hpp"

#include <boost/program_options/parsers.hpp>
#include <boost/program_options/value_semantic.hpp>
#include <boost/program_options/variables_map.hpp>

#include <exception>
#include <utility>

namespace task_runner {

namespace po = boost::program_options;

namespace {

/// Carries a validator's sentence through Program_options, whose own exceptions would quote the value.
class refused_value : public std::exception {
public:
  explicit refused_value(std::string message)
      : message_(std::move(message)) {}
  const char* what() const noexcept override { return message_.c_str(); }

private:
  std::string message_;
};

template <class T>
T value_type_of(result<T> (*)(std::string_view));

/// A value read by the grammar `Parse`.
template <auto Parse>
struct checked {
  decltype(value_type_of(Parse)) value;
};

/// Found by Program_options through argument-dependent lookup.
template <auto Parse>
void validate(boost::any& into, const std::vector<std::string>& texts, checked<Parse>*, int) {
  po::validators::check_first_occurrence(into);
  auto parsed = Parse(po::validators::get_single_string(texts, true));
  if (!parsed)
    throw refused_value(parsed.failure().message);
  into = checked<Parse>{*std::move(parsed)};
}

template <auto Parse>
po::value_semantic* make_semantic() {
  return po::value<checked<Parse>>();
}

template <auto Parse>
const auto& value_of(const boost::any& value) {
  return boost::any_cast<const checked<Parse>&>(value).value;
}

std::string show_value(const std::string& text) {
  return text;
}
std::string show_value(bool flag) {
  return flag ? "true" : "false";
}
std::string show_value(uint32_t number) {
  return std::to_string(number);
}
std::string show_value(int64_t duration_ms) {
  return format_duration(duration_ms);
}
std::string show_value(uint64_t bytes) {
  return format_size(bytes);
}
std::string show_value(const std::vector<std::string>& list) {
  std::string text;
  for (const auto& entry : list)
    text += (text.empty() ? "" : ",") + entry;
  return text;
}

constexpr unsigned everywhere = in_flags | in_environment | in_ini;

/// Collects rows with little ceremony.
class table_builder {
public:
  /// A setting that is one member of `settings`.
  template <auto Parse, auto Member>
  option_row& add(option_kind kind, const char* name, const char* section, const char* key,
                  const char* placeholder, const char* help) {
    option_row& row = add_special<Parse>(kind, name, section, key, placeholder, help);
    row.apply = [](const boost::any& value, settings& into) { into.*Member = value_of<Parse>(value); };
    row.show = [](const settings& values) { return show_value(values.*Member); };
    return row;
  }

  /// A setting whose way into `settings` is given apart.
  template <auto Parse>
  option_row& add_special(option_kind kind, const char* name, const char* section, const char* key,
                          const char* placeholder, const char* help) {
    option_row row;
    row.name = name;
    row.kind = kind;
    row.places = everywhere;
    row.section = section;
    row.key = key;
    row.placeholder = placeholder;
    row.help = help;
    row.semantic = &make_semantic<Parse>;
    rows_.push_back(std::move(row));
    return rows_.back();
  }

  std::vector<option_row> take() { return std::move(rows_); }

private:
  std::vector<option_row> rows_;
};

/// Counts are shown as they are, not as sizes.
template <auto Member>
void show_count(option_row& row) {
  row.show = [](const settings& values) { return std::to_string(values.*Member); };
}

void add_daemon_rows(table_builder& table) {
  using k = option_kind;
  table.add<parse_channel_name, &settings::channel_default>(
      k::value, "channel-default", "daemon", "channel-default", "NAME", "channel of a task that names none");
  table.add<parse_concurrent, &settings::concurrent>(
      k::value, "concurrent", "daemon", "concurrent", "N",
      "workers of a channel that has no number of its own, 1 to 1024");
  table.add<parse_switch, &settings::task_mode>(k::boolean, "task-mode", "daemon", "task-mode", "",
                                                "run tasks; false accepts and stores them and runs nothing");
  table.add<parse_path, &settings::state_dir>(
      k::value, "state-dir", "daemon", "state-dir", "DIR",
      "directory of the queues, the output and the locks; by default /var/lib/task-runner for root, else "
      "$XDG_STATE_HOME/task-runner or ~/.local/state/task-runner");
  table.add<parse_store, &settings::store>(
      k::value, "store", "daemon", "store", "embedded",
      "where queues live; embedded is a SQLite file in the state directory");
  table.add<parse_path, &settings::pidfile>(k::value, "pidfile", "daemon", "pidfile", "FILE",
                                            "file that holds the daemon's process id");
  table.add<parse_duration_ms, &settings::drain_timeout_ms>(
      k::value, "drain-timeout", "daemon", "drain-timeout", "DURATION",
      "longest wait for running commands at the end, 0 for no limit; what still runs then goes on and is "
      "settled by the next daemon");
  table.add<parse_running_max, &settings::running_max>(
      k::value, "running-max", "daemon", "running-max", "N",
      "most commands running at once over all channels, shared between them by their weights; 0 for no limit "
      "but that of the machine and of the channels' workers");
  table.add<parse_containment, &settings::containment>(
      k::value, "containment", "daemon", "containment", "auto|cgroup|tag",
      "how all processes of a command are kept together so that it can be ended as a whole; auto takes "
      "cgroups where they can be had");
  show_count<&settings::tasks_max>(table.add<parse_tasks_max, &settings::tasks_max>(
      k::value, "tasks-max", "daemon", "tasks-max", "N",
      "most tasks waiting in a channel that has no number of its own; more are refused"));
  table.add<parse_recoveries_max, &settings::recoveries_max>(
      k::value, "recoveries-max", "daemon", "recoveries-max", "N",
      "attempts of one task that may be lost to crashes before it is dead, 0 to 1000");
  table.add<parse_switch, &settings::colorful_tty>(k::boolean, "colorful-tty", "daemon", "colorful-tty", "",
                                                   "colour the log on a terminal");
}

void add_retention_rows(table_builder& table) {
  using k = option_kind;
  table.add<parse_duration_ms, &settings::retention_age_ms>(
      k::value, "retention-age", "retention", "age", "DURATION",
      "finished and cancelled tasks are deleted, with their output, this long after their end; 0 keeps them");
  table.add<parse_duration_ms, &settings::retention_dead_age_ms>(
      k::value, "retention-dead-age", "retention", "dead-age", "DURATION",
      "the same for dead ones, which wait for a person to retry them");
  show_count<&settings::retention_count>(table.add<parse_kept_tasks, &settings::retention_count>(
      k::value, "retention-count", "retention", "count", "N",
      "ended tasks that are kept; beyond it the oldest are deleted; 0 keeps any number"));
  table.add<parse_size, &settings::retention_bytes>(
      k::value, "retention-bytes", "retention", "bytes", "SIZE",
      "output of ended tasks that is kept; beyond it the oldest are deleted; 0 keeps any amount");
}

void add_output_rows(table_builder& table) {
  using k = option_kind;
  table.add<parse_output_head, &settings::output_head>(
      k::value, "output-head", "output", "head", "SIZE",
      "what is kept of the beginning of an attempt's output, up to 1G");
  table.add<parse_output_tail, &settings::output_tail>(
      k::value, "output-tail", "output", "tail", "SIZE",
      "what is kept of its end; what lies between is counted and dropped");
}

void add_redis_rows(table_builder& table) {
  using k = option_kind;
  auto& host = table.add_special<parse_redis_address>(k::value, "redis-host", "redis", "host", "HOST[:PORT]",
                                                      "the Redis server that tasks are taken from");
  host.apply = [](const boost::any& value, settings& into) {
    const auto& address = value_of<parse_redis_address>(value);
    into.redis_host = address.host;
    into.redis_port = address.port;
  };
  host.show = [](const settings& values) { return format_host_port(values.redis_host, values.redis_port); };

  auto& password =
      table.add_special<parse_password>(k::value, "redis-password", "redis", "password", "PASSWORD",
                                        "its password; it is wiped from the process list at start");
  password.secret = true;
  password.show = [](const settings& values) { return values.redis_password; };
  password.apply = [](const boost::any& value, settings& into) {
    into.redis_password = value_of<parse_password>(value);
    into.redis_password_from =
        into.redis_password.empty() ? redis_password_source::none : redis_password_source::value;
    into.redis_password_file.clear();
  };

  auto& file = table.add_special<parse_optional_path>(
      k::value, "redis-password-file", "redis", "password-file", "FILE",
      "file that holds the password; one newline at its end is not part of it");
  file.apply = [](const boost::any& value, settings& into) {
    into.redis_password.clear();
    into.redis_password_file = value_of<parse_optional_path>(value);
    into.redis_password_from =
        into.redis_password_file.empty() ? redis_password_source::none : redis_password_source::file;
  };
  file.show = [](const settings& values) { return values.redis_password_file; };

  table.add<parse_redis_db, &settings::redis_db>(k::value, "redis-db", "redis", "db", "N",
                                                 "its database, 0 to 15");
  auto& intake = table.add<parse_switch, &settings::redis_intake>(k::value, "redis-intake", "redis", "intake",
                                                                  "on|off", "take tasks from Redis lists");
  intake.show = [](const settings& values) { return std::string(values.redis_intake ? "on" : "off"); };
  table.add<parse_intake_keys, &settings::intake_keys>(k::list, "intake-key", "redis", "intake-key", "KEY",
                                                       "a list to take tasks from; may be repeated");
}

void add_http_rows(table_builder& table) {
  using k = option_kind;
  auto& address = table.add_special<parse_listen_address>(
      k::value, "http-addr", "http", "addr", "HOST:PORT",
      "address to listen on; port 0 takes a free one; an address that other machines can reach needs "
      "allow-remote = true under [http] in the INI file");
  address.apply = [](const boost::any& value, settings& into) {
    const auto& given = value_of<parse_listen_address>(value);
    into.http_host = given.host;
    into.http_port = given.port;
  };
  address.show = [](const settings& values) { return format_host_port(values.http_host, values.http_port); };

  table.add<parse_allow_hosts, &settings::http_allow_hosts>(
      k::list, "allow-host", "http", "allow-host", "NAME",
      "a host name, without port, that requests may be addressed to besides loopback ones; may be repeated");
  auto& remote = table.add<parse_switch, &settings::http_allow_remote>(
      k::boolean, "allow-remote", "http", "allow-remote", "", "listen where other machines can reach it");
  // On purpose means in writing: a variable that leaks in, or a flag copied from a forum, shall not open the
  // door.
  remote.places = in_ini;
  table.add<parse_switch, &settings::http_legacy_200>(
      k::boolean, "legacy-200", "http", "legacy-200", "",
      "answer errors on the predecessor's own paths with HTTP status 200 and the code in the body, for old "
      "clients");
  table.add<parse_body_size, &settings::http_body_max>(k::value, "max-body", "http", "max-body", "SIZE",
                                                       "largest request body, 1k to 64M");
  table.add<parse_idempotency_keep, &settings::idempotency_keep_ms>(
      k::value, "idempotency-keep", "http", "idempotency-keep", "DURATION",
      "how long a POST with an Idempotency-Key may be repeated without being carried out again, 1s to 30d");
}

void add_log_rows(table_builder& table) {
  using k = option_kind;
  table.add<parse_log_level, &settings::log_level>(k::value, "log-level", "log", "level", "LEVEL",
                                                   "debug, info, warning or error");
  table.add<parse_log_format, &settings::log_format>(k::value, "log-format", "log", "format", "FORMAT",
                                                     "text or json");
  table.add<parse_optional_path, &settings::log_file>(k::value, "log-file", "log", "file", "FILE",
                                                      "log to a file, re-opened on HUP, instead of stderr");
}

/// What the command-line client takes from the daemon's own file; the daemon itself does without.
void add_client_rows(table_builder& table) {
  using k = option_kind;
  auto& address = table.add<parse_client_address, &settings::client_address>(
      k::value, "client-address", "client", "address", "HOST:PORT",
      "where clients find the daemon, if not at the address it listens on");
  address.places = in_ini;
  auto& token = table.add<parse_token, &settings::client_token>(k::value, "client-token", "client", "token",
                                                                "TOKEN", "bearer token that clients send");
  token.places = in_ini;
  token.secret = true;
}

void add_command_line_rows(table_builder& table) {
  using k = option_kind;
  table.add_special<parse_path>(k::value, "config", "", "", "FILE", "read settings from this INI file")
      .places = in_flags | in_environment;
  table
      .add_special<parse_switch>(k::boolean, "check-config", "", "", "",
                                 "check all settings, print them and leave")
      .places = in_flags;
  table.add_special<parse_switch>(k::boolean, "help", "", "", "", "print this and leave").places = in_flags;
  table.add_special<parse_switch>(k::boolean, "version", "", "", "", "print the version and leave").places =
      in_flags;
  auto& host = table.add_special<parse_redis_address>(k::value, "host", "", "", "HOST[:PORT]",
                                                      "deprecated name of redis-host");
  host.places = in_flags | in_environment;
  host.alias_of = "redis-host";
  auto& password = table.add_special<parse_password>(k::value, "password", "", "", "PASSWORD",
                                                     "deprecated name of redis-password");
  password.places = in_flags | in_environment;
  password.alias_of = "redis-password";
  password.secret = true;
}

} // namespace

const std::vector<option_row>& option_rows() {
  static const std::vector<option_row> rows = [] {
    table_builder table;
    add_daemon_rows(table);
    add_retention_rows(table);
    add_output_rows(table);
    add_redis_rows(table);
    add_http_rows(table);
    add_log_rows(table);
    add_client_rows(table);
    add_command_line_rows(table);
    return table.take();
  }();
  return rows;
}

const option_row* find_option(std::string_view name) {
  for (const auto& row : option_rows())
    if (row.name == name)
      return &row;
  return nullptr;
}

const option_row* find_option(std::string_view section, std::string_view key) {
  for (const auto& row : option_rows())
    if ((row.places & in_ini) != 0 && row.section == section && row.key == key)
      return &row;
  return nullptr;
}

std::string environment_name(std::string_view option_name) {
  std::string name = "TASK_RUNNER_";
  for (char c : option_name)
    name += c == '-' ? '_' : (c >= 'a' && c <= 'z') ? static_cast<char>(c - 'a' + 'A') : c;
  return name;
}

po::options_description make_description() {
  po::options_description description;
  for (const auto& row : option_rows())
    description.add_options()(row.name.c_str(), row.semantic(), row.help.c_str());
  return description;
}

result<std::vector<checked_value>> check_values(const std::vector<given_value>& given) {
  const po::options_description description = make_description();
  std::vector<checked_value> checked_values;
  for (const auto& one : given) {
    po::parsed_options parsed(&description);
    parsed.options.emplace_back(one.row->name, std::vector<std::string>{one.text});
    po::variables_map map;
    try {
      po::store(parsed, map);
    } catch (const refused_value& refusal) {
      std::string shown = shown_value(one);
      std::string hint;
      if (!shown.empty() &&
          (one.text.find(" #") != std::string::npos || one.text.find(" ;") != std::string::npos))
        hint = "; a comment needs a line of its own";
      return error{error_code::invalid_argument, one.place + ": " + (shown.empty() ? "the value" : shown) +
                                                     " is not accepted; " + refusal.what() + hint};
    } catch (const std::exception&) {
      // Program_options' own sentences may quote the value, which may be a secret: leave them out.
      return error{error_code::invalid_argument, one.place + ": the value is not accepted"};
    }
    checked_values.push_back({one, map[one.row->name].value()});
  }
  return checked_values;
}

std::string shown_value(const given_value& given) {
  // A URL put where an address belongs may carry user:password@.
  if (given.row->secret || given.text.find('@') != std::string::npos)
    return {};
  return quote_for_message(given.text);
}

} // namespace task_runner
