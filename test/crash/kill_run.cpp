// The kills, the ways back, and the comparison of each task with its specification.
// Everything random comes from the seed; what the machine makes of it does not, so a replay kills at the same
// moments of the harness, not of the daemon.
#include "test/crash/kill_run.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <csignal>
#include <filesystem>
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
/// Tasks that are looked at in one cycle.
constexpr size_t looks_per_cycle = 80;
constexpr size_t looks_at_oldest = 5;
/// Attempts that may be lost before the daemon gives a task up: the first and three recoveries.
constexpr uint32_t attempts_before_given_up = 4;
/// Enough for what runs and waits when the load ends, on a busy machine.
constexpr seconds settle_time{90};
/// Output of commands that stay behind on purpose ends within half a second.
constexpr seconds leftover_time{10};
constexpr size_t offences_max = 25;
constexpr size_t logs_max = 4;
constexpr size_t log_bytes_max = 6'000;
constexpr const char* intake_key = "task:prepare:queue";

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

void kill_run::look_at_ended() {
  take_acknowledged();
  const auto& history = history_.read();
  size_t looks = 0;
  for (auto* ids : {&waiting_, &perhaps_dropped_}) {
    // What was given up writes no end; the oldest are looked at all the same.
    size_t patient = ids == &waiting_ ? looks_at_oldest : 0;
    std::deque<std::string> still;
    for (auto& id : *ids) {
      const bool ended = history.has_ended(id);
      if (looks < looks_per_cycle && (ended || patient > 0)) {
        ++looks;
        patient -= ended ? 0 : 1;
        if (look_at(id, false))
          continue;
      }
      still.push_back(std::move(id));
    }
    *ids = std::move(still);
  }
}

void kill_run::take_acknowledged() {
  for (auto& id : load_->take_acknowledged()) {
    const auto pushed = load_->task(id);
    const bool perhaps_dropped = pushed.through_redis && !pushed.spec.distinct_key.empty();
    (perhaps_dropped ? perhaps_dropped_ : waiting_).push_back(std::move(id));
  }
}

bool kill_run::look_at(const std::string& id, bool nothing_waits) {
  const auto pushed = load_->task(id);
  const auto& spec = pushed.spec;
  const auto answer = daemon_->http().get("/api/v1/tasks/" + id);
  if (answer.status == 404) {
    if (!nothing_waits)
      return false; // still in Redis
    if (pushed.through_redis && !spec.distinct_key.empty()) {
      ended_[id].dropped_as_duplicate = true;
      return true;
    }
    offend("task " + id + " was acknowledged and is not known");
    return true;
  }
  if (answer.status != 200) {
    offend("task " + id + " cannot be looked up: " + answer.body);
    return true;
  }
  const auto task = answer.json().at("data");
  const std::string state = task.at("state");
  if (state != "finished" && state != "dead" && state != "cancelled")
    return false;
  auto& end = ended_[id];
  end.attempt = task.at("attempt");
  const auto& outcome = task.at("outcome");
  const auto wrong = [&](const std::string& what) { offend("task " + id + " " + what + ": " + task.dump()); };
  if (task.at("channel") != spec.channel)
    wrong("is in another channel than it was pushed to");
  if (outcome.at("kind") == "lost") {
    end.lost = true;
    if (state != "dead" || end.attempt < attempts_before_given_up)
      wrong("was given up too early");
    return true;
  }
  if (outcome != nlohmann::json{{"kind", "exited"}, {"code", spec.exit_code}})
    wrong("exited with code " + std::to_string(spec.exit_code) + " and is told otherwise");
  else if (state != (spec.exit_code == 0 ? "finished" : "dead"))
    wrong("has the wrong state");
  const auto output = daemon_->output(id);
  const auto expected = spec.expected_output();
  if (output != expected)
    wrong("wrote " + std::to_string(expected.size()) + " bytes, kept are " + std::to_string(output.size()) +
          " or others");
  return true;
}

void kill_run::settle() {
  if (!load_->finish(settle_time))
    offend("not everything that was pushed is acknowledged");
  take_acknowledged();
  const auto redis_is_drained = [this] {
    return redis_.command({"LLEN", intake_key}).integer == 0 &&
           redis_.command({"KEYS", "*:taken:*"}).elements.empty();
  };
  if (!wait_until(redis_is_drained, settle_time))
    offend("messages stay in Redis: " + std::to_string(redis_.command({"LLEN", intake_key}).integer) +
           " waiting, taken lists: " + std::to_string(redis_.command({"KEYS", "*:taken:*"}).elements.size()));
  waiting_.insert(waiting_.end(), perhaps_dropped_.begin(), perhaps_dropped_.end());
  const bool settled = wait_until(
      [this] {
        waiting_.erase(std::remove_if(waiting_.begin(), waiting_.end(),
                                      [this](const std::string& id) { return look_at(id, true); }),
                       waiting_.end());
        return waiting_.empty();
      },
      settle_time);
  if (!settled)
    offend(std::to_string(waiting_.size()) +
           " acknowledged tasks have no outcome, the first is: " + daemon_->task(waiting_.front()).dump());
  if (!wait_until([this] { return daemon_->commands().empty(); }, leftover_time))
    offend(std::to_string(daemon_->commands().size()) + " processes of commands are left");
  check_store_is_quiet();
  check_redis_is_empty();
  for (const auto& offence : load_->offences())
    offend(offence);
  const auto all = facts();
  const auto& history = history_.read();
  for (const auto& offence : history.offences(all, load_channels()))
    offend(offence);

  const auto sums = history.figures(all);
  uint64_t given_up = 0;
  uint64_t duplicates = 0;
  uint64_t again = 0;
  for (const auto& [id, end] : ended_) {
    given_up += end.lost ? 1 : 0;
    duplicates += end.dropped_as_duplicate ? 1 : 0;
  }
  uint64_t through_redis = 0;
  for (const auto& [id, task] : load_->tasks()) {
    duplicates += task.holder.empty() ? 0 : 1;
    again += task.pushes > 1 ? 1 : 0;
    through_redis += task.through_redis ? 1 : 0;
  }
  std::ostringstream text;
  text << "tasks acknowledged " << load_->acknowledged_count() << " (through Redis " << through_redis
       << ", duplicates " << duplicates << ", pushed more than once " << again << ")\n"
       << "ended and compared " << ended_.size() << ", without outcome " << waiting_.size() << "\n"
       << "commands started " << sums.starts << ", attempts lost with their launcher " << sums.lost_attempts
       << ", attempts that failed and were made again " << sums.retried_attempts
       << ", leases that never started " << sums.unstarted_leases << ", tasks given up " << given_up << "\n";
  figures_ = text.str();
}

void kill_run::check_store_is_quiet() {
  const bool quiet = wait_until([this] {
    for (const auto& [name, workers] : load_channels())
      if (daemon_->channel(name).at("count") != 0)
        return false;
    return true;
  });
  if (!quiet)
    offend("channels are not empty: " + daemon_->http().get("/status?limit=5").body);
}

void kill_run::check_redis_is_empty() {
  const auto rejected = redis_.command({"LRANGE", "task:prepare:rejected", "0", "0"}).texts();
  if (!rejected.empty())
    offend("a message from Redis was refused: " + rejected.front());
  for (const auto& key : redis_.command({"KEYS", "*"}).texts())
    offend("a key is left in Redis: " + key);
}

void kill_run::stop() {
  load_.reset();
  const auto end = daemon_->stop();
  if (!(end == process_end{true, 0}))
    offend("the daemon ended with code " + std::to_string(end.code) + ": " + daemon_->log());
  check_state_directory();
  daemon_.reset();
}

void kill_run::check_state_directory() {
  for (const auto& entry : std::filesystem::directory_iterator(daemon_->state_dir()))
    if (entry.is_directory() && entry.path().filename() != "output")
      offend("a directory is left in the state directory: " + entry.path().filename().string());
}

std::map<std::string, task_facts> kill_run::facts() const {
  std::map<std::string, task_facts> all;
  for (const auto& [id, task] : load_->tasks()) {
    auto& fact = all[id];
    fact.channel = task.spec.channel;
    fact.distinct_key = task.spec.distinct_key;
    fact.fails_first = task.spec.fails_first;
    fact.concurrency_key = task.spec.concurrency_key;
    fact.concurrency_max = task.spec.concurrency_max;
    if (task.spec.delay_ms > 0)
      fact.earliest_start_s = task.pushed_at_s + task.spec.delay_ms / 1000.0;
    const auto end = ended_.find(id);
    if (end != ended_.end()) {
      fact.final_attempt = end->second.attempt;
      fact.final_lost = end->second.lost;
    }
  }
  return all;
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
