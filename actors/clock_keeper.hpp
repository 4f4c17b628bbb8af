// Keeps delays right when the wall clock is set: the store moves them, then the queues look again.
// The mark of the clock stands in the store, so that a step while the daemon was down is found at its start.
#pragma once

#include "services/domain/result.hpp"
#include "services/ports/store_writer.hpp"

#include <cstdint>
#include <functional>

namespace task_runner {

/// By how much the clock was set between two marks, milliseconds; 0 when they cannot be compared.
using clock_comparison = std::function<int64_t(const clock_mark& before, const clock_mark& now)>;

/// Compares the clock with the store's mark, moves the delays if it was set, and leaves the new mark. Blocks;
/// call it before the queues read the store. The store's error when it fails: then nothing was moved.
result<void> settle_clock(store_writer& writer, const clock_mark& now, const clock_comparison& compare);

/// The clock was set by `step_ms`: moves the delays and leaves the mark, durably. Blocks until the store has
/// answered. `moved` is called afterwards. False when the store could not do it; then nothing was moved.
bool take_clock_step(store_writer& writer, int64_t step_ms, const clock_mark& now,
                     const std::function<void(int64_t)>& moved);

} // namespace task_runner
