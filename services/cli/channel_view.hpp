// Channels as /status shows them, in a line each with their tasks below; how long they will take, the daemon
// says elsewhere.
#pragma once

#include "services/cli/console.hpp"
#include "services/cli/daemon_api.hpp"
#include "services/cli/json_value.hpp"

#include <map>
#include <string>
#include <vector>

namespace task_runner::cli {

/// In how many seconds the waiting tasks of a channel will have run, by its name; of those that the daemon
/// can tell.
using channel_etas = std::map<std::string, double>;

/// Asks the daemon, in most cases with one call; where it does not answer, those that it has told are all, as
/// that is no reason to show nothing else.
channel_etas read_etas(daemon_api& daemon);

/// Whether tasks of a channel, as /status shows it, wait for their turn.
bool stands_in_line(const json_value& channel);

/// The line of a channel, and one for each of its tasks that the daemon has sent along.
std::string channel_text(const std::string& name, const json_value& channel, const channel_etas& etas,
                         const console& terminal);

/// The tasks that are dead now, of a channel's numbers; an older daemon only counts those since its start.
int64_t dead_letters(const json_value& counts);

/// What the signs of a channel mean, a line; empty where there are none.
std::string sign_legend(const console& terminal);

/// Tasks of a listing, grouped by channel; groups and tasks in the order of the listing.
std::string listed_by_channel(const std::vector<json_value>& tasks, const console& terminal);

} // namespace task_runner::cli
