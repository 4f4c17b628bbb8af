// The thread looks at the task, reads the stream of one attempt, and looks again to see whether another one
// follows.
#include "services/cli/output_feed.hpp"

#include "services/cli/task_view.hpp"
#include "services/cli/thread_start.hpp"
#include "services/wire/byte_text.hpp"

#include <algorithm>
#include <exception>
#include <system_error>
#include <utility>

namespace task_runner::cli {

namespace {

using std::chrono::milliseconds;

/// What is waited before the daemon is asked again that could not tell, or has cut a stream off.
constexpr milliseconds retry_pause_min{100};
constexpr milliseconds retry_pause_max{1'000};
/// While the end of the thread is awaited, its connection is broken so often: it may have made another one.
constexpr milliseconds leave_step{10};

api_reply failed_reply(int status, std::string message) {
  api_reply reply;
  reply.status = status;
  reply.message = std::move(message);
  return reply;
}

} // namespace

output_feed::output_feed(const daemon_api& daemon, std::string id, const follow_start& start,
                         std::function<void()> wake)
    : id_(std::move(id))
    , wake_(std::move(wake))
    , daemon_(daemon.place())
    , attempt_(start.attempt)
    , offset_(start.offset) {
  daemon_.hurry_as(daemon);
  try {
    thread_ = start_without_signals([this] { run(); });
  } catch (const std::system_error& failure) {
    has_left_ = true;
    feed_news news;
    news.what = feed_news::kind::failed;
    news.failure =
        failed_reply(500, std::string("there is no thread to read its output with: ") + failure.what());
    waiting_.push_back(std::move(news));
  }
}

output_feed::~output_feed() {
  {
    std::unique_lock lock(mutex_);
    leaves_ = true;
    changed_.notify_all();
    while (!has_left_) {
      lock.unlock();
      daemon_.stop();
      lock.lock();
      changed_.wait_for(lock, leave_step, [this] { return has_left_; });
    }
  }
  if (thread_.joinable())
    thread_.join();
}

std::optional<feed_news> output_feed::take() {
  feed_news news;
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.empty())
      return std::nullopt;
    news = std::move(waiting_.front());
    waiting_.pop_front();
    waiting_bytes_ -= news.bytes.size();
  }
  changed_.notify_all();
  taken_attempt_ = news.attempt;
  taken_offset_ = news.offset;
  return news;
}

bool output_feed::is_left() const {
  const std::lock_guard lock(mutex_);
  return leaves_;
}

void output_feed::pause_for(milliseconds time) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, time, [this] { return leaves_; });
}

void output_feed::post(feed_news::kind what, std::string bytes) {
  feed_news news;
  news.what = what;
  news.bytes = std::move(bytes);
  post(std::move(news));
}

void output_feed::post(feed_news news) {
  news.attempt = attempt_;
  news.offset = offset_;
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] {
      const bool has_room = waiting_.size() < feed_news_max && waiting_bytes_ < feed_bytes_max;
      return has_room || leaves_;
    });
    if (leaves_)
      return;
    waiting_bytes_ += news.bytes.size();
    waiting_.push_back(std::move(news));
  }
  if (wake_)
    wake_();
}

void output_feed::run() {
  auto pause = retry_pause_min;
  while (!is_over_ && !is_left()) {
    std::optional<api_reply> failure;
    try {
      failure = go_on();
    } catch (const std::exception& thrown) { // out of memory
      failure = failed_reply(500, std::string("its output cannot be read: ") + thrown.what());
    }
    if (has_come_ && !last_failed_)
      pause = retry_pause_min;
    if (failure) {
      const auto retry_after = failure->retry_after;
      feed_news news;
      news.what = feed_news::kind::failed;
      news.failure = std::move(*failure);
      post(std::move(news));
      pause_for(std::max(pause, retry_after));
      pause = std::min(pause * 2, retry_pause_max);
    }
  }
  const std::lock_guard lock(mutex_);
  has_left_ = true;
  changed_.notify_all();
}

std::optional<api_reply> output_feed::go_on() {
  has_come_ = false;
  if (!task_)
    return look();
  return read_stream();
}

std::optional<api_reply> output_feed::look() {
  auto reply = daemon_.get(task_path(id_));
  if (!reply.is_ok())
    return reply;
  has_come_ = true;
  task_ = reply.data();
  post(feed_news::kind::nothing);
  choose();
  return std::nullopt;
}

void output_feed::choose() {
  const auto last = static_cast<uint64_t>(std::max<int64_t>((*task_)["attempt"].whole(), 0));
  const auto& state = (*task_)["state"].text();
  const bool has_ended = is_ended(state);
  if (attempt_ == 0 && (last > 0 || !has_ended))
    attempt_ = std::max<uint64_t>(last, 1);
  else if (attempt_ == 0 || is_read_)
    go_to_next(last, has_ended, state == "running");
}

void output_feed::go_to_next(uint64_t last, bool has_ended, bool is_running) {
  if (attempt_ <= last)
    tell_attempt();
  if (has_ended && attempt_ >= last) {
    is_over_ = true;
    feed_news news;
    news.what = feed_news::kind::ended;
    news.task = std::move(*task_);
    post(std::move(news));
    return;
  }
  if (attempt_ == last && is_running) {
    // The stream knows of its end, and the task does not yet.
    task_.reset();
    pause_for(retry_pause_min);
    return;
  }
  if (attempt_ <= last) {
    ++attempt_;
    is_untold_ = true;
  }
  is_read_ = false;
  offset_ = 0;
  last_id_.clear();
}

void output_feed::tell_attempt() {
  if (std::exchange(is_untold_, false))
    post(feed_news::kind::next_attempt);
}

std::optional<api_reply> output_feed::read_stream() {
  http_call what;
  what.target = task_path(id_, "/output?follow=1&attempt=") + std::to_string(attempt_);
  what.last_event_id = last_id_;
  if (last_id_.empty() && offset_ > 0)
    what.target += "&offset=" + std::to_string(offset_);
  event_reader reader;
  std::optional<api_reply> failure;
  const auto reply = daemon_.stream(what, [&](std::string_view bytes) {
    const bool is_first = !std::exchange(has_come_, true);
    if (is_first && !last_failed_)
      post(feed_news::kind::nothing);
    const auto read =
        reader.read(bytes, [&](const server_event& event) { return take_event(event, failure); });
    if (!read)
      failure = failed_reply(500, read.failure().message);
    // Each stream begins with bytes that say nothing; one that goes on without a failure can be read again.
    if (!is_first && !failure && std::exchange(last_failed_, false))
      post(feed_news::kind::nothing);
    return !failure && !is_read_ && !is_left();
  });
  if (is_read_) {
    // How it has ended is to be seen, unless it had before.
    if (is_ended((*task_)["state"].text()))
      choose();
    else
      task_.reset();
    return std::nullopt;
  }
  if (failure)
    return failure;
  if (!has_come_ && reply.is_ok())
    return failed_reply(503, "the stream of its output ended before it began");
  if (!has_come_)
    return reply;
  // It was cut off: the daemon stops, or what takes the news was too slow for it.
  pause_for(retry_pause_min);
  return std::nullopt;
}

bool output_feed::take_event(const server_event& event, std::optional<api_reply>& failure) {
  if (is_left())
    return false;
  const auto data = parse_json(event.data);
  if (!data) {
    failure = failed_reply(500, "an event of its output makes no sense: " + data.failure().message);
    return false;
  }
  last_failed_ = event.name == "failure";
  if (last_failed_) {
    // What cannot be read now may be readable soon; anything else stays as it is.
    const bool is_for_the_moment = (*data)["code"].text() == "unavailable";
    failure = failed_reply(is_for_the_moment ? 503 : 500, (*data)["message"].text());
    return false;
  }
  auto kind = feed_news::kind::output;
  std::string bytes;
  if (event.name == "output") {
    tell_attempt();
    bytes = (*data)["text"].text();
    if (const auto& encoded = (*data)["base64"].text(); !encoded.empty())
      bytes = decode_base64(encoded).value_or(std::string());
    if (bytes.empty()) {
      failure = failed_reply(500, "an event of its output has none");
      return false;
    }
    offset_ = static_cast<uint64_t>((*data)["offset"].whole()) + bytes.size();
  } else if (event.name == "gap") {
    tell_attempt();
    kind = feed_news::kind::output_after_gap;
    offset_ = static_cast<uint64_t>((*data)["to"].whole());
  } else if (event.name == "reset") {
    kind = feed_news::kind::from_beginning;
    offset_ = 0;
  } else if (event.name == "end") {
    is_read_ = true;
    return false;
  } else {
    return true; // of a newer daemon
  }
  last_id_ = event.id;
  post(kind, std::move(bytes));
  return true;
}

} // namespace task_runner::cli
