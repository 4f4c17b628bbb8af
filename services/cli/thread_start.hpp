// Threads for the client, whose signals are for its main thread: it reads keys, and leaves when it is told
// to. A thread that takes none cannot be interrupted in the middle of a call.
#pragma once

#include <functional>
#include <thread>

namespace task_runner::cli {

/// Starts a thread that takes no signals; those of the caller are as before. Throws std::system_error where
/// there is none to be had.
std::thread start_without_signals(std::function<void()> work);

} // namespace task_runner::cli
