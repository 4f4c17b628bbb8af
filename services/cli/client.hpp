// The command-line client: the same binary, called with a verb, speaks to a daemon over HTTP.
// It starts no actor and opens no store; all it knows of the daemon comes through its address.
#pragma once

#include "services/domain/result.hpp"
#include "services/source/redis_endpoint.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace task_runner::cli {

/// Where the daemon is.
struct daemon_place {
  /// An address or a name, without brackets.
  std::string host;
  uint16_t port = 0;
  /// To be sent as a bearer token; empty: none.
  std::string token;
  /// Who said so, for messages.
  std::string said_by;
};

/// What a daemon that is started here and now would go by; for `doctor`.
struct local_settings {
  /// Empty: no INI file.
  std::string config_file;
  std::vector<std::string> warnings;
  std::string state_dir;
  bool redis_intake = false;
  redis_endpoint redis;
  std::vector<std::string> intake_keys;
};

/// What the client is started with, and its ways to the settings, which are others' to read.
struct client_surroundings {
  std::map<std::string, std::string> environment;
  /// The daemon's address by --address and --config (empty: not given), the environment and the default.
  std::function<result<daemon_place>(const std::string& address, const std::string& config_file)> find_daemon;
  /// The settings in force with this INI file (empty: none given) and the environment.
  std::function<result<local_settings>(const std::string& config_file)> load_settings;
};

/// Whether these words, everything behind the program's name, call the client: a verb, alone or behind flags
/// that every verb has.
bool calls_client(const std::vector<std::string>& words);

/// What to say of a first word that is neither verb nor flag: one line that names verbs.
std::string unknown_verb_message(std::string_view word);

/// Carries out one call, `words` being everything behind the program's name; gives the exit code
/// (services/cli/exit_codes.hpp). Writes to stdout and stderr. Call it once, from the main thread.
int run_client(const std::vector<std::string>& words, const client_surroundings& around);

} // namespace task_runner::cli
