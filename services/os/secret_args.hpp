// Removes the Redis password from what every user can see of this process: its command line.
// Removes it as well from its environment, which commands would inherit.
#pragma once

namespace task_runner {

/// Wipes the values of -redis-password and -password (all spellings) from the process's command line, so that
/// not even their length shows, and TASK_RUNNER_REDIS_PASSWORD and TASK_RUNNER_PASSWORD from its environment
/// and the memory that held them. Without a password on the command line, argv stays as it is; otherwise
/// argv[0] is the whole command line, with `***` for the password, and must not be read as arguments any
/// more: copy them first (capture_input). `argc` and `argv` are main's own. Call it once, early, while there
/// is one thread.
void scrub_secrets(int argc, char** argv);

} // namespace task_runner
