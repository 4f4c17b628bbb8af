// Decoding of request targets and of name=value pairs.
#include "services/http/request_target.hpp"

#include "services/domain/names.hpp"
#include "services/http/http_text.hpp"

namespace task_runner {

namespace {

/// What may stand unencoded in a path segment (RFC 3986, pchar without percent codes).
constexpr bool is_path_character(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         (c != '\0' && std::string_view("-._~!$&'()*+,;=:@").find(c) != std::string_view::npos);
}

void append_encoded(std::string& encoded, std::string_view segment) {
  constexpr char digits[] = "0123456789ABCDEF";
  for (char c : segment) {
    if (is_path_character(c)) {
      encoded += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    encoded += '%';
    encoded += digits[byte >> 4];
    encoded += digits[byte & 0xf];
  }
}

result<void> decode_path(std::string_view path, request_target& target) {
  while (!path.empty()) {
    path.remove_prefix(1); // the slash
    const auto slash = path.find('/');
    const auto segment = path.substr(0, slash);
    path = slash == std::string_view::npos ? std::string_view{} : path.substr(slash);
    if (segment.empty())
      continue;
    auto decoded = percent_decode(segment, plus_sign::is_plus, "the path");
    if (!decoded)
      return decoded.failure();
    target.path += '/';
    target.path += *decoded;
    target.router_path += '/';
    append_encoded(target.router_path, *decoded);
  }
  if (target.path.empty()) {
    target.path = "/";
    target.router_path = "/";
  }
  return check_text("the path", target.path);
}

/// The part behind `scheme://` when the target is in absolute form, else nothing.
std::string_view behind_scheme(std::string_view target) {
  for (std::string_view scheme : {std::string_view("http://"), std::string_view("https://")})
    if (equals_ignoring_case(target.substr(0, scheme.size()), scheme))
      return target.substr(scheme.size());
  return {};
}

} // namespace

result<std::vector<http_parameter>> decode_pairs(std::string_view text, std::string_view what,
                                                 size_t parameters_max) {
  std::vector<http_parameter> parameters;
  while (!text.empty()) {
    const auto ampersand = text.find('&');
    const auto pair = text.substr(0, ampersand);
    text = ampersand == std::string_view::npos ? std::string_view{} : text.substr(ampersand + 1);
    if (pair.empty())
      continue;
    if (parameters.size() == parameters_max)
      return error{error_code::invalid_argument,
                   std::string(what) + " has more than " + std::to_string(parameters_max) + " fields"};
    const auto equals = pair.find('=');
    auto name = percent_decode(pair.substr(0, equals), plus_sign::is_space, what);
    if (!name)
      return name.failure();
    std::string value;
    if (equals != std::string_view::npos) {
      auto decoded = percent_decode(pair.substr(equals + 1), plus_sign::is_space, what);
      if (!decoded)
        return decoded.failure();
      value = std::move(*decoded);
    }
    // What the text would be called is put together only where it has to be told.
    if (!check_text(what, *name))
      return check_text("a name in " + std::string(what), *name).failure();
    if (!check_text(what, value))
      return check_text("\"" + *name + "\" in " + std::string(what), value).failure();
    parameters.push_back({std::move(*name), std::move(value)});
  }
  return parameters;
}

result<request_target> decode_target(std::string_view target) {
  request_target decoded;
  if (target == "*") {
    decoded.asterisk = true;
    return decoded;
  }
  if (target.empty() || target.front() != '/') {
    const auto rest = behind_scheme(target);
    const auto authority = rest.substr(0, rest.find_first_of("/?"));
    if (authority.empty() || authority.find('@') != std::string_view::npos)
      return error{error_code::invalid_argument,
                   "the request target is neither a path (/status) nor a URL (http://host/status)"};
    decoded.authority = authority;
    target = rest.substr(authority.size());
  }
  if (target.find('#') != std::string_view::npos)
    return error{error_code::invalid_argument, "the request target has a fragment (#…); leave it out"};
  const auto question = target.find('?');
  if (auto done = decode_path(target.substr(0, question), decoded); !done)
    return done.failure();
  if (question != std::string_view::npos) {
    auto parameters = decode_pairs(target.substr(question + 1), "the query", query_parameters_max);
    if (!parameters)
      return parameters.failure();
    decoded.query_parameters = std::move(*parameters);
  }
  return decoded;
}

} // namespace task_runner
