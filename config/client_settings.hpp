// Where the command-line client finds the daemon: flags over environment over INI file over the default.
// It knows nothing of the daemon's other settings, so that a client starts with whatever these are.
#pragma once

#include "config/values.hpp"
#include "services/domain/result.hpp"

#include <map>
#include <string>

namespace task_runner {

/// What a client was given to find the daemon by. Empty: not given.
struct client_input {
  /// --address.
  std::string address;
  /// --config: an INI file, of which [client] counts, and [http] addr.
  std::string config_file;
  std::map<std::string, std::string> environment;
};

/// Where to connect to.
struct daemon_address {
  /// An address or a name, without brackets.
  std::string host;
  uint16_t port = 0;
  /// To be sent as a bearer token; empty: none.
  std::string token;
  /// Who said so: "--address", "environment TASK_RUNNER_ADDRESS", "FILE:3 [http] addr", "the default".
  std::string said_by;
};

/// The variable that names the daemon's address for clients, beside the daemon's own TASK_RUNNER_HTTP_ADDR.
constexpr const char* client_address_variable = "TASK_RUNNER_ADDRESS";

/// The variable that holds the token for clients.
constexpr const char* client_token_variable = "TASK_RUNNER_TOKEN";

/// Finds the address, and the token that belongs to it: that of an INI file goes to no address which stands
/// elsewhere, as it may be somebody else's. One that listens everywhere (0.0.0.0, ::) is reached on loopback.
/// `invalid_argument` with one line where an address cannot be read or has port 0, where the token is none
/// that can be sent, or where the INI file is wrong.
result<daemon_address> find_daemon_address(const client_input& input);

} // namespace task_runner
