// The exit codes of the client, as they are documented. `wait`, `follow` and `push --wait` add the command's
// own.
#pragma once

namespace task_runner::cli {

class json_value;

constexpr int exit_done = 0;
/// The daemon refused, a task did not succeed, or a check failed.
constexpr int exit_refused = 1;
/// A wrong verb, flag, value or file.
constexpr int exit_misuse = 2;
/// Nobody answers at the daemon's address.
constexpr int exit_unreachable = 3;
/// There is no such task or channel.
constexpr int exit_unknown = 4;
/// The task, or the wait for it, ran out of time.
constexpr int exit_timed_out = 124;
/// Added to the number of the signal that ended a command, or this client.
constexpr int exit_signal_base = 128;

/// The code that stands for the end of a task, given as the API shows it: the command's own, 128 and the
/// number of the signal that ended it, `exit_timed_out`, or `exit_refused` where it never ran to an end.
int exit_code_of(const json_value& task);

} // namespace task_runner::cli
