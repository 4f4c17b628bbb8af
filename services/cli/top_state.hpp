// All that the full-screen view shows, and what its keys do: no terminal, no network, no clock of its own.
// News go in, keys go in, orders and a wish come out; top_layout.hpp draws it.
#pragma once

#include "services/cli/top_data.hpp"
#include "services/cli/top_output.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace task_runner::cli {

/// When something happens.
struct top_moment {
  /// Seconds of a clock that is never set.
  double steady_s = 0;
  /// The wall clock here, Unix milliseconds.
  int64_t wall_ms = 0;
};

enum class top_pane : uint8_t { channels, tasks, output };
enum class channel_order : uint8_t { name, pending, running, dead, rate, wait };
enum class task_order : uint8_t { as_given, age, name, state };

std::string_view name_of(channel_order order) noexcept;
std::string_view name_of(task_order order) noexcept;

/// A key that was pressed.
struct top_key {
  enum class kind : uint8_t {
    none,
    character,
    up,
    down,
    left,
    right,
    page_up,
    page_down,
    home,
    end,
    tab,
    back_tab,
    enter,
    escape,
    erase,
    /// Draw everything anew.
    redraw,
  };
  kind what = kind::none;
  /// Of `character`: one, UTF-8.
  std::string text;
};

/// A question in the last line.
struct top_prompt {
  enum class kind : uint8_t { confirm, filter, signal };
  kind kind_of = kind::confirm;
  std::string question;
  /// What is being typed.
  std::string text;
  /// What follows when it is answered.
  top_order order;
  /// Which filter is typed.
  top_pane filters = top_pane::channels;
};

/// Text over the panes.
struct top_popup {
  std::string title;
  /// As it came; `text` has it broken to the popup's width.
  std::string source;
  output_text text;
  size_t first = 0;
  /// Columns that are left out on the left.
  size_t skipped = 0;
};

/// Where in a list the selection and the first row that is shown are.
struct list_place {
  size_t selected = 0;
  size_t first = 0;
};

/// One line that goes away by itself.
struct top_message {
  std::string text;
  bool is_bad = false;
  double until_s = 0;
};

/// What is said where a channel is needed and all are selected.
constexpr std::string_view choose_channel = "choose a channel in the first pane";

/// What is in the way of work; the worst one is shown.
struct top_trouble {
  std::string text;
  /// Nothing works, rather than one channel.
  bool is_grave = false;
};

/// Looks at one channel, to tell how fast it is and since when it stands still.
struct channel_pace {
  double at_s = 0;
  int64_t unfinished = 0;
  int64_t ended = 0;
  int64_t dead = 0;
  std::optional<double> pushed_rate;
  std::optional<double> ended_rate;
  std::optional<double> dead_rate;
  /// Since when tasks wait while none runs and none ends; nothing while that is not so.
  std::optional<double> still_since_s;
  /// Workers that were ordered here and may not show yet: how many orders are on their way, and when the last
  /// one was answered.
  std::optional<int64_t> ordered_workers;
  size_t ordered_open = 0;
  double ordered_at_s = 0;
};

/// Not thread-safe.
class top_state {
public:
  top_state(std::string address, double interval_s, bool unicode);

  void take(top_news news, const top_moment& now);
  /// What a key orders; `top_verb::none` where it only changes what is shown.
  top_order press(const top_key& key, const top_moment& now);
  void resize(size_t rows, size_t columns);
  /// Says that nothing has been heard for so long, 0: there is no such wait.
  void wait_for_answer(double seconds) { silent_s_ = seconds; }
  void say(const std::string& text, bool is_bad, const top_moment& now);

  top_wish wish() const;
  /// The worst that is in the way; nothing where nothing is.
  std::optional<top_trouble> trouble(const top_moment& now) const;

  const std::string& address() const noexcept { return address_; }
  double interval_s() const noexcept { return interval_s_; }
  bool has_unicode() const noexcept { return unicode_; }
  size_t rows() const noexcept { return rows_; }
  size_t columns() const noexcept { return columns_; }
  const std::optional<top_daemon>& daemon() const noexcept { return daemon_; }
  /// How long it runs by now.
  double uptime_s(const top_moment& now) const;
  /// The daemon's clock, Unix milliseconds.
  int64_t daemon_ms(const top_moment& now) const { return now.wall_ms + clock_ahead_ms_; }
  /// All channels together.
  const top_channel& totals() const noexcept { return totals_; }
  size_t channel_count() const noexcept { return channels_.size(); }
  size_t channels_shown() const noexcept { return shown_channels_.size(); }
  /// Rows of the first pane: all channels together, then one each, filtered and sorted.
  size_t channel_rows() const noexcept { return shown_channels_.size() + 1; }
  const top_channel& channel_row(size_t row) const {
    return row == 0 ? totals_ : channels_[shown_channels_[row - 1]];
  }
  const list_place& channel_place() const noexcept { return channel_place_; }
  channel_order channels_by() const noexcept { return channel_order_; }
  const std::string& channel_filter() const noexcept { return channel_filter_; }
  /// Whose tasks are listed; empty: all.
  const std::string& channel() const noexcept { return channel_; }

  /// Whether the list is that which is wanted, or an older one.
  bool tasks_are_there() const noexcept { return tasks_are_there_; }
  bool tasks_are_cut() const noexcept { return tasks_.is_cut; }
  size_t task_rows() const noexcept { return shown_tasks_.size(); }
  const top_task& task_row(size_t row) const { return tasks_.items[shown_tasks_[row]]; }
  const list_place& task_place() const noexcept { return task_place_; }
  /// The selected task; null where there is none.
  const top_task* task() const;
  task_order tasks_by() const noexcept { return task_order_; }
  const std::string& task_filter() const noexcept { return task_filter_; }
  top_view view() const noexcept { return view_; }

  const output_text& output() const noexcept { return output_; }
  const top_output_news& output_how() const noexcept { return output_how_; }
  bool output_follows() const noexcept { return output_follows_; }
  bool output_is_full() const noexcept { return output_is_full_; }
  size_t output_first() const noexcept { return output_first_; }
  size_t output_skipped() const noexcept { return output_skipped_; }

  top_pane focus() const noexcept { return focus_; }
  const std::optional<top_prompt>& prompt() const noexcept { return prompt_; }
  const std::optional<top_popup>& popup() const noexcept { return popup_; }
  /// What is said at present; null: nothing.
  const top_message* message(const top_moment& now) const;

private:
  void take_channels(std::vector<top_channel> channels, double at_s);
  void measure(top_channel& channel, double at_s);
  /// Keeps nothing of channels that are gone.
  void forget_channels();
  void take_tasks(top_tasks tasks);
  void take_output(const top_output_news& news);
  void take_answer(const top_answer& answer, const top_moment& now);
  void order_channels();
  void order_tasks();
  void select_channel(size_t row);
  void select_task(size_t row);
  /// Other tasks are wanted than those that are there.
  void want_tasks();
  void want_output();
  /// Puts selections and scrolling within their bounds.
  void settle();

  top_order press_in_prompt(const top_key& key);
  void press_in_popup(const top_key& key);
  top_order press_character(char one, const top_moment& now);
  top_order order_channel(char one, const top_moment& now);
  top_order order_task(char one, const top_moment& now);
  void move(ptrdiff_t by);
  void move_to_edge(bool to_end);
  void open();
  void go_back();
  void change_sort();
  void ask(std::string question, top_order order);
  void show(std::string title, std::string text);
  /// Breaks the popup's text to the width that it has now.
  void break_popup();
  size_t page() const;

  std::string address_;
  double interval_s_;
  bool unicode_;
  size_t rows_ = 0;
  size_t columns_ = 0;

  std::optional<top_daemon> daemon_;
  double daemon_at_s_ = 0;
  int64_t clock_ahead_ms_ = 0;
  std::vector<top_channel> channels_;
  std::map<std::string, channel_pace> paces_;
  std::map<std::string, top_fare> fares_;
  top_channel totals_;
  std::vector<size_t> shown_channels_;
  list_place channel_place_;
  channel_order channel_order_ = channel_order::name;
  std::string channel_filter_;
  std::string channel_;
  std::optional<std::string> failure_;
  bool is_unreached_ = false;
  double failing_since_s_ = 0;
  double silent_s_ = 0;

  top_tasks tasks_;
  bool tasks_are_there_ = false;
  std::vector<size_t> shown_tasks_;
  list_place task_place_;
  task_order task_order_ = task_order::as_given;
  std::string task_filter_;
  top_view view_ = top_view::unfinished;
  /// The selection stays with this task, also when it has ended, once somebody has chosen it.
  std::string task_id_;
  bool task_is_chosen_ = false;

  output_text output_;
  top_output_news output_how_;
  bool output_follows_ = true;
  bool output_is_full_ = false;
  size_t output_first_ = 0;
  size_t output_skipped_ = 0;

  top_pane focus_ = top_pane::channels;
  std::optional<top_prompt> prompt_;
  std::optional<top_popup> popup_;
  top_message message_;
};

/// The keys, as the popup of `?` lists them.
std::string_view top_keys_help() noexcept;

} // namespace task_runner::cli
