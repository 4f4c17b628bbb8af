// All routes of the HTTP API: each handler decodes, asks an actor, and encodes the reply.
// The groups stand in files of their own, by resource.
#pragma once

#include "actors/gateway/gateway.hpp"
#include "services/http/route_table.hpp"

#include <string>
#include <vector>

namespace task_runner {

/// The predecessor's own paths, its later ones among them; each stands for what is below it, too.
std::vector<std::string> predecessor_paths();

/// All routes of the API, over `shared`.
route_table make_routes(const gateway_pointer& shared);

} // namespace task_runner
