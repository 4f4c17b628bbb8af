// The migrations of the embedded store.
// What each table and index is for stands beside it, in SQL comments that the database keeps.
#include "services/store/schema.hpp"

#include <string>

namespace task_runner {

namespace {

// States are stored as numbers (services/domain/task.hpp): 0 pending, 1 delayed, 2 running, from 3 on ended.
// The narrow columns that every transition touches stand first, the long texts last, where SQLite reads
// them only when asked. Every index but the first holds unfinished tasks only, so that the work of a push, a
// lease or a settle does not grow with the history.
constexpr const char* first_schema = R"sql(
CREATE TABLE tasks (
  sequence      INTEGER PRIMARY KEY,  -- place in the order of acceptance
  channel       INTEGER NOT NULL,     -- channel_counts.number
  state         INTEGER NOT NULL,
  attempt       INTEGER NOT NULL,
  recoveries    INTEGER NOT NULL,
  created_at_ms INTEGER NOT NULL,
  not_before_ms INTEGER NOT NULL,
  started_at_ms INTEGER NOT NULL,
  ended_at_ms   INTEGER NOT NULL,
  outcome_kind  INTEGER,              -- NULL: no attempt has ended yet
  outcome_code  INTEGER,
  outcome_error TEXT,
  id            TEXT NOT NULL,
  distinct_key  TEXT,                 -- NULL: not distinct
  name          TEXT NOT NULL,
  command_line  TEXT,                 -- NULL: the name is the command line, or there is an argv
  command_argv  BLOB                  -- each word as 32-bit little-endian length and bytes; NULL: none
) STRICT;

CREATE UNIQUE INDEX tasks_by_id ON tasks (id);

-- In order of execution: the row's own sequence follows the channel in the index.
CREATE INDEX tasks_pending ON tasks (channel) WHERE state = 0;
CREATE INDEX tasks_delayed ON tasks (channel, not_before_ms) WHERE state = 1;
CREATE INDEX tasks_running ON tasks (channel) WHERE state = 2;

-- The backstop of dedup: one unfinished task per channel and key.
CREATE UNIQUE INDEX tasks_distinct ON tasks (channel, distinct_key)
  WHERE distinct_key IS NOT NULL AND state < 3;

-- How many tasks of each channel stand where, kept in the same transaction as the tasks: counting ten
-- million rows takes seconds. Also gives a channel the number that stands in its tasks' rows.
CREATE TABLE channel_counts (
  number  INTEGER PRIMARY KEY,
  name    TEXT NOT NULL UNIQUE,
  pending INTEGER NOT NULL DEFAULT 0,
  delayed INTEGER NOT NULL DEFAULT 0,
  running INTEGER NOT NULL DEFAULT 0,
  ended   INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE channels (
  name          TEXT PRIMARY KEY,
  is_distinct   INTEGER NOT NULL,
  worker        INTEGER,              -- NULL follows the daemon's setting
  ini_distinct  INTEGER,              -- what the INI file last said; NULL: nothing
  ini_worker    INTEGER,
  created_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Which messages of a taken batch have been decided.
CREATE TABLE origin_marks (
  batch    INTEGER NOT NULL,
  position INTEGER NOT NULL,
  PRIMARY KEY (batch, position)
) STRICT, WITHOUT ROWID;

-- Single numbers. next_sequence outlives the deletion of old tasks, so that no place is given twice.
CREATE TABLE store_state (
  name  TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO store_state (name, value) VALUES ('next_sequence', 1);
)sql";

} // namespace

const std::vector<schema_migration>& schema_migrations() {
  static const std::vector<schema_migration> migrations = {
      {"tasks, channels, marks and counts", first_schema},
  };
  return migrations;
}

int64_t schema_version() {
  return static_cast<int64_t>(schema_migrations().size());
}

void check_schema_version(const std::string& path, int64_t version, int64_t newest) {
  if (version <= newest)
    return;
  throw sqlite_failure({error_code::conflict,
                        "the store " + path + " was written by a newer TaskRunner: its version is " +
                            std::to_string(version) + ", this one reads up to " + std::to_string(newest) +
                            "; install the newer program again, or choose another state directory"});
}

int64_t migrate_schema(sqlite_connection& connection, const std::vector<schema_migration>& migrations) {
  const auto newest = static_cast<int64_t>(migrations.size());
  int64_t run = 0;
  for (;;) {
    // Read inside the transaction: nobody else may migrate between the look and the leap.
    sqlite_transaction transaction(connection);
    const int64_t version = connection.query_number("PRAGMA user_version");
    check_schema_version(connection.path(), version, newest);
    if (version < 0)
      connection.fail_damaged("its version is " + std::to_string(version));
    if (version == newest)
      return run;
    connection.execute(migrations[static_cast<size_t>(version)].sql);
    connection.execute("PRAGMA user_version = " + std::to_string(version + 1));
    transaction.commit();
    ++run;
  }
}

} // namespace task_runner
