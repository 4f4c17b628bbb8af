// Unix sockets beneath a directory descriptor, and packets with descriptors over them.
#include "services/launcher/packet_socket.hpp"

#include "services/launcher/protocol.hpp"
#include "services/launcher/spawn.hpp"
#include "services/launcher/state_claim.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

namespace task_runner::launcher {
namespace {

/// One daemon at a time talks to a launcher; a few more may stand in line while they take over.
constexpr int listen_backlog = 64;

error failure_of(error_code code, const std::string& what) {
  return {code, what + ": " + std::strerror(errno)};
}

/// Whether there is too little of something now, or it cannot be done at all.
error_code code_of(int reason) noexcept {
  return is_shortage(reason) || reason == ENOSPC ? error_code::overloaded : error_code::unavailable;
}

/// The address of the socket. A path too long for one goes through the directory's descriptor in /proc.
sockaddr_un address_in(int directory, const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::string name = path + "/" + socket_file_name;
  if (name.size() >= sizeof(address.sun_path))
    name = "/proc/self/fd/" + std::to_string(directory) + "/" + socket_file_name;
  std::memcpy(address.sun_path, name.c_str(), name.size() + 1);
  return address;
}

} // namespace

result<owned_descriptor> open_directory(const std::string& path) {
  owned_descriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory)
    return failure_of(error_code::unavailable, "cannot open the state directory " + path);
  return directory;
}

result<owned_descriptor> listen_in(int directory, const std::string& path) {
  owned_descriptor listener(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener)
    return failure_of(error_code::unavailable, "cannot make a socket");
  if (::unlinkat(directory, socket_file_name, 0) != 0 && errno != ENOENT)
    return failure_of(error_code::unavailable, "cannot remove the old launcher.sock");
  const sockaddr_un address = address_in(directory, path);
  if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
    return failure_of(error_code::unavailable, "cannot bind launcher.sock");
  if (::fchmodat(directory, socket_file_name, 0600, 0) != 0 || ::listen(listener.get(), listen_backlog) != 0)
    return failure_of(error_code::unavailable, "cannot listen on launcher.sock");
  return listener;
}

result<owned_descriptor> connect_in(int directory, const std::string& path) {
  owned_descriptor socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket)
    return failure_of(error_code::unavailable, "cannot make a socket");
  const sockaddr_un address = address_in(directory, path);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    const bool nobody = errno == ENOENT || errno == ECONNREFUSED;
    return failure_of(nobody ? error_code::not_found : error_code::unavailable,
                      "cannot connect to launcher.sock");
  }
  return socket;
}

packet_status send_packet(int socket, std::string_view bytes, const std::vector<int>& descriptors) {
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * packet_descriptors_max)> control{};
  if (!descriptors.empty()) {
    header.msg_control = control.data();
    header.msg_controllen = CMSG_SPACE(sizeof(int) * descriptors.size());
    cmsghdr* first = CMSG_FIRSTHDR(&header);
    first->cmsg_level = SOL_SOCKET;
    first->cmsg_type = SCM_RIGHTS;
    first->cmsg_len = CMSG_LEN(sizeof(int) * descriptors.size());
    std::memcpy(CMSG_DATA(first), descriptors.data(), sizeof(int) * descriptors.size());
  }
  for (;;) {
    if (::sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
      return packet_status::done;
    if (errno == EINTR)
      continue;
    // ENOBUFS and ENOMEM pass; the socket reports itself ready again.
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS || errno == ENOMEM
               ? packet_status::again
               : packet_status::closed;
  }
}

packet_status receive_packet(int socket, std::string& bytes, std::vector<owned_descriptor>& descriptors) {
  descriptors.clear();
  bytes.clear();
  // Not into `bytes`: making room there would fill it with zeros, each time.
  thread_local const std::unique_ptr<char[]> room(new char[packet_size_max]);
  iovec part{room.get(), packet_size_max};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * packet_descriptors_max)> control{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  ssize_t n = 0;
  // A peer that died with unread packets shows as one ECONNRESET before what it had sent: that still counts.
  bool reset_seen = false;
  for (;;) {
    n = ::recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n >= 0 || (errno != EINTR && (errno != ECONNRESET || reset_seen)))
      break;
    reset_seen = reset_seen || errno == ECONNRESET;
  }
  if (n < 0) {
    return errno == EAGAIN || errno == EWOULDBLOCK ? packet_status::again : packet_status::closed;
  }
  for (cmsghdr* one = CMSG_FIRSTHDR(&header); one != nullptr; one = CMSG_NXTHDR(&header, one)) {
    if (one->cmsg_level != SOL_SOCKET || one->cmsg_type != SCM_RIGHTS)
      continue;
    const size_t count = (one->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int descriptor = -1;
      std::memcpy(&descriptor, CMSG_DATA(one) + i * sizeof(int), sizeof(int));
      descriptors.emplace_back(descriptor);
    }
  }
  bytes.assign(room.get(), static_cast<size_t>(n));
  if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0)
    return packet_status::damaged;
  return n == 0 ? packet_status::closed : packet_status::done;
}

result<owned_descriptor> make_memfd(const char* name, std::string_view bytes) {
  owned_descriptor memory(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory)
    return failure_of(code_of(errno), "cannot make a memfd");
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n =
        ::pwrite(memory.get(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return failure_of(code_of(errno), "cannot fill a memfd");
    done += static_cast<size_t>(n);
  }
  ::fcntl(memory.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
  return memory;
}

result<std::string> read_memfd(int descriptor, size_t length_max) {
  struct stat facts {};
  if (::fstat(descriptor, &facts) != 0 || !S_ISREG(facts.st_mode))
    return error{error_code::invalid_argument, "the descriptor that was sent is no memfd"};
  if (facts.st_size < 0 || static_cast<uint64_t>(facts.st_size) > length_max)
    return error{error_code::too_large, "the memfd holds " + std::to_string(facts.st_size) +
                                            " bytes, at most " + std::to_string(length_max) + " are allowed"};
  std::string bytes(static_cast<size_t>(facts.st_size), '\0');
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = ::pread(descriptor, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return failure_of(error_code::invalid_argument, "cannot read the memfd");
    done += static_cast<size_t>(n);
  }
  return bytes;
}

} // namespace task_runner::launcher
