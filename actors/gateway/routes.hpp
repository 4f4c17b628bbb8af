// All routes of the HTTP API: each handler decodes, asks an actor, and encodes the reply.
// The groups stand in files of their own, by resource.
#pragma once

#include "actors/gateway/gateway.hpp"
#include "services/http/route_table.hpp"

namespace task_runner {

/// All routes of the API, over `shared`.
route_table make_routes(gateway_pointer shared);

} // namespace task_runner
