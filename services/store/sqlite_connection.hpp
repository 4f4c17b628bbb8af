// A thin, checked face over SQLite's C interface: a connection, prepared statements, a transaction.
// Inside services/store an SQLite error travels as the exception sqlite_failure; no other component sees one.
#pragma once

#include "services/domain/error.hpp"
#include "services/domain/result.hpp"

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <sqlite3.h>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace task_runner {

/// Carries an error from SQLite's calls to the edge of the store (see `guarded`), and never past it.
class sqlite_failure final : public std::exception {
public:
  explicit sqlite_failure(error why)
      : why_(std::move(why)) {}
  const error& why() const noexcept { return why_; }
  const char* what() const noexcept override { return why_.message.c_str(); }

private:
  error why_;
};

/// Tells apart what a person can do something about. `code` is an (extended) SQLite result code,
/// `system_errno` the errno behind it or 0, `message` SQLite's own words, `path` the database.
/// The code is `unavailable` for every condition of the store (full, locked, damaged, I/O), `too_large` for a
/// value over SQLite's limit, and `internal` for a statement that should never fail.
error describe_sqlite_error(int code, int system_errno, std::string_view message, std::string_view path);

/// One connection. Movable, not thread-safe.
class sqlite_connection {
public:
  /// Opens an existing file for reading and writing. Throws sqlite_failure.
  explicit sqlite_connection(const std::string& path);

  sqlite3* raw() const noexcept { return handle_.get(); }
  const std::string& path() const noexcept { return path_; }

  /// Runs one or more statements that return nothing of interest.
  void execute(const char* sql);
  void execute(const std::string& sql) { execute(sql.c_str()); }

  /// Runs a statement and returns the first column of its first row, 0 when it has none.
  int64_t query_number(const char* sql);

  /// As query_number, for a text.
  std::string query_text(const char* sql);

  /// Begins a write transaction: takes the write lock now, so that nothing fails half-way for want of it.
  void begin();

  /// Commits it, unless the files are not in their place (see watch_place), which throws.
  void commit();

  /// From now on `in_place` is asked before each commit whether the files are still what stands under their
  /// names; false denies it.
  void watch_place(std::function<bool()> in_place) { in_place_ = std::move(in_place); }

  /// Throws the error that `code` stands for.
  [[noreturn]] void fail(int code) const;

  /// Throws that the database is damaged, in this way.
  [[noreturn]] void fail_damaged(const std::string& how) const;

private:
  struct closer {
    void operator()(sqlite3* handle) const noexcept { sqlite3_close_v2(handle); }
  };
  struct finalizer {
    void operator()(sqlite3_stmt* handle) const noexcept { sqlite3_finalize(handle); }
  };
  using statement_handle = std::unique_ptr<sqlite3_stmt, finalizer>;

  /// Runs a statement without placeholders and rows, compiled at its first use.
  void run_kept(statement_handle& kept, const char* sql);

  std::unique_ptr<sqlite3, closer> handle_;
  statement_handle begin_;
  statement_handle commit_;
  std::function<bool()> in_place_;
  std::string path_;
};

/// One prepared statement, compiled once and run many times. The connection must outlive it.
class sqlite_statement {
public:
  sqlite_statement(sqlite_connection& connection, const char* sql);

  /// One execution: bind in the order of the placeholders, then step. Resets the statement when it ends.
  /// Bound texts are NOT copied: they must outlive the run.
  class run {
  public:
    explicit run(sqlite_statement& statement) noexcept
        : statement_(statement) {}
    ~run() {
      sqlite3_reset(statement_.handle_.get());
      sqlite3_clear_bindings(statement_.handle_.get());
    }
    run(const run&) = delete;
    run& operator=(const run&) = delete;

    run& number(int64_t value);
    run& text(std::string_view value);
    /// NULL for the empty text.
    run& text_or_null(std::string_view value);
    run& blob_or_null(std::string_view value);
    run& null();

    /// Steps; true when there is a row to read.
    bool next();
    /// Steps a statement that returns no row.
    void finish();
    /// The same, but answers false when a row was in conflict with one that is there.
    bool finish_unless_conflict();

    int64_t number_at(int column) const noexcept;
    bool is_null_at(int column) const noexcept;
    std::string text_at(int column) const;
    /// Valid until the next step.
    std::string_view bytes_at(int column) const noexcept;

  private:
    void check(int code) const;
    sqlite_statement& statement_;
    int bound_ = 0;
  };

private:
  struct finalizer {
    void operator()(sqlite3_stmt* handle) const noexcept { sqlite3_finalize(handle); }
  };
  sqlite_connection& connection_;
  std::unique_ptr<sqlite3_stmt, finalizer> handle_;
};

/// A write transaction that rolls back unless committed.
class sqlite_transaction {
public:
  /// See sqlite_connection::begin.
  explicit sqlite_transaction(sqlite_connection& connection);
  ~sqlite_transaction();
  sqlite_transaction(const sqlite_transaction&) = delete;
  sqlite_transaction& operator=(const sqlite_transaction&) = delete;

  void commit();

private:
  sqlite_connection& connection_;
};

/// Runs `work` and turns what it throws into an error value: the edge of the store.
template <class Work>
auto guarded(const Work& work) -> result<decltype(work())> {
  try {
    if constexpr (std::is_void_v<decltype(work())>) {
      work();
      return {};
    } else {
      return work();
    }
  } catch (const sqlite_failure& failure) {
    return failure.why();
  } catch (const std::bad_alloc&) {
    return error{error_code::unavailable, "the store is out of memory; nothing was changed"};
  }
}

} // namespace task_runner
