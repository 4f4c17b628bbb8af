// The checks that keep web pages out.
#include "services/http/guard.hpp"

#include "services/http/http_text.hpp"

#include <algorithm>

namespace task_runner {

namespace {

/// Longest piece of what a client sent that a message repeats, in bytes.
constexpr size_t quoted_max = 100;

struct authority {
  std::string name;
  /// Digits; empty when none is given.
  std::string port;
};

bool is_digits(std::string_view text) noexcept {
  return text.find_first_not_of("0123456789") == std::string_view::npos;
}

std::optional<authority> parse_authority(std::string_view text) {
  authority parsed;
  std::string_view port;
  if (!text.empty() && text.front() == '[') {
    const auto bracket = text.find(']');
    if (bracket == std::string_view::npos)
      return std::nullopt;
    parsed.name = to_lower_case(text.substr(1, bracket - 1));
    port = text.substr(bracket + 1);
    if (!port.empty() && port.front() != ':')
      return std::nullopt;
    if (!port.empty())
      port.remove_prefix(1);
  } else {
    const auto colon = text.find(':');
    parsed.name = to_lower_case(text.substr(0, colon));
    if (colon != std::string_view::npos)
      port = text.substr(colon + 1);
  }
  if (!parsed.name.empty() && parsed.name.back() == '.')
    parsed.name.pop_back();
  if (parsed.name.empty() || !is_digits(port))
    return std::nullopt;
  parsed.port = port;
  return parsed;
}

/// Four decimal numbers of at most 255, the first of them 127. Short forms such as 127.1 do not count.
bool is_loopback_quad(std::string_view name) {
  int parts = 0;
  int first = -1;
  while (true) {
    const auto dot = name.find('.');
    const auto part = name.substr(0, dot);
    if (part.empty() || part.size() > 3 || !is_digits(part) || (part.size() > 1 && part.front() == '0'))
      return false;
    const int number = std::stoi(std::string(part));
    if (number > 255)
      return false;
    if (parts++ == 0)
      first = number;
    if (dot == std::string_view::npos)
      break;
    name.remove_prefix(dot + 1);
  }
  return parts == 4 && first == 127;
}

bool is_allowed(const guard_policy& policy, std::string_view name) {
  return std::any_of(policy.allow_hosts.begin(), policy.allow_hosts.end(), [&](const std::string& allowed) {
    const auto parsed = parse_authority(allowed);
    // An IPv6 address may stand in the list without its brackets.
    return (parsed && parsed->name == name) || equals_ignoring_case(allowed, name);
  });
}

std::string quoted(std::string_view text) {
  return json_quote(text.substr(0, quoted_max));
}

error forbidden(std::string message) {
  return error{error_code::forbidden, std::move(message)};
}

} // namespace

guard_request guarded_part(const request_head& head, const request_target& target) {
  guard_request asked;
  if (!target.authority.empty())
    asked.host = target.authority;
  else if (!head.http_1_0 || !head.host.empty())
    asked.host = head.host;
  bool navigates = false;
  bool wants_document = false;
  for (const auto& [name, value] : head.headers) {
    if (name == "origin")
      asked.origin = value;
    else if (name == "sec-fetch-site")
      asked.fetch_site = value;
    else if (name == "sec-fetch-mode")
      navigates = value == "navigate";
    else if (name == "sec-fetch-dest")
      wants_document = value == "document";
  }
  asked.visits_page = navigates && wants_document && head.method == "GET" && target.path == "/";
  return asked;
}

std::string host_name_of(std::string_view host) {
  auto parsed = parse_authority(host);
  return parsed ? parsed->name : std::string();
}

bool is_loopback_name(std::string_view host_name) {
  constexpr std::string_view suffix = ".localhost";
  if (equals_ignoring_case(host_name, "localhost") || host_name == "::1" || is_loopback_quad(host_name))
    return true;
  return host_name.size() > suffix.size() &&
         equals_ignoring_case(host_name.substr(host_name.size() - suffix.size()), suffix);
}

result<void> check_guard(const guard_policy& policy, const guard_request& request) {
  std::optional<authority> host;
  if (request.host) {
    host = parse_authority(*request.host);
    if (!host)
      return forbidden("the Host header " + quoted(*request.host) + " names no host");
    if (!is_loopback_name(host->name) && !equals_ignoring_case(policy.listen_host, host->name) &&
        !is_allowed(policy, host->name))
      return forbidden("requests to the host " + quoted(host->name) +
                       " are refused, because a web page could have sent them; if this daemon is meant to be "
                       "reached under that name, add allow-host = " +
                       host->name + " under [http]");
  }
  if (request.origin) {
    const auto separator = request.origin->find("://");
    std::optional<authority> origin;
    if (separator != std::string_view::npos)
      origin = parse_authority(request.origin->substr(separator + 3));
    const auto port_or = [](const authority& one, const char* otherwise) {
      return one.port.empty() ? otherwise : one.port;
    };
    const auto* const origin_port = request.origin->substr(0, separator) == "https" ? "443" : "80";
    const bool same =
        origin && host && origin->name == host->name && port_or(*origin, origin_port) == port_or(*host, "80");
    if (!same && !(origin && is_allowed(policy, origin->name)))
      return forbidden("requests of web pages from " + quoted(*request.origin) +
                       " are refused; to trust that site, add its host name as allow-host under [http]");
  }
  if (!request.visits_page && request.fetch_site && equals_ignoring_case(*request.fetch_site, "cross-site"))
    return forbidden(
        "a web page of another site made the browser send this request (Sec-Fetch-Site: cross-site); "
        "open the address directly instead of following a link");
  return {};
}

} // namespace task_runner
