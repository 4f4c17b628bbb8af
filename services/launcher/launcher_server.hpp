// The launcher's loop: one epoll over the socket, the daemon's connection, pipes and processes, and no thread
// beside it. It sleeps until something happens; there are no periodic wake-ups.
#pragma once

#include "services/domain/result.hpp"
#include "services/launcher/command_table.hpp"
#include "services/launcher/launcher.hpp"
#include "services/launcher/launcher_log.hpp"

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace task_runner::launcher {

/// Most connections that have not said hello yet; at the bound the oldest is closed.
constexpr size_t strangers_max = 8;
/// How long a connection may take to say hello.
constexpr steady_ms hello_wait_ms = 5'000;
/// Most bytes waiting for a daemon that does not read. At the bound the connection is closed: a daemon that
/// comes back gets a fresh listing, so nothing is lost.
constexpr size_t outbox_bytes_max = 33'554'432;

/// The launcher of one state directory. Not thread-safe; the process is its own.
class launcher_server {
public:
  /// Opens everything. `state_dir` is a descriptor of the directory `options.state_dir`, whose lock the
  /// caller holds; `command_descriptors` is the limit that commands get. Signals must be blocked or ignored
  /// already.
  static result<std::unique_ptr<launcher_server>> open(int state_dir, const launcher_options& options,
                                                       const rlimit& command_descriptors);

  /// Serves until no daemon is connected, nothing runs, and the grace is over. Removes the socket when it
  /// leaves.
  void run();

private:
  struct connection {
    owned_descriptor socket;
    /// Until when it must say hello; 0 once it has.
    steady_ms hello_until = 0;
    std::deque<std::string> outbox;
    size_t outbox_bytes = 0;
    bool waits_to_write = false;
  };

  launcher_server(int state_dir, const launcher_options& options);

  int timeout_ms(steady_ms now) const noexcept;
  void accept_connections();
  /// `writable` says that the socket takes more.
  void on_connection(uint64_t number, bool readable, bool writable);
  void receive_from(uint64_t number, int packets_max);
  void greet(uint64_t number, const std::string& packet, std::vector<owned_descriptor>& descriptors);
  result<command_environment> take_environment(const std::vector<owned_descriptor>& descriptors);
  result<void> take_requests(const std::string& packet, std::vector<owned_descriptor>& descriptors);
  void send(uint64_t number, std::string packet);
  void flush_outbox(uint64_t number);
  void refuse(uint64_t number, const std::string& reason);
  void close_connection(uint64_t number);
  void drop_silent_strangers(steady_ms now);

  int state_dir_;
  launcher_options options_;
  launcher_log log_;
  owned_descriptor epoll_;
  owned_descriptor listener_;
  owned_descriptor child_signal_;
  owned_descriptor null_input_;
  owned_descriptor output_dir_;
  std::unique_ptr<command_table> commands_;
  std::map<uint64_t, connection> connections_;
  /// The connection of the daemon; 0 when there is none.
  uint64_t daemon_ = 0;
  uint64_t next_connection_ = 1;
  /// When the launcher leaves, 0 while it has a reason to stay.
  steady_ms leave_at_ = 0;
  /// When orphans are looked for, 0 when no child has died since the last look.
  steady_ms orphans_at_ = 0;
  std::string packet_;
  std::vector<owned_descriptor> packet_descriptors_;
};

} // namespace task_runner::launcher
