// The three descriptors that every program expects to have, where whoever started it gave it fewer.
#pragma once

namespace task_runner {

/// Takes the places of those of stdin, stdout and stderr that are closed, so that no file or connection that
/// is opened later gets one of their numbers, and with it what is printed. What is read from or written to
/// such a place fails, as it did before. To be called before anything is opened.
void take_closed_standard_streams() noexcept;

} // namespace task_runner
