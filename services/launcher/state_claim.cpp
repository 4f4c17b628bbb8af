// Locks and looks. A lock on a file that has been removed keeps nobody away, which is why the file in place
// is compared with the locked one, and why the directory is locked too.
#include "services/launcher/state_claim.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace task_runner::launcher {
namespace {

/// A launcher that is just leaving, or that died in the middle of a spawn, holds its locks a moment longer.
constexpr int claim_pause_ms = 10;

error failure_of(const std::string& what) {
  return {error_code::unavailable, what + ": " + std::strerror(errno)};
}

} // namespace

entry_identity identify_socket(int directory) noexcept {
  struct stat facts {};
  if (::fstatat(directory, socket_file_name, &facts, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISSOCK(facts.st_mode))
    return {};
  return {facts.st_dev, facts.st_ino};
}

bool claim_stands(int directory, int lock) noexcept {
  struct stat locked {};
  struct stat in_place {};
  return ::fstat(lock, &locked) == 0 &&
         ::fstatat(directory, pid_file_name, &in_place, AT_SYMLINK_NOFOLLOW) == 0 &&
         locked.st_ino == in_place.st_ino && locked.st_dev == in_place.st_dev;
}

result<owned_descriptor> claim_directory(int directory, int tries) {
  for (int round = 0; round < tries; ++round) {
    if (round > 0)
      ::poll(nullptr, 0, claim_pause_ms);
    owned_descriptor file(
        ::openat(directory, pid_file_name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file)
      return failure_of("cannot open launcher.pid");
    if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK && errno != EINTR)
        return failure_of("cannot lock launcher.pid");
      continue;
    }
    // The launcher before us removes the file before it lets go of the lock: ours must be the one in place.
    if (!claim_stands(directory, file.get()))
      continue;
    if (::flock(directory, LOCK_EX | LOCK_NB) != 0 && (errno == EWOULDBLOCK || errno == EINTR))
      continue;
    const std::string text = std::to_string(::getpid()) + "\n";
    if (::ftruncate(file.get(), 0) != 0 ||
        ::pwrite(file.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()))
      return failure_of("cannot write launcher.pid");
    return file;
  }
  return error{error_code::conflict, "another launcher holds this state directory (see launcher.pid)"};
}

int claimed_by(const std::string& state_dir) {
  std::ifstream file(state_dir + "/" + pid_file_name);
  int pid = 0;
  return file >> pid && pid > 0 ? pid : 0;
}

std::string describe_silence(int pid) {
  if (pid == 0)
    return "it did not answer in time";
  const std::string number = std::to_string(pid);
  return "process " + number +
         " (launcher.pid) did not answer in time; if it is stopped, let it go on: kill -CONT " + number;
}

} // namespace task_runner::launcher
