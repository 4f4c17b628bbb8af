// From decoded HTTP requests to what the actors understand: push items, channel and task requests.
// Forms and JSON bodies end in the same decoders, so that a member means the same in both.
#pragma once

#include "actors/messages.hpp"
#include "actors/probe.hpp"
#include "services/domain/push.hpp"
#include "services/http/http_message.hpp"
#include "services/wire/channel_members.hpp"
#include "services/wire/flat_object.hpp"

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace task_runner {

/// The body of a push: a form or a JSON object with what services/wire/push_json.hpp reads. In a form the
/// task options are fields of their own: `timeout=5m`, `env=NAME=VALUE` (repeatable), `limits.memory=64M`.
result<push_item> decode_push(const http_request& request);

/// The body of POST /queue: name, distinct, worker (0 follows the daemon's default) and whatever a channel
/// can be made with; other members are ignored.
result<create_channel> decode_queue(const http_request& request);

/// The body of POST /api/v1/channels: `name` and settings. `worker` 0 accepts tasks and runs none.
result<create_channel> decode_create_channel(const http_request& request);

/// The body of PATCH /api/v1/channels/{c}: what is given changes, what is null goes back to its default.
result<change_channel> decode_change_channel(const http_request& request);

/// The body of a verb on a channel; `wait_s` for drain, 0 to `drain_wait_max_ms`.
result<act_on_channel> decode_channel_action(const http_request& request, channel_verb verb);

/// `force` in the query of a DELETE.
result<bool> decode_force(const http_request& request);

/// The query of GET /api/v1/tasks: filter, `sort`, `limit`, `cursor`.
result<list_tasks> decode_list(const http_request& request);

/// The body of a verb on one task: `grace_s` for cancel, `signal` for signal.
result<act_on_task> decode_task_action(const http_request& request, task_verb verb);

/// The body of a verb on all tasks that match: filter, `dry_run`, `limit`, `all`, and what the verb takes. An
/// empty filter is refused without `all`. In place of a filter `ids` names the tasks.
result<act_on_tasks> decode_bulk_action(const http_request& request, task_verb verb);

/// The body of POST /api/v1/stop: `now`.
result<bool> decode_stop(const http_request& request);

/// Which actors are to be listed, behind which name, and how many.
struct list_actors {
  probe_filter filter;
  std::string after;
  uint32_t limit = 0;
};

/// The kinds of actor that a listing can be of.
constexpr std::array<std::string_view, 9> actor_kinds{"batch", "executor", "gateway", "historian", "intake",
                                                      "queue", "router",   "service", "supervisor"};

/// The query of GET /api/v1/actors: `channel`, `kind`, `limit`, `cursor`.
result<list_actors> decode_actor_list(const http_request& request);

/// What was read goes where it belongs, or why it could not be read.
template <class T>
result<void> put(result<T> read, T& into) {
  if (!read)
    return read.failure();
  into = std::move(*read);
  return {};
}

/// Where a listing goes on: opaque text for clients.
std::string encode_cursor(const listing_place& place);
std::string encode_cursor(std::string_view name);

/// The name behind which a listing goes on; what has it may be gone by now.
result<std::string> decode_name_cursor(std::string_view cursor);

/// A page of what is listed by name.
struct name_page {
  /// The name behind which it begins; empty: with the first.
  std::string after;
  uint32_t limit = 0;
};

/// The query of a listing by name: `cursor`, and `limit` of 1 to `limit_max`, `otherwise` when it is not
/// given. Other members are refused.
result<name_page> decode_name_page(const http_request& request, uint32_t otherwise, uint32_t limit_max);

/// `limit` of a listing: 1 to `limit_max`, `otherwise` when it is not given.
result<uint32_t> decode_limit(const http_request& request, uint32_t otherwise, uint32_t limit_max);

/// A whole number of 0 to 2^63-1 from the query, `otherwise` when it is not given.
result<uint64_t> decode_number(const http_request& request, std::string_view name, uint64_t otherwise);

/// The body as names and plain values, whether it is JSON or a form.
result<flat_object> read_body(const http_request& request, bool with_options);

/// The query as names and texts.
flat_object read_query(const http_request& request);

} // namespace task_runner
