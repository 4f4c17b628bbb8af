// The lock by which one daemon keeps a second one out of a file or directory. What a daemon that has died
// leaves behind for a moment keeps nobody out.
#pragma once

#include "services/domain/result.hpp"

#include <functional>
#include <optional>
#include <sys/types.h>

namespace task_runner {

/// Longest wait for the lock of a daemon that is gone.
constexpr int dead_owner_wait_max_ms = 2'000;

/// Takes the exclusive flock() of an open file, and does not wait for an owner that lives.
///
/// A daemon that is killed while it starts its launcher leaves a child that has not yet become the launcher:
/// until then, some milliseconds on a busy machine, that child shares the lock. So where `owner` names a
/// process that is no more, the lock is tried for up to `dead_owner_wait_max_ms`. `owner` is asked before
/// each try, as a live daemon may take the dead one's place meanwhile; nothing, or this process itself,
/// counts as alive. Returns whether the lock is ours; `unavailable` with errno's text when it cannot be
/// locked at all.
result<bool> lock_as_owner(int file, const std::function<std::optional<pid_t>()>& owner);

} // namespace task_runner
