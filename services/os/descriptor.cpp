// The one place that closes. Linux frees the number even when close() reports an error, so it is never
// repeated.
#include "services/os/descriptor.hpp"

#include <unistd.h>

namespace task_runner {

void descriptor::reset() noexcept {
  if (number_ >= 0)
    ::close(std::exchange(number_, -1));
}

} // namespace task_runner
