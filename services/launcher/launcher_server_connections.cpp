// The connections of the launcher: strangers, the daemon, what they ask and what they are told.
// A stranger on the socket, or a packet that makes no sense, costs that connection and nothing else.
#include "services/launcher/command_environment.hpp"
#include "services/launcher/launcher_server.hpp"
#include "services/launcher/packet_socket.hpp"
#include "services/launcher/protocol.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace task_runner::launcher {
namespace {

/// Packets taken from one connection before others have their turn.
constexpr int packets_per_turn = 64;
/// Packets taken from a daemon that is being replaced: more than a socket buffer holds.
constexpr int packets_of_former_max = 16'384;

/// The name of the working directory: what PWD says when that is true, as shells do, else what the kernel
/// says.
std::string working_directory_name(std::string_view environment) {
  for (std::string_view rest = environment; !rest.empty();) {
    const std::string_view entry = rest.substr(0, rest.find('\0'));
    rest.remove_prefix(std::min(entry.size() + 1, rest.size()));
    if (entry.substr(0, 5) != "PWD=/")
      continue;
    std::string claimed(entry.substr(4));
    struct stat there {};
    struct stat here {};
    if (::stat(claimed.c_str(), &there) == 0 && ::stat(".", &here) == 0 && there.st_dev == here.st_dev &&
        there.st_ino == here.st_ino)
      return claimed;
  }
  std::array<char, PATH_MAX> name{};
  // Without a name (a directory that was removed) commands see whatever PWD the daemon had.
  return ::getcwd(name.data(), name.size()) != nullptr ? std::string(name.data()) : std::string();
}

} // namespace

void launcher_server::accept_connections() {
  for (;;) {
    owned_descriptor socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket) {
      if (errno == EINTR || errno == ECONNABORTED)
        continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) {
        log_.write_once(std::string("cannot accept a connection: ") + std::strerror(errno));
        pause_accepting(true);
      }
      return;
    }
    ucred peer{};
    socklen_t length = sizeof(peer);
    if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0 || peer.uid != ::geteuid()) {
      log_.write_once("refused a connection of user " + std::to_string(peer.uid));
      continue;
    }
    const auto is_stranger = [](const auto& one) { return one.second.hello_until != 0; };
    const auto strangers = std::count_if(connections_.begin(), connections_.end(), is_stranger);
    // The oldest goes, so that those who say nothing cannot keep a daemon out.
    if (static_cast<size_t>(strangers) >= strangers_max)
      close_connection(std::find_if(connections_.begin(), connections_.end(), is_stranger)->first);
    const uint64_t number = next_connection_++;
    epoll_event interest{};
    interest.events = EPOLLIN;
    interest.data.u64 = make_epoll_tag(epoll_source::connection, number);
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, socket.get(), &interest) != 0)
      continue;
    connection& fresh = connections_[number];
    fresh.socket = std::move(socket);
    fresh.hello_until = steady_now_ms() + hello_wait_ms;
  }
}

void launcher_server::pause_accepting(bool pause) {
  accept_at_ = pause ? steady_now_ms() + accept_pause_ms : 0;
  epoll_event interest{};
  interest.events = pause ? 0U : static_cast<uint32_t>(EPOLLIN);
  interest.data.u64 = make_epoll_tag(epoll_source::listener, 0);
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, listener_.get(), &interest);
}

void launcher_server::drop_silent_strangers(steady_ms now) {
  for (auto one = connections_.begin(); one != connections_.end();) {
    const auto current = one++;
    if (current->second.hello_until != 0 && current->second.hello_until <= now)
      close_connection(current->first);
  }
}

void launcher_server::on_connection(uint64_t number, bool readable, bool writable) {
  if (writable)
    flush_outbox(number);
  if (readable)
    receive_from(number, packets_per_turn);
}

void launcher_server::receive_from(uint64_t number, int packets_max) {
  for (int i = 0; i < packets_max; ++i) {
    const auto found = connections_.find(number);
    if (found == connections_.end())
      return;
    switch (receive_packet(found->second.socket.get(), packet_, packet_descriptors_)) {
    case packet_status::again:
      return;
    case packet_status::closed:
      close_connection(number);
      return;
    case packet_status::damaged:
      refuse(number, "a packet was too long or carried too many descriptors");
      return;
    case packet_status::done:
      take_packet(number, packet_, packet_descriptors_);
      break;
    }
  }
}

void launcher_server::take_packet(uint64_t number, const std::string& packet,
                                  std::vector<owned_descriptor>& descriptors) {
  result<any_message> decoded = decode(packet);
  if (!decoded)
    return refuse(number, decoded.failure().message);
  const connection& from = connections_.at(number);
  if (const auto* upgrade = std::get_if<upgrade_message>(&*decoded)) {
    begin_upgrade(number, upgrade->version, descriptors);
  } else if (from.hello_until == 0 && std::holds_alternative<ping_message>(*decoded)) {
    send(number, encode(commands_->answer_ping(steady_now_ms())));
  } else if (from.hello_until == 0) {
    if (const result<void> taken = take_requests(*decoded, descriptors); !taken)
      refuse(number, taken.failure().message);
  } else if (from.version == 0) {
    greet(number, *decoded, descriptors);
  } else {
    take_over_daemon(number, *decoded);
  }
}

void launcher_server::greet(uint64_t number, const any_message& message,
                            std::vector<owned_descriptor>& descriptors) {
  const auto* hello = std::get_if<hello_message>(&message);
  if (hello == nullptr)
    return refuse(number, "the first packet must be a hello");
  const uint16_t version = std::min(hello->version_max, protocol_version_max);
  if (version < hello->version_min || version < protocol_version_min)
    return refuse(number, "no common version: the daemon speaks " + std::to_string(hello->version_min) +
                              " to " + std::to_string(hello->version_max) + ", this launcher " +
                              std::to_string(protocol_version_min) + " to " +
                              std::to_string(protocol_version_max) +
                              "; it leaves when its commands have ended, then a new one can start");
  result<daemon_surroundings> surroundings = take_surroundings(descriptors);
  if (!surroundings)
    return refuse(number, surroundings.failure().message);
  connection& from = connections_.at(number);
  from.version = version;
  from.surroundings = std::move(*surroundings);
  from.directory = std::move(descriptors[1]);
}

void launcher_server::take_over_daemon(uint64_t number, const any_message& message) {
  const auto* introduction = std::get_if<introduction_message>(&message);
  if (introduction == nullptr)
    return refuse(number, "after the hello an introduction is expected");
  // The newest daemon has the word. What the former one had sent still counts.
  if (daemon_ != 0 && daemon_ != number) {
    const uint64_t former = daemon_;
    receive_from(former, packets_of_former_max);
    close_connection(former);
  }
  connection& from = connections_.at(number);
  from.surroundings.file_mask = introduction->file_mask;
  if (::fchdir(from.directory.get()) != 0)
    return refuse(number,
                  std::string("cannot enter the daemon's working directory: ") + std::strerror(errno));
  from.directory.reset();
  from.surroundings.directory = working_directory_name(from.surroundings.environment);
  surroundings_ = std::move(from.surroundings);
  from.surroundings = {};
  surround_commands();
  from.hello_until = 0;
  // Events so far belong to the listing; from here on they are sent.
  commands_->take_events();
  daemon_ = number;
  welcome_message welcome;
  welcome.version = from.version;
  welcome.launcher_pid = static_cast<uint32_t>(::getpid());
  welcome.launcher_version = TASK_RUNNER_VERSION;
  welcome.program = own_program();
  welcome.containment = commands_->containment();
  welcome.running_max = static_cast<uint32_t>(commands_->running_max());
  welcome.upgrades = upgrades_;
  welcome.upgrade_failure = upgrade_failure_;
  send(number, encode(welcome));
  for (std::string& part : commands_->listing())
    send(number, std::move(part));
  send(number, encode(ready_message{}));
}

void launcher_server::surround_commands() {
  commands_->set_environment(command_environment(surroundings_.environment, surroundings_.directory));
  commands_->set_file_mask(surroundings_.file_mask);
}

result<daemon_surroundings>
launcher_server::take_surroundings(const std::vector<owned_descriptor>& descriptors) {
  if (descriptors.size() != 2)
    return error{error_code::invalid_argument,
                 "a hello brings two descriptors: the environment and the working directory"};
  result<std::string> bytes = read_memfd(descriptors[0].get(), environment_bytes_max);
  if (!bytes)
    return bytes.failure();
  struct stat facts {};
  if (::fstat(descriptors[1].get(), &facts) != 0 || !S_ISDIR(facts.st_mode))
    return error{error_code::invalid_argument, "the daemon's working directory is no directory"};
  daemon_surroundings surroundings;
  surroundings.environment = std::move(*bytes);
  return surroundings;
}

result<void> launcher_server::take_requests(any_message& message,
                                            const std::vector<owned_descriptor>& descriptors) {
  auto* batch = std::get_if<requests_message>(&message);
  if (batch == nullptr)
    return error{error_code::invalid_argument, "only requests are expected after the introduction"};
  for (any_request& one : batch->requests) {
    if (auto* start = std::get_if<attempt_start>(&one)) {
      commands_->start(std::move(*start));
    } else if (const auto* signal = std::get_if<signal_request>(&one)) {
      commands_->signal(signal->key, signal->number);
    } else if (const auto* stop = std::get_if<stop_request>(&one)) {
      commands_->stop(stop->key, stop->grace_ms);
    } else if (const auto* settle = std::get_if<settle_request>(&one)) {
      commands_->settle(settle->key);
    } else if (const auto* large = std::get_if<large_start_request>(&one)) {
      if (batch->requests.size() != 1 || descriptors.size() != 1)
        return error{error_code::invalid_argument, "a large start stands alone and brings one descriptor"};
      const result<std::string> bytes = read_memfd(descriptors[0].get(), large_start_bytes_max);
      if (!bytes)
        return bytes.failure();
      if (bytes->size() != large->size)
        return error{error_code::invalid_argument, "the memfd of a large start has another size than stated"};
      result<attempt_start> start_from_memfd = decode_start(*bytes);
      if (!start_from_memfd)
        return start_from_memfd.failure();
      commands_->start(std::move(*start_from_memfd));
    }
  }
  return {};
}

void launcher_server::send(uint64_t number, std::string packet) {
  const auto found = connections_.find(number);
  if (found == connections_.end())
    return;
  connection& to = found->second;
  to.outbox_bytes += packet.size();
  to.outbox.push_back(std::move(packet));
  if (!to.waits_to_write)
    flush_outbox(number);
  const auto still = connections_.find(number);
  if (still != connections_.end() && still->second.outbox_bytes > outbox_bytes_max) {
    log_.write("the daemon does not read: its connection is closed, it gets a listing when it comes back");
    close_connection(number);
  }
}

void launcher_server::flush_outbox(uint64_t number) {
  const auto found = connections_.find(number);
  if (found == connections_.end())
    return;
  connection& to = found->second;
  while (!to.outbox.empty()) {
    const packet_status sent = send_packet(to.socket.get(), to.outbox.front());
    if (sent == packet_status::again)
      break;
    if (sent != packet_status::done) {
      // What the daemon sent before it went still counts: reading ends with the close.
      to.outbox.clear();
      to.outbox_bytes = 0;
      break;
    }
    to.outbox_bytes -= to.outbox.front().size();
    to.outbox.pop_front();
  }
  const bool waits = !to.outbox.empty();
  if (waits == to.waits_to_write)
    return;
  to.waits_to_write = waits;
  epoll_event interest{};
  interest.events = waits ? EPOLLIN | EPOLLOUT : EPOLLIN;
  interest.data.u64 = make_epoll_tag(epoll_source::connection, number);
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, to.socket.get(), &interest);
}

void launcher_server::refuse(uint64_t number, const std::string& reason) {
  log_.write("refused a daemon: " + reason);
  const auto found = connections_.find(number);
  if (found == connections_.end())
    return;
  refused_message refused;
  refused.reason = reason;
  send_packet(found->second.socket.get(), encode(refused));
  // Unread packets would turn the close into a reset, which hides the refusal.
  for (int i = 0; i < packets_per_turn; ++i)
    if (receive_packet(found->second.socket.get(), packet_, packet_descriptors_) != packet_status::done)
      break;
  close_connection(number);
}

void launcher_server::close_connection(uint64_t number) {
  const auto found = connections_.find(number);
  if (found == connections_.end())
    return;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, found->second.socket.get(), nullptr);
  connections_.erase(found);
  if (daemon_ == number)
    daemon_ = 0;
}

} // namespace task_runner::launcher
