// The name of a launcher process, from what the kernel says of the socket's other end.
// The pid comes from the socket and not from the launcher's own words, so that it counts where it is looked
// up.
#include "services/launcher/launcher_identity.hpp"

#include "services/launcher/process_table.hpp"
#include "services/os/clock_watch.hpp"

#include <string>
#include <sys/socket.h>

namespace task_runner::launcher {
namespace {

/// FNV-1a: the same in every build, for the number is stored.
uint64_t hash_of(const std::string& text) noexcept {
  uint64_t value = 0xcbf29ce484222325U;
  for (const char c : text)
    value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  return value;
}

} // namespace

uint64_t identify_launcher(int socket) {
  ucred peer{};
  socklen_t length = sizeof(peer);
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0 || peer.pid <= 0)
    return 0;
  const auto process = look_at_process(peer.pid);
  const auto boot = read_clock_mark();
  if (!process || !boot || boot->boot_id.empty())
    return 0;
  const auto name =
      boot->boot_id + " " + std::to_string(peer.pid) + " " + std::to_string(process->began) + " launcher";
  return hash_of(name) >> 1U | 1U;
}

} // namespace task_runner::launcher
