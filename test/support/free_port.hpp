// Ports for servers that a test starts.
// Never a fixed one: tests run side by side, and beside whatever else the machine serves.
#pragma once

#include <cstdint>

namespace task_runner::test {

/// A TCP port of 127.0.0.1 that nobody listened on a moment ago. Another process may still take it first, so
/// whoever starts a server on it should be ready to ask again.
uint16_t free_port();

} // namespace task_runner::test
