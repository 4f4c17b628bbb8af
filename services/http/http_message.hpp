// The request as a handler sees it: decoded, bounded and checked, with nothing of the wire left in it.
// Plain values and look-ups only; the answer goes through http_responder.
#pragma once

#include "services/domain/push_identity.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace task_runner {

/// One header line. In a request the name is in lower case and the value has no blanks around it.
struct http_header {
  std::string name;
  std::string value;
};

/// One decoded name and value, from the query or from the path.
struct http_parameter {
  std::string name;
  std::string value;
};

/// One request. All text of path and query is percent-decoded, valid UTF-8 and without NUL; headers and body
/// are as they came (a chunked body is already put together).
struct http_request {
  /// As sent: "GET", "POST", "HEAD"… A GET route also sees HEAD; what it answers is sent without its body.
  std::string method;
  /// Decoded, repeated slashes folded, without a trailing slash; "/" for the root.
  std::string path;
  /// The values of the `:name` segments of the route, in the order of the path.
  std::vector<http_parameter> path_parameters;
  /// In the order of the query; names may repeat.
  std::vector<http_parameter> query_parameters;
  /// In the order of the request; names may repeat.
  std::vector<http_header> headers;
  std::string body;
  /// Where the client is: "127.0.0.1:50412", "[::1]:50412".
  std::string peer_address;
  /// What identifies the pushes of a request that may be repeated; given by the API, not by the client.
  std::optional<push_identity> identity;

  /// The first header of that name; the name is compared without regard to case.
  std::optional<std::string_view> header(std::string_view name) const;
  /// The value of the route's `:name`; empty when the route has no such segment.
  std::string_view path_parameter(std::string_view name) const;
  /// The first query parameter of that name.
  std::optional<std::string_view> query(std::string_view name) const;
  /// Whether the Accept headers name `media_type` itself (such as "text/html"), and give it no less weight
  /// than `other`. A mere `*/*`, as curl sends it, does not count: whoever wants that type says so.
  bool prefers(std::string_view media_type, std::string_view other) const;
};

/// Whether the value of an Accept header names `media_type` itself; parameters such as `q` do not count.
bool names_media_type(std::string_view accept, std::string_view media_type);

} // namespace task_runner
