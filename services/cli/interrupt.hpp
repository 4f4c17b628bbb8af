// Ctrl-C for verbs that only look on: they stop looking, say so, and leave the tasks alone.
// A second Ctrl-C ends the process at once.
#pragma once

#include "services/cli/exit_codes.hpp"

#include <chrono>

namespace task_runner::cli {

/// The exit code of a verb that was left with Ctrl-C.
constexpr int exit_interrupted = exit_signal_base + 2;

/// From here on Ctrl-C is only noted, once; the next one has its usual effect. One thread.
void note_interrupts() noexcept;

/// Whether Ctrl-C was pressed since.
bool is_interrupted() noexcept;

/// Waits; Ctrl-C ends it early, at the latest 0.2 s after it was pressed.
void pause_for(std::chrono::milliseconds time) noexcept;

} // namespace task_runner::cli
