// The limit for durable pushes: inserts the rows that pushes of `/bin/true NUMBER` make into SQLite, with the
// daemon's settings (WAL, synchronous=FULL, cache, checkpoints), and does nothing else. It prints seconds and
// rows per second; with -i, one commit per interval, the ns of each commit.
//
//   sqlite_limit [-b ROWS_PER_COMMIT] [-i INTERVAL_US] COUNT FILE
//
// Where FILE has a table `tasks` already, such as the daemon's with its indexes, the rows go into that;
// otherwise one without any index is made.
#include "common.h"

#include <sqlite3.h>
#include <unistd.h>

#define COLUMNS                                                                                              \
  "sequence, channel, state, held, attempt, attempts_before, recoveries, cancel_requested, "                 \
  "distinct_while_pending, delay_is_relative, priority, concurrency_max, created_at_ms, not_before_ms, "     \
  "expires_at_ms, started_at_ms, ended_at_ms, outcome_kind, outcome_code, output_bytes, id, "                \
  "concurrency_key, distinct_key, outcome_error, name, command_line, command_argv, options, launcher_id"

/// The columns of a task that has been pushed and not yet started.
static const char* const schema =
    "CREATE TABLE IF NOT EXISTS tasks (sequence INTEGER PRIMARY KEY, channel INTEGER NOT NULL, state INTEGER "
    "NOT NULL,"
    " held INTEGER NOT NULL, attempt INTEGER NOT NULL, attempts_before INTEGER NOT NULL, recoveries INTEGER "
    "NOT NULL,"
    " cancel_requested INTEGER NOT NULL, distinct_while_pending INTEGER NOT NULL, delay_is_relative INTEGER "
    "NOT NULL,"
    " priority INTEGER NOT NULL, concurrency_max INTEGER NOT NULL, created_at_ms INTEGER NOT NULL,"
    " not_before_ms INTEGER NOT NULL, expires_at_ms INTEGER NOT NULL, started_at_ms INTEGER NOT NULL,"
    " ended_at_ms INTEGER NOT NULL, outcome_kind INTEGER, outcome_code INTEGER, output_bytes INTEGER NOT "
    "NULL,"
    " id TEXT NOT NULL, concurrency_key TEXT, distinct_key TEXT, outcome_error TEXT, name TEXT NOT NULL,"
    " command_line TEXT, command_argv BLOB, options TEXT, launcher_id INTEGER NOT NULL) STRICT;";
static const char* const insertion =
    "INSERT INTO tasks (" COLUMNS ") VALUES (?1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ?2, 0, 0, 0, 0, NULL, "
    "NULL, 0, ?3, NULL, ?4, NULL, ?5, NULL, NULL, NULL, 0);";

/// As services/store/sqlite_file.cpp has them.
static const char* const settings[] = {
    "PRAGMA synchronous = FULL;",
    "PRAGMA cache_size = -4096;",
    "PRAGMA mmap_size = 0;",
    "PRAGMA temp_store = MEMORY;",
    "PRAGMA wal_autocheckpoint = 2000;",
    "PRAGMA journal_size_limit = 16777216;",
};

static sqlite3* database;

static void check(int code, int expected, const char* what) {
  if (code == expected)
    return;
  fprintf(stderr, "%s: %s\n", what, sqlite3_errmsg(database));
  exit(1);
}

static void execute(const char* statement) {
  check(sqlite3_exec(database, statement, NULL, NULL, NULL), SQLITE_OK, statement);
}

static sqlite3_stmt* prepare(const char* text) {
  sqlite3_stmt* statement = NULL;
  check(sqlite3_prepare_v2(database, text, -1, &statement, NULL), SQLITE_OK, text);
  return statement;
}

/// The answer says which mode is used, whatever was asked for.
static void use_write_ahead_log(void) {
  sqlite3_stmt* const statement = prepare("PRAGMA journal_mode = WAL;");
  check(sqlite3_step(statement), SQLITE_ROW, "journal_mode");
  const char* const mode = (const char*)sqlite3_column_text(statement, 0);
  if (mode == NULL || strcmp(mode, "wal") != 0) {
    fprintf(stderr, "SQLite cannot use a write-ahead log here: journal_mode is '%s'\n",
            mode == NULL ? "" : mode);
    exit(1);
  }
  sqlite3_finalize(statement);
}

/// Rows are numbered on from the last, so that no name and no id comes twice.
static long last_number(void) {
  sqlite3_stmt* const statement = prepare("SELECT coalesce(max(sequence), 0) FROM tasks;");
  check(sqlite3_step(statement), SQLITE_ROW, "max(sequence)");
  const long last = (long)sqlite3_column_int64(statement, 0);
  sqlite3_finalize(statement);
  return last;
}

static void insert(sqlite3_stmt* statement, long number) {
  static const char kind[] = "line:";
  enum { kind_length = sizeof kind - 1 };
  struct timespec at;
  clock_gettime(CLOCK_REALTIME, &at);
  const int64_t at_ms = (int64_t)at.tv_sec * 1000 + at.tv_nsec / 1000000;
  char id[40];
  char key[40];
  // An id has the 36 characters of a UUID.
  const int id_length =
      snprintf(id, sizeof id, "%012llx-%010lx-%012lx", (unsigned long long)at_ms, number, number);
  // What dedup goes by is the name, and what kind of command it is.
  const int key_length = snprintf(key, sizeof key, "%s/bin/true %ld", kind, number);
  check(sqlite3_bind_int64(statement, 1, number), SQLITE_OK, "bind");
  check(sqlite3_bind_int64(statement, 2, at_ms), SQLITE_OK, "bind");
  check(sqlite3_bind_text(statement, 3, id, id_length, SQLITE_STATIC), SQLITE_OK, "bind");
  check(sqlite3_bind_text(statement, 4, key, key_length, SQLITE_STATIC), SQLITE_OK, "bind");
  check(sqlite3_bind_text(statement, 5, key + kind_length, key_length - kind_length, SQLITE_STATIC),
        SQLITE_OK, "bind");
  check(sqlite3_step(statement), SQLITE_DONE, "insert");
  check(sqlite3_reset(statement), SQLITE_OK, "reset");
}

int main(int count, char** words) {
  long rows_per_commit = 1;
  int64_t interval = -1;
  int option = 0;
  while ((option = getopt(count, words, "b:i:")) != -1) {
    if (option == 'b')
      rows_per_commit = number_or_end("ROWS_PER_COMMIT", optarg, 1, 1000000);
    else if (option == 'i')
      interval = number_or_end("INTERVAL_US", optarg, 0, 1000000) * 1000;
    else
      return 2;
  }
  if (count - optind != 2) {
    fprintf(stderr, "usage: sqlite_limit [-b ROWS_PER_COMMIT] [-i INTERVAL_US] COUNT FILE\n");
    return 2;
  }
  const long rows = number_or_end("COUNT", words[optind], 1, 1000000000);
  check(sqlite3_open(words[optind + 1], &database), SQLITE_OK, words[optind + 1]);
  for (size_t i = 0; i < sizeof settings / sizeof *settings; ++i)
    execute(settings[i]);
  use_write_ahead_log();
  // The log stays for the next run, as a daemon's does: a new one would have to grow again.
  check(sqlite3_db_config(database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL), SQLITE_OK, "keep the log");
  execute(schema);
  sqlite3_stmt* const statement = prepare(insertion);
  const long first = last_number();

  const int64_t began = now_ns();
  int64_t next = began;
  for (long done = 0; done < rows;) {
    if (interval >= 0) {
      next += interval;
      sleep_until_ns(next);
    }
    const int64_t commit_began = now_ns();
    execute("BEGIN IMMEDIATE;");
    for (long i = 0; i < rows_per_commit && done < rows; ++i)
      insert(statement, first + ++done);
    execute("COMMIT;");
    if (interval >= 0)
      printf("%lld\n", (long long)(now_ns() - commit_began));
  }
  if (interval < 0) {
    const double seconds = (double)(now_ns() - began) / 1e9;
    printf("%.6f %.1f\n", seconds, (double)rows / seconds);
  }
  sqlite3_finalize(statement);
  check(sqlite3_close(database), SQLITE_OK, "close");
  return 0;
}
