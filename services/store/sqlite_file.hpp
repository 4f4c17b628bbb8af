// The database file of the embedded store: made whole or not at all, recognized before it is touched, and
// opened with the settings that durability and a small memory ask for.
#pragma once

#include "services/store/sqlite_connection.hpp"

#include <string>

namespace task_runner {

/// Opens the store's database at `path`, making it (mode 0600) when there is none. Throws sqlite_failure:
/// `conflict` for a file that is not ours or too new, `unavailable` for one that is damaged or cannot be
/// used; in all these cases the file is left as it was. REQUIRES: the caller holds the lock of the state
/// directory, and this process has no other connection to the file.
sqlite_connection open_store_file(const std::string& path);

} // namespace task_runner
