// The launcher's loop: one epoll over the socket, the daemon's connection, pipes and processes, and no thread
// beside it. It sleeps until something happens; only while no daemon is connected it looks once a second
// whether the next one will find it.
#pragma once

#include "services/domain/result.hpp"
#include "services/launcher/command_table.hpp"
#include "services/launcher/handover.hpp"
#include "services/launcher/launcher.hpp"
#include "services/launcher/launcher_log.hpp"
#include "services/launcher/program_change.hpp"
#include "services/launcher/state_claim.hpp"

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

/// While no daemon is connected, launcher.pid and launcher.sock are looked after this often.
constexpr steady_ms place_look_ms = 1'000;

/// While no descriptor is left for a connection, the next try to accept one comes after this.
constexpr steady_ms accept_pause_ms = 100;

/// How long a new program may take to say whether it understands the handover.
constexpr steady_ms probe_wait_ms = 3'000;

/// The state directory and the lock on it.
struct held_directory {
  owned_descriptor directory;
  /// launcher.pid, locked.
  owned_descriptor lock;
};

/// The launcher of one state directory. Not thread-safe; the process is its own.
class launcher_server {
public:
  /// Opens everything. `held` is the directory `options.state_dir`; `command_descriptors` is the limit that
  /// commands get. Signals must be blocked or ignored already.
  static result<std::unique_ptr<launcher_server>> open(held_directory held, const launcher_options& options,
                                                       const rlimit& command_descriptors);

  /// Goes on where another program in this process left off. On an error nothing that was handed on has been
  /// touched, and the former program may be executed again.
  static result<std::unique_ptr<launcher_server>> resume(handover handed, const launcher_options& options);

  /// Serves until no daemon is connected, nothing runs, and the grace is over; removes socket and pid file
  /// then. Returns the exit code, 0.
  int run();

private:
  struct connection {
    owned_descriptor socket;
    /// Until when it must have introduced itself; 0 once it has.
    steady_ms hello_until = 0;
    /// The version both will use and the environment it brought, between hello and introduction.
    uint16_t version = 0;
    daemon_surroundings surroundings;
    owned_descriptor directory;
    std::deque<std::string> outbox;
    size_t outbox_bytes = 0;
    bool waits_to_write = false;
  };

  launcher_server(held_directory held, const launcher_options& options);

  /// Makes the epoll set and the signalfd.
  result<void> open_loop();
  /// Puts listener and child signal into the epoll set.
  result<void> watch_own();
  command_table_setting table_setting(const rlimit& command_descriptors) const;

  int timeout_ms(steady_ms now) const noexcept;
  void accept_connections();
  /// Accepts later: a socket that is always ready would keep the loop turning.
  void pause_accepting(bool pause);
  /// `writable` says that the socket takes more.
  void on_connection(uint64_t number, bool readable, bool writable);
  void receive_from(uint64_t number, int packets_max);
  void take_packet(uint64_t number, const std::string& packet, std::vector<owned_descriptor>& descriptors);
  void greet(uint64_t number, const any_message& message, std::vector<owned_descriptor>& descriptors);
  void take_over_daemon(uint64_t number, const any_message& message);
  result<daemon_surroundings> take_surroundings(const std::vector<owned_descriptor>& descriptors);
  /// Gives the daemon's surroundings to commands.
  void surround_commands();
  result<void> take_requests(any_message& message, const std::vector<owned_descriptor>& descriptors);
  void send(uint64_t number, std::string packet);
  void flush_outbox(uint64_t number);
  void refuse(uint64_t number, const std::string& reason);
  void close_connection(uint64_t number);
  void drop_silent_strangers(steady_ms now);
  void look_for_orphans();
  /// Puts launcher.pid and launcher.sock back when somebody has removed or replaced them: the next daemon
  /// finds the launcher by these.
  void stay_reachable(steady_ms now);
  void listen_again();

  // Going over to another program: launcher_server_upgrade.cpp.
  void begin_upgrade(uint64_t number, const std::string& version, std::vector<owned_descriptor>& descriptors);
  void on_probe_end();
  void forget_probe();
  void execute_new_program();
  void close_all_connections();
  handover make_handover(const program_identity& to) const;
  void stay(const std::string& reason);

  held_directory held_;
  launcher_options options_;
  launcher_log log_;
  owned_descriptor epoll_;
  owned_descriptor listener_;
  /// What launcher.sock was when the listener was bound.
  entry_identity socket_file_;
  /// When connections are accepted again; 0: they are.
  steady_ms accept_at_ = 0;
  /// When launcher.pid and launcher.sock are looked after next.
  steady_ms place_look_at_ = 0;
  owned_descriptor child_signal_;
  owned_descriptor null_input_;
  owned_descriptor output_dir_;
  rlimit command_descriptors_{};
  daemon_surroundings surroundings_;
  std::unique_ptr<command_table> commands_;
  std::map<uint64_t, connection> connections_;
  /// The connection of the daemon; 0 when there is none.
  uint64_t daemon_ = 0;
  uint64_t next_connection_ = 1;
  /// When the launcher leaves, 0 while it has a reason to stay.
  steady_ms leave_at_ = 0;
  /// When orphans are looked for, 0 when no child has died since the last look.
  steady_ms orphans_at_ = 0;
  /// While a new program is asked whether it understands the handover.
  std::unique_ptr<program_probe> probe_;
  steady_ms probe_until_ = 0;
  /// Who asked for the new program.
  uint64_t upgrade_asked_by_ = 0;
  /// How often this process has gone over to a new program, and why it last did not.
  uint32_t upgrades_ = 0;
  std::string upgrade_failure_;
  std::string packet_;
  std::vector<owned_descriptor> packet_descriptors_;
};

} // namespace task_runner::launcher
