// The routes of a server: which handler takes which method and path.
// Filled before the start and shared read-only by all workers afterwards.
#pragma once

#include "services/http/http_message.hpp"
#include "services/http/http_responder.hpp"

#include <functional>
#include <string>
#include <vector>

namespace task_runner {

/// Decodes a request, asks somebody, and lets the answer be sent when it comes. Runs on a worker thread that
/// other clients wait for: it must not block. An exception that leaves it is logged and answered 500.
using http_handler = std::function<void(const http_request&, http_responder)>;

/// One route.
struct http_route {
  std::string method;
  /// Literal segments and `:name` segments: "/api/v1/tasks/:id/cancel".
  std::string pattern;
  http_handler handler;
};

using route_table = std::vector<http_route>;

} // namespace task_runner
