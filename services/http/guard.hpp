// Keeps web pages from reaching the daemon: checks of Host, Origin and Sec-Fetch-Site before anything else.
// A page can make a browser send a form to a loopback address (or, after DNS rebinding, to a name of its own
// that points there); only these headers tell such a request from a person's own.
#pragma once

#include "services/domain/result.hpp"
#include "services/http/request_head.hpp"
#include "services/http/request_target.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace task_runner {

/// Host names besides loopback ones that requests may name, without port.
struct guard_policy {
  std::vector<std::string> allow_hosts;
  /// The address or name that was bound on purpose. A Host may name it; an Origin gains nothing by it, for
  /// the pages of another server on the same machine are foreign.
  std::string listen_host = {};
};

/// What of a request the guard looks at.
struct guard_request {
  /// Value of the Host header, or the authority of an absolute-form target. Unset only in HTTP/1.0, which no
  /// browser speaks.
  std::optional<std::string_view> host;
  std::optional<std::string_view> origin;
  std::optional<std::string_view> fetch_site;
  /// A person goes to the page at the root, in a window of the browser and not in a frame: the site whose
  /// link was followed sees nothing of the answer, and nothing happens by it.
  bool visits_page = false;
};

/// What of it the guard looks at: views of both.
guard_request guarded_part(const request_head& head, const request_target& target);

/// Host name of `host[:port]` in lower case, without port, brackets and a trailing dot; empty when malformed.
std::string host_name_of(std::string_view host);

/// Whether the name always means this machine: localhost, *.localhost, 127.0.0.0/8, ::1.
bool is_loopback_name(std::string_view host_name);

/// `forbidden`, with a message that says what to change, unless
/// - the Host is a loopback name, `listen_host` or in `allow_hosts` (any port),
/// - an Origin, if there is one, is the Host itself (same name and port) or in `allow_hosts` (any port);
///   "null" is foreign,
/// - Sec-Fetch-Site, if there is one, is not "cross-site", or a link to the page was followed.
result<void> check_guard(const guard_policy& policy, const guard_request& request);

} // namespace task_runner
