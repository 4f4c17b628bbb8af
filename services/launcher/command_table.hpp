// Every attempt the launcher knows: waiting to start, running, lingering, ended and not settled.
// It spawns, reads output, reaps, journals and reports; the loop in launcher_server.cpp tells it what
// happened.
#pragma once

#include "services/launcher/cgroup_pool.hpp"
#include "services/launcher/command_environment.hpp"
#include "services/launcher/handover.hpp"
#include "services/launcher/journal.hpp"
#include "services/launcher/launcher_log.hpp"
#include "services/launcher/output_file.hpp"
#include "services/launcher/owned_descriptor.hpp"
#include "services/launcher/process_tag.hpp"
#include "services/launcher/protocol.hpp"
#include "services/launcher/spawn.hpp"
#include "services/launcher/steady_clock.hpp"
#include "services/launcher/tree_stop.hpp"
#include "services/launcher/user_identity.hpp"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <sys/resource.h>
#include <unordered_map>
#include <utility>
#include <vector>

namespace task_runner::launcher {

/// What a descriptor in the launcher's epoll set belongs to; the low bits of its 64-bit tag, a number above
/// them.
enum class epoll_source : uint8_t {
  listener = 0,
  connection = 1,
  child_signal = 2,
  output = 3,
  process = 4,
  probe = 5
};
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
  /// Most cgroups that are kept open, and most commands whose output files are; two descriptors each.
  size_t open_cgroups_max = 0;
  size_t open_outputs_max = 1;
  output_limits output;
  /// `auto`, `cgroup` or `tag`: see launcher_options.
  std::string containment = "auto";
  /// The memory for failures of a table that is taken over; it becomes the new table's own. -1: none.
  int failure_memory = -1;
};

/// Owns all attempts. Not thread-safe.
class command_table {
public:
  command_table(const command_table_setting& setting, std::unique_ptr<journal> outcomes, launcher_log& log);
  command_table(const command_table&) = delete;
  command_table& operator=(const command_table&) = delete;

  /// Takes over what an earlier launcher left: what had not ended is lost (or timed out or cancelled, if that
  /// was under way), and what is left of it is killed first. Takes up to kill_wait_max_ms.
  void adopt(std::vector<journalled_attempt> attempts);

  /// Everything that the table knows, for another program in this process. Descriptors stay the table's.
  handed_table hand_over() const;
  /// Goes on from there, in a table that knows nothing yet; the descriptors become the table's.
  void take_over(handed_table handed);

  void set_environment(command_environment environment) { environment_ = std::move(environment); }
  /// The umask of commands that say none.
  void set_file_mask(uint32_t mask) noexcept { file_mask_ = mask; }

  /// Queues a start; it happens in work(). A key that is known already changes nothing.
  void start(attempt_start request);
  /// Signals the attempt's process group; one that still waits gets the signal right after its start.
  void signal(const attempt_key& key, int number);
  /// Ends the attempt's whole tree, outcome cancelled: TERM, after the grace KILL. One that waits never
  /// starts; one whose command has ended by itself keeps its own outcome. A repeated call may only shorten
  /// the grace.
  void stop(const attempt_key& key, int64_t grace_ms);
  void settle(const attempt_key& key);

  /// How trees are found: `cgroup` (by the tag as well), `tag`, or `process-group` where not even tags can be
  /// had (children, session and group of the command are all that is found then).
  const std::string& containment() const noexcept { return containment_; }
  size_t running_max() const noexcept { return setting_.running_max; }

  /// The descriptor tagged `output` or `process` with this number is ready.
  void on_output(uint64_t number);
  void on_process(uint64_t number);

  /// Reaps orphans that were adopted, and children whose end has not been seen yet.
  void reap_orphans();
  /// A child of somebody else's in this process, who reaps it himself; 0 for none. No orphan is reaped
  /// between its end and that.
  void spare_child(int pid) noexcept { spared_child_ = pid; }

  /// Starts what waits (a few per call, so that output is read in between), ends graces and times that are
  /// over, and goes on with trees that are being ended.
  void work(steady_ms now);

  /// Milliseconds until work() has something to do: 0 at once, -1 nothing until a descriptor is ready.
  int next_work_ms(steady_ms now) const noexcept;

  /// Whether take_events() is due; next_work_ms() counts with it.
  bool must_report(steady_ms now) const noexcept { return report_at_ && *report_at_ <= now; }
  /// Brings the journal up to date, then hands over the events since the last call as packets.
  std::vector<std::string> take_events();
  void flush_journal();

  std::vector<std::string> listing() const;

  /// How the starts that wait fare.
  pong_message answer_ping(steady_ms now) const;

  /// Nothing waits, runs or lingers. Ended attempts do not count: the journal has them.
  bool is_idle() const noexcept { return waiting_.empty() && children_.empty(); }

private:
  struct known_entry {
    known_attempt attempt;
    uint64_t process_began_ms = 0;
    uint64_t tag = 0;
    std::string slot;
    /// Its tree is being ended: what the outcome will be.
    std::optional<outcome_kind> stopping;
    /// The child, 0 when none.
    uint64_t child = 0;
    /// Names the start that waits for this attempt.
    uint64_t ticket = 0;
    /// A signal that came while the attempt waited; 0 for none.
    int early_signal = 0;
  };

  struct waiting_start {
    attempt_start request;
    uint64_t ticket = 0;
    /// How often its child was killed before it began.
    int stillbirths = 0;
  };

  struct child_entry {
    attempt_key key;
    int pid = 0;
    owned_descriptor process;
    owned_descriptor output;
    std::unique_ptr<output_writer> writer;
    /// Its place among those whose files are open.
    std::optional<std::list<uint64_t>::iterator> open_output;
    volatile int* failure = nullptr;
    failure_context context;
    uint64_t tag = 0;
    /// The cgroup it is in; empty for none.
    std::string slot;
    /// When its time is over; 0 for never.
    steady_ms timeout_at = 0;
    int64_t grace_ms = 0;
    /// Its deadline in `wake_ups_`: its timeout, or, once it has exited, the end of the grace of its pipe; 0
    /// for none.
    steady_ms wake_at = 0;
    /// Somebody asked for its end, and with which grace; no signal has been sent yet.
    std::optional<outcome_kind> asked;
    int64_t asked_grace_ms = 0;
    outcome how;
    wall_time_ms ended_at_ms = 0;
    uint32_t survivors = 0;
    bool exited = false;
    /// Its start once more, for as long as it may have been killed before it began; null where it cannot.
    std::unique_ptr<waiting_start> again;
    /// The outcome has been reported; only its pipe is still open, or the process could not be killed.
    bool lingering = false;
  };

  /// A start with everything that can be made ready before it is journalled.
  struct prepared_start {
    waiting_start waiting;
    command_plan plan;
    std::optional<user_identity> user;
    owned_descriptor input;
    cgroup_entrance cgroup;
    uint64_t tag = 0;
    std::string slot;
    volatile int* failure = nullptr;
    wall_time_ms started_at_ms = 0;
  };

  struct key_hash {
    size_t operator()(const attempt_key& key) const noexcept {
      return std::hash<std::string>()(key.task_id) * 31 + key.attempt;
    }
  };

  enum class start_step : uint8_t { ready, failed, short_of_resources };

  size_t running_count() const noexcept { return children_.size() - lingering_.size(); }
  void open_containment();
  void end_lost_trees(std::vector<journalled_attempt>& lost);
  void start_waiting(steady_ms now);
  start_step prepare(waiting_start& waiting, prepared_start& prepared, steady_ms now);
  /// Finds the start a cgroup, or none where none can be had; false while resources are short (errno).
  bool enter_cgroup_for(prepared_start& prepared);
  void journal_intent(const prepared_start& prepared);
  start_step launch(prepared_start& prepared, steady_ms now);
  spawned_child spawn_prepared(prepared_start& prepared);
  void watch_child(prepared_start& prepared, spawned_child spawned, uint64_t began_ms);
  /// Gives back what a prepared start holds.
  void abandon(prepared_start& prepared);
  start_step wait_for_resources(const std::string& reason, steady_ms now);
  void wake_at(uint64_t number, child_entry& child, steady_ms at);
  void on_wake_up(uint64_t number, steady_ms now);
  void ask_stop(uint64_t number, outcome_kind reason, int64_t grace_ms, steady_ms now);
  void begin_stops(steady_ms now);
  void go_on_with_stops(steady_ms now);
  void finish_stop(uint64_t number, uint32_t survivors);
  /// The command has ended and nothing of its tree has to be ended any more.
  void conclude(uint64_t number, child_entry& child);
  void watch(int descriptor, epoll_source source, uint64_t number);
  void unwatch(owned_descriptor& descriptor);
  /// Reads once; false when nothing is left for now or the pipe has ended.
  bool read_once(uint64_t number, child_entry& child);
  void collect_exit(uint64_t number, child_entry& child);
  /// Lets go of what would be needed to start children again that have begun by now.
  void see_who_began();
  /// Whether the child was killed before it began, by nobody's wish that we know of; then it is as if it had
  /// never been made, and its start waits once more.
  bool start_again(uint64_t number, child_entry& child, bool never_began);
  /// Stamps the end, and moves the start along where the wall clock was set in between.
  void note_end(child_entry& child);
  void report_end(child_entry& child);
  void fail_start(const attempt_key& key, const std::string& reason);
  void end_attempt(known_entry& entry, attempt_ended end);
  void forget_child(uint64_t number);
  void linger(uint64_t number, child_entry& child);
  void rewrite_journal_when_due();
  /// What has happened is journalled and told at that time at the latest; 0: at once.
  void report_at(steady_ms at) noexcept { report_at_ = std::min(report_at_.value_or(at), at); }
  /// Notes that the child's output is open; of too many that are, the one longest unused is closed.
  void note_open_output(uint64_t number, child_entry& child);
  void forget_open_output(child_entry& child);

  command_table_setting setting_;
  std::unique_ptr<journal> journal_;
  launcher_log& log_;
  failure_slots failures_;
  spawner spawner_;
  std::string containment_;
  /// Null where cgroups cannot be had or are not wanted.
  std::unique_ptr<cgroup_pool> cgroups_;
  tag_source tags_;
  tree_stopper stopper_;
  user_directory users_;
  command_environment environment_;
  uint32_t file_mask_ = 022;
  std::unordered_map<attempt_key, known_entry, key_hash> known_;
  std::unordered_map<uint64_t, child_entry> children_;
  std::unordered_map<int, uint64_t> child_of_pid_;
  std::deque<waiting_start> waiting_;
  /// Deadlines of children, the soonest first.
  std::set<std::pair<steady_ms, uint64_t>> wake_ups_;
  std::set<uint64_t> lingering_;
  /// Children whose output files are open, the one written last in front.
  std::list<uint64_t> open_outputs_;
  /// Children that had not begun when they were last looked at.
  std::vector<uint64_t> unborn_;
  /// Children whose end was asked for since the last work().
  std::vector<uint64_t> asked_;
  packet_batch events_{packet_batch::kind::events};
  /// When the journal and the events are due; none while there is nothing new.
  std::optional<steady_ms> report_at_;
  uint64_t next_number_ = 1;
  int spared_child_ = 0;
  /// While resources are short: when to try again, since when, and what is short.
  steady_ms shortage_retry_at_ = 0;
  steady_ms shortage_since_ = 0;
  std::string shortage_;
  std::vector<char> buffer_;
};

} // namespace task_runner::launcher
