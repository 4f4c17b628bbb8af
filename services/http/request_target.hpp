// The target of a request line taken apart: path, query and, in absolute form, the host it names.
// Pure; what it hands on to the router is re-encoded, so that every spelling of a path finds the same route.
#pragma once

#include "services/domain/result.hpp"
#include "services/http/http_message.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace task_runner {

/// Most query parameters in one request.
constexpr size_t query_parameters_max = 1'024;

/// A decoded request target.
struct request_target {
  /// Decoded; repeated slashes are folded and a trailing slash is dropped. A `%2F` becomes a slash here, but
  /// does not separate segments in `router_path`.
  std::string path;
  /// The same path in one canonical spelling, every byte outside RFC 3986's `pchar` as a percent code.
  std::string router_path;
  std::vector<http_parameter> query_parameters;
  /// Host and port of an absolute-form target (`GET http://host:port/path`); empty otherwise.
  std::string authority;
  /// The target was `*`, as in `OPTIONS * HTTP/1.1`.
  bool asterisk = false;
};

/// Takes a target apart. `invalid_argument` when it is of no known form, has a bad percent code, or decodes
/// to something that is not UTF-8 or contains NUL.
result<request_target> decode_target(std::string_view target);

/// Decodes `a=1&b=2` as queries and urlencoded forms have it; empty pairs are skipped. `what` names the place
/// in messages. `invalid_argument` on bad percent codes and on more than `parameters_max` pairs.
result<std::vector<http_parameter>> decode_pairs(std::string_view text, std::string_view what,
                                                 size_t parameters_max);

} // namespace task_runner
