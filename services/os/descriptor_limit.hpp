// The daemon's own limit on open files: raised as far as it goes, while commands keep the one it was given.
#pragma once

#include <cstdint>

namespace task_runner {

/// Raises the soft limit on open files to the hard one. Answers with the soft limit as it was, 0 when that is
/// unknown or without end. Never fails: what cannot be raised stays. Call it while there is one thread.
uint64_t raise_descriptor_limit() noexcept;

} // namespace task_runner
