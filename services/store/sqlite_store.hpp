// The embedded store: a queue_store in one SQLite file, durable at every commit, flat in memory with any
// backlog. Write-ahead log, synchronous=FULL, one connection; services/store/group_commit.hpp gives it a
// thread.
#pragma once

#include "services/domain/result.hpp"
#include "services/ports/queue_store.hpp"

#include <memory>
#include <string>

namespace task_runner {

/// Opens the store at `path`, making it (mode 0600) when there is no file, and upgrading an older one.
///
/// Errors, each leaving the file as it was: `conflict` for a file that is not a TaskRunner store or was
/// written by a newer one; `unavailable` for one that is damaged, cut short, empty, or cannot be opened or
/// written. A damaged store is never replaced by a new one.
///
/// Beyond what the port says: a lease applies only when its attempt is above the task's last one, and clears
/// the end and outcome of the attempt before. `apply` fails with `invalid_argument` for an operation that the
/// port does not allow and with `too_large` for a value over SQLite's limit (1 GB); every other error is
/// `unavailable` and names the condition (disk full, read-only, busy, damaged, I/O error), or `internal` for
/// a defect. After `unavailable` the same call may succeed later; nothing needs to be opened again.
///
/// REQUIRES: the caller holds the lock of the state directory. The store may be used by any one thread at a
/// time; destroying it closes the file.
result<std::unique_ptr<queue_store>> open_sqlite_store(const std::string& path);

} // namespace task_runner
