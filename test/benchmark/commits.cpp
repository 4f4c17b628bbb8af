// Commits of the embedded store through its thread: pushes, leases and ends, few and many in one transaction.
// Beside them stands a bare SQLite loop with the same durability, so that what the store adds can be told.
#include "services/store/group_commit.hpp"
#include "services/store/sqlite_store.hpp"
#include "test/benchmark/support.hpp"
#include "test/support/temp_dir.hpp"

#include <chrono>
#include <memory>
#include <sqlite3.h>
#include <utility>
#include <vector>

namespace task_runner::benchmarks {

namespace {

using steady = std::chrono::steady_clock;

/// The store's thread over a file of its own.
class committing_store {
public:
  /// Why it could not be opened; empty when it is.
  std::string open() {
    auto store = open_sqlite_store(directory_ / "task-runner.db");
    if (!store)
      return store.failure().message;
    auto writer = group_commit::start(std::move(*store));
    if (!writer)
      return writer.failure().message;
    writer_ = std::move(*writer);
    channel_record record;
    record.name = "default";
    std::vector<store_operation> saves;
    saves.emplace_back(save_channel{std::move(record)});
    return commit(std::move(saves)) ? std::string() : "the channel was not saved";
  }

  /// One transaction; whether all of it was done.
  bool commit(std::vector<store_operation> operations) {
    return submit(std::move(operations)) && done_.reach(submitted_);
  }

  /// As many submissions as there are operations, all at once; the thread gathers them.
  bool commit_each(std::vector<store_operation> operations) {
    for (auto& operation : operations) {
      std::vector<store_operation> alone;
      alone.push_back(std::move(operation));
      if (!submit(std::move(alone)))
        return false;
    }
    return done_.reach(submitted_);
  }

private:
  bool submit(std::vector<store_operation> operations) {
    ++submitted_;
    return bool(
        writer_->submit(std::move(operations), [this](const result<std::vector<store_answer>>& answers) {
          if (all_done(answers))
            done_.add();
        }));
  }

  static bool all_done(const result<std::vector<store_answer>>& answers) {
    if (!answers)
      return false;
    for (const auto& answer : *answers) {
      const auto* inserted = std::get_if<insert_answer>(&answer);
      const auto* changed = std::get_if<change_answer>(&answer);
      if ((inserted != nullptr && inserted->what != insert_answer::kind::inserted) ||
          (changed != nullptr && !changed->applied))
        return false;
    }
    return true;
  }

  test::temp_dir directory_{"tr-micro"};
  arrivals done_;
  uint64_t submitted_ = 0;
  std::unique_ptr<group_commit> writer_;
};

std::vector<store_operation> inserts(uint64_t first, uint64_t count, bool running) {
  std::vector<store_operation> operations;
  operations.reserve(count);
  for (uint64_t number = first; number < first + count; ++number) {
    insert_task insert;
    insert.value = make_task(number);
    if (running) {
      insert.value.state = task_state::running;
      insert.value.attempt = 1;
      insert.value.started_at_ms = some_moment_ms;
      insert.value.launcher_id = 1;
    }
    operations.emplace_back(std::move(insert));
  }
  return operations;
}

std::vector<store_operation> leases(uint64_t first, uint64_t count) {
  std::vector<store_operation> operations;
  operations.reserve(count);
  for (uint64_t number = first; number < first + count; ++number)
    operations.emplace_back(lease_task{task_id_of(number), 1, some_moment_ms, 1});
  return operations;
}

std::vector<store_operation> settles(uint64_t first, uint64_t count) {
  std::vector<store_operation> operations;
  operations.reserve(count);
  for (uint64_t number = first; number < first + count; ++number) {
    settle_task settle;
    settle.id = task_id_of(number);
    settle.attempt = 1;
    settle.started_at_ms = some_moment_ms;
    settle.ended_at_ms = some_moment_ms;
    operations.emplace_back(std::move(settle));
  }
  return operations;
}

enum class kind : uint8_t { push, push_each, lease, settle };

/// Times commits of one kind; what they need is put in beforehand, untimed.
void commit(benchmark::State& state, kind what) {
  const auto count = static_cast<uint64_t>(state.range(0));
  committing_store store;
  if (const auto why = store.open(); !why.empty()) {
    state.SkipWithError(why.c_str());
    return;
  }
  uint64_t next = 1;
  for (auto _ : state) {
    bool done = true;
    if (what == kind::lease || what == kind::settle)
      done = store.commit(inserts(next, count, what == kind::settle));
    auto operations = what == kind::lease    ? leases(next, count)
                      : what == kind::settle ? settles(next, count)
                                             : inserts(next, count, false);
    next += count;
    const auto began = steady::now();
    done = done && (what == kind::push_each ? store.commit_each(std::move(operations))
                                            : store.commit(std::move(operations)));
    state.SetIterationTime(std::chrono::duration<double>(steady::now() - began).count());
    if (!done) {
      state.SkipWithError("an operation was not done");
      break;
    }
  }
  // Many operations in one transaction cost more than its being made durable.
  hold_against(state, count < 256 ? sync_4k : cpu);
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK_CAPTURE(commit, push, kind::push)->Name("commit/push")->Arg(1)->Arg(16)->Arg(256)->UseManualTime();
BENCHMARK_CAPTURE(commit, push_each, kind::push_each)->Name("commit/push_each")->Arg(256)->UseManualTime();
BENCHMARK_CAPTURE(commit, lease, kind::lease)
    ->Name("commit/lease")
    ->Arg(1)
    ->Arg(16)
    ->Arg(256)
    ->UseManualTime();
BENCHMARK_CAPTURE(commit, settle, kind::settle)
    ->Name("commit/settle")
    ->Arg(1)
    ->Arg(16)
    ->Arg(256)
    ->UseManualTime();

/// Rows like a task's, with the two indexes that no queue can do without, in a loop on this thread.
class bare_sqlite {
public:
  bare_sqlite() {
    if (::sqlite3_open((directory_ / "bare.db").c_str(), &handle_) != SQLITE_OK)
      return;
    ready_ =
        run("PRAGMA journal_mode=WAL") && run("PRAGMA synchronous=FULL") &&
        run("CREATE TABLE tasks (sequence INTEGER PRIMARY KEY, channel INTEGER NOT NULL, state INTEGER NOT "
            "NULL, created_at_ms INTEGER NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL) STRICT") &&
        run("CREATE UNIQUE INDEX by_id ON tasks (id)") &&
        run("CREATE INDEX pending ON tasks (channel) WHERE state = 0") &&
        prepare("BEGIN IMMEDIATE", begin_) && prepare("COMMIT", commit_) &&
        prepare("INSERT INTO tasks (channel, state, created_at_ms, id, name) VALUES (1, 0, ?, ?, ?)",
                insert_);
  }
  ~bare_sqlite() {
    ::sqlite3_finalize(begin_);
    ::sqlite3_finalize(commit_);
    ::sqlite3_finalize(insert_);
    ::sqlite3_close(handle_);
  }
  bare_sqlite(const bare_sqlite&) = delete;
  bare_sqlite& operator=(const bare_sqlite&) = delete;

  bool insert(const std::vector<task>& tasks) {
    bool done = ready_ && step(begin_);
    for (const auto& value : tasks) {
      done = done && ::sqlite3_bind_int64(insert_, 1, value.created_at_ms) == SQLITE_OK &&
             bind_text(2, value.id) && bind_text(3, value.name) && step(insert_);
    }
    return done && step(commit_);
  }

private:
  bool run(const char* sql) { return ::sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr) == SQLITE_OK; }
  bool prepare(const char* sql, sqlite3_stmt*& statement) {
    return ::sqlite3_prepare_v2(handle_, sql, -1, &statement, nullptr) == SQLITE_OK;
  }
  bool bind_text(int place, const std::string& text) {
    return ::sqlite3_bind_text(insert_, place, text.data(), static_cast<int>(text.size()), SQLITE_STATIC) ==
           SQLITE_OK;
  }
  static bool step(sqlite3_stmt* statement) {
    const bool done = ::sqlite3_step(statement) == SQLITE_DONE;
    return ::sqlite3_reset(statement) == SQLITE_OK && done;
  }

  test::temp_dir directory_{"tr-micro"};
  sqlite3* handle_ = nullptr;
  sqlite3_stmt* begin_ = nullptr;
  sqlite3_stmt* commit_ = nullptr;
  sqlite3_stmt* insert_ = nullptr;
  bool ready_ = false;
};

void commit_bare(benchmark::State& state) {
  const auto count = static_cast<uint64_t>(state.range(0));
  bare_sqlite store;
  uint64_t next = 1;
  for (auto _ : state) {
    std::vector<task> tasks;
    for (uint64_t i = 0; i < count; ++i)
      tasks.push_back(make_task(next++));
    const auto began = steady::now();
    const bool done = store.insert(tasks);
    state.SetIterationTime(std::chrono::duration<double>(steady::now() - began).count());
    if (!done) {
      state.SkipWithError("SQLite failed");
      break;
    }
  }
  hold_against(state, count < 256 ? sync_4k : cpu);
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(commit_bare)->Name("commit/bare_sqlite")->Arg(1)->Arg(16)->Arg(256)->UseManualTime();

} // namespace

} // namespace task_runner::benchmarks
