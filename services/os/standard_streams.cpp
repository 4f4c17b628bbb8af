// Each is opened the wrong way round: the first free number is the one that is missing.
#include "services/os/standard_streams.hpp"

#include <cerrno>
#include <fcntl.h>
#include <initializer_list>
#include <unistd.h>

namespace task_runner {

void take_closed_standard_streams() noexcept {
  for (const int place : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(place, F_GETFD) < 0 && errno == EBADF)
      static_cast<void>(::open("/dev/null", place == STDIN_FILENO ? O_WRONLY : O_RDONLY));
}

} // namespace task_runner
