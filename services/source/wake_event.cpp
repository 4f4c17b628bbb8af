// The eventfd behind wake_event. Neither setting nor clearing ever blocks.
#include "services/source/wake_event.hpp"

#include <cerrno>
#include <cstdint>
#include <poll.h>
#include <stdexcept>
#include <sys/eventfd.h>
#include <unistd.h>

namespace task_runner {

wake_event::wake_event()
    : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (fd_ < 0)
    throw std::runtime_error(
        "no eventfd: the process is out of file descriptors; raise its limit (ulimit -n)");
}

wake_event::~wake_event() {
  close(fd_);
}

void wake_event::set() noexcept {
  const uint64_t one = 1;
  // EAGAIN means that the counter is full, which is as set as can be.
  while (write(fd_, &one, sizeof one) < 0 && errno == EINTR)
    continue;
}

void wake_event::clear() noexcept {
  uint64_t count = 0;
  while (read(fd_, &count, sizeof count) < 0 && errno == EINTR)
    continue;
}

bool wake_event::is_set() const noexcept {
  pollfd one{fd_, POLLIN, 0};
  return poll(&one, 1, 0) == 1;
}

} // namespace task_runner
