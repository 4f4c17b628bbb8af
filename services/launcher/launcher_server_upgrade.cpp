// How the launcher goes over to another program without letting go of a single command: ask the new program
// in a child, take in everything the daemon has sent, hand over the table, execute. Where anything fails, the
// present program goes on and says why.
#include "services/launcher/launcher_arguments.hpp"
#include "services/launcher/launcher_server.hpp"
#include "services/launcher/packet_socket.hpp"
#include "services/launcher/protocol.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

namespace task_runner::launcher {
namespace {

/// Packets taken from a connection that is about to be closed: more than a socket buffer holds.
constexpr int packets_of_closing_max = 16'384;

} // namespace

void launcher_server::begin_upgrade(uint64_t number, const std::string& version,
                                    std::vector<owned_descriptor>& descriptors) {
  if (probe_)
    return send(number, encode(upgrade_failed_message{"the launcher is asking a new program already"}));
  if (descriptors.size() != 1)
    return refuse(number, "an upgrade brings one descriptor: the program");
  upgrade_asked_by_ = number;
  log_.write("the daemon of version " + version + " asks for its own program in place of version " +
             TASK_RUNNER_VERSION);
  const program_identity to = identify_program(descriptors[0].get());
  if (to == own_program())
    return stay("it is the program that runs already");
  const result<std::string> bytes = encode_handover(make_handover(to));
  if (!bytes)
    return stay(bytes.failure().message);
  result<std::unique_ptr<program_probe>> probe = program_probe::start(std::move(descriptors[0]), *bytes);
  if (!probe)
    return stay(probe.failure().message);
  probe_ = std::move(*probe);
  commands_->spare_child(probe_->pid());
  probe_until_ = steady_now_ms() + probe_wait_ms;
  epoll_event interest{};
  interest.events = EPOLLIN;
  interest.data.u64 = make_epoll_tag(epoll_source::probe, 0);
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, probe_->process(), &interest) != 0) {
    const std::string reason = std::string("cannot watch the new program: ") + std::strerror(errno);
    forget_probe();
    stay(reason);
  }
}

void launcher_server::forget_probe() {
  probe_.reset();
  probe_until_ = 0;
  commands_->spare_child(0);
  // Orphans may have waited behind it.
  orphans_at_ = steady_now_ms();
}

void launcher_server::on_probe_end() {
  if (!probe_)
    return;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, probe_->process(), nullptr);
  const result<void> verdict = probe_->verdict();
  if (verdict)
    execute_new_program();
  else
    stay(verdict.failure().message);
  forget_probe();
}

void launcher_server::execute_new_program() {
  // From here on the daemon cannot send; what it has sent is taken in first. It sees the end of the
  // connection and comes back, to this program or the next.
  close_all_connections();
  // These events are not sent: the listing that the daemon gets when it comes back says the same.
  commands_->take_events();
  const program_identity to = identify_program(probe_->program());
  const handover handed = make_handover(to);
  const result<std::string> bytes = encode_handover(handed);
  if (!bytes)
    return stay(bytes.failure().message);
  const result<owned_descriptor> memory = make_memfd("tr-handover", *bytes);
  if (!memory)
    return stay(memory.failure().message);
  const owned_descriptor present(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  if (!present)
    return stay(std::string("cannot keep hold of the present program: ") + std::strerror(errno));
  std::vector<int> kept = descriptors_of(handed);
  kept.push_back(memory->get());
  kept.push_back(present.get());
  std::vector<std::string> words = launcher_words(options_);
  words.insert(words.begin(), "task-runner");
  words.insert(words.end(),
               {"--resume", std::to_string(memory->get()), "--fallback", std::to_string(present.get())});
  log_.write("going over to the new program");
  const error failed = execute_program(probe_->program(), words, kept);
  stay(failed.message);
}

void launcher_server::close_all_connections() {
  while (!connections_.empty()) {
    const uint64_t number = connections_.begin()->first;
    // What was sent before stays readable; what would be sent from now on fails at the sender, who keeps it.
    ::shutdown(connections_.at(number).socket.get(), SHUT_RD);
    receive_from(number, packets_of_closing_max);
    close_connection(number);
  }
}

void launcher_server::stay(const std::string& reason) {
  upgrade_failure_ = reason;
  log_.write("going on with the present program, version " TASK_RUNNER_VERSION ": " + reason);
  send(upgrade_asked_by_, encode(upgrade_failed_message{reason}));
}

handover launcher_server::make_handover(const program_identity& to) const {
  handover handed;
  handed.version = TASK_RUNNER_VERSION;
  handed.to = to;
  handed.upgrades = upgrades_;
  handed.state_dir = held_.directory.get();
  handed.lock = held_.lock.get();
  handed.listener = listener_.get();
  handed.output_dir = output_dir_.get();
  handed.null_input = null_input_.get();
  handed.command_descriptors = command_descriptors_;
  handed.surroundings = surroundings_;
  handed.table = commands_->hand_over();
  return handed;
}

result<std::unique_ptr<launcher_server>> launcher_server::resume(handover handed,
                                                                 const launcher_options& options) {
  for (const int descriptor : descriptors_of(handed))
    if (::fcntl(descriptor, F_GETFD) < 0)
      return error{error_code::unavailable,
                   "descriptor " + std::to_string(descriptor) + " of the handover is not open"};
  std::unique_ptr<launcher_server> server(new launcher_server({}, options));
  if (const result<void> opened = server->open_loop(); !opened)
    return opened.failure();
  result<std::unique_ptr<journal>> outcomes = journal::reopen(handed.state_dir, handed.table.outcomes);
  if (!outcomes)
    return outcomes.failure();

  // Nothing can fail from here on: the descriptors get their new owners.
  for (const int descriptor : descriptors_of(handed))
    set_close_on_exec(descriptor, true);
  server->held_.directory.reset(handed.state_dir);
  server->held_.lock.reset(handed.lock);
  // Programs before this one locked the file alone; the others have the lock already.
  ::flock(handed.state_dir, LOCK_EX | LOCK_NB);
  server->log_ = launcher_log(handed.state_dir);
  server->listener_.reset(handed.listener);
  server->socket_file_ = identify_socket(handed.state_dir);
  server->output_dir_.reset(handed.output_dir);
  server->null_input_.reset(handed.null_input);
  server->command_descriptors_ = handed.command_descriptors;
  server->surroundings_ = std::move(handed.surroundings);
  server->upgrades_ = handed.upgrades;
  if (handed.to == own_program()) {
    ++server->upgrades_;
  } else {
    server->upgrade_failure_ = "the new program could not go on from the handover";
  }
  server->log_.write("going on as version " TASK_RUNNER_VERSION " after version " + handed.version +
                     ", with " + std::to_string(handed.table.attempts.size()) + " attempts");
  command_table_setting setting = server->table_setting(handed.command_descriptors);
  setting.failure_memory = handed.table.failure_memory;
  server->commands_ = std::make_unique<command_table>(setting, std::move(*outcomes), server->log_);
  server->surround_commands();
  server->commands_->take_over(std::move(handed.table));
  // Nobody is connected yet: a daemon gets these through the listing.
  server->commands_->take_events();
  // Somebody may have died while nobody looked.
  server->orphans_at_ = steady_now_ms();
  if (const result<void> watched = server->watch_own(); !watched)
    server->log_.write(watched.failure().message);
  return server;
}

} // namespace task_runner::launcher
