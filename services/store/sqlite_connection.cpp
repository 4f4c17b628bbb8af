// The face over SQLite's C interface.
// Every result code is looked at here, once, and becomes a message that says what to do.
#include "services/store/sqlite_connection.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace task_runner {

namespace {

/// How long a statement waits for another process that holds the database, before it is `unavailable`.
constexpr int busy_timeout_ms = 5'000;

/// What a failure means for whoever runs the daemon, and what to do about it; follows "the store PATH ".
struct meaning {
  /// An errno, or a result code of SQLite, extended or primary.
  int code;
  error_code kind;
  std::string_view says;
};

/// What the system says goes before what SQLite makes of it.
constexpr std::array by_system_errno{
    meaning{ENOSPC, error_code::unavailable,
            "cannot be written: the disk is full; make room on its file system"},
    meaning{EDQUOT, error_code::unavailable,
            "cannot be written: the disk is full for this user; raise the quota, or make room"},
    meaning{EFBIG, error_code::unavailable,
            "cannot grow: it has the largest size that a file may have here; raise the limit (ulimit -f), or "
            "keep less of what has ended (-retention-count)"},
    meaning{EROFS, error_code::unavailable,
            "is read-only: its file system is mounted so; mount it for writing"},
    meaning{EMFILE, error_code::unavailable,
            "cannot be opened: the daemon has too many open files; raise the limit (ulimit -n)"},
    meaning{
        ENFILE, error_code::unavailable,
        "cannot be opened: the machine has too many open files; raise fs.file-max, or end what holds them"},
};

/// Extended codes that mean something else than their primary ones.
constexpr std::array by_extended_code{
    meaning{SQLITE_READONLY_DBMOVED, error_code::unavailable,
            "is not in its place: its files were moved, removed or replaced; put them back, and the daemon "
            "goes on"},
    meaning{SQLITE_IOERR_NOMEM, error_code::unavailable,
            "cannot be used: there is no memory left; end what takes it, or raise the limit"},
    meaning{SQLITE_IOERR_CORRUPTFS, error_code::unavailable,
            "lies on a file system that is damaged; stop the daemon and check the file system"},
    meaning{SQLITE_IOERR_LOCK, error_code::unavailable,
            "cannot be locked: its file system does not keep locks; use a state directory on a local disk"},
    meaning{SQLITE_IOERR_RDLOCK, error_code::unavailable,
            "cannot be locked: its file system does not keep locks; use a state directory on a local disk"},
    meaning{SQLITE_IOERR_SHMLOCK, error_code::unavailable,
            "cannot be locked: its file system does not keep locks; use a state directory on a local disk"},
    meaning{SQLITE_IOERR_SHMMAP, error_code::unavailable,
            "cannot be shared in memory: its file system does not allow it; use a state directory on a local "
            "disk"},
};

constexpr std::array by_primary_code{
    meaning{SQLITE_FULL, error_code::unavailable,
            "cannot be written: the disk is full; make room on its file system"},
    meaning{
        SQLITE_READONLY, error_code::unavailable,
        "is read-only: check the owner and mode of the file and its directory, and that the file system is "
        "mounted for writing"},
    meaning{
        SQLITE_PERM, error_code::unavailable,
        "is read-only: check the owner and mode of the file and its directory, and that the file system is "
        "mounted for writing"},
    meaning{SQLITE_CANTOPEN, error_code::unavailable,
            "cannot be opened: check that its directory exists and belongs to this user"},
    meaning{SQLITE_AUTH, error_code::unavailable,
            // Denied by the watch over the files' place (sqlite_connection::commit).
            "is not in its place: its files were moved, removed or replaced; put them back, and the daemon "
            "goes on"},
    meaning{SQLITE_BUSY, error_code::unavailable,
            "is busy: another process has held it for 5 s; end the program that has the file open"},
    meaning{SQLITE_LOCKED, error_code::unavailable,
            "is busy: another process has held it for 5 s; end the program that has the file open"},
    meaning{
        SQLITE_PROTOCOL, error_code::unavailable,
        "is busy: its locks are taken again and again, or its file system does not keep them; end what has "
        "the file open, or use a state directory on a local disk"},
    meaning{SQLITE_CORRUPT, error_code::unavailable,
            "is damaged: stop the daemon, then restore a backup or salvage it with `sqlite3 FILE .recover`"},
    meaning{SQLITE_NOTADB, error_code::unavailable,
            "is damaged: stop the daemon, then restore a backup or salvage it with `sqlite3 FILE .recover`"},
    meaning{SQLITE_IOERR, error_code::unavailable,
            "cannot be read or written: check the disk and the kernel's log"},
    meaning{SQLITE_NOMEM, error_code::unavailable,
            "cannot be used: there is no memory left; end what takes it, or raise the limit"},
    meaning{SQLITE_NOLFS, error_code::unavailable,
            "is larger than its file system or this system can handle; use a state directory on another one"},
    meaning{SQLITE_SCHEMA, error_code::unavailable,
            "was changed by another program while it was in use; end that program and try again"},
    meaning{SQLITE_INTERRUPT, error_code::unavailable, "was interrupted at its work; try again"},
    meaning{SQLITE_ABORT, error_code::unavailable, "was interrupted at its work; try again"},
    meaning{SQLITE_TOOBIG, error_code::too_large, "does not take a value so large; send less"},
    meaning{SQLITE_ERROR, error_code::internal,
            "refused a statement: a defect, please report it, unless another program has changed the file"},
    meaning{SQLITE_CONSTRAINT, error_code::internal, "refused a statement: a defect, please report it"},
    meaning{SQLITE_MISMATCH, error_code::internal, "refused a statement: a defect, please report it"},
    meaning{SQLITE_MISUSE, error_code::internal, "refused a statement: a defect, please report it"},
    meaning{SQLITE_RANGE, error_code::internal, "refused a statement: a defect, please report it"},
};

constexpr meaning anything_else{
    0, error_code::unavailable,
    "cannot be used: SQLite failed within itself; restart the daemon, and report it if it happens again"};

static_assert(busy_timeout_ms == 5'000, "the sentences above say how long");

template <class Table>
const meaning* find_meaning(const Table& table, int code) noexcept {
  const auto found =
      std::find_if(table.begin(), table.end(), [code](const meaning& row) { return row.code == code; });
  return found == table.end() ? nullptr : found;
}

/// Whether the errno that is remembered belongs to this failure, and not to an earlier one.
bool tells_errno(int primary) noexcept {
  return primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN || primary == SQLITE_FULL;
}

/// What the system said when it last refused the write-ahead log or the database; 0: nothing. For a failure
/// within COMMIT, SQLite keeps it with the file alone.
int last_errno_of_files(sqlite3* handle) noexcept {
  for (const int which : {SQLITE_FCNTL_JOURNAL_POINTER, SQLITE_FCNTL_FILE_POINTER}) {
    sqlite3_file* file = nullptr;
    int found = 0;
    if (sqlite3_file_control(handle, "main", which, &file) == SQLITE_OK && file != nullptr &&
        file->pMethods != nullptr &&
        file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &found) == SQLITE_OK && found != 0)
      return found;
  }
  return 0;
}

const meaning& meaning_of(int code, int system_errno) noexcept {
  const int primary = code & 0xff;
  const auto* found = tells_errno(primary) ? find_meaning(by_system_errno, system_errno) : nullptr;
  if (found == nullptr)
    found = find_meaning(by_extended_code, code);
  if (found == nullptr)
    found = find_meaning(by_primary_code, primary);
  return found == nullptr ? anything_else : *found;
}

} // namespace

error describe_sqlite_error(int code, int system_errno, std::string_view message, std::string_view path) {
  const auto& found = meaning_of(code, system_errno);
  std::string text = "the store " + std::string(path) + " " + std::string(found.says) +
                     " (SQLite: " + std::string(message) + ", code " + std::to_string(code);
  if (system_errno != 0 && tells_errno(code & 0xff))
    text += std::string(", ") + std::strerror(system_errno);
  text += "); nothing was changed";
  return {found.kind, std::move(text)};
}

sqlite_connection::sqlite_connection(const std::string& path)
    : path_(path) {
  // SQLite would count every allocation under a lock of its own, for numbers that nobody asks for. It takes
  // the setting before its first use alone, and whoever was first has made it.
  static const int once = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  static_cast<void>(once);
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
  int system_errno = sqlite3_system_errno(handle_.get());
  if (system_errno == 0 && (code & 0xff) == SQLITE_IOERR)
    system_errno = last_errno_of_files(handle_.get());
  throw sqlite_failure(describe_sqlite_error(code, system_errno, sqlite3_errmsg(handle_.get()), path_));
}

void sqlite_connection::fail_damaged(const std::string& how) const {
  throw sqlite_failure(describe_sqlite_error(SQLITE_CORRUPT, 0, how, path_));
}

void sqlite_connection::execute(const char* sql) {
  if (const int code = sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr); code != SQLITE_OK)
    fail(code);
}

void sqlite_connection::run_kept(statement_handle& kept, const char* sql) {
  if (!kept) {
    sqlite3_stmt* made = nullptr;
    const int code = sqlite3_prepare_v3(handle_.get(), sql, -1, SQLITE_PREPARE_PERSISTENT, &made, nullptr);
    kept.reset(made);
    if (code != SQLITE_OK)
      fail(code);
  }
  const int code = sqlite3_step(kept.get());
  sqlite3_reset(kept.get()); // says the same once more
  if (code != SQLITE_DONE)
    fail(code);
}

void sqlite_connection::begin() {
  run_kept(begin_, "BEGIN IMMEDIATE");
}

void sqlite_connection::commit() {
  if (in_place_ && !in_place_())
    throw sqlite_failure(
        describe_sqlite_error(SQLITE_AUTH, 0, "its files are not those that were opened", path_));
  run_kept(commit_, "COMMIT");
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

bool sqlite_statement::run::finish_unless_conflict() {
  const int code = sqlite3_step(statement_.handle_.get());
  if (code != SQLITE_DONE && (code & 0xff) != SQLITE_CONSTRAINT)
    statement_.connection_.fail(code);
  return code == SQLITE_DONE;
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
  connection_.begin();
}

sqlite_transaction::~sqlite_transaction() {
  // Some errors (a full disk, I/O) have rolled back already; autocommit tells. Should the rollback fail, the
  // error that led here is the one to report, and the next transaction tries again.
  if (sqlite3_get_autocommit(connection_.raw()) == 0)
    sqlite3_exec(connection_.raw(), "ROLLBACK", nullptr, nullptr, nullptr);
}

void sqlite_transaction::commit() {
  connection_.commit();
}

} // namespace task_runner
