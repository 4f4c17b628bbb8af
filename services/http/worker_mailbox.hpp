// How other threads get a connection looked at by the worker thread that owns it.
// A list under a mutex and an eventfd in the worker's poller; it outlives the worker, so late posts are
// harmless.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

namespace task_runner {

class http_connection;

/// Thread-safe. Bounded by the number of connections: each stands in it at most once (http_connection sees to
/// it).
class worker_mailbox {
public:
  /// Throws std::system_error when no eventfd can be had; http_server::start turns that into an error.
  worker_mailbox();
  ~worker_mailbox();
  worker_mailbox(const worker_mailbox&) = delete;
  worker_mailbox& operator=(const worker_mailbox&) = delete;

  /// Becomes readable when something is posted.
  int descriptor() const noexcept { return descriptor_; }

  void post(std::shared_ptr<http_connection> connection);

  /// The worker has ended: what is posted is dropped, now and later. Without it, a connection in here and its
  /// mailbox would keep each other alive for ever.
  void close();

  /// Takes everything and makes the descriptor unreadable again.
  std::vector<std::shared_ptr<http_connection>> take();

private:
  int descriptor_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<http_connection>> posted_;
  bool closed_ = false;
};

} // namespace task_runner
