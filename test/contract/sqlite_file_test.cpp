// The embedded store's file: recognized, refused, upgraded, durable, and flat in memory.
// Whatever is wrong with a file, it is left as it was found.
#include "services/store/schema.hpp"
#include "services/store/sqlite_connection.hpp"
#include "services/store/sqlite_store.hpp"
#include "services/store/store_rules.hpp"
#include "test/contract/store_support.hpp"

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <sys/stat.h>
#include <unistd.h>

using namespace task_runner;
using namespace task_runner::test;

namespace {

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

/// Every file of the directory with what is in it.
std::map<std::string, std::string> snapshot(const temporary_directory& directory) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(directory.path()))
    files[entry.path().filename()] = contents(entry.path());
  return files;
}

/// Runs statements on a file that need not be a store.
void run_sql(const std::string& path, const std::string& sql) {
  if (!std::filesystem::exists(path))
    write_file(path, "");
  const auto run = guarded([&] { sqlite_connection(path).execute(sql); });
  if (!run)
    FAIL(run.failure().message);
}

/// A store with tasks in it, closed.
void make_store(const sqlite_backend& backend, int tasks) {
  auto store = require_value(open_sqlite_store(backend.path()));
  std::vector<store_operation> operations;
  for (int i = 0; i < tasks; ++i)
    operations.push_back(insert_task{make_task("t" + std::to_string(i)), std::nullopt});
  require_value(store->apply(operations));
}

/// Demands that opening fails with this code and words, and touches nothing.
void require_refused(const sqlite_backend& backend, error_code code, const std::string& words) {
  const auto before = snapshot(backend.directory);
  const auto refused = open_sqlite_store(backend.path());
  REQUIRE_FALSE(refused);
  INFO(refused.failure().message);
  REQUIRE(to_string(refused.failure().code) == to_string(code));
  REQUIRE_THAT(refused.failure().message, Catch::Contains(words) && Catch::Contains(backend.path()));
  const auto after = snapshot(backend.directory);
  REQUIRE(after.at("task-runner.db") == before.at("task-runner.db"));
  for (const auto& [name, bytes] : before)
    if (name != "task-runner.db-shm")
      REQUIRE(after.at(name) == bytes);
}

} // namespace

TEST_CASE("sqlite: everything survives closing and opening") {
  sqlite_backend backend;
  std::string before;
  {
    auto store = backend.open();
    insert(*store, make_distinct_task("a", "biz", "k"), push_origin{3, 1});
    insert(*store, make_delayed_task("b", "biz", 77));
    insert(*store, make_task("c", "cron"));
    change(*store, lease_task{"c", 1, 9});
    insert(*store, make_task("d", "cron"));
    change(*store, lease_task{"d", 1, 9});
    change(*store, settle_task{"d", 1, task_state::dead, {outcome_kind::signalled, 9, ""}, 8, 10, 0});
    channel_record record;
    record.name = "biz";
    record.worker = 3;
    change(*store, save_channel{record});
    before = render_all(*store, {"biz", "cron"}, {"a", "b", "c", "d"}, {3});
  }
  auto store = backend.open();
  REQUIRE(render_all(*store, {"biz", "cron"}, {"a", "b", "c", "d"}, {3}) == before);
  REQUIRE(insert(*store, make_task("e")).sequence == 5);
  REQUIRE(insert(*store, make_distinct_task("f", "biz", "k")).holder_id == "a");
  REQUIRE(insert(*store, make_task("g"), push_origin{3, 1}).what == insert_answer::kind::duplicate_origin);
}

TEST_CASE("sqlite: places are not given again after the last task was deleted") {
  sqlite_backend backend;
  make_store(backend, 5);
  run_sql(backend.path(), "DELETE FROM tasks; UPDATE channel_counts SET pending = 0");
  auto store = backend.open();
  REQUIRE(insert(*store, make_task("next")).sequence == 6);
}

TEST_CASE("sqlite: the file is for its owner alone") {
  sqlite_backend backend;
  const auto mask = ::umask(0);
  auto store = backend.open();
  insert(*store, make_task("a"));
  ::umask(mask);
  for (const char* const suffix : {"", "-wal", "-shm"}) {
    struct stat info {};
    REQUIRE(::stat((backend.path() + suffix).c_str(), &info) == 0);
    REQUIRE((info.st_mode & 07777) == 0600);
  }
  store.reset();
  REQUIRE(::chmod(backend.path().c_str(), 0644) == 0);
  store = backend.open();
  struct stat info {};
  REQUIRE(::stat(backend.path().c_str(), &info) == 0);
  REQUIRE((info.st_mode & 07777) == 0600);
}

TEST_CASE("sqlite: a new file is marked as a store and carries its version") {
  sqlite_backend backend;
  make_store(backend, 1);
  const auto checked = guarded([&] {
    sqlite_connection connection(backend.path());
    REQUIRE(connection.query_number("PRAGMA application_id") == store_application_id);
    REQUIRE(connection.query_number("PRAGMA user_version") == schema_version());
    REQUIRE(connection.query_text("PRAGMA journal_mode") == "wal");
  });
  REQUIRE(checked);
  REQUIRE_FALSE(std::filesystem::exists(backend.path() + ".new"));
}

TEST_CASE("sqlite: what an interrupted creation left is cleared away") {
  sqlite_backend backend;
  write_file(backend.path() + ".new", "half a database");
  write_file(backend.path() + ".new-journal", "half a journal");
  make_store(backend, 1);
  REQUIRE_FALSE(std::filesystem::exists(backend.path() + ".new"));
  REQUIRE_FALSE(std::filesystem::exists(backend.path() + ".new-journal"));
  require_sound_file(backend.path());
}

TEST_CASE("sqlite: a newer store is refused") {
  sqlite_backend backend;
  make_store(backend, 3);
  run_sql(backend.path(), "PRAGMA user_version = " + std::to_string(schema_version() + 1));
  require_refused(backend, error_code::conflict, "newer TaskRunner");
}

TEST_CASE("sqlite: a newer store is refused when only its log says so") {
  sqlite_backend backend;
  make_store(backend, 3);
  // A connection that stays open keeps its change in the log.
  const auto done = guarded([&] {
    sqlite_connection writer(backend.path());
    writer.execute("PRAGMA wal_autocheckpoint = 0");
    writer.execute("PRAGMA user_version = 99");
    sqlite_backend copy;
    for (const char* const suffix : {"", "-wal"})
      std::filesystem::copy_file(backend.path() + suffix, copy.path() + suffix);
    REQUIRE(std::filesystem::file_size(copy.path() + "-wal") > 0);
    require_refused(copy, error_code::conflict, "newer TaskRunner");
  });
  REQUIRE(done);
}

TEST_CASE("sqlite: another program's database is refused") {
  sqlite_backend backend;
  SECTION("without a mark") {
    run_sql(backend.path(), "CREATE TABLE tasks (id TEXT)");
  }
  SECTION("with a mark of its own") {
    run_sql(backend.path(), "PRAGMA application_id = 252006674; CREATE TABLE tasks (id TEXT)");
  }
  SECTION("with a log") {
    run_sql(backend.path(), "PRAGMA journal_mode = WAL; CREATE TABLE tasks (id TEXT)");
  }
  require_refused(backend, error_code::conflict, "another program");
}

TEST_CASE("sqlite: what is no database is refused") {
  sqlite_backend backend;
  SECTION("garbage") {
    write_file(backend.path(), std::string(20'000, 'g'));
    require_refused(backend, error_code::conflict, "not a TaskRunner store");
  }
  SECTION("a short text") {
    write_file(backend.path(), "hello\n");
    require_refused(backend, error_code::conflict, "not a TaskRunner store");
  }
  SECTION("nothing at all") {
    write_file(backend.path(), "");
    require_refused(backend, error_code::unavailable, "damaged");
  }
  SECTION("a directory") {
    REQUIRE(::mkdir(backend.path().c_str(), 0700) == 0);
    const auto refused = open_sqlite_store(backend.path());
    REQUIRE_FALSE(refused);
    REQUIRE(refused.failure().code == error_code::conflict);
  }
}

TEST_CASE("sqlite: a store that was cut short is refused") {
  sqlite_backend backend;
  make_store(backend, 2'000);
  const std::string whole = contents(backend.path());
  REQUIRE(whole.size() > 100'000);
  for (const size_t size :
       {size_t{50}, size_t{100}, size_t{600}, size_t{4'096}, size_t{10'000}, whole.size() - 4'096}) {
    INFO("cut to " << size);
    write_file(backend.path(), whole.substr(0, size));
    require_refused(backend, error_code::unavailable, "damaged");
  }
}

TEST_CASE("sqlite: a store with a damaged page says so and stays") {
  sqlite_backend backend;
  make_store(backend, 10);
  std::string bytes = contents(backend.path());
  SECTION("the tables are unreadable") {
    for (size_t i = 100; i < 4'000; ++i)
      bytes[i] = '\x5a';
    write_file(backend.path(), bytes);
    require_refused(backend, error_code::unavailable, "damaged");
  }
  SECTION("a task is unreadable") {
    // The state of one task, set to what no program writes.
    run_sql(backend.path(), "UPDATE tasks SET state = 0, command_argv = x'ff00000041' WHERE id = 't3'");
    auto store = backend.open();
    const auto found = store->find_task("t3");
    REQUIRE_FALSE(found);
    REQUIRE(found.failure().code == error_code::unavailable);
    REQUIRE_THAT(found.failure().message, Catch::Contains("damaged") && Catch::Contains("t3"));
    REQUIRE(require_value(store->find_task("t4")));
  }
}

TEST_CASE("sqlite: a log without its database is not overlooked") {
  sqlite_backend backend;
  write_file(backend.path() + "-wal", "frames with tasks in them");
  const auto refused = open_sqlite_store(backend.path());
  REQUIRE_FALSE(refused);
  REQUIRE(refused.failure().code == error_code::unavailable);
  REQUIRE_THAT(refused.failure().message, Catch::Contains("missing"));
  REQUIRE_FALSE(std::filesystem::exists(backend.path()));
  REQUIRE(contents(backend.path() + "-wal") == "frames with tasks in them");
}

TEST_CASE("sqlite: a directory that is not there is named") {
  const auto refused = open_sqlite_store("/nonexistent/task-runner.db");
  REQUIRE_FALSE(refused);
  REQUIRE(refused.failure().code == error_code::unavailable);
  REQUIRE_THAT(refused.failure().message, Catch::Contains("/nonexistent/task-runner.db"));
}

TEST_CASE("sqlite: migrations run in order and each one whole") {
  temporary_directory directory;
  const std::string path = directory.file("migrated.db");
  write_file(path, "");
  const auto checked = guarded([&] {
    sqlite_connection connection(path);
    std::vector<schema_migration> steps = {{"first", "CREATE TABLE a (x); INSERT INTO a VALUES (1)"}};
    REQUIRE(migrate_schema(connection, steps) == 1);
    REQUIRE(migrate_schema(connection, steps) == 0);
    steps.push_back({"second", "UPDATE a SET x = x + 1"});
    steps.push_back({"third", "CREATE TABLE b (y); this is no statement"});
    const auto failed = guarded([&] { return migrate_schema(connection, steps); });
    REQUIRE_FALSE(failed);
    // The second stands, the third left nothing.
    REQUIRE(connection.query_number("PRAGMA user_version") == 2);
    REQUIRE(connection.query_number("SELECT x FROM a") == 2);
    REQUIRE(connection.query_number("SELECT count(*) FROM sqlite_schema WHERE name = 'b'") == 0);
    steps.back() = {"third, mended", "CREATE TABLE b (y)"};
    REQUIRE(migrate_schema(connection, steps) == 1);
    REQUIRE(connection.query_number("PRAGMA user_version") == 3);
    REQUIRE(connection.query_number("SELECT x FROM a") == 2);
    steps.resize(1);
    const auto newer = guarded([&] { return migrate_schema(connection, steps); });
    REQUIRE_FALSE(newer);
    REQUIRE(newer.failure().code == error_code::conflict);
  });
  if (!checked)
    FAIL(checked.failure().message);
}

TEST_CASE("sqlite: a store of version 1 is upgraded with everything in it") {
  sqlite_backend backend;
  write_file(backend.path(), "");
  const auto made = guarded([&] {
    sqlite_connection connection(backend.path());
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL");
    connection.execute("PRAGMA application_id = " + std::to_string(store_application_id));
    REQUIRE(migrate_schema(connection, {schema_migrations().front()}) == 1);
    connection.execute(R"sql(
      INSERT INTO channel_counts (number, name, pending, delayed, running, ended) VALUES
        (1, 'biz', 2, 1, 0, 1), (2, 'cron', 0, 0, 1, 1);
      INSERT INTO tasks (sequence, channel, state, attempt, recoveries, created_at_ms, not_before_ms,
          started_at_ms, ended_at_ms, outcome_kind, outcome_code, outcome_error, id, distinct_key, name,
          command_line, command_argv) VALUES
        (1, 1, 0, 0, 0, 11, 0, 0, 0, NULL, NULL, NULL, 'pending', 'k', 'date', NULL, NULL),
        (2, 1, 0, 1, 1, 12, 0, 5, 6, 6, 0, NULL, 'lost', NULL, 'n', 'echo a | cat', NULL),
        (3, 1, 1, 0, 0, 13, 900, 0, 0, NULL, NULL, NULL, 'delayed', NULL, 'n', NULL, x'0100000061'),
        (5, 2, 2, 1, 0, 14, 0, 7, 0, NULL, NULL, NULL, 'running', 'k', 'sleep 9', NULL, NULL),
        (6, 1, 3, 1, 0, 15, 0, 7, 8, 0, 0, NULL, 'finished', 'k', 'true', NULL, NULL),
        (7, 2, 4, 2, 0, 16, 0, 7, 9, 3, 0, 'no such file', 'dead', NULL, 'nope', NULL, NULL);
      INSERT INTO channels (name, is_distinct, worker, ini_distinct, ini_worker, created_at_ms) VALUES
        ('biz', 1, 3, 0, 4, 77), ('cron', 0, NULL, NULL, NULL, 78);
      INSERT INTO origin_marks (batch, position) VALUES (4, 0), (4, 2), (4, 63), (4, 64), (9, 191);
      UPDATE store_state SET value = 8 WHERE name = 'next_sequence';
    )sql");
  });
  if (!made)
    FAIL(made.failure().message);
  auto store = backend.open();
  const auto rendered = [&](const std::string& id) { return render(*require_value(store->find_task(id))); };
  const std::string untouched = " priority=0 concurrency=/0";
  REQUIRE(rendered("pending") == "task pending #1 in biz pending name=date line= argv=0 key=k" + untouched +
                                     " attempt=0 before=0 recoveries=0 created=11 not_before=0 expires=0 "
                                     "started=0 ended=0 output=0");
  REQUIRE(rendered("lost") == "task lost #2 in biz pending name=n line=echo a | cat argv=0 key=" + untouched +
                                  " attempt=1 before=0 recoveries=1 created=12 not_before=0 expires=0 "
                                  "started=5 ended=6 output=0 outcome=lost/0/");
  REQUIRE(rendered("delayed") == "task delayed #3 in biz delayed name=n line= argv=1[a] key=" + untouched +
                                     " attempt=0 before=0 recoveries=0 created=13 not_before=900 expires=0 "
                                     "started=0 ended=0 output=0");
  REQUIRE(rendered("dead") == "task dead #7 in cron dead name=nope line= argv=0 key=" + untouched +
                                  " attempt=2 before=0 recoveries=0 created=16 not_before=0 expires=0 "
                                  "started=7 ended=9 output=0 outcome=spawn_failed/0/no such file");
  REQUIRE(ids_of(require_value(store->load_pending("biz", order_front, {}))) ==
          std::vector<std::string>{"pending", "lost"});
  REQUIRE(ids_of(require_value(store->recover_channel("cron")).running) ==
          std::vector<std::string>{"running"});
  REQUIRE(require_value(store->recover_channel("biz")).next_due_ms == 900);
  REQUIRE(require_value(store->load_marks(4)) == std::vector<uint32_t>{0, 2, 63, 64});
  REQUIRE(require_value(store->load_marks(9)) == std::vector<uint32_t>{191});
  const auto records = require_value(store->load_channels());
  REQUIRE(records.size() == 2);
  REQUIRE(render(records[0]) == "channel biz distinct=until-finished worker=3 weight=1 tasks_max=- "
                                "defaults={} ini=0/4/-/-/{} created=77");
  REQUIRE(render(records[1]) == "channel cron distinct=off worker=- weight=1 tasks_max=- defaults={} "
                                "ini=-/-/-/-/{} created=78");
  // It is a store like any other now.
  REQUIRE(insert(*store, make_distinct_task("x", "biz", "k")).holder_id == "pending");
  REQUIRE(insert(*store, make_task("new", "biz")).sequence == 8);
  REQUIRE(change(*store, settled("running", 1, task_state::finished)));
  REQUIRE(change(*store, retry_task{"dead", 1}));
  REQUIRE(std::get<purge_answer>(apply_one(*store, purge_ended{9, 0, 0, 0, 0, 9})).tasks == 1);
  REQUIRE_FALSE(require_value(store->find_task("finished")));
  store.reset();
  require_sound_file(backend.path());
}

TEST_CASE("sqlite: errors are told apart") {
  const auto told = [](int code, int system_errno) {
    return describe_sqlite_error(code, system_errno, "words", "/p");
  };
  REQUIRE_THAT(told(SQLITE_FULL, 0).message, Catch::Contains("disk is full"));
  REQUIRE_THAT(told(SQLITE_IOERR_SHMSIZE, ENOSPC).message, Catch::Contains("disk is full"));
  REQUIRE_THAT(told(SQLITE_IOERR_WRITE, EIO).message, Catch::Contains("check the disk"));
  REQUIRE_THAT(told(SQLITE_READONLY, 0).message, Catch::Contains("read-only"));
  REQUIRE_THAT(told(SQLITE_READONLY_DIRECTORY, 0).message, Catch::Contains("owner and mode"));
  REQUIRE_THAT(told(SQLITE_READONLY_DBMOVED, 0).message, Catch::Contains("put them back"));
  REQUIRE_THAT(told(SQLITE_BUSY_SNAPSHOT, 0).message, Catch::Contains("busy"));
  REQUIRE_THAT(told(SQLITE_CORRUPT_INDEX, 0).message, Catch::Contains("damaged"));
  REQUIRE_THAT(told(SQLITE_CANTOPEN, EACCES).message, Catch::Contains("cannot be opened"));
  REQUIRE_THAT(told(SQLITE_CANTOPEN, EMFILE).message, Catch::Contains("ulimit -n"));
  REQUIRE_THAT(told(SQLITE_CANTOPEN_FULLPATH, ENFILE).message, Catch::Contains("fs.file-max"));
  REQUIRE_THAT(told(SQLITE_IOERR_WRITE, EFBIG).message, Catch::Contains("ulimit -f"));
  REQUIRE_THAT(told(SQLITE_IOERR_WRITE, EROFS).message, Catch::Contains("read-only"));
  REQUIRE_THAT(told(SQLITE_IOERR_SHMLOCK, ENOLCK).message, Catch::Contains("local disk"));
  REQUIRE_THAT(told(SQLITE_IOERR_NOMEM, 0).message, Catch::Contains("memory"));
  REQUIRE_THAT(told(SQLITE_AUTH, 0).message, Catch::Contains("put them back"));
  REQUIRE_THAT(told(SQLITE_SCHEMA, 0).message, Catch::Contains("another program"));
  REQUIRE_THAT(told(SQLITE_INTERNAL, 0).message, Catch::Contains("restart the daemon"));
  // An errno of an earlier failure says nothing about this one.
  REQUIRE_THAT(told(SQLITE_CORRUPT, ENOSPC).message,
               Catch::Contains("damaged") && !Catch::Contains("disk is full"));
  for (const int code : {SQLITE_FULL, SQLITE_IOERR, SQLITE_READONLY, SQLITE_BUSY, SQLITE_CORRUPT,
                         SQLITE_NOMEM, SQLITE_CANTOPEN, SQLITE_INTERRUPT, SQLITE_AUTH, SQLITE_NOLFS,
                         SQLITE_PROTOCOL, SQLITE_PERM, SQLITE_ABORT, SQLITE_INTERNAL}) {
    REQUIRE(told(code, 0).code == error_code::unavailable);
    REQUIRE_THAT(told(code, 0).message, Catch::Contains("words") && Catch::Contains("/p"));
  }
  REQUIRE(told(SQLITE_TOOBIG, 0).code == error_code::too_large);
  REQUIRE(told(SQLITE_CONSTRAINT_UNIQUE, 0).code == error_code::internal);
}

TEST_CASE("sqlite: a store that another process holds is busy and then usable again") {
  sqlite_backend backend;
  auto store = backend.open();
  insert(*store, make_task("a"));
  const auto checked = guarded([&] {
    sqlite_connection other(backend.path());
    other.execute("BEGIN IMMEDIATE");
    const auto refused = store->apply({insert_task{make_task("b"), std::nullopt}});
    REQUIRE_FALSE(refused);
    REQUIRE(refused.failure().code == error_code::unavailable);
    REQUIRE_THAT(refused.failure().message, Catch::Contains("busy"));
    // Readers are not kept out.
    REQUIRE(require_value(store->find_task("a")));
    other.execute("ROLLBACK");
  });
  REQUIRE(checked);
  REQUIRE(insert(*store, make_task("b")).what == insert_answer::kind::inserted);
}

TEST_CASE("sqlite: no search walks over rows it does not return") {
  // The store pins its indexes (INDEXED BY); what is left to the planner is checked here.
  sqlite_backend backend;
  make_store(backend, 10);
  const auto plan_of = [&](const std::string& sql) {
    std::string plan;
    const auto checked = guarded([&] {
      sqlite_connection connection(backend.path());
      sqlite_statement statement(connection, ("EXPLAIN QUERY PLAN " + sql).c_str());
      sqlite_statement::run run(statement);
      while (run.next())
        plan += run.text_at(3) + "\n";
    });
    REQUIRE(checked);
    return plan;
  };
  REQUIRE(plan_of("SELECT * FROM tasks INDEXED BY tasks_pending WHERE state = 0 AND held = 0 AND channel = ? "
                  "AND priority = ? AND sequence > ? ORDER BY sequence") ==
          "SEARCH tasks USING INDEX tasks_pending (channel=? AND priority=? AND rowid>?)\n");
  REQUIRE(plan_of("SELECT * FROM tasks INDEXED BY tasks_pending WHERE state = 0 AND held = 0 AND channel = ? "
                  "AND priority < ? ORDER BY priority DESC, sequence") ==
          "SEARCH tasks USING INDEX tasks_pending (channel=? AND priority<?)\n");
  REQUIRE(plan_of("SELECT * FROM tasks INDEXED BY tasks_expiring WHERE channel = ? AND expires_at_ms > 0 AND "
                  "state < 2 AND attempt = attempts_before AND expires_at_ms <= ? ORDER BY expires_at_ms, "
                  "sequence LIMIT ?") ==
          "SEARCH tasks USING INDEX tasks_expiring (channel=? AND expires_at_ms>? AND expires_at_ms<?)\n");
  REQUIRE(plan_of("SELECT * FROM tasks INDEXED BY tasks_keyed WHERE concurrency_key IS NOT NULL AND "
                  "(state = 0 OR state = 2) AND channel = ? AND concurrency_key = ? AND held = 1 "
                  "ORDER BY priority DESC, sequence LIMIT 1") ==
          "SEARCH tasks USING INDEX tasks_keyed (channel=? AND concurrency_key=? AND held=?)\n");
  REQUIRE(plan_of("SELECT sequence FROM tasks INDEXED BY tasks_by_state WHERE (state = 1 OR state = 2 OR "
                  "state = 4 OR held = 1) "
                  "AND channel = ? AND sequence < ? AND state = ? ORDER BY sequence DESC LIMIT 1") ==
          "SEARCH tasks USING INDEX tasks_by_state (channel=? AND state=? AND rowid<?)\n");
  REQUIRE(plan_of("SELECT id FROM tasks INDEXED BY tasks_ended WHERE state > 2 AND state = ? "
                  "ORDER BY ended_at_ms, sequence LIMIT 1") ==
          "SEARCH tasks USING INDEX tasks_ended (state=?)\n");
  REQUIRE(plan_of("SELECT * FROM tasks INDEXED BY tasks_delayed WHERE state = 1 AND channel = ? AND "
                  "not_before_ms <= ? ORDER BY not_before_ms, sequence LIMIT ?") ==
          "SEARCH tasks USING INDEX tasks_delayed (channel=? AND not_before_ms<?)\n");
  REQUIRE(plan_of("SELECT * FROM tasks WHERE id = ?") == "SEARCH tasks USING INDEX tasks_by_id (id=?)\n");
  REQUIRE(plan_of("SELECT max(sequence) FROM tasks") == "SEARCH tasks\n");
  REQUIRE(plan_of("SELECT block, bits FROM origin_marks WHERE batch = ? ORDER BY block") ==
          "SEARCH origin_marks USING PRIMARY KEY (batch=?)\n");
}
