// The SOCK_SEQPACKET socket `launcher.sock` of a state directory: addresses of any length, packets,
// descriptors. Both ends use it, so that they agree on where the socket is and what a packet may carry.
#pragma once

#include "services/domain/result.hpp"
#include "services/launcher/owned_descriptor.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace task_runner::launcher {

/// Opens a state directory as a descriptor for addresses and files beneath it.
result<owned_descriptor> open_directory(const std::string& path);

/// Listens on `launcher.sock` in the directory, mode 0600; replaces a socket that nobody listens on. The
/// caller holds the lock that says nobody else does. Non-blocking.
result<owned_descriptor> listen_in(int directory, const std::string& path);

/// Connects to `launcher.sock` in the directory. Non-blocking. `not_found` when nobody listens.
result<owned_descriptor> connect_in(int directory, const std::string& path);

/// What came of sending or receiving one packet.
enum class packet_status : uint8_t {
  done,
  /// Not now: wait until the socket is ready again.
  again,
  /// The other end is gone.
  closed,
  /// A packet came that is too long or carried too many descriptors.
  damaged,
};

/// Sends one packet with descriptors (which stay the caller's). Never blocks, never raises SIGPIPE.
packet_status send_packet(int socket, std::string_view bytes, const std::vector<int>& descriptors = {});

/// Receives one packet and the descriptors in it. Never blocks.
packet_status receive_packet(int socket, std::string& bytes, std::vector<owned_descriptor>& descriptors);

/// A memfd with these bytes, ready to be sent.
result<owned_descriptor> make_memfd(const char* name, std::string_view bytes);

/// The bytes of a memfd (or another regular file); `too_large` past `length_max`.
result<std::string> read_memfd(int descriptor, size_t length_max);

} // namespace task_runner::launcher
