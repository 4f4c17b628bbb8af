// Asks the places in order of precedence. The INI file is read by the daemon's own reader, so that a file
// which the daemon refuses is refused here too, with the same words.
#include "config/client_settings.hpp"

#include "config/ini_file.hpp"
#include "config/settings.hpp"
#include "config/text_file.hpp"

#include <algorithm>
#include <utility>

namespace task_runner {

namespace {

/// The address as it was given, and where; with the token of the same file.
struct given_address {
  std::string text;
  std::string place;
  std::string token;
};

std::string variable(const client_input& input, const std::string& name) {
  const auto at = input.environment.find(name);
  return at == input.environment.end() ? std::string() : at->second;
}

const given_value* find_value(const ini_content& file, std::string_view name) {
  const auto at = std::find_if(file.values.begin(), file.values.end(),
                               [&](const given_value& one) { return one.row->name == name; });
  return at == file.values.end() ? nullptr : &*at;
}

result<given_address> address_of_ini(const std::string& path) {
  const auto file = read_text_file(path, ini_bytes_max);
  if (!file)
    return error{error_code::invalid_argument, "--config: " + file.failure().message};
  const auto content = parse_ini(file->text, path);
  if (!content)
    return content.failure();
  given_address found;
  // [client] address counts more, wherever it stands.
  for (const auto name : {"http-addr", "client-address"})
    if (const auto* value = find_value(*content, name); value != nullptr && !value->text.empty())
      found = {value->text, value->place, ""};
  if (const auto* value = find_value(*content, "client-token")) {
    const auto token = parse_token(value->text);
    if (!token)
      return error{error_code::invalid_argument, value->place + ": " + token.failure().message};
    found.token = *token;
  }
  return found;
}

result<given_address> find_given(const client_input& input) {
  if (!input.address.empty())
    return given_address{input.address, "--address", ""};
  for (const auto& name : {std::string(client_address_variable), environment_name("http-addr")})
    if (auto text = variable(input, name); !text.empty())
      return given_address{std::move(text), "environment " + name, ""};
  auto file = input.config_file;
  if (file.empty())
    file = variable(input, environment_name("config"));
  return file.empty() ? given_address{} : address_of_ini(file);
}

} // namespace

result<daemon_address> find_daemon_address(const client_input& input) {
  auto given = find_given(input);
  if (!given)
    return given.failure();
  const settings defaults;
  daemon_address found{defaults.http_host, defaults.http_port, given->token, "the default"};
  if (const auto text = variable(input, client_token_variable); !text.empty()) {
    auto token = parse_token(text);
    if (!token)
      return error{error_code::invalid_argument,
                   std::string("environment ") + client_token_variable + ": " + token.failure().message};
    found.token = std::move(*token);
  }
  if (given->text.empty())
    return found;
  const auto refuse = [&](const std::string& why) {
    return error{error_code::invalid_argument,
                 given->place + ": " + quote_for_message(given->text) + " is not accepted; " + why};
  };
  const auto parsed = parse_listen_address(given->text);
  if (!parsed)
    return refuse(parsed.failure().message);
  if (parsed->port == 0)
    return refuse(
        "port 0 stands for any free one; give the one that the daemon listens on, its log says which");
  found.host = parsed->host;
  found.port = parsed->port;
  found.said_by = std::move(given->place);
  if (found.host == "0.0.0.0")
    found.host = "127.0.0.1";
  else if (found.host == "::")
    found.host = "::1";
  return found;
}

} // namespace task_runner
