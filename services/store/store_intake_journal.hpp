// The marks of taken batches, kept in the store: the intake journal that sources use.
#pragma once

#include "services/ports/intake_journal.hpp"
#include "services/ports/store_writer.hpp"

#include <chrono>

namespace task_runner {

/// Asks the store's thread and waits for its answer, at most `timeout`. Thread-safe; never call it on the
/// store's own thread. `writer` must outlive it.
class store_intake_journal final : public intake_journal {
public:
  explicit store_intake_journal(store_writer& writer,
                                std::chrono::milliseconds timeout = std::chrono::seconds(10))
      : writer_(writer)
      , timeout_(timeout) {}

  result<std::vector<uint32_t>> marked_positions(uint64_t batch) override;
  result<std::vector<uint64_t>> marked_batches() override;
  void forget(uint64_t batch) override;

private:
  store_writer& writer_;
  std::chrono::milliseconds timeout_;
};

} // namespace task_runner
