// Connecting, the hello with its two descriptors, and sending and receiving of packets.
#include "services/launcher/launcher_link.hpp"

#include "services/launcher/command_environment.hpp"
#include "services/launcher/launcher_start.hpp"
#include "services/launcher/state_claim.hpp"
#include "services/launcher/steady_clock.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace task_runner::launcher {

wake_descriptor::wake_descriptor()
    : descriptor_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void wake_descriptor::wake() noexcept {
  const uint64_t one = 1;
  // Full (EAGAIN) means that it is readable, which is all that is wanted.
  while (::write(descriptor_.get(), &one, sizeof(one)) < 0 && errno == EINTR) {
  }
}

void wake_descriptor::clear() noexcept {
  uint64_t count = 0;
  while (::read(descriptor_.get(), &count, sizeof(count)) < 0 && errno == EINTR) {
  }
}

namespace {

/// The umask of this process. umask() itself can only be asked by changing it, under the feet of other
/// threads.
uint32_t own_file_mask() {
  constexpr uint32_t usual = 022;
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.compare(0, 6, "Umask:") == 0)
      return static_cast<uint32_t>(std::strtoul(line.c_str() + 6, nullptr, 8)) & 0777U;
  return usual;
}

/// Between two tries to reach a launcher that must put its socket back.
constexpr int socket_pause_ms = 25;

/// Connects to a launcher that lives, as soon as it has put its socket back.
result<owned_descriptor> connect_when_back(int directory, const std::string& state_dir, int cancel) {
  const steady_ms until = steady_now_ms() + socket_wait_ms;
  for (;;) {
    result<owned_descriptor> socket = connect_in(directory, state_dir);
    if (socket || socket.failure().code != error_code::not_found)
      return socket;
    if (steady_now_ms() >= until)
      break;
    pollfd wait{cancel, POLLIN, 0};
    if (::poll(&wait, 1, socket_pause_ms) > 0)
      break;
  }
  const int pid = claimed_by(state_dir);
  const std::string who =
      pid != 0 ? "process " + std::to_string(pid) + " (launcher.pid)" : "another launcher";
  return error{error_code::conflict,
               who +
                   " holds this state directory, but launcher.sock, by which it is reached, is gone and did "
                   "not come back in time; if it is stopped, let it go on" +
                   (pid != 0 ? ": kill -CONT " + std::to_string(pid) : std::string())};
}

} // namespace

result<std::unique_ptr<launcher_link>> launcher_link::open(const launcher_place& place, link_purpose purpose,
                                                           int cancel) {
  const result<owned_descriptor> directory = open_directory(place.state_dir);
  if (!directory)
    return directory.failure();
  result<owned_descriptor> socket = connect_in(directory->get(), place.state_dir);
  if (!socket && socket.failure().code == error_code::not_found) {
    const result<void> started = start_launcher(place.binary, place.state_dir, place.arguments, cancel);
    if (!started && started.failure().code != error_code::conflict)
      return started.failure();
    // Another one that holds the directory has just become ready, or has lost its socket.
    socket = started ? connect_in(directory->get(), place.state_dir)
                     : connect_when_back(directory->get(), place.state_dir, cancel);
  }
  if (!socket)
    return socket.failure();
  // Whoever could bind beneath our directory is us, or has it anyway; still, commands are not told to
  // strangers.
  ucred peer{};
  socklen_t length = sizeof(peer);
  if (::getsockopt(socket->get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0 || peer.uid != ::geteuid())
    return error{error_code::unavailable, "launcher.sock belongs to another user"};
  std::unique_ptr<launcher_link> link(new launcher_link(std::move(*socket), peer.pid));
  const result<void> said =
      purpose == link_purpose::converse ? link->say_hello(place.identity) : link->send_upgrade(place.program);
  if (!said)
    return said.failure();
  return link;
}

result<void> launcher_link::say_hello(const program_identity& program) {
  const result<owned_descriptor> environment = make_memfd("tr-environment", encode_environment(::environ));
  if (!environment)
    return environment.failure();
  const owned_descriptor working_directory(::open(".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!working_directory)
    return error{error_code::unavailable,
                 std::string("cannot open the working directory: ") + std::strerror(errno)};
  hello_message hello;
  hello.daemon_pid = static_cast<uint32_t>(::getpid());
  hello.daemon_version = TASK_RUNNER_VERSION;
  if (send_packet(socket_.get(), encode(hello), {environment->get(), working_directory.get()}) !=
      packet_status::done)
    return error{error_code::unavailable, "the launcher closed the connection before the hello"};
  // One that has refused the hello takes no more; its reason is there to be read.
  if (send_packet(socket_.get(), encode(introduction_message{program, own_file_mask()})) ==
      packet_status::again)
    return error{error_code::unavailable, "the launcher takes no packet"};
  return {};
}

result<void> launcher_link::send_upgrade(const std::string& program) {
  const owned_descriptor file(::open(program.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file)
    return error{error_code::unavailable, "cannot open " + program + ": " + std::strerror(errno)};
  if (send_packet(socket_.get(), encode(upgrade_message{TASK_RUNNER_VERSION}), {file.get()}) !=
      packet_status::done)
    return error{error_code::unavailable, "the launcher takes no packet"};
  return {};
}

packet_status launcher_link::send_ping() {
  return send_packet(socket_.get(), encode(ping_message{}));
}

packet_status launcher_link::send(std::string_view packet) {
  return send_packet(socket_.get(), packet);
}

result<packet_status> launcher_link::send_large(const attempt_start& start) {
  const std::string bytes = encode_start(start);
  const result<owned_descriptor> memory = make_memfd("tr-start", bytes);
  if (!memory)
    return memory.failure();
  return send_packet(socket_.get(), encode(requests_message{{large_start_request{bytes.size()}}}),
                     {memory->get()});
}

packet_status launcher_link::receive(any_message& into) {
  std::vector<owned_descriptor> unexpected;
  const packet_status status = receive_packet(socket_.get(), packet_, unexpected);
  if (status != packet_status::done)
    return status;
  result<any_message> decoded = decode(packet_);
  if (!decoded)
    return packet_status::damaged;
  into = std::move(*decoded);
  return packet_status::done;
}

} // namespace task_runner::launcher
