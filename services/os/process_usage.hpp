// What this process takes of the machine, as the kernel counts it.
#pragma once

#include "services/domain/result.hpp"

#include <cstdint>

namespace task_runner {

struct process_usage {
  /// Processor time of all threads, in user and kernel mode; not that of children.
  double processor_s = 0;
  uint64_t resident_bytes = 0;
  uint64_t virtual_bytes = 0;
  uint64_t descriptors = 0;
  uint64_t descriptors_max = 0;
};

/// Reads /proc/self (proc(5)). `unavailable` when it cannot be read. Thread-safe.
result<process_usage> read_process_usage();

} // namespace task_runner
