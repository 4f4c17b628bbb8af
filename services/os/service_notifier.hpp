// Tells a service manager how far the daemon is. It speaks the protocol of sd_notify without linking its
// library.
#pragma once

#include "services/domain/result.hpp"

#include <string>
#include <string_view>

namespace task_runner {

/// Sends state changes to the socket that NOTIFY_SOCKET names; without one every call succeeds and does
/// nothing. Thread-safe once created.
class service_notifier {
public:
  /// Remembers NOTIFY_SOCKET and removes it from the environment, so that no command speaks in the daemon's
  /// name. Call it while there is one thread.
  static service_notifier from_environment();

  /// Start-up, or a reload, is done. `status` is a sentence for `systemctl status`.
  result<void> ready(std::string_view status = {}) const;
  /// A reload begins.
  result<void> reloading() const;
  /// The end has begun.
  result<void> stopping(std::string_view status = {}) const;

private:
  result<void> send(const std::string& message) const;

  /// A path, or an abstract name behind `@`; empty when nobody listens.
  std::string address_;
};

} // namespace task_runner
