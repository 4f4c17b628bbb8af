// Whether the machine's processors have anything left to give: what then waits a little costs nobody
// anything, as something else would have to wait in its place.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace task_runner {

/// Looks at the kernel's counts of processor time now and then. Not thread-safe.
class processor_load {
public:
  using clock = std::chrono::steady_clock;

  /// `statistics`: a file in the format of /proc/stat (proc(5)). One that cannot be read means "not busy".
  explicit processor_load(std::string statistics = "/proc/stat")
      : statistics_(std::move(statistics)) {}

  /// Whether the processors of the whole machine were idle for less than a tenth of the time between the last
  /// two looks. Looks anew when the last one is more than a tenth of a second ago; after a pause of more than
  /// a second it has to look twice before it says so.
  bool is_busy(clock::time_point now);

private:
  struct counts {
    uint64_t idle = 0;
    uint64_t all = 0;
  };

  bool read(counts& into) const;

  std::string statistics_;
  counts last_;
  /// Whether the last look has seen anything.
  bool known_ = false;
  clock::time_point looked_at_{};
  bool busy_ = false;
};

} // namespace task_runner
