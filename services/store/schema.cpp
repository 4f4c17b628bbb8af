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

// The table of tasks is made anew, so that the new numbers stand before the texts too: a number behind a long
// text is only found by reading over the text. Unfinished and dead tasks are found without looking
// at others; what has ended is found by its end, to be purged.
constexpr const char* second_schema = R"sql(
CREATE TABLE new_tasks (
  sequence               INTEGER PRIMARY KEY,  -- place in the order of acceptance
  channel                INTEGER NOT NULL,     -- channel_counts.number
  state                  INTEGER NOT NULL,
  held                   INTEGER NOT NULL,     -- 1: pending, but its concurrency key is in full use
  attempt                INTEGER NOT NULL,
  attempts_before        INTEGER NOT NULL,     -- attempts before the last retry by a person
  recoveries             INTEGER NOT NULL,
  cancel_requested       INTEGER NOT NULL,
  distinct_while_pending INTEGER NOT NULL,     -- 1: the first lease sets distinct_key to NULL
  delay_is_relative      INTEGER NOT NULL,     -- 1: not_before_ms moves when the clock is set
  priority               INTEGER NOT NULL,
  concurrency_max        INTEGER NOT NULL,
  created_at_ms          INTEGER NOT NULL,
  not_before_ms          INTEGER NOT NULL,
  expires_at_ms          INTEGER NOT NULL,     -- 0: never
  started_at_ms          INTEGER NOT NULL,
  ended_at_ms            INTEGER NOT NULL,
  outcome_kind           INTEGER,              -- NULL: no attempt has ended yet
  outcome_code           INTEGER,
  output_bytes           INTEGER NOT NULL,
  id                     TEXT NOT NULL,
  concurrency_key        TEXT,                 -- NULL: none
  distinct_key           TEXT,                 -- NULL: not distinct, or released
  outcome_error          TEXT,
  name                   TEXT NOT NULL,
  command_line           TEXT,                 -- NULL: the name is the command line, or there is an argv
  command_argv           BLOB,                 -- each word as 32-bit little-endian length and bytes
  options                TEXT                  -- what the task itself says, as JSON; NULL: nothing
) STRICT;

INSERT INTO new_tasks
  SELECT sequence, channel, state, 0, attempt, 0, recoveries, 0, 0, 0, 0, 0, created_at_ms, not_before_ms, 0,
         started_at_ms, ended_at_ms, outcome_kind, outcome_code, 0, id, NULL, distinct_key, outcome_error,
         name, command_line, command_argv, NULL
  FROM tasks ORDER BY sequence;
DROP TABLE tasks;
ALTER TABLE new_tasks RENAME TO tasks;

CREATE UNIQUE INDEX tasks_by_id ON tasks (id);

-- Every statement that changes a state opens every index that tells states apart, so there are few of them.
-- The row's own sequence follows what stands in an index.

-- In order of execution.
CREATE INDEX tasks_pending ON tasks (channel, priority DESC) WHERE state = 0 AND held = 0;
CREATE INDEX tasks_delayed ON tasks (channel, not_before_ms) WHERE state = 1;
CREATE INDEX tasks_expiring ON tasks (channel, expires_at_ms)
  WHERE expires_at_ms > 0 AND state < 2 AND attempt = attempts_before;

-- In order of acceptance: delayed, running, dead and (with state 0) held ones.
CREATE INDEX tasks_by_state ON tasks (channel, state) WHERE state = 1 OR state = 2 OR state = 4 OR held = 1;

-- Who has a concurrency key in use (held = 0), and who is next to have it.
CREATE INDEX tasks_keyed ON tasks (channel, concurrency_key, held, priority DESC)
  WHERE concurrency_key IS NOT NULL AND (state = 0 OR state = 2);

-- The backstop of dedup: one unfinished task per channel and key.
CREATE UNIQUE INDEX tasks_distinct ON tasks (channel, distinct_key)
  WHERE distinct_key IS NOT NULL AND state < 3;

-- What is purged first.
CREATE INDEX tasks_ended ON tasks (state, ended_at_ms) WHERE state > 2;

-- Attempts that ended and were followed by another or by a retry; the last one stands in the task's row.
CREATE TABLE attempts (
  task          INTEGER NOT NULL,     -- tasks.sequence
  attempt       INTEGER NOT NULL,
  started_at_ms INTEGER NOT NULL,
  ended_at_ms   INTEGER NOT NULL,
  outcome_kind  INTEGER NOT NULL,
  outcome_code  INTEGER NOT NULL,
  outcome_error TEXT,
  output_bytes  INTEGER NOT NULL,
  PRIMARY KEY (task, attempt)
) STRICT, WITHOUT ROWID;

-- `pending` counts those in line. `kept_bytes` is the output of the ended tasks, each attempt at most
-- kept_bytes_max in store_state.
ALTER TABLE channel_counts ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
ALTER TABLE channel_counts ADD COLUMN kept_bytes INTEGER NOT NULL DEFAULT 0;
INSERT INTO store_state (name, value) VALUES ('kept_bytes_max', 0);

ALTER TABLE channels RENAME COLUMN is_distinct TO distinct_mode;
ALTER TABLE channels ADD COLUMN weight INTEGER NOT NULL DEFAULT 1;
ALTER TABLE channels ADD COLUMN tasks_max INTEGER;       -- NULL follows the daemon's setting
ALTER TABLE channels ADD COLUMN paused INTEGER NOT NULL DEFAULT 0;
ALTER TABLE channels ADD COLUMN defaults TEXT;           -- options as JSON; NULL: none
ALTER TABLE channels ADD COLUMN ini_weight INTEGER;
ALTER TABLE channels ADD COLUMN ini_tasks_max INTEGER;
ALTER TABLE channels ADD COLUMN ini_defaults TEXT;

-- How the wall clock stood against the machine's own; at most one row.
CREATE TABLE clock_mark (
  only      INTEGER PRIMARY KEY CHECK (only = 1),
  boot_id   TEXT NOT NULL,
  offset_ms INTEGER NOT NULL
) STRICT;
)sql";

// Behind the texts, for a table of millions of rows is not made anew for it.
constexpr const char* third_schema = R"sql(
ALTER TABLE tasks ADD COLUMN launcher_id INTEGER NOT NULL DEFAULT 0; -- whose the lease was; 0: not known
)sql";

// A message's mark is a bit: many of them are set by one statement, and a batch is forgotten by deleting few
// rows.
constexpr const char* fourth_schema = R"sql(
ALTER TABLE origin_marks RENAME TO single_origin_marks;

-- Which messages of a taken batch have been decided.
CREATE TABLE origin_marks (
  batch INTEGER NOT NULL,
  block INTEGER NOT NULL,             -- of 64 positions
  bits  INTEGER NOT NULL,             -- the lowest one is the first position of the block
  PRIMARY KEY (batch, block)
) STRICT, WITHOUT ROWID;

INSERT INTO origin_marks
  SELECT batch, position / 64, sum(1 << (position % 64)) FROM single_origin_marks GROUP BY batch, position / 64;
DROP TABLE single_origin_marks;
)sql";

// Requests that their clients may send again, by the keys that they gave them. The oldest stand in front.
constexpr const char* fifth_schema = R"sql(
CREATE TABLE requests (
  number       INTEGER PRIMARY KEY,   -- in the order of their coming; also names the marks of their pushes
  key          TEXT NOT NULL UNIQUE,
  fingerprint  BLOB NOT NULL,         -- tells the request from others with this key
  task_id      TEXT NOT NULL,         -- of its first task
  began_at_ms  INTEGER NOT NULL,
  status       INTEGER,               -- NULL: no answer yet
  content_type TEXT,
  body         BLOB                   -- NULL: empty
) STRICT;

INSERT INTO store_state (name, value) VALUES ('request_bytes', 0); -- of all bodies
)sql";

// Dead letters are looked for day and night; the others that have ended are not.
constexpr const char* sixth_schema = R"sql(
ALTER TABLE channel_counts ADD COLUMN dead INTEGER NOT NULL DEFAULT 0; -- of those that have ended
UPDATE channel_counts SET dead = (SELECT count(*) FROM tasks WHERE channel = channel_counts.number AND state = 4);
)sql";

} // namespace

const std::vector<schema_migration>& schema_migrations() {
  static const std::vector<schema_migration> migrations = {
      {"tasks, channels, marks and counts", first_schema},
      {"options, priorities, concurrency keys, attempts and purging", second_schema},
      {"the launcher of a lease", third_schema},
      {"marks as bits", fourth_schema},
      {"requests that may be repeated", fifth_schema},
      {"dead letters counted", sixth_schema},
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
