// A library that a test puts before the C library of a daemon (LD_PRELOAD), because what it brings about is
// not to be had otherwise without harm: a wall clock that is set, and a file system that turns read-only and
// back.
//
// The clock: every reading of CLOCK_REALTIME is shifted by what stands in the shared page. Clocks that cannot
// be set are left alone, as by the kernel. A timer with TFD_TIMER_CANCEL_ON_SET, which the kernel would
// cancel, is an inotify descriptor on the page's file instead: it becomes readable when the test writes
// there.
//
// The disk: calls that would change files below one directory fail with EROFS, those through descriptors that
// are open already too, as after an error of a file system that is mounted with errors=remount-ro.
#include "test/preload/preload.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

namespace {

using task_runner::test::preload_page;

/// The function of this name that would have been called without this library.
template <class Function>
Function* next(const char* name) noexcept {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

const char* page_path() noexcept {
  return std::getenv(task_runner::test::preload_page_variable);
}

/// nullptr where the program was started without a page.
preload_page* page() noexcept {
  static preload_page* const mapped = []() -> preload_page* {
    static const auto really_open = next<int(const char*, int, ...)>("open");
    const char* path = page_path();
    const int fd = path == nullptr ? -1 : really_open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
      return nullptr;
    void* at = mmap(nullptr, sizeof(preload_page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return at == MAP_FAILED ? nullptr : static_cast<preload_page*>(at);
  }();
  return mapped;
}

// -- the clock ------------------------------------------------------------------------

int64_t shift_ms() noexcept {
  const auto* shared = page();
  return shared == nullptr ? 0 : __atomic_load_n(&shared->clock_shift_ms, __ATOMIC_SEQ_CST);
}

int real_time(clockid_t clock, timespec* at) noexcept {
  static const auto really = next<int(clockid_t, timespec*)>("clock_gettime");
  return really(clock, at);
}

timespec shifted_now(clockid_t clock) noexcept {
  timespec now{};
  real_time(clock, &now);
  constexpr int64_t second_ns = 1'000'000'000;
  const int64_t sum = now.tv_sec * second_ns + now.tv_nsec + shift_ms() * 1'000'000;
  return {sum / second_ns, sum % second_ns};
}

/// Descriptors that stand for timers; those of one process, which has few of them.
std::array<std::atomic<int>, 8> watched_timers{};

bool is_watched(int fd) noexcept {
  for (const auto& one : watched_timers)
    if (one == fd + 1)
      return true;
  return false;
}

// -- the disk -------------------------------------------------------------------------

bool is_below(const char* path) noexcept {
  const auto* directory = page()->read_only_directory;
  const auto length = std::strlen(directory);
  return length > 0 && std::strncmp(path, directory, length) == 0 &&
         (path[length] == '/' || path[length] == '\0');
}

bool disk_is_read_only() noexcept {
  const auto* shared = page();
  return shared != nullptr && __atomic_load_n(&shared->read_only, __ATOMIC_SEQ_CST) != 0;
}

bool refuse() noexcept {
  __atomic_add_fetch(&page()->writes_refused, 1, __ATOMIC_SEQ_CST);
  errno = EROFS;
  return true;
}

/// Whether a change through this descriptor is refused; then errno says why.
bool refuses_descriptor(int fd) noexcept {
  if (!disk_is_read_only())
    return false;
  std::array<char, 64> link{};
  std::array<char, PATH_MAX> target{};
  std::snprintf(link.data(), link.size(), "/proc/self/fd/%d", fd);
  const int before = errno;
  const auto length = readlink(link.data(), target.data(), target.size() - 1);
  errno = before;
  struct stat info {};
  return length > 0 && is_below(target.data()) && fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && refuse();
}

/// Whether a change of what `path` names is refused; what does not exist is looked for in its directory.
bool refuses_path(int directory, const char* path) noexcept {
  if (!disk_is_read_only())
    return false;
  std::array<char, 2 * PATH_MAX> text{};
  if (path[0] == '/' || directory == AT_FDCWD) {
    std::snprintf(text.data(), text.size(), "%s", path);
  } else {
    std::array<char, 64> link{};
    std::snprintf(link.data(), link.size(), "/proc/self/fd/%d", directory);
    const auto length = readlink(link.data(), text.data(), PATH_MAX - 1);
    std::snprintf(text.data() + (length > 0 ? length : 0), PATH_MAX, "/%s", path);
  }
  const int before = errno;
  std::array<char, PATH_MAX> resolved{};
  if (realpath(text.data(), resolved.data()) == nullptr) {
    char* const slash = std::strrchr(text.data(), '/');
    if (slash == nullptr)
      std::snprintf(text.data(), text.size(), ".");
    else
      *slash = '\0';
    if (realpath(text.data(), resolved.data()) == nullptr)
      resolved[0] = '\0';
  }
  errno = before;
  return is_below(resolved.data()) && refuse();
}

bool opens_for_change(int flags) noexcept {
  return (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)) != 0;
}

mode_t mode_of(int flags, va_list arguments) noexcept {
  return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(arguments, mode_t) : 0;
}

} // namespace

// The names and types are those of the C library, which declares most of them with attributes of its own.
extern "C" {

int clock_gettime(clockid_t clock, timespec* at) noexcept {
  if (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)
    return real_time(clock, at);
  *at = shifted_now(clock);
  return 0;
}

int gettimeofday(timeval* at, void*) noexcept {
  const auto now = shifted_now(CLOCK_REALTIME);
  *at = {now.tv_sec, now.tv_nsec / 1'000};
  return 0;
}

time_t time(time_t* at) noexcept {
  const auto now = shifted_now(CLOCK_REALTIME).tv_sec;
  if (at != nullptr)
    *at = now;
  return now;
}

int timerfd_settime(int fd, int flags, const itimerspec* value, itimerspec* old) noexcept {
  static const auto really = next<int(int, int, const itimerspec*, itimerspec*)>("timerfd_settime");
  if (page() == nullptr || (flags & TFD_TIMER_CANCEL_ON_SET) == 0)
    return really(fd, flags, value, old);
  if (!is_watched(fd)) {
    const int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (watch < 0 || inotify_add_watch(watch, page_path(), IN_MODIFY) < 0 || dup3(watch, fd, O_CLOEXEC) < 0)
      return -1;
    close(watch);
    for (auto& one : watched_timers) {
      int none = 0;
      if (one.compare_exchange_strong(none, fd + 1))
        break;
    }
  }
  // What was set before it is armed does not cancel it.
  std::array<char, 4'096> events{};
  while (read(fd, events.data(), events.size()) > 0)
    continue;
  return 0;
}

int open(const char* path, int flags, ...) {
  static const auto really = next<int(const char*, int, ...)>("open");
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return opens_for_change(flags) && refuses_path(AT_FDCWD, path) ? -1 : really(path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  static const auto really = next<int(const char*, int, ...)>("open64");
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return opens_for_change(flags) && refuses_path(AT_FDCWD, path) ? -1 : really(path, flags, mode);
}

int openat(int directory, const char* path, int flags, ...) {
  static const auto really = next<int(int, const char*, int, ...)>("openat");
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return opens_for_change(flags) && refuses_path(directory, path) ? -1 : really(directory, path, flags, mode);
}

ssize_t write(int fd, const void* data, size_t size) {
  static const auto really = next<ssize_t(int, const void*, size_t)>("write");
  return refuses_descriptor(fd) ? -1 : really(fd, data, size);
}

ssize_t writev(int fd, const iovec* parts, int count) {
  static const auto really = next<ssize_t(int, const iovec*, int)>("writev");
  return refuses_descriptor(fd) ? -1 : really(fd, parts, count);
}

ssize_t pwrite(int fd, const void* data, size_t size, off_t at) {
  static const auto really = next<ssize_t(int, const void*, size_t, off_t)>("pwrite");
  return refuses_descriptor(fd) ? -1 : really(fd, data, size, at);
}

ssize_t pwrite64(int fd, const void* data, size_t size, off64_t at) {
  static const auto really = next<ssize_t(int, const void*, size_t, off64_t)>("pwrite64");
  return refuses_descriptor(fd) ? -1 : really(fd, data, size, at);
}

int ftruncate(int fd, off_t size) noexcept {
  static const auto really = next<int(int, off_t)>("ftruncate");
  return refuses_descriptor(fd) ? -1 : really(fd, size);
}

int ftruncate64(int fd, off64_t size) noexcept {
  static const auto really = next<int(int, off64_t)>("ftruncate64");
  return refuses_descriptor(fd) ? -1 : really(fd, size);
}

int fallocate(int fd, int mode, off_t at, off_t size) {
  static const auto really = next<int(int, int, off_t, off_t)>("fallocate");
  return refuses_descriptor(fd) ? -1 : really(fd, mode, at, size);
}

int unlink(const char* path) noexcept {
  static const auto really = next<int(const char*)>("unlink");
  return refuses_path(AT_FDCWD, path) ? -1 : really(path);
}

int unlinkat(int directory, const char* path, int flags) noexcept {
  static const auto really = next<int(int, const char*, int)>("unlinkat");
  return refuses_path(directory, path) ? -1 : really(directory, path, flags);
}

int rename(const char* from, const char* to) noexcept {
  static const auto really = next<int(const char*, const char*)>("rename");
  return refuses_path(AT_FDCWD, from) || refuses_path(AT_FDCWD, to) ? -1 : really(from, to);
}

int renameat(int from_directory, const char* from, int to_directory, const char* to) noexcept {
  static const auto really = next<int(int, const char*, int, const char*)>("renameat");
  return refuses_path(from_directory, from) || refuses_path(to_directory, to)
             ? -1
             : really(from_directory, from, to_directory, to);
}

int mkdir(const char* path, mode_t mode) noexcept {
  static const auto really = next<int(const char*, mode_t)>("mkdir");
  return refuses_path(AT_FDCWD, path) ? -1 : really(path, mode);
}

int mkdirat(int directory, const char* path, mode_t mode) noexcept {
  static const auto really = next<int(int, const char*, mode_t)>("mkdirat");
  return refuses_path(directory, path) ? -1 : really(directory, path, mode);
}

int bind(int fd, const sockaddr* address, socklen_t length) noexcept {
  static const auto really = next<int(int, const sockaddr*, socklen_t)>("bind");
  if (address->sa_family == AF_UNIX && disk_is_read_only()) {
    const auto* local = reinterpret_cast<const sockaddr_un*>(address);
    if (local->sun_path[0] != '\0' && refuses_path(AT_FDCWD, local->sun_path))
      return -1;
  }
  return really(fd, address, length);
}

} // extern "C"
