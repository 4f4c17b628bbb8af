// The output port over the files in the state directory: which attempts have output, and its deletion.
// Works beside a launcher that writes and readers that read; open files stay readable until they are closed.
#pragma once

#include "services/ports/output_archive.hpp"

#include <string>

namespace task_runner {

/// The files below `output/` of one state directory. Thread-safe: it has no state of its own.
class output_directory final : public output_archive {
public:
  explicit output_directory(std::string state_dir)
      : state_dir_(std::move(state_dir)) {}

  uint32_t shards() const override { return 256; }
  result<std::vector<attempt_key>> list(uint32_t shard, wall_time_ms before_ms, size_t limit) override;
  result<void> remove(const attempt_key& key) override;

private:
  const std::string state_dir_;
};

} // namespace task_runner
