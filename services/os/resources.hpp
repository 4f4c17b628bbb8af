// What the system must give before anything is begun: threads and file descriptors.
// Libraries underneath end the process, or hang, when a thread is refused half-way; so it is found out
// before.
#pragma once

#include "services/domain/result.hpp"

#include <cstdint>

namespace task_runner {

/// Makes `count` threads that live side by side for a moment, as a rehearsal. `unavailable` when the system
/// refuses one of them for lack of processes (RLIMIT_NPROC, a limit of the cgroup) or memory (RLIMIT_AS).
/// What the threads took stays reserved within the process as far as the C library keeps it. Not thread-safe.
result<void> rehearse_threads(unsigned count);

/// `unavailable` when the process may have fewer than `least` open files.
result<void> require_descriptors(uint64_t least);

} // namespace task_runner
