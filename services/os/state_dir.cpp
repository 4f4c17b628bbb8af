// Everything inside is opened relative to the one directory that was checked. So nobody can swap it between
// the check and the use.
#include "services/os/state_dir.hpp"

#include "services/domain/names.hpp"
#include "services/os/owner_lock.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <optional>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace task_runner {

namespace {

constexpr const char* lock_name = "lock";
constexpr const char* node_id_name = "node-id";
constexpr const char* node_id_draft_name = "node-id.new";

error refusal(const std::string& path, const std::string& what) {
  return error{error_code::invalid_argument, "state directory " + path + ": " + what};
}

error failed_call(const std::string& path, const std::string& what) {
  return refusal(path, "cannot " + what + ": " + std::strerror(errno) + "; give another with -state-dir");
}

/// Makes each missing part of an absolute path. Those that exist are left as they are.
result<void> make_directories(const std::string& path) {
  size_t end = 0;
  do {
    end = path.find('/', end + 1);
    const std::string part = path.substr(0, end);
    if (::mkdir(part.c_str(), 0700) == 0 || errno == EEXIST)
      continue;
    // A parent on a read-only or foreign file system may refuse the call though it exists.
    const int failure = errno;
    struct stat status {};
    if (::stat(part.c_str(), &status) == 0 && S_ISDIR(status.st_mode))
      continue;
    errno = failure;
    return failed_call(path, "create " + part);
  } while (end != std::string::npos);
  return {};
}

result<bool> is_empty(int directory, const std::string& path) {
  // fdopendir takes ownership of the descriptor it is given.
  const int copy = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(copy < 0 ? nullptr : ::fdopendir(copy), ::closedir);
  if (!entries)
    return failed_call(path, "list it");
  while (const dirent* entry = ::readdir(entries.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..")
      return false;
  }
  return true;
}

/// Whether this is a state directory already, or nothing yet: nobody's files may be locked away behind our
/// mode.
result<bool> is_ours(int directory, const std::string& path) {
  for (const char* name : {node_id_name, "task-runner.db"})
    if (::faccessat(directory, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
      return true;
  const int copy = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(copy < 0 ? nullptr : ::fdopendir(copy), ::closedir);
  if (!entries)
    return failed_call(path, "list it");
  while (const dirent* entry = ::readdir(entries.get())) {
    const std::string_view name = entry->d_name;
    // A start that was cut short leaves no more than these, and a file system of its own may have the last
    // one.
    if (name != "." && name != ".." && name != lock_name && name != node_id_draft_name &&
        name != "lost+found")
      return false;
  }
  return true;
}

/// Ours alone, or made so where nobody can have tampered with it.
result<std::optional<std::string>> check_privacy(int directory, const std::string& path) {
  struct stat status {};
  if (::fstat(directory, &status) != 0)
    return failed_call(path, "examine it");
  if (status.st_uid != ::geteuid())
    return refusal(path, "it belongs to user " + std::to_string(status.st_uid) +
                             ", task-runner runs as user " + std::to_string(::geteuid()) +
                             "; chown it or give another with -state-dir");
  const auto ours = is_ours(directory, path);
  if (!ours)
    return ours.failure();
  if (!*ours)
    return refusal(path,
                   "it holds files that are not task-runner's; give an empty directory, or one that need not "
                   "exist, with -state-dir");
  if ((status.st_mode & S_ISVTX) != 0)
    return refusal(path, "it is a directory that several users share; give one of its own with -state-dir");
  if ((status.st_mode & 0077) == 0)
    return std::optional<std::string>();
  if ((status.st_mode & 0022) != 0) {
    const auto empty = is_empty(directory, path);
    if (!empty)
      return empty.failure();
    if (!*empty)
      return refusal(path,
                     "other users can write to it, so what it holds cannot be trusted; look through it, then "
                     "chmod 700 it");
  }
  if (::fchmod(directory, 0700) != 0 || ::fstat(directory, &status) != 0)
    return failed_call(path, "set its mode to 0700");
  if ((status.st_mode & 0077) != 0)
    return refusal(path,
                   "its file system keeps no permissions; give one on a Linux file system with -state-dir");
  return std::optional<std::string>("state directory " + path +
                                    " was open to other users; its mode is 0700 now");
}

/// Who wrote the lock last, for messages and to tell a live owner from a dead one's remains.
std::optional<pid_t> read_owner(int lock) {
  std::array<char, 16> buffer{};
  const ssize_t count = ::pread(lock, buffer.data(), buffer.size(), 0);
  pid_t pid = 0;
  const auto parsed = std::from_chars(buffer.data(), buffer.data() + (count > 0 ? count : 0), pid);
  if (parsed.ec != std::errc() || pid <= 0)
    return std::nullopt;
  return pid;
}

result<descriptor> take_lock(int directory, const std::string& path) {
  descriptor lock(::openat(directory, lock_name,
                           O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0600));
  if (!lock)
    return failed_call(path, "open the file lock in it");
  const auto ours = lock_as_owner(lock.get(), [&lock] { return read_owner(lock.get()); });
  if (!ours)
    return refusal(path, "cannot lock it: " + ours.failure().message + "; give another with -state-dir");
  if (*ours) {
    const std::string pid = std::to_string(::getpid()) + "\n";
    if (::ftruncate(lock.get(), 0) != 0 || ::pwrite(lock.get(), pid.data(), pid.size(), 0) < 0)
      return failed_call(path, "write the file lock in it");
    return lock;
  }
  const auto owner = read_owner(lock.get());
  return error{error_code::conflict, "another task-runner uses " + path +
                                         (owner ? " (pid " + std::to_string(*owner) + ")" : "") +
                                         "; stop it first, or give another directory with -state-dir"};
}

bool is_uuid(std::string_view text) {
  if (text.size() != 36)
    return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (i == 8 || i == 13 || i == 18 || i == 23) {
      if (c != '-')
        return false;
    } else if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))) {
      return false;
    }
  }
  return true;
}

/// Written aside, synced, renamed: after a crash the file is whole or not there.
result<std::string> create_node_id(int directory, const std::string& path) {
  const std::string id = make_uuid();
  const std::string text = id + "\n";
  if (::unlinkat(directory, node_id_draft_name, 0) != 0 && errno != ENOENT)
    return failed_call(path, std::string("remove ") + node_id_draft_name + " in it");
  const descriptor draft(
      ::openat(directory, node_id_draft_name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!draft || ::write(draft.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      ::fsync(draft.get()) != 0 || ::renameat(directory, node_id_draft_name, directory, node_id_name) != 0 ||
      ::fsync(directory) != 0)
    return failed_call(path, "write the file node-id in it");
  return id;
}

result<std::string> load_node_id(int directory, const std::string& path) {
  const descriptor file(
      ::openat(directory, node_id_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file && errno == ENOENT)
    return create_node_id(directory, path);
  if (!file)
    return failed_call(path, "open the file node-id in it");
  std::array<char, 64> buffer{};
  const ssize_t count = ::read(file.get(), buffer.data(), buffer.size());
  if (count < 0)
    return failed_call(path, "read the file node-id in it");
  std::string text(buffer.data(), static_cast<size_t>(count));
  if (!text.empty() && text.back() == '\n')
    text.pop_back();
  if (!is_uuid(text))
    return refusal(path,
                   "the file " + path + "/" + node_id_name +
                       " holds no UUID; restore it from a backup (without one, remove it: messages that were "
                       "taken from Redis under the old id then stay there)");
  return text;
}

} // namespace

result<state_dir> state_dir::open(const std::string& path) {
  if (path.empty() || path.front() != '/')
    return refusal(path, "the path must be absolute");
  if (auto ok = make_directories(path); !ok)
    return ok.failure();
  state_dir opened(path);
  opened.directory_ = descriptor(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened.directory_)
    return failed_call(path, "open it");
  auto warning = check_privacy(opened.directory_.get(), path);
  if (!warning)
    return warning.failure();
  if (*warning)
    opened.warnings_.push_back(**warning);
  auto lock = take_lock(opened.directory_.get(), path);
  if (!lock)
    return lock.failure();
  opened.lock_ = *std::move(lock);
  auto id = load_node_id(opened.directory_.get(), path);
  if (!id)
    return id.failure();
  opened.node_id_ = *std::move(id);
  return opened;
}

} // namespace task_runner
