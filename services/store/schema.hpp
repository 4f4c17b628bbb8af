// The tables of the embedded store, as an ordered list of migrations that leads from nothing to the present.
// A migration that has been released is never edited; a change is a new one at the end.
#pragma once

#include "services/store/sqlite_connection.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace task_runner {

/// Stands in the file's header and says whose it is: "TkRn" (what `file` and SQLite show as application id).
constexpr int32_t store_application_id = 0x546b526e;

/// One step from the version before (its place in the list, from 0) to the next.
struct schema_migration {
  /// What it does, for the log.
  const char* title;
  const char* sql;
};

/// All migrations in order; the version of a database is how many of them it has seen.
const std::vector<schema_migration>& schema_migrations();

/// The version that this program writes.
int64_t schema_version();

/// Refuses a database that a newer program has written. `version` is the one found. Throws sqlite_failure
/// with `conflict`.
void check_schema_version(const std::string& path, int64_t version, int64_t newest);

/// Brings the database to the last of `migrations`, each in a transaction of its own together with the new
/// version number: an interrupted upgrade goes on where it stopped. Returns how many were run. Throws
/// sqlite_failure, `conflict` when the database is newer than the list.
int64_t migrate_schema(sqlite_connection& connection, const std::vector<schema_migration>& migrations);

} // namespace task_runner
