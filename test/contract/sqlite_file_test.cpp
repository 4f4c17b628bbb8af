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

TEST_CASE("sqlite: errors are told apart") {
  const auto told = [](int code, int system_errno) {
    return describe_sqlite_error(code, system_errno, "words", "/p");
  };
  REQUIRE_THAT(told(SQLITE_FULL, 0).message, Catch::Contains("disk is full"));
  REQUIRE_THAT(told(SQLITE_IOERR_SHMSIZE, ENOSPC).message, Catch::Contains("disk is full"));
  REQUIRE_THAT(told(SQLITE_IOERR_WRITE, EIO).message, Catch::Contains("check the disk"));
  REQUIRE_THAT(told(SQLITE_READONLY_DBMOVED, 0).message, Catch::Contains("read-only"));
  REQUIRE_THAT(told(SQLITE_BUSY_SNAPSHOT, 0).message, Catch::Contains("busy"));
  REQUIRE_THAT(told(SQLITE_CORRUPT_INDEX, 0).message, Catch::Contains("damaged"));
  REQUIRE_THAT(told(SQLITE_CANTOPEN, EACCES).message, Catch::Contains("cannot be opened"));
  for (const int code : {SQLITE_FULL, SQLITE_IOERR, SQLITE_READONLY, SQLITE_BUSY, SQLITE_CORRUPT,
                         SQLITE_NOMEM, SQLITE_CANTOPEN, SQLITE_INTERRUPT}) {
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
  REQUIRE(
      plan_of("SELECT * FROM tasks INDEXED BY tasks_pending WHERE state = 0 AND channel = ? AND sequence > ? "
              "ORDER BY sequence") == "SEARCH tasks USING INDEX tasks_pending (channel=? AND rowid>?)\n");
  REQUIRE(plan_of("SELECT * FROM tasks INDEXED BY tasks_delayed WHERE state = 1 AND channel = ? AND "
                  "not_before_ms <= ? ORDER BY not_before_ms, sequence LIMIT ?") ==
          "SEARCH tasks USING INDEX tasks_delayed (channel=? AND not_before_ms<?)\n");
  REQUIRE(plan_of("SELECT * FROM tasks WHERE id = ?") == "SEARCH tasks USING INDEX tasks_by_id (id=?)\n");
  REQUIRE(plan_of("SELECT max(sequence) FROM tasks") == "SEARCH tasks\n");
  REQUIRE(plan_of("SELECT position FROM origin_marks WHERE batch = ? ORDER BY position") ==
          "SEARCH origin_marks USING PRIMARY KEY (batch=?)\n");
}
