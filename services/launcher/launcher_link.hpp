// One connection of the daemon to a launcher: finding or starting it, the hello, and packets in both
// directions. It knows nothing of attempts; launcher_client does.
#pragma once

#include "services/domain/result.hpp"
#include "services/launcher/owned_descriptor.hpp"
#include "services/launcher/packet_socket.hpp"
#include "services/launcher/protocol.hpp"

#include <memory>
#include <string>
#include <vector>

namespace task_runner::launcher {

/// Wakes a thread that polls a descriptor. Thread-safe.
class wake_descriptor {
public:
  wake_descriptor();
  int get() const noexcept { return descriptor_.get(); }
  void wake() noexcept;
  void clear() noexcept;

private:
  owned_descriptor descriptor_;
};

/// Where the launcher is and how to start it.
struct launcher_place {
  std::string state_dir;
  std::string binary;
  std::vector<std::string> arguments;
  /// The path of the program that it should run, and which one that is.
  std::string program;
  program_identity identity;
};

/// How long a launcher that lives may take to put back a launcher.sock that somebody has removed,
/// milliseconds; it looks after it every place_look_ms.
constexpr int socket_wait_ms = 2'500;

/// What a connection is for.
enum class link_purpose : uint8_t {
  /// Hello and introduction are said; requests may follow the welcome.
  converse,
  /// The launcher, with which there is no common version, is asked to go over to our program; its answer is
  /// the end of the connection, or why it does not.
  upgrade,
};

/// A connection to a launcher. Several threads may send, while one receives; the rest is not thread-safe.
class launcher_link {
public:
  /// Connects to the launcher of the directory, after starting one when there is none. Where one lives whose
  /// launcher.sock is gone, waits for that to come back. May take up to launcher_start_wait_ms and
  /// socket_wait_ms; gives up early when `cancel` becomes readable.
  static result<std::unique_ptr<launcher_link>> open(const launcher_place& place, link_purpose purpose,
                                                     int cancel);

  int descriptor() const noexcept { return socket_.get(); }
  /// The process at the other end; 0 when the kernel does not say.
  int peer() const noexcept { return peer_; }

  /// Sends one packet of requests. `again`: nothing was sent, wait until the socket takes more.
  packet_status send(std::string_view packet);
  /// Sends one start that is too large for a packet, in a memfd. An error when no memfd can be had.
  result<packet_status> send_large(const attempt_start& start);
  /// Asks whether the launcher works; only where the version of its welcome has that.
  packet_status send_ping();
  /// Asks the launcher to go over to this program.
  result<void> send_upgrade(const std::string& program);

  /// The next message. `closed` when the launcher has gone, `damaged` when it speaks nonsense.
  packet_status receive(any_message& into);

private:
  launcher_link(owned_descriptor socket, int peer)
      : socket_(std::move(socket))
      , peer_(peer) {}
  result<void> say_hello(const program_identity& program);

  owned_descriptor socket_;
  int peer_ = 0;
  std::string packet_;
};

} // namespace task_runner::launcher
