// The face over SQLite's C interface.
// Every result code is looked at here, once, and becomes a message that says what to do.
#include "services/store/sqlite_connection.hpp"

#include <cerrno>
#include <cstring>

namespace task_runner {

namespace {

/// How long a statement waits for another process that holds the database, before it is `unavailable`.
constexpr int busy_timeout_ms = 5'000;

bool is_out_of_space(int system_errno) noexcept {
  return system_errno == ENOSPC || system_errno == EDQUOT;
}

} // namespace

error describe_sqlite_error(int code, int system_errno, std::string_view message, std::string_view path) {
  const int primary = code & 0xff;
  const std::string store = "the store " + std::string(path);
  std::string detail = " (SQLite: " + std::string(message) + ", code " + std::to_string(code);
  if (system_errno != 0 && (primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN || primary == SQLITE_FULL))
    detail += std::string(", ") + std::strerror(system_errno);
  detail += "); nothing was changed";

  const bool full = primary == SQLITE_FULL || (primary == SQLITE_IOERR && is_out_of_space(system_errno));
  if (full)
    return {error_code::unavailable,
            store + " cannot be written: the disk is full; make room on its file system" + detail};
  switch (primary) {
  case SQLITE_READONLY:
  case SQLITE_PERM:
    return {error_code::unavailable,
            store +
                " is read-only: check the owner and mode of the file and its directory, and that the file " +
                "system is mounted for writing" + detail};
  case SQLITE_AUTH:
  case SQLITE_CANTOPEN:
    return {error_code::unavailable,
            store + " cannot be opened: check that its directory exists and belongs to this user" + detail};
  case SQLITE_BUSY:
  case SQLITE_LOCKED:
  case SQLITE_PROTOCOL:
    return {error_code::unavailable, store + " is busy: another process has held it for " +
                                         std::to_string(busy_timeout_ms / 1000) +
                                         " s; end the program that has the file open" + detail};
  case SQLITE_CORRUPT:
  case SQLITE_NOTADB:
    return {error_code::unavailable,
            store + " is damaged: stop the daemon, then restore a backup or salvage it with `sqlite3 FILE " +
                ".recover`" + detail};
  case SQLITE_IOERR:
    return {error_code::unavailable,
            store + " cannot be read or written: check the disk and the kernel's log" + detail};
  case SQLITE_NOMEM:
    return {error_code::unavailable, store + " is out of memory" + detail};
  case SQLITE_TOOBIG:
    return {error_code::too_large, "a value is too large for " + store + detail};
  case SQLITE_ERROR:
  case SQLITE_CONSTRAINT:
  case SQLITE_MISMATCH:
  case SQLITE_MISUSE:
  case SQLITE_RANGE:
    return {error_code::internal, store + " refused a statement: a defect, please report it" + detail};
  default:
    return {error_code::unavailable, store + " cannot be used" + detail};
  }
}

sqlite_connection::sqlite_connection(const std::string& path)
    : path_(path) {
  sqlite3* handle = nullptr;
  // One owner at a time calls the store, so the connection needs no lock of its own (NOMUTEX).
  const int code = sqlite3_open_v2(
      path.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
  handle_.reset(handle);
  if (handle == nullptr)
    throw sqlite_failure(describe_sqlite_error(SQLITE_NOMEM, 0, "out of memory", path));
  if (code != SQLITE_OK)
    fail(code);
  sqlite3_busy_timeout(handle, busy_timeout_ms);
}

void sqlite_connection::fail(int code) const {
  throw sqlite_failure(
      describe_sqlite_error(code, sqlite3_system_errno(handle_.get()), sqlite3_errmsg(handle_.get()), path_));
}

void sqlite_connection::fail_damaged(const std::string& how) const {
  throw sqlite_failure(describe_sqlite_error(SQLITE_CORRUPT, 0, how, path_));
}

void sqlite_connection::execute(const char* sql) {
  if (const int code = sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr); code != SQLITE_OK)
    fail(code);
}

int64_t sqlite_connection::query_number(const char* sql) {
  sqlite_statement statement(*this, sql);
  sqlite_statement::run run(statement);
  return run.next() ? run.number_at(0) : 0;
}

std::string sqlite_connection::query_text(const char* sql) {
  sqlite_statement statement(*this, sql);
  sqlite_statement::run run(statement);
  return run.next() ? run.text_at(0) : std::string();
}

sqlite_statement::sqlite_statement(sqlite_connection& connection, const char* sql)
    : connection_(connection) {
  sqlite3_stmt* handle = nullptr;
  const int code = sqlite3_prepare_v3(connection.raw(), sql, -1, SQLITE_PREPARE_PERSISTENT, &handle, nullptr);
  handle_.reset(handle);
  if (code != SQLITE_OK)
    connection.fail(code);
}

void sqlite_statement::run::check(int code) const {
  if (code != SQLITE_OK)
    statement_.connection_.fail(code);
}

sqlite_statement::run& sqlite_statement::run::number(int64_t value) {
  check(sqlite3_bind_int64(statement_.handle_.get(), ++bound_, value));
  return *this;
}

sqlite_statement::run& sqlite_statement::run::text(std::string_view value) {
  // A null pointer would bind NULL, and an empty view may have one.
  const char* data = value.data() == nullptr ? "" : value.data();
  check(sqlite3_bind_text64(statement_.handle_.get(), ++bound_, data, value.size(), SQLITE_STATIC,
                            SQLITE_UTF8));
  return *this;
}

sqlite_statement::run& sqlite_statement::run::text_or_null(std::string_view value) {
  return value.empty() ? null() : text(value);
}

sqlite_statement::run& sqlite_statement::run::blob_or_null(std::string_view value) {
  if (value.empty())
    return null();
  check(sqlite3_bind_blob64(statement_.handle_.get(), ++bound_, value.data(), value.size(), SQLITE_STATIC));
  return *this;
}

sqlite_statement::run& sqlite_statement::run::null() {
  check(sqlite3_bind_null(statement_.handle_.get(), ++bound_));
  return *this;
}

bool sqlite_statement::run::next() {
  const int code = sqlite3_step(statement_.handle_.get());
  if (code == SQLITE_ROW)
    return true;
  if (code != SQLITE_DONE)
    statement_.connection_.fail(code);
  return false;
}

void sqlite_statement::run::finish() {
  while (next()) {
  }
}

int64_t sqlite_statement::run::number_at(int column) const noexcept {
  return sqlite3_column_int64(statement_.handle_.get(), column);
}

bool sqlite_statement::run::is_null_at(int column) const noexcept {
  return sqlite3_column_type(statement_.handle_.get(), column) == SQLITE_NULL;
}

std::string sqlite_statement::run::text_at(int column) const {
  return std::string(bytes_at(column));
}

std::string_view sqlite_statement::run::bytes_at(int column) const noexcept {
  auto* const handle = statement_.handle_.get();
  const void* const data = sqlite3_column_blob(handle, column);
  const int size = sqlite3_column_bytes(handle, column);
  return data == nullptr ? std::string_view() : std::string_view(static_cast<const char*>(data), size);
}

sqlite_transaction::sqlite_transaction(sqlite_connection& connection)
    : connection_(connection) {
  // A rollback that failed is repeated until it succeeds: nothing may be added to what was to be undone.
  if (sqlite3_get_autocommit(connection_.raw()) == 0)
    connection_.execute("ROLLBACK");
  connection_.execute("BEGIN IMMEDIATE");
}

sqlite_transaction::~sqlite_transaction() {
  // Some errors (a full disk, I/O) have rolled back already; autocommit tells. Should the rollback fail, the
  // error that led here is the one to report, and the next transaction tries again.
  if (sqlite3_get_autocommit(connection_.raw()) == 0)
    sqlite3_exec(connection_.raw(), "ROLLBACK", nullptr, nullptr, nullptr);
}

void sqlite_transaction::commit() {
  connection_.execute("COMMIT");
}

} // namespace task_runner
