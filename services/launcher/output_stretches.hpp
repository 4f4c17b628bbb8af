// What an attempt wrote, by its place in all that it wrote: out of the head, the ring behind it while the
// command runs, and the file that is left of both when it has ended.
#pragma once

#include "services/ports/attempt_output.hpp"

#include <string>
#include <utility>

namespace task_runner {

/// The files below `output/` of one state directory. Thread-safe: it has no state of its own.
class output_stretches final : public attempt_output {
public:
  /// `head_max`: how much is kept of the beginning of an output. Of one that was made under another limit,
  /// and of which something was left out, places behind its head are those in the file.
  output_stretches(std::string state_dir, uint64_t head_max)
      : state_dir_(std::move(state_dir))
      , head_max_(head_max) {}

  result<output_stretch> read(const attempt_key& key, uint64_t offset, size_t length_max) override;

private:
  const std::string state_dir_;
  const uint64_t head_max_;
};

} // namespace task_runner
