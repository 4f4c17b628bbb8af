// What the full-screen view knows of a daemon: plain values, read from its answers, and the news that bring
// them. What an older or newer daemon leaves out is simply not there.
#pragma once

#include "services/cli/json_value.hpp"
#include "services/cli/output_feed.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace task_runner::cli {

/// Most tasks of one list: at first, and once the selection comes near to its end.
constexpr uint64_t top_tasks_first = 200;
constexpr uint64_t top_tasks_max = 1'000;

struct top_channel {
  std::string name;
  /// open, paused, draining, drained, failed.
  std::string state;
  /// Why it has failed; else empty.
  std::string failure;
  int64_t workers = 0;
  int64_t running = 0;
  int64_t pending = 0;
  int64_t delayed = 0;
  /// Since the start of the daemon, as those that follow.
  int64_t finished = 0;
  int64_t dead = 0;
  int64_t cancelled = 0;
  /// Tasks that are dead now.
  int64_t dead_letters = 0;
  /// Tasks per second; nothing until two looks could be compared.
  std::optional<double> pushed_rate;
  std::optional<double> ended_rate;
  std::optional<double> dead_rate;
  /// How long the first of those that could run has waited.
  std::optional<double> oldest_wait_s;
  std::optional<double> eta_s;
};

/// How one channel fares, as the daemon's statistics say it.
struct top_fare {
  std::string channel;
  /// How long the task that is next has been able to run.
  std::optional<double> wait_s;
  std::optional<double> eta_s;
};

/// Which tasks are listed.
enum class top_view : uint8_t {
  /// Those that run, then those that wait: in their order, or of all channels the oldest first.
  unfinished,
  dead,
  /// All that have ended, the last one first.
  ended,
};

std::string_view name_of(top_view view) noexcept;

struct top_task {
  std::string id;
  std::string channel;
  std::string name;
  std::string state;
  std::string outcome;
  int64_t attempt = 0;
  std::optional<int64_t> created_ms;
  std::optional<int64_t> started_ms;
  std::optional<int64_t> due_ms;
  std::optional<int64_t> ended_ms;
  std::optional<double> duration_s;
  bool is_held = false;
};

struct top_daemon {
  std::string version;
  /// running, or what it does instead.
  std::string state;
  double uptime_s = 0;
  int64_t workers = 0;
  /// 0: no limit over all channels.
  int64_t running_max = 0;
  bool runs_tasks = true;
  std::vector<std::string> not_ready;
  /// Its clock at the answer, Unix milliseconds; nothing where it does not say.
  std::optional<int64_t> clock_ms;
};

/// What the view wants to see besides channels.
struct top_wish {
  /// Empty: all.
  std::string channel;
  top_view view = top_view::unfinished;
  /// A part of the tasks' names; empty: any.
  std::string name;
  uint64_t limit = top_tasks_first;
  /// The task whose output is shown; empty: none.
  std::string task;
  /// Another number: its output is wanted from the beginning, whatever was told of it before.
  uint64_t output_turn = 0;

  bool lists_as(const top_wish& other) const noexcept {
    return channel == other.channel && view == other.view && name == other.name && limit == other.limit;
  }
};

struct top_tasks {
  /// What was asked for.
  top_wish wish;
  std::vector<top_task> items;
  /// Whether there are more than these.
  bool is_cut = false;
};

/// What has become of the output that is shown.
struct top_output_news {
  std::string task;
  /// That of the wish.
  uint64_t turn = 0;
  feed_news::kind what = feed_news::kind::nothing;
  std::string bytes;
  uint64_t attempt = 0;
  /// Of the output, how much was passed over at the beginning, bytes.
  uint64_t skipped = 0;
  /// How it stands, where it has ended.
  std::string state;
  std::string outcome;
  std::string failure;
};

/// What can be done by a key.
enum class top_verb : uint8_t {
  none,
  quit,
  redraw,
  pause,
  resume,
  set_workers,
  cancel,
  kill,
  retry,
  why,
  details
};

struct top_order {
  top_verb verb = top_verb::none;
  /// The task or channel.
  std::string about;
  /// The signal, or the number of workers.
  std::string value;
};

struct top_answer {
  top_order order;
  bool is_ok = false;
  /// A sentence; for `why` and `details` text of several lines, with colours.
  std::string text;
  /// The channel as it is now, after a verb of channels.
  std::optional<top_channel> channel;
};

/// What a look at the daemon, or an order, has brought. Whatever is not there was not asked for.
struct top_news {
  /// When it was asked for, seconds of a clock that is never set.
  double asked_at_s = 0;
  std::optional<std::vector<top_channel>> channels;
  std::optional<top_daemon> daemon;
  /// Of some channels, which replaces what was known of these.
  std::vector<top_fare> fares;
  std::optional<top_tasks> tasks;
  std::vector<top_output_news> output;
  /// Why the daemon could not be asked; and whether nobody answers at all.
  std::optional<std::string> failure;
  bool is_unreached = false;
  std::optional<top_answer> answer;
};

top_channel read_top_channel(const json_value& channel);
/// An item of /api/v1/statistics/channels.
top_fare read_top_fare(const json_value& fare);
/// Of a listing, or of /status, which names the id differently.
top_task read_top_task(const json_value& task);
/// The member `daemon` of /status.
top_daemon read_top_daemon(const json_value& daemon);

} // namespace task_runner::cli
