// The launcher's beginning, its loop and its end; what becomes of attempts is command_table's business.
// Connections are in launcher_server_connections.cpp, going over to another program is in
// launcher_server_upgrade.cpp.
#include "services/launcher/launcher_server.hpp"

#include "services/launcher/packet_socket.hpp"
#include "services/launcher/protocol.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace task_runner::launcher {
namespace {

constexpr int events_per_turn = 128;
/// Orphans are reaped this long after a child died: at most ten looks a second, however many commands end.
constexpr steady_ms orphan_delay_ms = 100;
/// Descriptors that the launcher keeps for itself, and those that one command takes (process, pipe).
constexpr size_t own_descriptors = 64;
constexpr size_t descriptors_per_command = 2;
/// Most cgroups that are kept open, most commands whose output files are, the descriptors that one of either
/// takes, and the part of all descriptors that each of the two may have.
constexpr size_t open_max = 64;
constexpr size_t descriptors_per_open = 2;
constexpr size_t open_share = 8;
/// Most commands running at once whatever the limit of descriptors.
constexpr size_t running_max = 16'384;
constexpr size_t running_min = 8;

error failure_of(const std::string& what) {
  return {error_code::unavailable, what + ": " + std::strerror(errno)};
}

/// How many descriptors this process may have.
size_t descriptor_limit() noexcept {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0)
    return 0;
  return static_cast<size_t>(std::min<rlim_t>(limit.rlim_cur, 1U << 20U));
}

size_t open_limit(size_t descriptors) noexcept {
  return std::clamp<size_t>(descriptors / (open_share * descriptors_per_open), 1, open_max);
}

/// How many commands so many descriptors allow at once.
size_t running_limit(size_t descriptors) noexcept {
  const size_t kept = own_descriptors + 2 * descriptors_per_open * open_limit(descriptors);
  if (descriptors <= kept)
    return running_min;
  return std::clamp((descriptors - kept) / descriptors_per_command, running_min, running_max);
}

} // namespace

launcher_server::launcher_server(held_directory held, const launcher_options& options)
    : held_(std::move(held))
    , options_(options)
    , log_(held_.directory.get()) {}

result<void> launcher_server::open_loop() {
  epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_)
    return failure_of("cannot make an epoll set");
  sigset_t child_ended;
  ::sigemptyset(&child_ended);
  ::sigaddset(&child_ended, SIGCHLD);
  child_signal_.reset(::signalfd(-1, &child_ended, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!child_signal_)
    return failure_of("cannot make a signalfd");
  return {};
}

result<void> launcher_server::watch_own() {
  epoll_event interest{};
  interest.events = EPOLLIN;
  interest.data.u64 = make_epoll_tag(epoll_source::listener, 0);
  epoll_event children{};
  children.events = EPOLLIN | EPOLLONESHOT;
  children.data.u64 = make_epoll_tag(epoll_source::child_signal, 0);
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, listener_.get(), &interest) != 0 ||
      ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, child_signal_.get(), &children) != 0)
    return failure_of("cannot watch launcher.sock");
  return {};
}

command_table_setting launcher_server::table_setting(const rlimit& command_descriptors) const {
  command_table_setting setting;
  setting.epoll = epoll_.get();
  setting.output_dir = output_dir_.get();
  setting.null_input = null_input_.get();
  setting.command_descriptors = command_descriptors;
  const size_t descriptors = descriptor_limit();
  setting.running_max = running_limit(descriptors);
  setting.open_cgroups_max = open_limit(descriptors);
  setting.open_outputs_max = setting.open_cgroups_max;
  setting.output = options_.output;
  setting.containment = options_.containment;
  return setting;
}

result<std::unique_ptr<launcher_server>> launcher_server::open(held_directory held,
                                                               const launcher_options& options,
                                                               const rlimit& command_descriptors) {
  std::unique_ptr<launcher_server> server(new launcher_server(std::move(held), options));
  const int state_dir = server->held_.directory.get();
  server->command_descriptors_ = command_descriptors;
  if (const result<void> opened = server->open_loop(); !opened)
    return opened.failure();
  server->null_input_.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!server->null_input_)
    return failure_of("cannot open /dev/null");
  if (::mkdirat(state_dir, "output", 0700) != 0 && errno != EEXIST)
    return failure_of("cannot make the directory output");
  server->output_dir_.reset(::openat(state_dir, "output", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!server->output_dir_)
    return failure_of("cannot open the directory output");

  journal_contents found;
  result<std::unique_ptr<journal>> outcomes = journal::open(state_dir, found);
  if (!outcomes)
    return outcomes.failure();
  if (found.cut_bytes > 0)
    server->log_.write("cut " + std::to_string(found.cut_bytes) + " bytes off launcher.journal, which was " +
                       "damaged " + std::to_string(found.good_bytes) + " bytes from its beginning");

  server->commands_ = std::make_unique<command_table>(server->table_setting(command_descriptors),
                                                      std::move(*outcomes), server->log_);
  server->commands_->adopt(std::move(found.attempts));
  // Nobody is connected yet: a daemon gets these through the listing.
  server->commands_->take_events();

  result<owned_descriptor> listener = listen_in(state_dir, options.state_dir);
  if (!listener)
    return listener.failure();
  server->listener_ = std::move(*listener);
  server->socket_file_ = identify_socket(state_dir);
  if (const result<void> watched = server->watch_own(); !watched)
    return watched.failure();
  return server;
}

int launcher_server::run() {
  leave_at_ = steady_now_ms() + options_.idle_grace_ms;
  std::array<epoll_event, events_per_turn> events{};
  for (;;) {
    steady_ms now = steady_now_ms();
    commands_->work(now);
    if (commands_->must_report(now))
      for (std::string& packet : commands_->take_events())
        if (daemon_ != 0)
          send(daemon_, std::move(packet));
    drop_silent_strangers(now);
    stay_reachable(now);

    const bool has_reason = !connections_.empty() || !commands_->is_idle() || probe_ != nullptr;
    if (has_reason)
      leave_at_ = 0;
    else if (leave_at_ == 0)
      leave_at_ = now + options_.idle_grace_ms;
    else if (leave_at_ <= now)
      break;

    const int count = ::epoll_wait(epoll_.get(), events.data(), events_per_turn, timeout_ms(now));
    for (int i = 0; i < count; ++i) {
      const epoll_event& one = events[static_cast<size_t>(i)];
      const uint64_t number = one.data.u64 >> 3U;
      switch (static_cast<epoll_source>(one.data.u64 & 7U)) {
      case epoll_source::listener:
        accept_connections();
        break;
      case epoll_source::connection:
        on_connection(number, (one.events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0,
                      (one.events & EPOLLOUT) != 0);
        break;
      case epoll_source::child_signal:
        orphans_at_ = steady_now_ms() + orphan_delay_ms;
        break;
      case epoll_source::output:
        commands_->on_output(number);
        break;
      case epoll_source::process:
        commands_->on_process(number);
        break;
      case epoll_source::probe:
        on_probe_end();
        break;
      }
    }
    now = steady_now_ms();
    if (probe_ && probe_until_ != 0 && probe_until_ <= now) {
      probe_until_ = 0;
      probe_->give_up();
    }
    if (orphans_at_ != 0 && orphans_at_ <= now)
      look_for_orphans();
    if (accept_at_ != 0 && accept_at_ <= now)
      pause_accepting(false);
  }
  commands_->flush_journal();
  if (identify_socket(held_.directory.get()) == socket_file_)
    ::unlinkat(held_.directory.get(), socket_file_name, 0);
  // While the lock is still held, so that the file is never one that a later launcher has just written.
  if (claim_stands(held_.directory.get(), held_.lock.get()))
    ::unlinkat(held_.directory.get(), pid_file_name, 0);
  return 0;
}

void launcher_server::stay_reachable(steady_ms now) {
  // A connected daemon keeps others away and needs no name. When it has gone, the look comes at once.
  if (daemon_ != 0) {
    place_look_at_ = 0;
    return;
  }
  if (place_look_at_ > now)
    return;
  place_look_at_ = now + place_look_ms;
  const int directory = held_.directory.get();
  if (!claim_stands(directory, held_.lock.get())) {
    result<owned_descriptor> lock = claim_directory(directory, 1);
    if (lock) {
      held_.lock = std::move(*lock);
      log_.write("launcher.pid was removed or replaced under the launcher: it is in place again");
    } else {
      // Whoever holds it now has a socket of its own, which is not ours to remove.
      return log_.write_once("launcher.pid is not the launcher's any more: " + lock.failure().message);
    }
  }
  if (!socket_file_.known() || !(identify_socket(directory) == socket_file_))
    listen_again();
}

void launcher_server::listen_again() {
  const int directory = held_.directory.get();
  // Through the descriptor: the directory may have been moved, and another one may have its name.
  result<owned_descriptor> fresh = listen_in(directory, "/proc/self/fd/" + std::to_string(directory));
  if (!fresh)
    return log_.write_once("launcher.sock was removed or replaced, and cannot be put back: " +
                           fresh.failure().message);
  epoll_event interest{};
  interest.events = EPOLLIN;
  interest.data.u64 = make_epoll_tag(epoll_source::listener, 0);
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fresh->get(), &interest) != 0)
    return log_.write_once(failure_of("cannot watch the new launcher.sock").message);
  // Who got through to the old one in time is served.
  accept_connections();
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, listener_.get(), nullptr);
  listener_ = std::move(*fresh);
  accept_at_ = 0;
  socket_file_ = identify_socket(directory);
  log_.write("launcher.sock was removed or replaced under the launcher: it is in place again");
}

void launcher_server::look_for_orphans() {
  orphans_at_ = 0;
  signalfd_siginfo info{};
  while (::read(child_signal_.get(), &info, sizeof(info)) > 0) {
  }
  commands_->reap_orphans();
  epoll_event children{};
  children.events = EPOLLIN | EPOLLONESHOT;
  children.data.u64 = make_epoll_tag(epoll_source::child_signal, 0);
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, child_signal_.get(), &children);
}

int launcher_server::timeout_ms(steady_ms now) const noexcept {
  steady_ms next = commands_->next_work_ms(now);
  const auto sooner = [&next, now](steady_ms at) {
    const steady_ms left = std::max<steady_ms>(at - now, 0);
    next = next < 0 ? left : std::min(next, left);
  };
  if (leave_at_ != 0)
    sooner(leave_at_);
  if (orphans_at_ != 0)
    sooner(orphans_at_);
  if (accept_at_ != 0)
    sooner(accept_at_);
  if (daemon_ == 0)
    sooner(place_look_at_);
  if (probe_ && probe_until_ != 0)
    sooner(probe_until_);
  for (const auto& [number, one] : connections_)
    if (one.hello_until != 0)
      sooner(one.hello_until);
  return static_cast<int>(std::min<steady_ms>(next, INT_MAX));
}

} // namespace task_runner::launcher
