// Recognizing, making and opening the database file, and seeing to it that it stays where it is.
// A file is looked at byte by byte before SQLite may see it, because SQLite repairs and rewrites what it
// opens.
#include "services/store/sqlite_file.hpp"

#include "services/observability/log.hpp"
#include "services/store/schema.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <string_view>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace task_runner {

namespace {

/// Pages that SQLite may hold in memory, in KiB: enough for the upper levels of every index of ten million
/// tasks.
constexpr int cache_kib = 2'048;

/// The write-ahead log is folded into the database when it has this many pages (4 KiB each), within a commit.
constexpr int checkpoint_pages = 2'000;

/// A log that one huge transaction blew up is cut back to this many bytes.
constexpr int journal_bytes_max = 16 * 1024 * 1024;

/// A store up to this size is checked page by page when it is opened, which takes about a tenth of a second.
/// Damage in a larger one shows when it is met.
constexpr int64_t checked_bytes_max = 64 * 1024 * 1024;

// Places in the header of an SQLite file (https://www.sqlite.org/fileformat2.html, section 1.3).
constexpr size_t header_bytes = 100;
constexpr size_t user_version_at = 60;
constexpr size_t application_id_at = 68;
constexpr std::string_view header_magic("SQLite format 3\0", 16);

[[noreturn]] void fail_system(const std::string& what, int system_errno) {
  throw sqlite_failure(
      {error_code::unavailable, what + ": " + std::strerror(system_errno) +
                                    "; check the owner, the mode and the space of its directory"});
}

/// A descriptor that closes itself.
class descriptor {
public:
  explicit descriptor(int fd) noexcept
      : fd_(fd) {}
  ~descriptor() {
    if (fd_ >= 0)
      ::close(fd_);
  }
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  int get() const noexcept { return fd_; }

private:
  int fd_;
};

int64_t big_endian_at(const std::array<unsigned char, header_bytes>& header, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i)
    value = value << 8 | header[at + i];
  return static_cast<int32_t>(value);
}

/// Whether `path` is a file with something in it.
bool has_content(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && info.st_size > 0;
}

/// Reads the header of an existing file and refuses what is not a store that this program can read.
void inspect_header(const std::string& path) {
  const descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0)
    fail_system("the store " + path + " cannot be read", errno);
  struct stat info {};
  if (::fstat(file.get(), &info) != 0)
    fail_system("the store " + path + " cannot be read", errno);
  if (!S_ISREG(info.st_mode))
    throw sqlite_failure(
        {error_code::conflict, path + " is not a file, but a TaskRunner store was expected; move " +
                                   "it away or choose another state directory"});
  std::array<unsigned char, header_bytes> header{};
  size_t have = 0;
  while (have < header.size()) {
    const ssize_t got = ::read(file.get(), header.data() + have, header.size() - have);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      fail_system("the store " + path + " cannot be read", errno);
    if (got == 0)
      break;
    have += static_cast<size_t>(got);
  }
  if (have < header.size() &&
      std::memcmp(header.data(), header_magic.data(), std::min(have, header_magic.size())) == 0)
    throw sqlite_failure(
        {error_code::unavailable,
         "the store " + path + " is damaged: it has " + std::to_string(have) +
             " bytes, less than its header; restore a backup, or move the file away to begin with " +
             "empty queues"});
  if (std::memcmp(header.data(), header_magic.data(), header_magic.size()) != 0)
    throw sqlite_failure(
        {error_code::conflict,
         path + " is not a TaskRunner store (not even an SQLite database); restore a backup, move it " +
             "away, or choose another state directory"});
  if (const int64_t found = big_endian_at(header, application_id_at); found != store_application_id)
    throw sqlite_failure({error_code::conflict,
                          path + " is an SQLite database of another program (application id " +
                              std::to_string(found) + ", expected " + std::to_string(store_application_id) +
                              "); move it away, or choose another state directory"});
  check_schema_version(path, big_endian_at(header, user_version_at), schema_version());
}

void remove_file(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT)
    fail_system("the left-over file " + path + " cannot be removed", errno);
}

/// Makes the name of a new file durable.
void sync_directory_of(const std::string& path) {
  const auto slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  const descriptor opened(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (opened.get() < 0 || ::fsync(opened.get()) != 0)
    fail_system("the directory " + directory + " of the store cannot be synchronized", errno);
}

/// Makes a complete database under another name and then renames it: a crash at any moment leaves either no
/// store or a whole one.
void create_store_file(const std::string& path) {
  for (const char* suffix : {"-wal", "-journal"}) {
    const auto beside = path + suffix;
    if (!has_content(beside))
      continue;
    std::string why = "the store " + path + " is missing, but ";
    why += beside;
    why += " is there and may hold tasks; restore the database beside it, or remove it to begin with empty "
           "queues";
    throw sqlite_failure({error_code::unavailable, why});
  }
  const std::string fresh = path + ".new";
  for (const char* suffix : {"", "-wal", "-shm", "-journal"})
    remove_file(fresh + suffix);
  {
    const descriptor made(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    // The umask may have taken bits away.
    if (made.get() < 0 || ::fchmod(made.get(), 0600) != 0)
      fail_system("the store " + path + " cannot be made", errno);
  }
  {
    sqlite_connection connection(fresh);
    connection.execute("PRAGMA synchronous = FULL");
    // Lets the file shrink step by step when history is deleted; it can only be chosen for an empty database.
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL");
    connection.execute("PRAGMA application_id = " + std::to_string(store_application_id));
    migrate_schema(connection, schema_migrations());
  }
  if (::rename(fresh.c_str(), path.c_str()) != 0)
    fail_system("the store " + path + " cannot be made", errno);
  sync_directory_of(path);
}

void set_option(const sqlite_connection& connection, int option, bool on) {
  if (const int code = sqlite3_db_config(connection.raw(), option, on ? 1 : 0, nullptr); code != SQLITE_OK)
    connection.fail(code);
}

/// Settings that last as long as the connection.
void configure(sqlite_connection& connection) {
  connection.execute("PRAGMA trusted_schema = OFF");
  connection.execute("PRAGMA cell_size_check = ON");
  set_option(connection, SQLITE_DBCONFIG_DEFENSIVE, true);
  // A commit is on the disk when it is answered.
  connection.execute("PRAGMA synchronous = FULL");
  connection.execute("PRAGMA cache_size = -" + std::to_string(cache_kib));
  // Mapped pages would count as the daemon's memory, and turn an I/O error into a signal.
  connection.execute("PRAGMA mmap_size = 0");
  connection.execute("PRAGMA temp_store = MEMORY");
  connection.execute("PRAGMA wal_autocheckpoint = " + std::to_string(checkpoint_pages));
  connection.execute("PRAGMA journal_size_limit = " + std::to_string(journal_bytes_max));
}

/// Others can read nothing, whatever the mode was when a backup was put back.
void tighten_mode(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0 || (info.st_mode & 0177) == 0)
    return;
  if (::chmod(path.c_str(), 0600) != 0)
    fail_system("the store " + path + " is open to others and cannot be closed to them", errno);
}

/// Watches that the database and its log still are what stands under their names. Where they have been
/// removed or replaced, SQLite would go on writing into files that nobody can find again: whatever is
/// acknowledged then is lost at the next start.
class file_watch {
public:
  /// Nothing when the files cannot be looked at.
  static std::unique_ptr<file_watch> of(const std::string& path) {
    auto watch = std::make_unique<file_watch>();
    watch->files_[0].path = path;
    watch->files_[1].path = path + "-wal";
    for (auto& one : watch->files_)
      if (!look_at(one.path, one.as_opened))
        return nullptr;
    return watch;
  }

  /// Asked before every commit. Tells the log of each change.
  bool in_place() noexcept {
    bool found = true;
    for (const auto& one : files_) {
      identity now;
      found = found && look_at(one.path, now) && now == one.as_opened;
    }
    if (found != found_before_)
      tell(found);
    found_before_ = found;
    return found;
  }

private:
  /// Which file it is, whatever its name.
  struct identity {
    uint64_t inode = 0;
    uint64_t device = 0;

    bool operator==(const identity& other) const noexcept {
      return inode == other.inode && device == other.device;
    }
  };
  struct watched_file {
    std::string path;
    identity as_opened;
  };

  /// False when the file cannot be looked at. Asks for nothing else than the number: from Linux 6.13 on,
  /// whoever has seen a file's times makes its next write change them, and the fdatasync behind it a seventh
  /// slower.
  static bool look_at(const std::string& path, identity& into) noexcept {
    struct statx narrow {};
    if (::statx(AT_FDCWD, path.c_str(), AT_STATX_DONT_SYNC, STATX_INO, &narrow) == 0) {
      into = {narrow.stx_ino, uint64_t{narrow.stx_dev_major} << 32 | narrow.stx_dev_minor};
      return true;
    }
    // A system that does not know the call, or a filter that forbids it.
    struct stat whole {};
    if ((errno != ENOSYS && errno != EPERM) || ::stat(path.c_str(), &whole) != 0)
      return false;
    into = {whole.st_ino, uint64_t{major(whole.st_dev)} << 32 | minor(whole.st_dev)};
    return true;
  }

  void tell(bool found) const noexcept {
    if (found)
      log_event(log_level::info, "the store's files are back in their place", {{"path", files_[0].path}});
    else
      log_event(log_level::error,
                "the store's files have been removed or replaced; nothing is accepted until they are back in "
                "their place. What was accepted can be read as long as this daemon runs",
                {{"path", files_[0].path}});
  }

  std::array<watched_file, 2> files_;
  bool found_before_ = true;
};

/// From here on no transaction commits while the files are not in their place.
void watch_place(sqlite_connection& connection, const std::string& path) {
  const std::shared_ptr<file_watch> watch = file_watch::of(path);
  if (!watch)
    fail_system("the store " + path + " cannot be looked at", errno);
  connection.watch_place([watch] { return watch->in_place(); });
}

/// Looks through all pages of a store that is not too large for it.
void check_pages(sqlite_connection& connection, const std::string& path) {
  struct stat info {};
  struct stat log {};
  if (::stat(path.c_str(), &info) != 0 || ::stat((path + "-wal").c_str(), &log) != 0 ||
      info.st_size + log.st_size > checked_bytes_max)
    return;
  // Below a heading; npos + 1 is 0.
  if (const auto found = connection.query_text("PRAGMA quick_check(1)"); found != "ok")
    connection.fail_damaged(found.substr(found.rfind('\n') + 1));
}

/// Reads what every later transaction relies on, so that damage shows now and not after the first push.
void check_foundations(sqlite_connection& connection) {
  const int64_t next = connection.query_number("SELECT value FROM store_state WHERE name = 'next_sequence'");
  const int64_t last = connection.query_number("SELECT max(sequence) FROM tasks");
  if (next <= last || next < 1)
    connection.fail_damaged("the next sequence " + std::to_string(next) + " is not behind the last, " +
                            std::to_string(last));
  if (connection.query_number(
          "SELECT count(*) FROM channel_counts WHERE pending < 0 OR delayed < 0 OR running < 0 "
          "OR ended < 0 OR dead < 0") != 0)
    connection.fail_damaged("a channel's count is negative");
}

} // namespace

sqlite_connection open_store_file(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    if (errno != ENOENT)
      fail_system("the store " + path + " cannot be looked at", errno);
    create_store_file(path);
  }
  inspect_header(path);

  sqlite_connection connection(path);
  // Until the file is known to be good, closing it must not write to it.
  set_option(connection, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
  configure(connection);
  // The header may be older than the log beside it; this reads through the log.
  check_schema_version(path, connection.query_number("PRAGMA user_version"), schema_version());
  tighten_mode(path);
  if (const std::string mode = connection.query_text("PRAGMA journal_mode = WAL"); mode != "wal")
    throw sqlite_failure({error_code::unavailable,
                          "the store " + path + " cannot use a write-ahead log here (journal mode is " +
                              mode + "); put the state directory on a local file system"});
  if (const int64_t run = migrate_schema(connection, schema_migrations()); run > 0)
    log_event(log_level::info, "store upgraded", {{"path", path}, {"version", schema_version()}});
  check_pages(connection, path);
  check_foundations(connection);
  watch_place(connection, path);
  set_option(connection, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false);
  return connection;
}

} // namespace task_runner
