// The processes of the machine as /proc shows them: who there is, whose child, and with which tag.
// Everything here is a look at something that moves; signals go through a pidfd that is checked again, so
// that none reaches a process that merely got the same pid.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace task_runner::launcher {

/// What /proc/PID/stat says of a process.
struct process_facts {
  int pid = 0;
  int parent = 0;
  int group = 0;
  int session = 0;
  char state = '?';
  /// When it began, in ticks of the kernel since the machine started; with the pid it names one process.
  uint64_t began = 0;
  /// Threads that have not ended.
  int threads = 0;

  /// Ended, and only waiting to be reaped. A process whose first thread has ended lives on in the others.
  bool is_dead() const noexcept { return (state == 'Z' || state == 'X' || state == 'x') && threads <= 1; }
};

/// Nothing when the process is gone.
std::optional<process_facts> look_at_process(int pid);

/// When the process began, milliseconds since the machine started (to a hundredth of a second).
uint64_t began_ms(const process_facts& facts) noexcept;

/// The pids of all processes, newest (highest) first: in a race with what forks, the latest counts. Empty
/// when /proc cannot be read.
std::vector<int> list_processes();

/// The pid that was given out last, to a process or a thread; 0 when that cannot be read.
int last_pid();

/// Whether the number is that of a process, and not of a thread or of nobody.
bool is_process(int pid) noexcept;

/// The hard limit RLIMIT_RTTIME of a process (a tag, or RLIM_INFINITY); nothing when it is gone.
std::optional<uint64_t> hard_realtime_limit(int pid) noexcept;

/// The path of a process in the cgroup v2 hierarchy, as /proc/PID/cgroup has it; empty when it is gone or has
/// none.
std::string cgroup_of(int pid);

/// Opens a process and signals it if `still_it` says, after the opening, that this is the one that was meant.
/// Signal 0 only asks.
template <class Check>
bool signal_process(int pid, int number, Check still_it);

namespace detail {
int open_process(int pid) noexcept;
bool send_and_close(int process, int number, bool send) noexcept;
} // namespace detail

template <class Check>
bool signal_process(int pid, int number, Check still_it) {
  const int process = detail::open_process(pid);
  return process >= 0 && detail::send_and_close(process, number, still_it());
}

} // namespace task_runner::launcher
