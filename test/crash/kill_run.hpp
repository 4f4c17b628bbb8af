// One run of the crash harness: a daemon, its launcher and a Redis server under load, killed at random
// moments and put back, and every ended task compared with what it should have done. kill_cycles.cpp says how
// to start it.
#pragma once

#include "test/crash/command_history.hpp"
#include "test/crash/task_load.hpp"
#include "test/support/daemon.hpp"
#include "test/support/redis_server.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace task_runner::test {

/// What is killed in a cycle; or stopped for a while and let go on, alone or with the death of the other.
enum class kill_kind : uint8_t { daemon, launcher, both, redis, frozen_daemon, frozen_launcher };
constexpr size_t kill_kinds = 6;

/// Smallest, middle and largest of some durations.
struct duration_summary {
  std::chrono::milliseconds middle{0};
  std::chrono::milliseconds largest{0};
};
duration_summary summarize(std::vector<std::chrono::milliseconds> durations);

/// Starts everything in the constructor; from then on call cycle() as often as wanted, then settle(), then
/// stop(). Not thread-safe. Throws std::runtime_error where something does not work that no kill may break,
/// for example when the daemon does not start.
class kill_run {
public:
  explicit kill_run(uint64_t seed);
  ~kill_run();
  kill_run(const kill_run&) = delete;
  kill_run& operator=(const kill_run&) = delete;

  /// Lets the load run for a random time, kills one thing, puts it back, and looks at some tasks that have
  /// ended.
  void cycle();
  /// Ends the load, waits until every task has ended, and makes all checks that need that.
  void settle();
  /// Stops the daemon; it must end with code 0, and nothing of it may stay.
  void stop();

  /// Everything that must not be, as sentences; empty: all is well.
  const std::vector<std::string>& offences() const noexcept { return offences_; }
  /// The figures, for a person.
  std::string summary() const;
  /// The longest time from the start of a daemon until it knew again what was running.
  std::chrono::milliseconds slowest_return() const;
  /// Where everything of this run lived.
  std::vector<std::string> directories() const;
  /// What the daemons of the last kills have logged.
  std::string logs() const;

private:
  void let_load_run();
  void kill_daemon();
  void kill_launcher();
  void start_daemon(bool launcher_lives);
  void kill_redis();
  void freeze_daemon();
  void freeze_launcher();
  /// Has `pid` stop for a random time, of at most so long; does `meanwhile` in between.
  template <class Function>
  void freeze(int pid, uint64_t time_max_us, Function meanwhile);
  /// Its pid when it is the launcher of this run and lives; 0 otherwise.
  int living_launcher() const;
  void note_launcher();
  void await_launcher_after(int killed);
  void await_known_again(std::chrono::steady_clock::time_point started);
  void look_at_ended();
  void take_acknowledged();
  /// True when the task has ended; then it has been compared.
  bool look_at(const std::string& id, bool nothing_waits);
  void check_store_is_quiet();
  void check_redis_is_empty();
  void check_state_directory();
  std::map<std::string, task_facts> facts() const;
  void offend(const std::string& what);

  const uint64_t seed_;
  const std::chrono::steady_clock::time_point began_;
  random_source random_;
  temp_dir files_{"tr-crash"};
  history_file history_;
  redis_server redis_;
  std::unique_ptr<test_daemon> daemon_;
  std::unique_ptr<task_load> load_;

  /// Acknowledged, and not seen to have ended yet, in order of acknowledgement.
  std::deque<std::string> waiting_;
  /// The same, of a distinct channel and through Redis, which answers before it is known whether it is a
  /// duplicate.
  std::deque<std::string> perhaps_dropped_;
  struct end_facts {
    uint32_t attempt = 0;
    bool lost = false;
    bool dropped_as_duplicate = false;
  };
  std::map<std::string, end_facts> ended_;

  std::array<uint64_t, kill_kinds> kills_{};
  uint64_t kills_while_starting_ = 0;
  uint64_t kills_while_frozen_ = 0;
  int launcher_ = 0;
  std::vector<std::chrono::milliseconds> returns_;
  std::vector<std::chrono::milliseconds> replacements_;
  uint64_t known_running_ = 0;
  std::deque<std::string> logs_;
  std::vector<std::string> offences_;
  std::string figures_;
};

} // namespace task_runner::test
