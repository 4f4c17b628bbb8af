// Which launcher process a connection leads to: a name that no other launcher ever has.
// By it a queue knows whether the launcher that it talks to is the one for which an attempt was leased.
#pragma once

#include <cstdint>

namespace task_runner::launcher {

/// Names the process at the other end of a connection to launcher.sock, by the machine's boot, its pid and
/// the moment it began: below 2^63, and the same for as long as that process lives, whatever program it goes
/// over to. 0 when the kernel does not tell. Thread-safe.
uint64_t identify_launcher(int socket);

} // namespace task_runner::launcher
