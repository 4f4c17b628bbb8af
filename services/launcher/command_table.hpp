// Every attempt the launcher knows: waiting to start, running, lingering, ended and not settled.
// It spawns, reads output, reaps, journals and reports; the loop in launcher_server.cpp tells it what
// happened.
#pragma once

#include "services/launcher/command_environment.hpp"
#include "services/launcher/journal.hpp"
#include "services/launcher/launcher_log.hpp"
#include "services/launcher/output_file.hpp"
#include "services/launcher/owned_descriptor.hpp"
#include "services/launcher/protocol.hpp"
#include "services/launcher/spawn.hpp"

#include <cstdint>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <sys/resource.h>
#include <unordered_map>
#include <vector>

namespace task_runner::launcher {

/// Milliseconds of a clock that only goes forward.
using steady_ms = int64_t;
steady_ms steady_now_ms() noexcept;

/// What a descriptor in the launcher's epoll set belongs to; the low bits of its 64-bit tag, a number above
/// them.
enum class epoll_source : uint8_t { listener = 0, connection = 1, child_signal = 2, output = 3, process = 4 };
constexpr uint64_t make_epoll_tag(epoll_source source, uint64_t number) noexcept {
  return number << 3U | static_cast<uint64_t>(source);
}

/// Most attempts known at once; a start beyond is answered `spawn_failed`. Daemons hand out credit, so only
/// one that never settles comes near it.
constexpr size_t known_attempts_max = 65'536;

/// How long an open output pipe may hold back the outcome of a process that has exited.
constexpr steady_ms pipe_grace_ms = 200;

/// Most pipes held open for background processes of ended attempts. At the bound the oldest is closed, and
/// its writer is told so by SIGPIPE, as if a terminal had gone.
constexpr size_t lingering_pipes_max = 1'024;

/// What the table works with. Descriptors outlive it.
struct command_table_setting {
  int epoll = -1;
  int output_dir = -1;
  int null_input = -1;
  /// The limit of descriptors that commands are given.
  rlimit command_descriptors{};
  /// Most commands running at once; further ones wait.
  size_t running_max = 0;
  output_limits output;
};

/// Owns all attempts. Not thread-safe.
class command_table {
public:
  command_table(const command_table_setting& setting, std::unique_ptr<journal> outcomes, launcher_log& log);
  command_table(const command_table&) = delete;
  command_table& operator=(const command_table&) = delete;

  /// Takes over what an earlier launcher left: what had not ended is lost.
  void adopt(std::vector<journalled_attempt> attempts);

  void set_environment(command_environment environment) { environment_ = std::move(environment); }

  /// Queues a start; it happens in work(). A key that is known already changes nothing.
  void start(attempt_start request);
  /// Signals the attempt's process group; one that still waits gets the signal right after its start.
  void signal(const attempt_key& key, int number);
  void settle(const attempt_key& key);

  /// The descriptor tagged `output` or `process` with this number is ready.
  void on_output(uint64_t number);
  void on_process(uint64_t number);

  /// Reaps orphans that were adopted, and children whose end has not been seen yet.
  void reap_orphans();

  /// Starts what waits (a few per call, so that output is read in between) and ends graces that are over.
  void work(steady_ms now);

  /// Milliseconds until work() has something to do: 0 at once, -1 nothing until a descriptor is ready.
  int next_work_ms(steady_ms now) const noexcept;

  /// Brings the journal up to date, then hands over the events since the last call as packets.
  std::vector<std::string> take_events();
  void flush_journal();

  std::vector<std::string> listing() const;

  /// Nothing waits, runs or lingers. Ended attempts do not count: the journal has them.
  bool is_idle() const noexcept { return waiting_.empty() && children_.empty(); }

private:
  struct known_entry {
    known_attempt attempt;
    uint64_t process_began_ms = 0;
    /// The child, 0 when none.
    uint64_t child = 0;
    /// A signal that came while the attempt waited; 0 for none.
    int early_signal = 0;
  };

  struct child_entry {
    attempt_key key;
    int pid = 0;
    owned_descriptor process;
    owned_descriptor output;
    std::unique_ptr<output_writer> writer;
    volatile int* failure = nullptr;
    /// The name of the program of an explicit argv, for messages; empty for a line.
    std::string program;
    outcome how;
    wall_time_ms ended_at_ms = 0;
    bool exited = false;
    /// The outcome has been reported; only its pipe is still open.
    bool lingering = false;
  };

  struct key_hash {
    size_t operator()(const attempt_key& key) const noexcept {
      return std::hash<std::string>()(key.task_id) * 31 + key.attempt;
    }
  };

  struct grace {
    steady_ms until = 0;
    uint64_t child = 0;
  };

  size_t running_count() const noexcept { return children_.size() - lingering_.size(); }
  void start_waiting(steady_ms now);
  /// False when the attempt has to wait for resources.
  bool start_one(const attempt_start& request, steady_ms now);
  void watch(int descriptor, epoll_source source, uint64_t number);
  void unwatch(owned_descriptor& descriptor);
  /// Reads once; false when nothing is left for now or the pipe has ended.
  bool read_once(child_entry& child);
  void collect_exit(uint64_t number, child_entry& child);
  void report_end(child_entry& child);
  void fail_start(const attempt_key& key, const std::string& reason);
  void end_attempt(known_entry& entry, attempt_ended end);
  void forget_child(uint64_t number);
  void linger(uint64_t number, child_entry& child);
  void rewrite_journal_when_due();

  command_table_setting setting_;
  std::unique_ptr<journal> journal_;
  launcher_log& log_;
  failure_slots failures_;
  command_environment environment_;
  std::unordered_map<attempt_key, known_entry, key_hash> known_;
  std::unordered_map<uint64_t, child_entry> children_;
  std::unordered_map<int, uint64_t> child_of_pid_;
  std::deque<attempt_start> waiting_;
  std::deque<grace> graces_;
  std::set<uint64_t> lingering_;
  packet_batch events_{packet_batch::kind::events};
  uint64_t next_number_ = 1;
  /// While resources are short: when to try again, and since when.
  steady_ms shortage_retry_at_ = 0;
  steady_ms shortage_since_ = 0;
  std::vector<char> buffer_;
};

} // namespace task_runner::launcher
