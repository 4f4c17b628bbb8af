// A lock on the file says whether its daemon lives; the pid inside is for people, scripts, and for daemons of
// the kind that do not lock. A file is taken over by writing into it, so a takeover never unlinks anything.
#include "services/os/pid_file.hpp"

#include "services/os/owner_lock.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <signal.h>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace task_runner {

namespace {

/// The daemon's name in /proc/PID/comm; the launcher's is another.
constexpr std::string_view daemon_name = "task-runner";

/// How often the file may vanish or appear between two calls before it is called a failure.
constexpr int open_attempts_max = 20;

/// A pid file is shorter than this: at most seven digits and a newline, with room for CRLF and blanks.
constexpr size_t content_bytes_max = 32;

error refusal(const std::string& path, const std::string& what) {
  return error{error_code::invalid_argument,
               "pid file " + path + ": " + what + "; remove it or give another path with -pidfile"};
}

error failed_call(const std::string& path, const char* what) {
  return error{error_code::invalid_argument, "pid file " + path + ": cannot " + what + ": " +
                                                 std::strerror(errno) + "; give another path with -pidfile"};
}

error held_by(const std::string& path, std::optional<pid_t> pid) {
  return error{error_code::conflict, "pid file " + path + ": a task-runner runs already" +
                                         (pid ? " (pid " + std::to_string(*pid) + ")" : "") +
                                         "; stop it first, or give another path with -pidfile"};
}

/// What the file holds.
struct pid_text {
  /// Digits, blanks around them and nothing else; or nothing at all, as a crash between create and write
  /// leaves.
  bool well_formed = false;
  std::optional<pid_t> pid;
};

result<pid_text> read_pid(int file, const std::string& path) {
  std::array<char, content_bytes_max + 1> buffer{};
  const ssize_t count = ::pread(file, buffer.data(), buffer.size(), 0);
  if (count < 0)
    return failed_call(path, "read it");
  pid_text content;
  if (static_cast<size_t>(count) > content_bytes_max)
    return content;
  std::string_view text(buffer.data(), static_cast<size_t>(count));
  constexpr std::string_view blanks = " \t\r\n";
  if (const size_t first = text.find_first_not_of(blanks); first == std::string_view::npos)
    text = {};
  else
    text = text.substr(first, text.find_last_not_of(blanks) - first + 1);
  constexpr size_t digits_max = 9; // fits pid_t; Linux stops at 4,194,304
  if (text.size() > digits_max || text.find_first_not_of("0123456789") != std::string_view::npos)
    return content;
  content.well_formed = true;
  pid_t pid = 0;
  for (char c : text)
    pid = pid * 10 + (c - '0');
  if (pid > 0)
    content.pid = pid;
  return content;
}

/// Whether the process lives and is a task-runner daemon. One whose name cannot be read counts as one: taking
/// over from a live daemon is worse than asking a person.
bool is_live_daemon(pid_t pid) {
  if (pid == ::getpid())
    return false;
  if (::kill(pid, 0) != 0 && errno == ESRCH)
    return false;
  const std::string path = "/proc/" + std::to_string(pid) + "/comm";
  const descriptor comm(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!comm)
    return errno != ENOENT && errno != ESRCH;
  std::array<char, 64> buffer{};
  const ssize_t count = ::read(comm.get(), buffer.data(), buffer.size());
  if (count < 0)
    return errno != ESRCH;
  std::string_view name(buffer.data(), static_cast<size_t>(count));
  if (!name.empty() && name.back() == '\n')
    name.remove_suffix(1);
  return name == daemon_name;
}

/// Opens the file, creating it if there is none; never through a symbolic link, never waiting on a pipe.
result<descriptor> open_or_create(const std::string& path) {
  constexpr int flags = O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  for (int attempt = 0; attempt < open_attempts_max; ++attempt) {
    if (descriptor file(::open(path.c_str(), flags)); file)
      return file;
    if (errno == ELOOP)
      return refusal(path, "it is a symbolic link, which may lead to any file");
    if (errno != ENOENT)
      return failed_call(path, "open it");
    if (descriptor file(::open(path.c_str(), flags | O_CREAT | O_EXCL, 0644)); file)
      return file;
    if (errno != EEXIST)
      return failed_call(path, "create it");
  }
  return refusal(path, "it comes and goes while it is being opened");
}

/// Only a plain file that is ours alone may be written to.
result<void> check_ownership(const struct stat& status, const std::string& path) {
  if (!S_ISREG(status.st_mode))
    return refusal(path, "it is not a regular file");
  if (status.st_uid != ::geteuid())
    return refusal(path, "it belongs to user " + std::to_string(status.st_uid));
  if (status.st_nlink > 1)
    return refusal(path, "it has a second name (a hard link)");
  return {};
}

bool same_file(const struct stat& one, const struct stat& other) {
  return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

/// Writes before it cuts, so that a reader never finds the file empty.
result<void> write_pid(int file, const std::string& path) {
  const std::string text = std::to_string(::getpid()) + "\n";
  if (::pwrite(file, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()))
    return failed_call(path, "write it");
  if (::ftruncate(file, static_cast<off_t>(text.size())) != 0)
    return failed_call(path, "write it");
  return {};
}

} // namespace

result<pid_file> pid_file::acquire(const std::string& path) {
  for (int attempt = 0; attempt < open_attempts_max; ++attempt) {
    auto file = open_or_create(path);
    if (!file)
      return file.failure();
    struct stat opened {};
    if (::fstat(file->get(), &opened) != 0)
      return failed_call(path, "examine it");
    if (opened.st_nlink == 0)
      continue; // its owner has removed it since: look again
    if (auto ok = check_ownership(opened, path); !ok)
      return ok.failure();
    const auto content = read_pid(file->get(), path);
    if (!content)
      return content.failure();
    if (!content->well_formed)
      return refusal(path, "it holds something else than a process id");
    std::optional<pid_t> owner = content->pid;
    const auto ours = lock_as_owner(file->get(), [&] {
      if (const auto now = read_pid(file->get(), path))
        owner = now->pid;
      return owner;
    });
    if (!ours)
      return refusal(path, "cannot lock it: " + ours.failure().message);
    if (!*ours)
      return held_by(path, owner);
    // Between open and lock its owner may have ended and removed it: the lock must be on what the path names.
    struct stat named {};
    if (::lstat(path.c_str(), &named) != 0 || !same_file(opened, named))
      continue;
    // Read again under the lock: an owner that ended since has no claim, one that does not lock may have
    // come.
    const auto current = read_pid(file->get(), path);
    if (!current)
      return current.failure();
    if (!current->well_formed)
      return refusal(path, "it holds something else than a process id");
    if (current->pid && is_live_daemon(*current->pid))
      return held_by(path, current->pid);
    if (auto ok = write_pid(file->get(), path); !ok)
      return ok.failure();
    return pid_file(path, *std::move(file), ::getpid());
  }
  return refusal(path, "it comes and goes while it is being locked");
}

pid_file::pid_file(std::string path, descriptor file, pid_t owner)
    : path_(std::move(path))
    , file_(std::move(file))
    , owner_(owner) {}

pid_file::pid_file(pid_file&& other) noexcept
    : path_(std::move(other.path_))
    , file_(std::move(other.file_))
    , owner_(other.owner_) {}

pid_file& pid_file::operator=(pid_file&& other) noexcept {
  if (this != &other) {
    release();
    path_ = std::move(other.path_);
    file_ = std::move(other.file_);
    owner_ = other.owner_;
  }
  return *this;
}

pid_file::~pid_file() {
  release();
}

void pid_file::release() noexcept {
  if (!file_)
    return;
  struct stat held {};
  struct stat named {};
  if (::getpid() == owner_ && ::fstat(file_.get(), &held) == 0 && ::lstat(path_.c_str(), &named) == 0 &&
      same_file(held, named))
    ::unlink(path_.c_str());
  file_.reset();
}

} // namespace task_runner
