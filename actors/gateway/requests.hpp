// From decoded HTTP requests to what the actors understand: push items and channel requests.
// Forms and JSON bodies end in the same decoder, so that a member means the same in both.
#pragma once

#include "actors/messages.hpp"
#include "services/domain/push.hpp"
#include "services/http/http_message.hpp"

namespace task_runner {

/// The body of POST /push: a form or a JSON object with task, channel, command, args, delay, id, execute_at.
result<push_item> decode_push(const http_request& request);

/// The body of POST /queue: name, distinct, worker (0 follows the daemon's default).
result<create_channel> decode_create_channel(const http_request& request);

/// `limit` of a listing: 1 to `limit_max`, `otherwise` when it is not given.
result<uint32_t> decode_limit(const http_request& request, uint32_t otherwise, uint32_t limit_max);

/// A whole number of 0 to 2^63-1 from the query, `otherwise` when it is not given.
result<uint64_t> decode_number(const http_request& request, std::string_view name, uint64_t otherwise);

} // namespace task_runner
