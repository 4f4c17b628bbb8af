// Posting and taking; the eventfd is written only when the list was empty.
#include "services/http/worker_mailbox.hpp"

#include "services/http/connection.hpp"

#include <cerrno>
#include <sys/eventfd.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace task_runner {

worker_mailbox::worker_mailbox()
    : descriptor_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (descriptor_ < 0)
    throw std::system_error(errno, std::generic_category(), "eventfd");
}

worker_mailbox::~worker_mailbox() {
  ::close(descriptor_);
}

void worker_mailbox::post(std::shared_ptr<http_connection> connection) {
  std::lock_guard<std::mutex> guard(mutex_);
  if (closed_)
    return;
  const bool wake = posted_.empty();
  posted_.push_back(std::move(connection));
  // Cannot fail: the counter is at most 1, because take() resets it under the same mutex.
  if (wake)
    ::eventfd_write(descriptor_, 1);
}

void worker_mailbox::close() {
  std::vector<std::shared_ptr<http_connection>> dropped;
  std::lock_guard<std::mutex> guard(mutex_);
  closed_ = true;
  // Declared first, so destroyed last: connections go when the mutex is free again.
  dropped.swap(posted_);
}

std::vector<std::shared_ptr<http_connection>> worker_mailbox::take() {
  std::lock_guard<std::mutex> guard(mutex_);
  eventfd_t count = 0;
  ::eventfd_read(descriptor_, &count);
  return std::exchange(posted_, {});
}

} // namespace task_runner
