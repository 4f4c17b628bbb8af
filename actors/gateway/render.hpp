// What the API's answers look like: tasks, channels, actors and the daemon as JSON.
// Rendering only; the handlers fetch what is shown.
#pragma once

#include "actors/messages.hpp"
#include "actors/probe.hpp"
#include "services/wire/json_text.hpp"

#include <memory>
#include <string>
#include <vector>

namespace task_runner {

/// Most bytes of task names in one /status; what is beyond is counted, not listed.
constexpr size_t status_bytes_max = 4'194'304;

/// `{"task_name":S,"result":B,"task_id":S}`
std::string render_push(const push_reply& reply);

/// `{CHANNEL:{"tasks":[…],"count":N,…},…}`
std::string render_channels(const std::vector<channel_status>& channels);

/// `{"tasks":[…],"count":N,…}`
std::string render_channel(const channel_status& channel);

/// `[{"name":S,"kind":S,"mailbox_depth":N,"handled":{KIND:N},"restarts":N,"busy_since":TIME or null},…]`
std::string render_actors(const std::vector<std::shared_ptr<const actor_probe>>& probes);

/// One task as `GET /api/v1/tasks/{id}` has it.
std::string render_task(const task& value);

} // namespace task_runner
