// One datagram per state, never waited for. A service manager that does not read must not hold the daemon up.
#include "services/os/service_notifier.hpp"

#include "services/os/descriptor.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

namespace task_runner {

namespace {

error failed(const std::string& why) {
  return error{error_code::unavailable, "cannot tell the service manager (NOTIFY_SOCKET): " + why};
}

/// A status is one line; a newline in it would begin another variable.
std::string with_status(std::string message, std::string_view status) {
  if (status.empty())
    return message;
  std::string line(status);
  std::replace(line.begin(), line.end(), '\n', ' ');
  return message + "\nSTATUS=" + line;
}

} // namespace

service_notifier service_notifier::from_environment() {
  service_notifier notifier;
  if (const char* address = std::getenv("NOTIFY_SOCKET"))
    notifier.address_ = address;
  ::unsetenv("NOTIFY_SOCKET");
  return notifier;
}

result<void> service_notifier::ready(std::string_view status) const {
  return send(with_status("READY=1", status));
}

result<void> service_notifier::reloading() const {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const int64_t now_us = static_cast<int64_t>(now.tv_sec) * 1'000'000 + now.tv_nsec / 1'000;
  // Type=notify-reload tells this reload from an earlier one by the time.
  return send("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(now_us));
}

result<void> service_notifier::stopping(std::string_view status) const {
  return send(with_status("STOPPING=1", status));
}

result<void> service_notifier::send(const std::string& message) const {
  if (address_.empty())
    return {};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if ((address_[0] != '/' && address_[0] != '@') || address_.size() >= sizeof address.sun_path)
    return failed("its value is neither a path nor an abstract name");
  std::memcpy(address.sun_path, address_.data(), address_.size());
  if (address.sun_path[0] == '@')
    address.sun_path[0] = '\0';
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_.size());
  const descriptor socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket)
    return failed(std::strerror(errno));
  if (::sendto(socket.get(), message.data(), message.size(), MSG_NOSIGNAL,
               reinterpret_cast<const sockaddr*>(&address), length) < 0)
    return failed(std::strerror(errno));
  return {};
}

} // namespace task_runner
