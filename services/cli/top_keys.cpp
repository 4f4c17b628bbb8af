// What keys do: they move, sort and filter here, and become orders for the daemon. What ends or starts
// commands asks first.
#include "services/cli/console.hpp"
#include "services/cli/task_view.hpp"
#include "services/cli/top_state.hpp"

#include <algorithm>
#include <utility>

namespace task_runner::cli {

namespace {

constexpr size_t typed_bytes_max = 128;
constexpr size_t shift_columns = 10;
constexpr int64_t workers_max = 1'024;
/// As much of a task's name stands in a question.
constexpr size_t asked_columns = 40;

constexpr std::string_view keys_help =
    "Up Down j k    move               PgUp PgDn Home End g G\n"
    "Tab Shift-Tab  the next pane, the one before\n"
    "Enter          channel: its tasks; task: all about it; output: full screen\n"
    "Esc            back: out of full screen, filter, pane\n"
    "/              filter channels, or tasks by name\n"
    "s              sort by something else\n"
    "v              tasks: unfinished, dead, all that ended\n"
    "\n"
    "p              pause or resume the channel\n"
    "+ -            one worker more or less for the channel\n"
    "c              cancel the task (asks)\n"
    "K              send the task a signal (asks which)\n"
    "r              run a dead or cancelled task again (asks)\n"
    "w              why the task does not run\n"
    "\n"
    "o              output on the full screen, and back\n"
    "f              follow the output, or stay where it is\n"
    "Left Right     shift long lines of output\n"
    "Ctrl-L         draw everything anew\n"
    "q              quit\n";

/// What a question says of a task.
std::string named(const top_task& task) {
  return task.id + " (" + clipped(task.name, asked_columns, "...") + ")";
}

void erase_last(std::string& text) {
  while (!text.empty()) {
    const auto last = static_cast<unsigned char>(text.back());
    text.pop_back();
    if ((last & 0xc0U) != 0x80)
      return;
  }
}

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](char one) {
    return one >= 'a' && one <= 'z' ? static_cast<char>(one - 'a' + 'A') : one;
  });
  return text;
}

} // namespace

std::string_view top_keys_help() noexcept {
  return keys_help;
}

top_order top_state::press(const top_key& key, const top_moment& now) {
  top_order order;
  if (key.what == top_key::kind::redraw) {
    order.verb = top_verb::redraw;
    return order;
  }
  if (prompt_) {
    order = press_in_prompt(key);
  } else if (popup_) {
    press_in_popup(key);
  } else {
    switch (key.what) {
    case top_key::kind::character:
      if (key.text.size() == 1)
        order = press_character(key.text.front(), now);
      break;
    case top_key::kind::up:
      move(-1);
      break;
    case top_key::kind::down:
      move(1);
      break;
    case top_key::kind::page_up:
      move(-static_cast<ptrdiff_t>(page()));
      break;
    case top_key::kind::page_down:
      move(static_cast<ptrdiff_t>(page()));
      break;
    case top_key::kind::home:
      move_to_edge(false);
      break;
    case top_key::kind::end:
      move_to_edge(true);
      break;
    case top_key::kind::left:
      output_skipped_ -= std::min(output_skipped_, shift_columns);
      break;
    case top_key::kind::right:
      output_skipped_ = std::min(output_skipped_ + shift_columns, output_line_bytes_max);
      break;
    case top_key::kind::tab:
    case top_key::kind::back_tab: {
      constexpr int panes = 3;
      const int step = key.what == top_key::kind::tab ? 1 : panes - 1;
      if (!output_is_full_)
        focus_ = static_cast<top_pane>((static_cast<int>(focus_) + step) % panes);
      break;
    }
    case top_key::kind::enter:
      if (focus_ == top_pane::tasks && task() != nullptr)
        order = {top_verb::details, task_id_, {}};
      else
        open();
      break;
    case top_key::kind::escape:
      go_back();
      break;
    case top_key::kind::none:
    case top_key::kind::erase:
    case top_key::kind::redraw:
      break;
    }
  }
  settle();
  return order;
}

top_order top_state::press_in_prompt(const top_key& key) {
  auto& prompt = *prompt_;
  const auto leave = [this](top_order order) {
    prompt_.reset();
    return order;
  };
  if (prompt.kind_of == top_prompt::kind::confirm) {
    const bool agrees = key.what == top_key::kind::character && (key.text == "y" || key.text == "Y");
    return leave(agrees ? prompt.order : top_order{});
  }
  switch (key.what) {
  case top_key::kind::character:
    if (prompt.text.size() + key.text.size() <= typed_bytes_max)
      prompt.text += key.text;
    return {};
  case top_key::kind::erase:
    erase_last(prompt.text);
    return {};
  case top_key::kind::escape:
    return leave({});
  case top_key::kind::enter:
    break;
  default:
    return {};
  }
  if (prompt.kind_of == top_prompt::kind::signal) {
    auto order = prompt.order;
    order.value = prompt.text.empty() ? "TERM" : upper(prompt.text);
    return leave(std::move(order));
  }
  const auto text = prompt.text;
  const auto pane = prompt.filters;
  prompt_.reset();
  if (pane == top_pane::channels) {
    channel_filter_ = text;
    order_channels();
  } else if (text != task_filter_) {
    task_filter_ = text;
    want_tasks();
  }
  return {};
}

void top_state::press_in_popup(const top_key& key) {
  const auto step = static_cast<ptrdiff_t>(page());
  switch (key.what) {
  case top_key::kind::up:
    popup_->first -= popup_->first > 0 ? 1 : 0;
    return;
  case top_key::kind::down:
    ++popup_->first; // settle() keeps it within the text
    return;
  case top_key::kind::page_up:
    popup_->first -= std::min(popup_->first, static_cast<size_t>(step));
    return;
  case top_key::kind::page_down:
    popup_->first += static_cast<size_t>(step);
    return;
  case top_key::kind::character:
    if (key.text == "k" || key.text == "j") {
      popup_->first = key.text == "j" ? popup_->first + 1 : popup_->first - (popup_->first > 0 ? 1 : 0);
      return;
    }
    break;
  case top_key::kind::left:
    popup_->skipped -= std::min(popup_->skipped, shift_columns);
    return;
  case top_key::kind::right:
    popup_->skipped = std::min(popup_->skipped + shift_columns, output_line_bytes_max);
    return;
  case top_key::kind::none:
    return;
  default:
    break;
  }
  popup_.reset();
}

top_order top_state::press_character(char one, const top_moment& now) {
  switch (one) {
  case 'q':
    return {top_verb::quit, {}, {}};
  case 'j':
    move(1);
    break;
  case 'k':
    move(-1);
    break;
  case 'g':
    move_to_edge(false);
    break;
  case 'G':
    move_to_edge(true);
    break;
  case '/': {
    top_prompt prompt;
    prompt.kind_of = top_prompt::kind::filter;
    prompt.filters = focus_ == top_pane::channels ? top_pane::channels : top_pane::tasks;
    const bool of_channels = prompt.filters == top_pane::channels;
    prompt.question = of_channels ? "Channels with: " : "Tasks with this in their name: ";
    prompt.text = of_channels ? channel_filter_ : task_filter_;
    prompt_ = std::move(prompt);
    break;
  }
  case 's':
    change_sort();
    break;
  case 'v':
    view_ = view_ == top_view::unfinished ? top_view::dead
            : view_ == top_view::dead     ? top_view::ended
                                          : top_view::unfinished;
    want_tasks();
    break;
  case 'o':
    output_is_full_ = !output_is_full_;
    focus_ = output_is_full_ ? top_pane::output : top_pane::tasks;
    task_is_chosen_ = task() != nullptr;
    break;
  case 'f':
    output_follows_ = !output_follows_;
    say(output_follows_ ? "the output is followed" : "the output stays where it is", false, now);
    break;
  case '?':
    show("Keys", std::string(keys_help));
    break;
  case 'p':
  case '+':
  case '=':
  case '-':
    return order_channel(one, now);
  case 'c':
  case 'K':
  case 'r':
  case 'w':
    return order_task(one, now);
  default:
    break;
  }
  return {};
}

top_order top_state::order_channel(char one, const top_moment& now) {
  const auto at = channel_place_.selected;
  if (at == 0) {
    say(std::string(choose_channel), true, now);
    return {};
  }
  auto& channel = channels_[shown_channels_[at - 1]];
  if (one == 'p') {
    const bool is_open = channel.state == "open";
    return {is_open ? top_verb::pause : top_verb::resume, channel.name, {}};
  }
  const auto workers = std::clamp<int64_t>(channel.workers + (one == '-' ? -1 : 1), 0, workers_max);
  if (workers == channel.workers) {
    say("a channel has 0 to " + std::to_string(workers_max) + " workers", true, now);
    return {};
  }
  channel.workers = workers;
  auto& pace = paces_[channel.name];
  pace.ordered_workers = workers;
  ++pace.ordered_open;
  return {top_verb::set_workers, channel.name, std::to_string(workers)};
}

top_order top_state::order_task(char one, const top_moment& now) {
  const auto* chosen = task();
  if (chosen == nullptr) {
    say("there is no task here", true, now);
    return {};
  }
  const auto& task = *chosen;
  if (one == 'w')
    return {top_verb::why, task.id, {}};
  if (one == 'c' && is_ended(task.state)) {
    say(task.id + " has ended", true, now);
  } else if (one == 'c') {
    ask("Cancel " + named(task) + "?", {top_verb::cancel, task.id, {}});
  } else if (one == 'r' && task.state != "dead" && task.state != "cancelled") {
    say("only dead and cancelled tasks are run again; " + task.id + " is " + task.state, true, now);
  } else if (one == 'r') {
    ask("Run " + named(task) + " again?", {top_verb::retry, task.id, {}});
  } else if (task.state != "running") {
    say("only running tasks take signals; " + task.id + " is " + task.state, true, now);
  } else {
    top_prompt prompt;
    prompt.kind_of = top_prompt::kind::signal;
    prompt.question = "Signal for " + named(task) + ", Esc for none [TERM]: ";
    prompt.order = {top_verb::kill, task.id, {}};
    prompt_ = std::move(prompt);
  }
  return {};
}

void top_state::ask(std::string question, top_order order) {
  top_prompt prompt;
  prompt.question = std::move(question) + " y/n ";
  prompt.order = std::move(order);
  prompt_ = std::move(prompt);
}

void top_state::move(ptrdiff_t by) {
  const auto moved = [by](size_t from, size_t count) {
    const auto to = static_cast<ptrdiff_t>(from) + by;
    return static_cast<size_t>(std::clamp<ptrdiff_t>(to, 0, static_cast<ptrdiff_t>(count)));
  };
  switch (focus_) {
  case top_pane::channels:
    select_channel(moved(channel_place_.selected, channel_rows() - 1));
    return;
  case top_pane::tasks:
    task_is_chosen_ = task() != nullptr;
    if (task_is_chosen_)
      select_task(moved(task_place_.selected, task_rows() - 1));
    return;
  case top_pane::output:
    break;
  }
  // Whoever scrolls back wants to stay there; at the end it goes on by itself.
  const auto lines = output_.lines().size();
  const auto last = lines - std::min(lines, page());
  output_first_ = moved(output_first_, last);
  output_follows_ = output_first_ == last;
}

void top_state::move_to_edge(bool to_end) {
  const auto far = static_cast<ptrdiff_t>(output_lines_max + top_tasks_max + channels_.size());
  move(to_end ? far : -far);
}

void top_state::open() {
  if (focus_ == top_pane::channels) {
    focus_ = top_pane::tasks;
    return;
  }
  if (focus_ == top_pane::output)
    output_is_full_ = !output_is_full_;
}

void top_state::go_back() {
  auto& filter = focus_ == top_pane::channels ? channel_filter_ : task_filter_;
  if (output_is_full_) {
    output_is_full_ = false;
    focus_ = top_pane::tasks;
  } else if (!filter.empty()) {
    filter.clear();
    if (focus_ == top_pane::channels)
      order_channels();
    else
      want_tasks();
  } else {
    focus_ = top_pane::channels;
  }
}

void top_state::change_sort() {
  if (focus_ == top_pane::channels) {
    channel_order_ = channel_order_ == channel_order::wait
                         ? channel_order::name
                         : static_cast<channel_order>(static_cast<int>(channel_order_) + 1);
    order_channels();
  } else {
    task_order_ = task_order_ == task_order::state
                      ? task_order::as_given
                      : static_cast<task_order>(static_cast<int>(task_order_) + 1);
    order_tasks();
  }
}

} // namespace task_runner::cli
