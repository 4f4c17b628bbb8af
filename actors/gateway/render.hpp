// What the API's answers look like: pushes, tasks, channels and actors as JSON.
// Rendering only; the handlers fetch what is shown.
#pragma once

#include "actors/messages.hpp"
#include "actors/probe.hpp"
#include "services/observability/statistics_history.hpp"
#include "services/wire/json_text.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace task_runner {

struct dead_groups;

/// Most bytes of task names in one /status; what is beyond is counted, not listed.
constexpr size_t status_bytes_max = 4'194'304;

/// A listing ends its page behind the task with which it has this many bytes.
constexpr size_t page_bytes_max = 1'048'576;

/// `{"task_name":S,"result":B,"task_id":S}`
std::string render_push(const push_reply& reply);

/// `{"task_name":S,"result":B,"task_id":S,"state":S or null}`
std::string render_pushed_task(const push_reply& reply);

/// `{CHANNEL:{"tasks":[…],"count":N,…},…}`
std::string render_channels(const std::vector<channel_status>& channels);

/// `{"tasks":[…],"count":N,…}`
std::string render_channel(const channel_status& channel);

/// The actors as /status has them: `[{"name":S,"kind":S,"channel":S or null,"mailbox_depth":N,
/// "mailbox_peak":N,"handled":{KIND:N},"restarts":N,"in_flight":N,"busy_since":TIME or null},…]`; no
/// services.
std::string render_actors(const probe_registry::probes& probes);

/// `{"items":[…],"edges":[{"from":S,"to":S,"messages":N},…],"next":CURSOR or null}`: the first actors, at
/// most `limit` and about `page_bytes_max`, with the edges that they count. `next` stands for those that are
/// left.
std::string render_actor_page(const probe_registry::probes& probes, size_t limit);

/// One task as `GET /api/v1/tasks/{id}` has it, with its earlier attempts. The reply must have a value.
std::string render_task(const task_reply& reply);

/// Why a task does not run:
/// `{"id":S,"channel":S,"state":S,"reason":S,"message":S,"blocked_by":[…],"position":N,
/// "position_at_least":N,"may_start_at":TIME}`, null for what is not known. The reply must not be a failure.
std::string render_explanation(const explanation_reply& reply);

/// `{"items":[…],"next":CURSOR or null}`; tasks without their attempts and options.
std::string render_page(const task_page& page, task_order order);

/// `{"matched":N,"done":N,"more":B,"refused":[{"id":S,"status_code":N,"reason":S},…]}`
std::string render_bulk(const tasks_reply& reply);

/// A channel as a resource: name, state, settings as PATCH takes them, workers in force, counts.
std::string render_channel_resource(const channel_status& channel);

/// Those behind the name `after`, at most `limit`: `{"items":[…],"next":null}`, or where to go on. The
/// channels come by name.
std::string render_channel_list(const std::vector<channel_status>& channels, std::string_view after,
                                size_t limit);

/// `{"looked_at":N,"unread":N,"truncated":B,"groups":N,"items":[{"outcome":{…},"fingerprint":S or null,
/// "line":S or null,"count":N,"sample_id":S,"newest_ended_at":TIME,"oldest_ended_at":TIME,"channels":[…],
/// "ids":[…]},…],"next":null}`: the first groups, at most `limit`; `groups` is how many there are.
std::string render_groups(const dead_groups& found, size_t limit);

/// `{"channel":null,"span_s":N,"step_s":N,"points":{COLUMN:[…],…},"totals":{"last_5_minutes":{…},
/// "last_hour":{…}}}`: the history of all channels together.
std::string render_statistics(const statistics_series& series);

/// The same of one channel, which must be there, with its newest `limit` points.
std::string render_channel_statistics(const channel_histories& found, size_t limit);

/// `{"span_s":N,"step_s":N,"at":[…],"length_s":[…],"items":[…],"next":CURSOR or null}`: the first channels,
/// at most `limit` and about `page_bytes_max`. `next` stands for those that are left.
std::string render_channel_statistics_page(const channel_histories& found, size_t limit);

// -- the shapes of the predecessor's later paths ---------------------------------------

/// `{"task_id":S,"task_name":S,"command":{"name":S,"args":[…] or null},"channel":S,"status":S,…}`
std::string render_old_task(const task& value);

/// `{TASK_ID:{…},…}`
std::string render_old_tasks(const std::vector<task>& tasks);

/// `{"tasks":[…],"count":N}`
std::string render_old_channel(const channel_status& channel);

/// `{CHANNEL:{"tasks":[…],"count":N},…}`
std::string render_old_channels(const std::vector<channel_status>& channels);

} // namespace task_runner
