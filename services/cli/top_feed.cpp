// One thread looks: at channels, the daemon, the list of tasks, and what has come of the output that is
// shown. Where that takes the daemon long, as with thousands of channels, it looks at them less often.
#include "services/cli/top_feed.hpp"

#include "services/cli/task_view.hpp"
#include "services/cli/thread_start.hpp"

#include <algorithm>
#include <exception>
#include <utility>

namespace task_runner::cli {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds look_connect_within{1'000};
constexpr milliseconds look_answer_within{5'000};
/// Wishes that change in a row, as when somebody scrolls, are looked at no closer than this.
constexpr milliseconds looks_apart{150};
/// The daemon itself changes seldom.
constexpr milliseconds daemon_apart{5'000};
/// Statistics are made once in this time at most, a page after the other.
constexpr milliseconds fares_apart{5'000};
constexpr milliseconds fares_apart_max{3'600'000};
constexpr int fares_page = 500;
/// Channels are asked for so many times as seldom as it takes to answer, up to a bound.
constexpr int channel_rest = 10;
constexpr milliseconds channels_apart_max{10'000};
/// So much of the end of an output is read at first, bytes.
constexpr uint64_t output_begin_bytes = 65'536;
/// While an end is awaited.
constexpr milliseconds end_step{20};

} // namespace

double steady_seconds() noexcept {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

top_feed::top_feed(const daemon_place& place, milliseconds interval, const console& terminal,
                   std::function<void()> wake)
    : interval_(interval)
    , terminal_(terminal)
    , wake_(std::move(wake)) {
  for (size_t i = 0; i < top_hands + 1; ++i)
    daemons_.push_back(std::make_unique<daemon_api>(place));
  daemons_[0]->hurry(look_connect_within, look_answer_within);
  for (size_t i = 1; i < daemons_.size(); ++i)
    daemons_[i]->hurry(look_connect_within, answer_timeout);
  threads_.reserve(daemons_.size());
  threads_alive_ = daemons_.size();
  const auto start = [this](const std::function<void()>& work) {
    threads_.push_back(start_without_signals([this, work] {
      work();
      const std::lock_guard<std::mutex> guard(mutex_);
      --threads_alive_;
      changed_.notify_all();
    }));
  };
  try {
    start([this] { watch(); });
    for (size_t i = 1; i < daemons_.size(); ++i)
      start([this, i] { lend_hand(*daemons_[i]); });
  } catch (const std::exception&) {
    {
      const std::lock_guard<std::mutex> guard(mutex_);
      threads_alive_ -= daemons_.size() - threads_.size();
    }
    end();
    throw;
  }
}

top_feed::~top_feed() {
  end();
}

void top_feed::end() {
  {
    std::unique_lock<std::mutex> guard(mutex_);
    ends_ = true;
    changed_.notify_all();
    while (threads_alive_ > 0) {
      // A call may begin right behind this, so it is broken again until its thread has ended.
      guard.unlock();
      for (const auto& one : daemons_)
        one->stop();
      guard.lock();
      changed_.wait_for(guard, end_step, [this] { return threads_alive_ == 0; });
    }
  }
  for (auto& one : threads_)
    one.join();
}

void top_feed::want(const top_wish& wish) {
  const std::lock_guard<std::mutex> guard(mutex_);
  if (wish.lists_as(wish_) && wish.task == wish_.task && wish.output_turn == wish_.output_turn)
    return;
  wish_ = wish;
  wish_is_new_ = true;
  changed_.notify_all();
}

bool top_feed::order(top_order order) {
  const std::lock_guard<std::mutex> guard(mutex_);
  if (orders_.size() >= top_orders_max)
    return false;
  orders_.push_back(std::move(order));
  changed_.notify_all();
  return true;
}

std::vector<top_news> top_feed::take() {
  std::vector<top_news> taken;
  const std::lock_guard<std::mutex> guard(mutex_);
  taken.swap(news_);
  changed_.notify_all();
  return taken;
}

double top_feed::silent_s() const {
  const std::lock_guard<std::mutex> guard(mutex_);
  return asked_at_ ? std::chrono::duration<double>(steady::now() - *asked_at_).count() : 0;
}

void top_feed::post(top_news news) {
  {
    const std::lock_guard<std::mutex> guard(mutex_);
    news_.push_back(std::move(news));
  }
  wake_();
}

void top_feed::watch() {
  auto due = steady::now();
  auto looked_at = due - looks_apart;
  for (;;) {
    top_wish wish;
    bool at_everything = false;
    {
      std::unique_lock<std::mutex> guard(mutex_);
      for (;;) {
        if (ends_)
          return;
        const auto now = steady::now();
        const auto next = wish_is_new_ || is_urgent_ ? std::min(due, looked_at + looks_apart) : due;
        if (news_.size() >= top_news_max) {
          changed_.wait(guard);
          continue;
        }
        if (now >= next)
          break;
        changed_.wait_until(guard, next);
      }
      at_everything = steady::now() >= due || is_urgent_;
      wish = wish_;
      if (is_urgent_)
        channels_due_ = {};
      wish_is_new_ = false;
      is_urgent_ = false;
    }
    looked_at = steady::now();
    if (at_everything)
      due = looked_at + interval_;
    top_news news;
    news.asked_at_s = steady_seconds();
    try {
      look(wish, at_everything, news);
    } catch (const std::exception& failure) { // out of memory
      news = {};
      news.failure = std::string("its answer could not be read: ") + failure.what();
    }
    post(std::move(news));
  }
}

void top_feed::look(const top_wish& wish, bool at_everything, top_news& news) {
  if (at_everything && steady::now() >= channels_due_ && !look_at_channels(news))
    return;
  if (at_everything && steady::now() >= daemon_due_ && !look_at_daemon(news))
    return;
  if (at_everything && steady::now() >= fares_due_ && !look_at_fares(news))
    return;
  if (!look_at_tasks(wish, news))
    return;
  if (wish.task.empty())
    output_ = {};
  else if (look_at_output(wish, news))
    take_output(wish, news);
}

bool top_feed::fail(const api_reply& reply, top_news& news) const {
  // An end of this program breaks its calls; nobody looks any more.
  news.failure = printable(reply.message);
  news.is_unreached = reply.status == 0;
  return false;
}

bool top_feed::begin_asking(top_news& news) {
  const std::lock_guard<std::mutex> guard(mutex_);
  if (ends_)
    return fail({}, news);
  asked_at_ = steady::now();
  return true;
}

void top_feed::end_asking() {
  const std::lock_guard<std::mutex> guard(mutex_);
  asked_at_.reset();
}

api_reply top_feed::ask(const std::string& target, top_news& news) {
  if (!begin_asking(news))
    return {};
  auto reply = daemons_[0]->get(target);
  end_asking();
  if (!reply.is_ok() && reply.status != 404)
    fail(reply, news);
  return reply;
}

bool top_feed::look_at_channels(top_news& news) {
  const auto began = steady::now();
  const auto reply = ask("/api/v1/channels", news);
  if (!reply.is_ok())
    return fail(reply, news);
  auto& channels = news.channels.emplace();
  for (const auto& one : reply.data()["items"].items())
    channels.push_back(read_top_channel(one));
  some_channel_ = channels.empty() ? std::string() : reply.data()["items"].items()[0]["name"].text();
  const auto now = steady::now();
  const auto rest = std::min<steady::duration>((now - began) * channel_rest, channels_apart_max);
  channels_due_ = began + rest;
  return true;
}

bool top_feed::look_at_daemon(top_news& news) {
  // With a channel, as all of them would be much more than is looked at.
  const auto reply = ask(some_channel_.empty() ? std::string("/status?limit=1")
                                               : "/status?limit=1&channel=" + url_encoded(some_channel_),
                         news);
  if (news.failure)
    return false;
  if (!reply.is_ok())
    return true; // that channel has just gone; another one is asked for the next time
  news.daemon = read_top_daemon(reply.envelope["daemon"]);
  daemon_due_ = steady::now() + daemon_apart;
  return true;
}

bool top_feed::look_at_fares(top_news& news) {
  const auto cursor = fares_cursor_.empty() ? std::string() : "&cursor=" + url_encoded(fares_cursor_);
  const auto reply = ask("/api/v1/statistics/channels?limit=" + std::to_string(fares_page) + cursor, news);
  if (news.failure)
    return false;
  // A daemon that keeps none is not asked again soon; a page that follows comes with the next look.
  const auto rest = reply.status == 404 ? fares_apart_max : fares_apart;
  for (const auto& one : reply.data()["items"].items())
    news.fares.push_back(read_top_fare(one));
  fares_cursor_ = reply.data()["next"].text();
  if (fares_cursor_.empty())
    fares_due_ = steady::now() + rest;
  return true;
}

bool top_feed::list(const std::string& query, top_tasks& into, top_news& news) {
  const auto reply = ask("/api/v1/tasks?limit=" + std::to_string(into.wish.limit) + query, news);
  if (news.failure)
    return false;
  for (const auto& one : reply.data()["items"].items())
    into.items.push_back(read_top_task(one));
  into.is_cut = into.is_cut || !reply.data()["next"].text().empty();
  return true;
}

bool top_feed::look_at_tasks(const top_wish& wish, top_news& news) {
  top_tasks found;
  found.wish = wish;
  std::string rest;
  if (!wish.channel.empty())
    rest += "&channel=" + url_encoded(wish.channel);
  if (wish.view == top_view::unfinished && !wish.channel.empty() && wish.name.empty()) {
    // The one answer that has tasks in the order in which they will run.
    const auto reply = ask("/status?limit=" + std::to_string(wish.limit) + rest, news);
    if (news.failure)
      return false;
    for (const auto& one : reply.data()["tasks"].items())
      found.items.push_back(read_top_task(one));
    found.is_cut = reply.data()["count"].whole() > static_cast<int64_t>(found.items.size());
    news.tasks = std::move(found);
    return true;
  }
  if (!wish.name.empty())
    rest += "&name=" + url_encoded(wish.name);
  bool done = false;
  if (wish.view == top_view::unfinished)
    done = list("&state=running" + rest, found, news) &&
           list("&state=pending,delayed&sort=created" + rest, found, news);
  else
    done = list((wish.view == top_view::dead ? "&state=dead" : "&state=finished,dead,cancelled") +
                    ("&sort=-ended" + rest),
                found, news);
  if (done)
    news.tasks = std::move(found);
  return done;
}

bool top_feed::look_at_output(const top_wish& wish, top_news& news) {
  if (output_.turn != wish.output_turn)
    return begin_output(wish, news);
  return output_.feed || look_for_next_attempt(wish, news);
}

bool top_feed::begin_output(const top_wish& wish, top_news& news) {
  shown_output fresh;
  fresh.turn = wish.output_turn;
  fresh.has_failed = output_.has_failed;
  output_ = {};
  const auto task = ask(task_path(wish.task), news);
  if (!task.is_ok()) {
    feed_news unknown;
    unknown.what = feed_news::kind::failed;
    unknown.failure = task;
    if (task.status == 404)
      tell(wish, std::move(unknown), news);
    return false;
  }
  fresh.attempt = static_cast<uint64_t>(std::max<int64_t>(task.data()["attempt"].whole(), 0));
  if (fresh.attempt > 0) {
    // The size is known from an answer of no bytes; where none have been printed there may be no output.
    if (!begin_asking(news))
      return false;
    const auto none = daemons_[0]->output(wish.task, fresh.attempt, INT64_MAX);
    end_asking();
    if (!none.how.is_ok() && none.how.status != 404)
      return fail(none.how, news);
    fresh.skipped = none.size - std::min(none.size, output_begin_bytes);
  }
  fresh.feed =
      std::make_unique<output_feed>(*daemons_[0], wish.task, follow_start{fresh.skipped, fresh.attempt});
  output_ = std::move(fresh);
  // What comes at once is shown at once.
  const std::lock_guard<std::mutex> guard(mutex_);
  wish_is_new_ = true;
  return true;
}

bool top_feed::look_for_next_attempt(const top_wish& wish, top_news& news) {
  const auto is_over = [&](const top_task& one) {
    return one.id == wish.task && is_ended(one.state) &&
           static_cast<uint64_t>(one.attempt) <= output_.attempt;
  };
  if (news.tasks && std::any_of(news.tasks->items.begin(), news.tasks->items.end(), is_over))
    return true; // the list says it
  const auto task = ask(task_path(wish.task), news);
  if (!task.is_ok() && task.status != 404)
    return false;
  if (static_cast<uint64_t>(std::max<int64_t>(task.data()["attempt"].whole(), 0)) <= output_.attempt)
    return true;
  ++output_.attempt;
  output_.skipped = 0;
  output_.feed = std::make_unique<output_feed>(*daemons_[0], wish.task, follow_start{0, output_.attempt});
  feed_news next;
  next.what = feed_news::kind::next_attempt;
  next.attempt = output_.attempt;
  tell(wish, std::move(next), news);
  return true;
}

void top_feed::take_output(const top_wish& wish, top_news& news) {
  for (size_t i = 0; i < feed_news_max && output_.feed; ++i) {
    auto one = output_.feed->take();
    if (!one)
      return;
    output_.attempt = one->attempt;
    if (one->what == feed_news::kind::ended)
      output_.feed.reset();
    if (one->what == feed_news::kind::from_beginning)
      output_.skipped = 0;
    tell(wish, std::move(*one), news);
  }
}

void top_feed::tell(const top_wish& wish, feed_news one, top_news& news) {
  const bool has_failed = one.what == feed_news::kind::failed;
  const bool is_known = !output_.has_failed && output_.told_attempt == one.attempt;
  if (one.what == feed_news::kind::nothing && is_known)
    return;
  output_.has_failed = has_failed;
  output_.told_attempt = one.attempt;
  top_output_news told;
  told.task = wish.task;
  told.turn = wish.output_turn;
  told.what = one.what;
  told.bytes = std::move(one.bytes);
  told.attempt = one.attempt;
  told.skipped = output_.skipped;
  if (has_failed)
    told.failure = printable(one.failure.message);
  if (one.what == feed_news::kind::ended) {
    told.state = printable(one.task["state"].text());
    told.outcome = outcome_text(one.task["outcome"]);
  }
  news.output.push_back(std::move(told));
}

} // namespace task_runner::cli
