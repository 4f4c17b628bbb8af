// setrlimit for the daemon itself.
#include "services/os/descriptor_limit.hpp"

#include <sys/resource.h>

namespace task_runner {

uint64_t raise_descriptor_limit() noexcept {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0)
    return 0;
  const auto before = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  return before == RLIM_INFINITY ? 0 : before;
}

} // namespace task_runner
