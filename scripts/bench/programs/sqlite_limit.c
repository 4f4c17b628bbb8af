// The limit for durable pushes: inserts rows as wide as a task's into SQLite, WAL and synchronous=FULL, and
// does nothing else. It prints seconds and rows per second; with -i, one commit per interval, the ns of each
// commit.
//
//   sqlite_limit [-b ROWS_PER_COMMIT] [-i INTERVAL_US] COUNT FILE
#include "common.h"

#include <sqlite3.h>
#include <unistd.h>

/// The columns of a task that has been pushed and not yet started, in one table without further indexes.
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
static const char* const insertion = "INSERT INTO tasks VALUES (NULL, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ?1, "
                                     "?1, 0, 0, 0, NULL, NULL, 0, ?2, NULL, ?3,"
                                     " NULL, ?3, NULL, NULL, NULL, 0);";

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

static void insert(sqlite3_stmt* statement, long number) {
  struct timespec at;
  clock_gettime(CLOCK_REALTIME, &at);
  const int64_t at_ms = (int64_t)at.tv_sec * 1000 + at.tv_nsec / 1000000;
  char id[40];
  char name[40];
  // An id has the 36 characters of a UUID.
  const int id_length =
      snprintf(id, sizeof id, "%012llx-%010lx-%012lx", (unsigned long long)at_ms, number, number);
  const int name_length = snprintf(name, sizeof name, "/bin/true %ld", number);
  check(sqlite3_bind_int64(statement, 1, at_ms), SQLITE_OK, "bind");
  check(sqlite3_bind_text(statement, 2, id, id_length, SQLITE_STATIC), SQLITE_OK, "bind");
  check(sqlite3_bind_text(statement, 3, name, name_length, SQLITE_STATIC), SQLITE_OK, "bind");
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
  execute("PRAGMA journal_mode = WAL;");
  execute("PRAGMA synchronous = FULL;");
  execute(schema);
  sqlite3_stmt* statement = NULL;
  check(sqlite3_prepare_v2(database, insertion, -1, &statement, NULL), SQLITE_OK, insertion);

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
      insert(statement, ++done);
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
