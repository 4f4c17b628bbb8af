// The marks of taken batches, as a source sees them: what of a batch was decided before a crash.
// Implemented over the store; tests of sources use a fake.
#pragma once

#include "services/domain/result.hpp"

#include <cstdint>
#include <vector>

namespace task_runner {

/// Asks for and forgets the marks that the store keeps with each decided message (see push_origin). Called
/// from a source's own thread; calls may block for a bounded time (a few seconds) and then fail with
/// `unavailable` or `timeout`, upon which the source asks again later. Thread-safe.
class intake_journal {
public:
  virtual ~intake_journal() = default;

  /// The positions of a batch that are decided durably, ascending.
  virtual result<std::vector<uint32_t>> marked_positions(uint64_t batch) = 0;

  /// The numbers of all batches that have marks, ascending.
  virtual result<std::vector<uint64_t>> marked_batches() = 0;

  /// The batch's list is gone for good: its marks may be forgotten. Must not block; may be lost in a crash,
  /// for marks without a list are found and forgotten at the next start.
  virtual void forget(uint64_t batch) = 0;
};

} // namespace task_runner
