// What really ran, in the order in which it ran: a file to which every command appends a line at its start
// and at its end, and the harness one at every kill. The checks read that order; a clock has a say in one of
// them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace task_runner::test {

// Lines of the file. Each is appended by one write to a descriptor opened with O_APPEND, so that the kernel
// puts them in order and none is torn:
//   S TASK ATTEMPT PID PARENT [SECONDS]
//                                  a command starts; PARENT is the launcher that started it; SECONDS since
//                                  boot
//   E TASK ATTEMPT [SECONDS]       its end, just before it exits; SECONDS since boot
//   B TASK ATTEMPT                 the end of the background process that it left behind
//   launcher PID                   the harness has seen this launcher at work
//   launcher-killed PID [SECONDS]  written just before SIGKILL is sent to it
//   daemon-killed PID              likewise

/// One attempt. Moments are line numbers, from 1; 0: it has not happened.
struct attempt_record {
  uint64_t started = 0;
  uint64_t ended = 0;
  uint64_t background_ended = 0;
  int pid = 0;
  int parent = 0;
  /// Seconds since boot; 0: not known.
  double start_time_s = 0;
  double end_time_s = 0;
};

/// What is known of a task besides what the file says.
struct task_facts {
  std::string channel;
  /// Tasks with the same text never run side by side; empty: any may.
  std::string distinct_key;
  /// The number of its last attempt, once it has ended; 0 before.
  uint32_t final_attempt = 0;
  /// The last attempt was lost, and there was no further one.
  bool final_lost = false;
  /// So many first attempts fail and are followed by another one, without anything being killed.
  uint32_t fails_first = 0;
  /// It must not start before, seconds since boot; 0: at any time.
  double earliest_start_s = 0;
  /// At most so many of its channel with the same key run side by side; empty: any number may.
  std::string concurrency_key = {};
  int concurrency_max = 0;
};

/// Totals for the summary.
struct history_figures {
  uint64_t starts = 0;
  /// Attempts that were followed by another one, or were the last of a task given up, because their launcher
  /// was killed.
  uint64_t lost_attempts = 0;
  /// Attempts that failed and were followed by another one.
  uint64_t retried_attempts = 0;
  /// Attempts that never started: their lease was stored, then daemon or launcher was killed.
  uint64_t unstarted_leases = 0;
};

/// Takes the lines in order. Not thread-safe.
class command_history {
public:
  /// Understands one line, without its end.
  void take(const std::string& line);

  /// Attempts by task id and number.
  const std::map<std::string, std::map<uint32_t, attempt_record>>& tasks() const noexcept { return tasks_; }
  /// Whether the last attempt that has started has also written its end.
  bool has_ended(const std::string& task_id) const;
  /// Attempts of this launcher that have started and not ended.
  std::vector<std::pair<std::string, uint32_t>> open_attempts(int launcher) const;

  /// Everything in the file that must not be, as sentences; empty: all is well. `facts` must name every task
  /// of the file, `workers` every channel.
  std::vector<std::string> offences(const std::map<std::string, task_facts>& facts,
                                    const std::map<std::string, int>& workers) const;
  history_figures figures(const std::map<std::string, task_facts>& facts) const;

private:
  struct launcher_kill {
    uint64_t line = 0;
    int pid = 0;
    double time_s = 0;
  };
  /// The kill of the launcher that ran this attempt, when it came before line `until`.
  std::optional<launcher_kill> kill_of(const attempt_record& attempt, uint64_t until) const;
  /// Whether it failed as it was meant to, and another attempt is due.
  static bool was_to_be_retried(uint32_t number, const attempt_record& attempt,
                                const task_facts& facts) noexcept {
    return number <= facts.fails_first && attempt.ended != 0;
  }
  void check_attempts(const std::string& id, const std::map<uint32_t, attempt_record>& attempts,
                      const task_facts& facts, std::vector<std::string>& found) const;
  void check_limits(const std::map<std::string, task_facts>& facts, const std::map<std::string, int>& workers,
                    std::vector<std::string>& found) const;

  uint64_t line_ = 0;
  std::map<std::string, std::map<uint32_t, attempt_record>> tasks_;
  std::vector<launcher_kill> launcher_kills_;
  std::set<int> launchers_;
  uint64_t first_kill_ = 0;
  /// Offences that show as soon as a line is read.
  std::vector<std::string> seen_;
};

/// The file itself: the harness writes its own lines, and reads what has come since. Not thread-safe.
class history_file {
public:
  /// Makes it. Throws std::runtime_error when it cannot.
  explicit history_file(std::string path);
  ~history_file();
  history_file(const history_file&) = delete;
  history_file& operator=(const history_file&) = delete;

  const std::string& path() const noexcept { return path_; }
  /// Appends one line of the harness.
  void note(const std::string& line);
  /// Takes in what has been appended since the last call.
  const command_history& read();

private:
  std::string path_;
  int fd_ = -1;
  int64_t offset_ = 0;
  std::string rest_;
  command_history taken_;
};

} // namespace task_runner::test
