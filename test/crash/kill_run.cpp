// The kills and the ways back.
// Everything random comes from the seed; what the machine makes of it does not, so a replay kills at the same
// moments of the harness, not of the daemon.
#include "test/crash/kill_run.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <csignal>
#include <sstream>
#include <stdexcept>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>

namespace task_runner::test {

namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

/// New tasks in one cycle, and how many unfinished ones stop further ones.
constexpr int grant_min = 16;
constexpr int grant_range = 24;
constexpr size_t unfinished_max = 150;
/// A kill comes after at most so long.
constexpr uint64_t load_time_us = 500'000;
/// Longest standstill of a daemon or launcher; of a daemon for which messages pile up; and how long after
/// that Redis is killed at the latest.
constexpr uint64_t freeze_time_us = 1'000'000;
constexpr uint64_t pile_up_time_us = 150'000;
constexpr uint64_t take_time_us = 6'000;
constexpr size_t offences_max = 25;
constexpr size_t logs_max = 4;
constexpr size_t log_bytes_max = 6'000;

milliseconds since(steady_clock::time_point start) {
  return std::chrono::duration_cast<milliseconds>(steady_clock::now() - start);
}

/// The end of a log, without what it says of every single task.
std::string events_of(const std::string& log) {
  std::string text;
  for (const auto& line : lines_of(log))
    if (line.find(" info task ") == std::string::npos &&
        line.find(" warning task dead ") == std::string::npos)
      text += line + "\n";
  return text.size() > log_bytes_max ? "…" + text.substr(text.size() - log_bytes_max) : text;
}

daemon_options options_of(const redis_server& redis) {
  daemon_options options;
  options.redis_port = redis.port();
  options.ini = load_channels_ini();
  return options;
}

} // namespace

duration_summary summarize(std::vector<milliseconds> durations) {
  if (durations.empty())
    return {};
  std::sort(durations.begin(), durations.end());
  return {durations[durations.size() / 2], durations.back()};
}

kill_run::kill_run(uint64_t seed)
    : seed_(seed)
    , began_(steady_clock::now())
    , random_(seed)
    , history_(files_ / "history")
    , redis_({{}, true, {}}) {
  write_file(files_ / "command.sh", command_script());
  daemon_ = std::make_unique<test_daemon>(options_of(redis_));
  note_launcher();
  load_ = std::make_unique<task_load>(seed, command_files{files_ / "command.sh", history_.path()});
  load_->set_http_port(daemon_->port());
  load_->set_redis_port(redis_.port());
}

kill_run::~kill_run() = default;

void kill_run::cycle() {
  if (waiting_.size() < unfinished_max)
    load_->grant(grant_min + static_cast<int>(random_.below(grant_range)));
  const auto draw = random_.below(100);
  const auto kind = draw < 30   ? kill_kind::daemon
                    : draw < 48 ? kill_kind::launcher
                    : draw < 64 ? kill_kind::both
                    : draw < 84 ? kill_kind::redis
                    : draw < 92 ? kill_kind::frozen_daemon
                                : kill_kind::frozen_launcher;
  let_load_run();
  switch (kind) {
  case kill_kind::daemon:
    kill_daemon();
    start_daemon(true);
    break;
  case kill_kind::launcher: {
    kill_launcher();
    // Some successors die amid the recovery.
    while (random_.chance(20)) {
      std::this_thread::sleep_for(microseconds(random_.below(250'000)));
      kill_launcher();
    }
    await_launcher_after(launcher_);
    break;
  }
  case kill_kind::both: {
    // One after the other, at once or with time for commands to end while one of them is away.
    const bool daemon_first = random_.chance(50);
    const microseconds gap(random_.chance(50) ? 0 : random_.below(150'000));
    if (daemon_first)
      kill_daemon();
    else
      kill_launcher();
    std::this_thread::sleep_for(gap);
    if (daemon_first) {
      kill_launcher();
    } else {
      note_launcher(); // a new one may have come meanwhile, and then stays
      kill_daemon();
    }
    start_daemon(false);
    break;
  }
  case kill_kind::redis:
    kill_redis();
    break;
  case kill_kind::frozen_daemon:
    freeze_daemon();
    break;
  case kill_kind::frozen_launcher:
    freeze_launcher();
    break;
  }
  ++kills_[static_cast<size_t>(kind)];
  look_at_ended();
}

void kill_run::let_load_run() {
  // The moment of a kill is meant to be any, so this is one place where a test waits for a time.
  std::this_thread::sleep_for(microseconds(random_.below(load_time_us)));
}

void kill_run::kill_daemon() {
  history_.note("daemon-killed " + std::to_string(daemon_->pid()));
  load_->set_http_port(0);
  daemon_->kill();
  logs_.push_back(events_of(daemon_->log()));
  if (logs_.size() > logs_max)
    logs_.pop_front();
}

void kill_run::start_daemon(bool launcher_lives) {
  // Some die again before they serve.
  while (random_.chance(20)) {
    process early(daemon_->start_options());
    std::this_thread::sleep_for(microseconds(random_.below(80'000)));
    history_.note("daemon-killed " + std::to_string(early.pid()));
    early.kill();
    ++kills_while_starting_;
  }
  const auto started = steady_clock::now();
  daemon_->start();
  note_launcher();
  if (launcher_lives)
    await_known_again(started);
  load_->set_http_port(daemon_->port());
}

void kill_run::note_launcher() {
  const int pid = daemon_->launcher_pid();
  if (pid == launcher_ || pid <= 0)
    return;
  launcher_ = pid;
  history_.note("launcher " + std::to_string(pid));
}

void kill_run::kill_launcher() {
  note_launcher();
  const int pidfd = static_cast<int>(syscall(SYS_pidfd_open, launcher_, 0));
  if (pidfd < 0)
    return; // killed in the cycle before, and nobody has needed a new one yet
  if (living_launcher() != 0) {
    const auto uptime = read_file("/proc/uptime");
    history_.note("launcher-killed " + std::to_string(launcher_) + " " + uptime.substr(0, uptime.find(' ')));
    syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, nullptr, 0);
    if (!wait_readable(pidfd))
      offend("launcher " + std::to_string(launcher_) + " survives SIGKILL");
  }
  close(pidfd);
}

void kill_run::await_launcher_after(int killed) {
  const auto start = steady_clock::now();
  const bool replaced = wait_until([&] {
    const auto launcher = daemon_->report().at("launcher");
    return launcher.at("healthy") == true && launcher.at("pid") != killed;
  });
  if (!replaced)
    offend("launcher " + std::to_string(killed) + " was killed and not replaced");
  replacements_.push_back(since(start));
  note_launcher();
}

void kill_run::await_known_again(steady_clock::time_point started) {
  // What has written its start and not its end is running, and has been all the time.
  std::string missing;
  const bool known = wait_until([&] {
    const auto open = history_.read().open_attempts(launcher_);
    std::set<std::string> listed;
    const auto status = daemon_->http().get("/status?limit=1000").json();
    for (const auto& channel : status.at("data"))
      for (const auto& task : channel.at("tasks"))
        if (task.at("state") == "running")
          listed.insert(task.at("task_id").get<std::string>());
    const auto& history = history_.read();
    missing.clear();
    for (const auto& [id, attempt] : open)
      if (listed.count(id) == 0 && !history.has_ended(id))
        missing += " " + id;
    known_running_ += missing.empty() ? open.size() : 0;
    return missing.empty();
  });
  if (!known)
    offend("a restarted daemon does not list what runs:" + missing);
  returns_.push_back(since(started));
}

int kill_run::living_launcher() const {
  const auto directory = "/proc/" + std::to_string(launcher_);
  // Never a process that has got the number of a launcher that is gone.
  const bool lives =
      launcher_ > 0 && read_file(directory + "/comm") == "tr-launcher\n" &&
      read_file(directory + "/environ").find("TR_TEST_HOME=" + daemon_->home()) != std::string::npos;
  return lives ? launcher_ : 0;
}

template <class Function>
void kill_run::freeze(int pid, uint64_t time_max_us, Function meanwhile) {
  if (pid == 0)
    return;
  ::kill(pid, SIGSTOP);
  std::this_thread::sleep_for(microseconds(random_.below(time_max_us)));
  meanwhile();
  ::kill(pid, SIGCONT); // a process that has been killed stays a zombie until its parent goes on
}

void kill_run::freeze_daemon() {
  const bool kills = random_.chance(30);
  const int before = launcher_;
  freeze(daemon_->pid(), freeze_time_us, [&] {
    if (!kills)
      return;
    kill_launcher();
    ++kills_while_frozen_;
  });
  if (kills)
    await_launcher_after(before);
}

void kill_run::freeze_launcher() {
  note_launcher();
  const bool kills = random_.chance(30);
  freeze(living_launcher(), freeze_time_us, [&] {
    if (!kills)
      return;
    kill_daemon();
    ++kills_while_frozen_;
  });
  if (!daemon_->child().running())
    start_daemon(true);
}

void kill_run::kill_redis() {
  // Half of the time messages pile up while the daemon stands still, so that it is about to take them when
  // their server dies.
  if (random_.chance(50)) {
    freeze(daemon_->pid(), pile_up_time_us, [] {});
    std::this_thread::sleep_for(microseconds(random_.below(take_time_us)));
  }
  load_->set_redis_port(0);
  redis_.kill();
  std::this_thread::sleep_for(microseconds(random_.below(100'000)));
  redis_.start();
  load_->set_redis_port(redis_.port());
}

void kill_run::stop() {
  load_.reset();
  const auto end = daemon_->stop();
  if (!(end == process_end{true, 0}))
    offend("the daemon ended with code " + std::to_string(end.code) + ": " + daemon_->log());
  check_state_directory();
  daemon_.reset();
}

std::string kill_run::summary() const {
  const auto returns = summarize(returns_);
  const auto replacements = summarize(replacements_);
  uint64_t cycles = 0;
  for (const auto count : kills_)
    cycles += count;
  std::ostringstream text;
  text << "seed " << seed_ << ", " << cycles << " kill cycles: daemon " << kills_[0] << ", launcher "
       << kills_[1] << ", both " << kills_[2] << ", Redis " << kills_[3] << ", daemon stopped for a while "
       << kills_[4] << ", launcher stopped for a while " << kills_[5] << " (the other one killed meanwhile "
       << kills_while_frozen_ << "); daemons killed again while starting " << kills_while_starting_ << "\n"
       << figures_ << "from a daemon's start until it lists what runs: p50 " << returns.middle.count()
       << " ms, max " << returns.largest.count() << " ms (" << known_running_
       << " running commands found again)\n"
       << "from a launcher's death to its successor: p50 " << replacements.middle.count() << " ms, max "
       << replacements.largest.count() << " ms\n"
       << "offences " << offences_.size() << ", seconds " << since(began_).count() / 1'000 << "\n";
  return text.str();
}

milliseconds kill_run::slowest_return() const {
  return summarize(returns_).largest;
}

std::vector<std::string> kill_run::directories() const {
  std::vector<std::string> found{files_.path()};
  if (daemon_)
    found.push_back(daemon_->home());
  return found;
}

std::string kill_run::logs() const {
  std::string text;
  for (const auto& one : logs_)
    text += one + "--- killed\n";
  return text + (daemon_ ? events_of(daemon_->log()) : std::string());
}

void kill_run::offend(const std::string& what) {
  if (offences_.size() < offences_max)
    offences_.push_back(what);
}

} // namespace task_runner::test
