// News become what is shown: rates out of differences, selections that stay with what they were put on.
#include "services/cli/top_state.hpp"

#include "services/cli/console.hpp"
#include "services/cli/task_view.hpp"
#include "services/cli/top_layout.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace task_runner::cli {

namespace {

/// Rates follow what happens with this delay.
constexpr double rate_settles_s = 5;
/// Two looks that are closer tell nothing about a rate.
constexpr double looks_apart_min_s = 0.05;
/// Slower than this is not taken for a pace that tells when work will be done.
constexpr double eta_rate_min = 0.001;
constexpr double message_shown_s = 5;
/// So close to the end of the list more of it is asked for.
constexpr size_t near_end_rows = 20;

void add(top_channel& sum, const top_channel& one) {
  sum.workers += one.workers;
  sum.running += one.running;
  sum.pending += one.pending;
  sum.delayed += one.delayed;
  sum.finished += one.finished;
  sum.dead += one.dead;
  sum.cancelled += one.cancelled;
  sum.dead_letters += one.dead_letters;
  if (one.oldest_wait_s)
    sum.oldest_wait_s = std::max(sum.oldest_wait_s.value_or(0), *one.oldest_wait_s);
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](char one) {
    return one >= 'A' && one <= 'Z' ? static_cast<char>(one - 'A' + 'a') : one;
  });
  return text;
}

/// Puts an offset so that a selection is among the rows that are seen.
void scroll_to(list_place& place, size_t count, size_t page) {
  place.selected = count == 0 ? 0 : std::min(place.selected, count - 1);
  place.first = std::min(place.first, count - std::min(count, page));
  place.first = std::min(place.first, place.selected);
  if (page > 0 && place.selected >= place.first + page)
    place.first = place.selected - page + 1;
}

} // namespace

std::string_view name_of(channel_order order) noexcept {
  switch (order) {
  case channel_order::name:
    return "name";
  case channel_order::pending:
    return "waiting";
  case channel_order::running:
    return "running";
  case channel_order::dead:
    return "dead";
  case channel_order::rate:
    return "rate";
  case channel_order::wait:
    return "oldest";
  }
  return "";
}

std::string_view name_of(task_order order) noexcept {
  switch (order) {
  case task_order::as_given:
    return "turn";
  case task_order::age:
    return "age";
  case task_order::name:
    return "name";
  case task_order::state:
    return "state";
  }
  return "";
}

top_state::top_state(std::string address, double interval_s, bool unicode)
    : address_(std::move(address))
    , interval_s_(interval_s)
    , unicode_(unicode) {
  totals_.name = "all channels";
}

void top_state::resize(size_t rows, size_t columns) {
  rows_ = rows;
  columns_ = columns;
  break_popup();
  settle();
}

void top_state::say(const std::string& text, bool is_bad, const top_moment& now) {
  message_ = {text, is_bad, now.steady_s + message_shown_s};
}

const top_message* top_state::message(const top_moment& now) const {
  return message_.text.empty() || now.steady_s >= message_.until_s ? nullptr : &message_;
}

double top_state::uptime_s(const top_moment& now) const {
  return daemon_ ? daemon_->uptime_s + (now.steady_s - daemon_at_s_) : 0;
}

const top_task* top_state::task() const {
  return task_place_.selected < shown_tasks_.size() ? &task_row(task_place_.selected) : nullptr;
}

top_wish top_state::wish() const {
  top_wish wish;
  wish.channel = channel_;
  wish.view = view_;
  wish.name = task_filter_;
  wish.limit = task_place_.selected + near_end_rows >= top_tasks_first ? top_tasks_max : top_tasks_first;
  wish.task = task_id_;
  wish.output_turn = output_how_.turn;
  return wish;
}

void top_state::take(top_news news, const top_moment& now) {
  if (news.failure) {
    if (!failure_)
      failing_since_s_ = now.steady_s;
    failure_ = std::move(news.failure);
    is_unreached_ = news.is_unreached;
  } else if (news.channels || news.tasks) {
    failure_.reset();
  }
  if (news.daemon) {
    daemon_ = std::move(news.daemon);
    daemon_at_s_ = now.steady_s;
    clock_ahead_ms_ = daemon_->clock_ms ? *daemon_->clock_ms - now.wall_ms : 0;
  }
  for (auto& one : news.fares) {
    auto name = one.channel;
    fares_.insert_or_assign(std::move(name), std::move(one));
  }
  if (news.channels)
    take_channels(std::move(*news.channels), news.asked_at_s);
  if (news.tasks)
    take_tasks(std::move(*news.tasks));
  for (const auto& one : news.output)
    take_output(one);
  if (news.answer)
    take_answer(*news.answer, now);
  settle();
}

void top_state::measure(top_channel& channel, double at_s) {
  auto& pace = paces_[channel.name];
  if (pace.ordered_workers) {
    if (pace.ordered_open == 0 && at_s > pace.ordered_at_s)
      pace.ordered_workers.reset();
    else
      channel.workers = *pace.ordered_workers;
  }
  const auto unfinished = channel.pending + channel.delayed + channel.running;
  const auto ended = channel.finished + channel.dead + channel.cancelled;
  const double apart_s = at_s - pace.at_s;
  const bool is_known = pace.at_s > 0;
  const bool began_anew = is_known && (ended < pace.ended || channel.dead < pace.dead);
  if (is_known && !began_anew && apart_s >= looks_apart_min_s) {
    const auto follow = [&](std::optional<double>& rate, int64_t more) {
      const double fresh = std::max(0.0, static_cast<double>(more) / apart_s);
      rate = rate ? *rate + (fresh - *rate) * (1 - std::exp(-apart_s / rate_settles_s)) : fresh;
    };
    follow(pace.ended_rate, ended - pace.ended);
    follow(pace.dead_rate, channel.dead - pace.dead);
    follow(pace.pushed_rate, unfinished - pace.unfinished + ended - pace.ended);
  }
  const bool stands_still = channel.pending > 0 && channel.running == 0 && (!is_known || ended == pace.ended);
  if (!stands_still)
    pace.still_since_s.reset();
  else if (!pace.still_since_s)
    pace.still_since_s = at_s;
  if (!is_known || began_anew || apart_s >= looks_apart_min_s) {
    pace.at_s = at_s;
    pace.unfinished = unfinished;
    pace.ended = ended;
    pace.dead = channel.dead;
  }
  channel.pushed_rate = pace.pushed_rate;
  channel.ended_rate = pace.ended_rate;
  channel.dead_rate = pace.dead_rate;
  if (const auto fare = fares_.find(channel.name); fare != fares_.end() && channel.pending > 0) {
    channel.oldest_wait_s = fare->second.wait_s;
    channel.eta_s = fare->second.eta_s;
  }
  if (!channel.eta_s && channel.pending > 0 && pace.ended_rate && *pace.ended_rate > eta_rate_min)
    channel.eta_s = static_cast<double>(channel.pending) / *pace.ended_rate;
}

void top_state::take_channels(std::vector<top_channel> channels, double at_s) {
  channels_ = std::move(channels);
  const auto name = totals_.name;
  totals_ = {};
  totals_.name = name;
  for (auto& one : channels_) {
    measure(one, at_s);
    add(totals_, one);
  }
  auto measured = totals_;
  measured.name.clear(); // no channel has this name
  measure(measured, at_s);
  measured.name = name;
  // All is done when the last channel is; while one of them gets nowhere nobody can say when.
  measured.eta_s.reset();
  const bool all_get_on = std::all_of(channels_.begin(), channels_.end(),
                                      [](const top_channel& one) { return one.pending == 0 || one.eta_s; });
  for (const auto& one : channels_)
    if (all_get_on && one.eta_s)
      measured.eta_s = std::max(measured.eta_s.value_or(0), *one.eta_s);
  totals_ = std::move(measured);
  if (paces_.size() > channels_.size() + 1)
    forget_channels();
  order_channels();
}

void top_state::forget_channels() {
  std::map<std::string, channel_pace> paces;
  std::map<std::string, top_fare> fares;
  paces.insert(*paces_.find({}));
  for (const auto& one : channels_) {
    paces.insert(*paces_.find(one.name));
    if (const auto fare = fares_.find(one.name); fare != fares_.end())
      fares.insert(*fare);
  }
  paces_.swap(paces);
  fares_.swap(fares);
}

void top_state::order_channels() {
  shown_channels_.clear();
  const auto wanted = lower(channel_filter_);
  for (size_t i = 0; i < channels_.size(); ++i)
    if (wanted.empty() || lower(channels_[i].name).find(wanted) != std::string::npos)
      shown_channels_.push_back(i);
  const auto weight = [this](size_t at) {
    const auto& one = channels_[at];
    switch (channel_order_) {
    case channel_order::pending:
      return static_cast<double>(one.pending);
    case channel_order::running:
      return static_cast<double>(one.running);
    case channel_order::dead:
      return static_cast<double>(one.dead_letters);
    case channel_order::rate:
      return one.ended_rate.value_or(0);
    case channel_order::wait:
      return one.oldest_wait_s.value_or(0);
    case channel_order::name:
      break;
    }
    return 0.0;
  };
  std::sort(shown_channels_.begin(), shown_channels_.end(), [&](size_t left, size_t right) {
    const double one = weight(left);
    const double other = weight(right);
    return one != other ? one > other : channels_[left].name < channels_[right].name;
  });
  size_t row = 0;
  for (size_t i = 0; i < shown_channels_.size() && !channel_.empty(); ++i)
    if (channels_[shown_channels_[i]].name == channel_)
      row = i + 1;
  select_channel(row);
}

void top_state::select_channel(size_t row) {
  channel_place_.selected = std::min(row, channel_rows() - 1);
  auto chosen = channel_place_.selected == 0 ? std::string() : channel_row(channel_place_.selected).name;
  if (chosen == channel_)
    return;
  channel_ = std::move(chosen);
  if (!channel_.empty() && message_.text == choose_channel)
    message_ = {};
  want_tasks();
}

void top_state::want_tasks() {
  tasks_ = {};
  tasks_are_there_ = false;
  shown_tasks_.clear();
  task_place_ = {};
  task_is_chosen_ = false;
  task_id_.clear();
  want_output();
}

void top_state::want_output() {
  const auto turn = output_how_.turn + 1;
  output_.clear();
  output_how_ = {};
  output_how_.task = task_id_;
  output_how_.turn = turn;
  output_follows_ = true;
  output_first_ = 0;
  output_skipped_ = 0;
}

void top_state::take_tasks(top_tasks tasks) {
  auto wanted = wish();
  wanted.limit = tasks.wish.limit;
  if (!tasks.wish.lists_as(wanted))
    return; // an answer to what was wanted before
  std::optional<top_task> chosen;
  const size_t chosen_at =
      task_place_.selected < shown_tasks_.size() ? shown_tasks_[task_place_.selected] : 0;
  if (const auto* selected = task(); selected != nullptr && task_is_chosen_)
    chosen = *selected;
  tasks_ = std::move(tasks);
  tasks_are_there_ = true;
  const bool is_gone = chosen && std::none_of(tasks_.items.begin(), tasks_.items.end(),
                                              [&](const top_task& one) { return one.id == chosen->id; });
  if (is_gone) {
    // It stays where it was, so that its end can be seen.
    const auto at = std::min(chosen_at, tasks_.items.size());
    tasks_.items.insert(tasks_.items.begin() + static_cast<ptrdiff_t>(at), *chosen);
  }
  order_tasks();
}

void top_state::order_tasks() {
  auto& items = tasks_.items;
  shown_tasks_.resize(items.size());
  std::iota(shown_tasks_.begin(), shown_tasks_.end(), 0);
  const auto is_before = [&](size_t left, size_t right) {
    const auto& one = items[left];
    const auto& other = items[right];
    switch (task_order_) {
    case task_order::age:
      return one.created_ms.value_or(0) < other.created_ms.value_or(0);
    case task_order::name:
      return one.name < other.name;
    case task_order::state:
      return one.state < other.state;
    case task_order::as_given:
      break;
    }
    return left < right;
  };
  std::stable_sort(shown_tasks_.begin(), shown_tasks_.end(), is_before);
  size_t row = 0;
  if (task_is_chosen_)
    for (size_t i = 0; i < shown_tasks_.size(); ++i)
      if (items[shown_tasks_[i]].id == task_id_)
        row = i;
  select_task(row);
}

void top_state::select_task(size_t row) {
  task_place_.selected = shown_tasks_.empty() ? 0 : std::min(row, shown_tasks_.size() - 1);
  const auto* chosen = task();
  auto id = chosen == nullptr ? std::string() : chosen->id;
  if (id == task_id_)
    return;
  task_id_ = std::move(id);
  want_output();
}

void top_state::take_output(const top_output_news& news) {
  if (news.task != task_id_ || news.turn != output_how_.turn || news.task.empty())
    return;
  const auto dropped = output_.dropped();
  output_how_.attempt = news.attempt;
  output_how_.failure = news.failure;
  switch (news.what) {
  case feed_news::kind::nothing:
  case feed_news::kind::failed:
    break;
  case feed_news::kind::from_beginning:
    output_.clear();
    output_first_ = 0;
    output_how_.state.clear();
    return;
  case feed_news::kind::output_after_gap:
  case feed_news::kind::output:
    if (news.skipped > 0 && output_.is_empty())
      output_.append("[earlier output is left out here]\n");
    else if (news.what == feed_news::kind::output_after_gap)
      output_.append("\n[some output came too fast to be kept, and is left out here]\n");
    output_.append(news.bytes);
    output_how_.state.clear();
    break;
  case feed_news::kind::next_attempt:
    output_.append("\033[0m\n[attempt " + std::to_string(news.attempt) + "]\n");
    output_how_.state.clear();
    break;
  case feed_news::kind::ended:
    output_how_.state = news.state;
    output_how_.outcome = news.outcome;
    for (auto& one : tasks_.items)
      if (one.id == news.task) {
        one.state = news.state;
        one.outcome = news.outcome;
      }
    break;
  }
  output_first_ -= std::min<uint64_t>(output_first_, output_.dropped() - dropped);
}

void top_state::take_answer(const top_answer& answer, const top_moment& now) {
  if (const auto pace = paces_.find(answer.order.about);
      answer.order.verb == top_verb::set_workers && pace != paces_.end()) {
    pace->second.ordered_open -= pace->second.ordered_open > 0 ? 1 : 0;
    pace->second.ordered_at_s = now.steady_s;
  }
  const bool is_text = answer.order.verb == top_verb::why || answer.order.verb == top_verb::details;
  if (is_text && answer.is_ok) {
    show((answer.order.verb == top_verb::why ? "Why " : "Task ") + answer.order.about, answer.text);
    return;
  }
  say(answer.text, !answer.is_ok, now);
  if (!answer.channel)
    return;
  for (auto& one : channels_)
    if (one.name == answer.channel->name) {
      one.state = answer.channel->state;
      if (answer.order.verb != top_verb::set_workers)
        one.workers = answer.channel->workers;
    }
}

void top_state::show(std::string title, std::string text) {
  popup_.emplace();
  popup_->title = std::move(title);
  popup_->source = std::move(text);
  break_popup();
}

void top_state::break_popup() {
  const auto where = lay_out(rows_, columns_, output_is_full_);
  if (!popup_ || !where.fits)
    return;
  popup_->text.clear();
  popup_->text.append(broken_lines(popup_->source, where.popup.columns - 2));
}

size_t top_state::page() const {
  const auto where = lay_out(rows_, columns_, output_is_full_);
  const auto less = [](size_t rows, size_t heads) { return rows - std::min(rows, heads); };
  if (popup_)
    return less(where.popup.rows, popup_frame_rows);
  switch (focus_) {
  case top_pane::channels:
    return less(where.channels.rows, list_head_rows);
  case top_pane::tasks:
    return less(where.tasks.rows, list_head_rows);
  case top_pane::output:
    break;
  }
  return less(where.output.rows, output_head_rows);
}

void top_state::settle() {
  const auto where = lay_out(rows_, columns_, output_is_full_);
  const auto less = [](size_t rows, size_t heads) { return rows - std::min(rows, heads); };
  scroll_to(channel_place_, channel_rows(), less(where.channels.rows, list_head_rows));
  scroll_to(task_place_, task_rows(), less(where.tasks.rows, list_head_rows));
  const auto lines = output_.lines().size();
  const auto page = less(where.output.rows, output_head_rows);
  const auto last = lines - std::min(lines, page);
  output_first_ = output_follows_ ? last : std::min(output_first_, last);
  if (popup_) {
    const auto rows = popup_->text.lines().size();
    popup_->first = std::min(popup_->first, rows - std::min(rows, less(where.popup.rows, popup_frame_rows)));
  }
}

} // namespace task_runner::cli
