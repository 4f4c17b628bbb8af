// The thread: news into the ring, at most so often, and from there to every client as it has room.
#include "services/streaming/event_hub.hpp"

#include "services/domain/time_text.hpp"
#include "services/streaming/stream_desk.hpp"
#include "services/wire/byte_text.hpp"
#include "services/wire/json_text.hpp"
#include "services/wire/outcome_json.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <mutex>
#include <pthread.h>
#include <string_view>
#include <thread>
#include <utility>

namespace task_runner {

namespace {

using steady = std::chrono::steady_clock;

/// Why an attempt could not be started is told in so many bytes; the task itself has all of it.
constexpr size_t reason_max = 1'024;

/// One client.
struct subscriber : stream_client {
  event_filter filter;
  /// What it has seen; unset: nothing, it begins with what happens next.
  std::optional<uint64_t> place;
  /// Its place is of another life of the daemon.
  bool is_stranger = false;
  bool is_new = true;
};
using subscriber_pointer = std::shared_ptr<subscriber>;

/// What other threads have put aside.
struct news {
  std::vector<subscriber_pointer> arrived;
  /// Have room again, or have left.
  std::vector<subscriber_pointer> roused;
  std::vector<task_event> events;
  /// Something is missing before them.
  bool lost = false;
  /// That is because there were too many.
  bool overran = false;
};

using hub_desk = stream_desk<subscriber, news>;

/// What clients are told of a channel.
struct channel_view {
  channel_counts counts;
  uint64_t workers = 0;
  uint64_t pushed = 0;
  uint64_t finished = 0;
  uint64_t dead = 0;
  uint64_t cancelled = 0;
  uint64_t expired = 0;
  uint64_t retried = 0;

  explicit channel_view(const channel_metrics& of)
      : counts(of.counts())
      , workers(of.workers())
      , pushed(of.pushed)
      , finished(of.finished)
      , dead(of.dead)
      , cancelled(of.cancelled)
      , expired(of.expired)
      , retried(of.retried) {}
};

std::string render_view(const std::string& name, const channel_view& view, uint64_t dead_letters) {
  std::string data;
  json_writer(data)
      .begin_object()
      .member("channel", name)
      .member("pending", view.counts.pending + view.counts.held)
      .member("held", view.counts.held)
      .member("delayed", view.counts.delayed)
      .member("running", view.counts.running)
      .member("paused", view.counts.paused)
      .member("worker", view.workers)
      .member("pushed", view.pushed)
      .member("finished", view.finished)
      .member("dead", view.dead)
      .member("cancelled", view.cancelled)
      .member("expired", view.expired)
      .member("retried", view.retried)
      .member("dead_letters", dead_letters)
      .end_object();
  return data;
}

} // namespace

std::string render_task_event(const task_event& event) {
  std::string data;
  json_writer json(data);
  json.begin_object().member("id", event.task_id).member("channel", event.channel);
  if (event.deleted) {
    json.member("deleted", true).member("at", format_time(event.at_ms)).end_object();
    return data;
  }
  json.member("state", to_string(event.state)).member("attempt", event.attempt);
  auto how = event.how;
  if (how && how->error.size() > reason_max)
    how->error = whole_characters(std::string_view(how->error).substr(0, reason_max));
  write_outcome(json.key("outcome"), how);
  json.member("at", format_time(event.at_ms)).end_object();
  return data;
}

std::string render_channel_event(const std::string& name, const channel_metrics* counted,
                                 uint64_t dead_letters) {
  if (counted != nullptr)
    return render_view(name, channel_view(*counted), dead_letters);
  std::string data;
  json_writer(data).begin_object().member("channel", name).member("removed", true).end_object();
  return data;
}

class event_hub::implementation {
public:
  implementation(std::string epoch, std::shared_ptr<const channel_metrics_registry> channels,
                 std::shared_ptr<const dead_letter_counts> dead_letters, event_hub_limits limits)
      : epoch_(std::move(epoch))
      , channels_(std::move(channels))
      , dead_letters_(std::move(dead_letters))
      , limits_(limits)
      , ring_(epoch_, limits.kept) {}

  result<void> start() {
    return start_sender(
        thread_, [this] { run(); }, "events");
  }

  void stop() {
    desk_->end(thread_);
    subscribers_.clear();
  }

  result<void> follow(const http_responder& responder, event_filter filter,
                      const std::optional<std::string>& since) {
    const auto one = std::make_shared<subscriber>();
    one->filter = std::move(filter);
    if (since)
      if (auto read = read_place(*since, *one); !read)
        return read;
    if (!open_stream(desk_, one, responder))
      return {};
    {
      const std::lock_guard lock(desk_->mutex);
      if (desk_->stopping)
        return {};
      // From here on nothing is missed; what happened before, while nobody listened, is.
      if (!desk_->interested.exchange(true, std::memory_order_relaxed))
        desk_->waiting.lost = true;
      desk_->waiting.arrived.push_back(one);
    }
    desk_->changed.notify_one();
    return {};
  }

  bool is_interested() const noexcept { return desk_->interested.load(std::memory_order_relaxed); }

  void on_task_events(const std::vector<task_event>& events) {
    bool first = false;
    {
      const std::lock_guard lock(desk_->mutex);
      auto& waiting = desk_->waiting;
      first = waiting.events.empty();
      if (waiting.events.size() + events.size() > limits_.waiting_max) {
        waiting.events.clear();
        waiting.lost = true;
        waiting.overran = true;
      } else {
        waiting.events.insert(waiting.events.end(), events.begin(), events.end());
      }
    }
    // Behind others, it will be found with them.
    if (first)
      desk_->changed.notify_one();
  }

private:
  result<void> read_place(const std::string& text, subscriber& into) const {
    const auto dash = text.find('-');
    uint64_t number = 0;
    const auto digits =
        dash == std::string::npos ? std::string_view() : std::string_view(text).substr(dash + 1);
    const auto [end, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (dash == 0 || fault != std::errc{} || end != digits.data() + digits.size())
      return error{
          error_code::invalid_argument,
          "the id of the last event is none of this stream's; expected one as events have it, or none"};
    into.place = number;
    into.is_stranger = text.compare(0, dash, epoch_) != 0;
    return {};
  }

  void run() {
    ::pthread_setname_np(::pthread_self(), "tr-events");
    beat_at_ = steady::now() + limits_.heartbeat;
    for (;;) {
      news taken;
      {
        std::unique_lock lock(desk_->mutex);
        wait(lock);
        if (desk_->stopping)
          return;
        taken.arrived.swap(desk_->waiting.arrived);
        taken.roused.swap(desk_->waiting.roused);
        hub_desk::settle(taken.roused);
        // Until it is time for them, others may come that overtake them.
        if (steady::now() >= publish_at_) {
          taken.events.swap(desk_->waiting.events);
          taken.lost = std::exchange(desk_->waiting.lost, false);
          taken.overran = std::exchange(desk_->waiting.overran, false);
        }
      }
      const auto now = steady::now();
      if (now >= publish_at_)
        publish(taken, now);
      for (const auto& one : taken.arrived)
        welcome(one);
      serve();
      if (now >= beat_at_)
        beat(now);
      retire(now);
    }
  }

  /// Waits for news, or for what is due.
  void wait(std::unique_lock<std::mutex>& lock) {
    for (;;) {
      const auto& waiting = desk_->waiting;
      const bool has_events = !waiting.events.empty() || waiting.lost;
      if (desk_->stopping || more_ || !waiting.arrived.empty() || !waiting.roused.empty())
        return;
      auto due = steady::time_point::max();
      // Counts change without events, and somebody wants to see it.
      if (has_events || !subscribers_.empty())
        due = publish_at_;
      if (!subscribers_.empty())
        due = std::min(due, beat_at_);
      if (retire_at_)
        due = std::min(due, *retire_at_);
      if (due == steady::time_point::max())
        desk_->changed.wait(lock);
      else if (steady::now() >= due || desk_->changed.wait_until(lock, due) == std::cv_status::timeout)
        return;
    }
  }

  /// Takes what has happened into the ring, and lets clients have it.
  void publish(news& taken, steady::time_point now) {
    if (taken.lost)
      ring_.lose();
    for (const auto& event : taken.events)
      ring_.add(event_kind::task, event.task_id, event.channel, render_task_event(event));
    const auto before = ring_.last();
    if (!subscribers_.empty())
      look_at_channels();
    published_ = ring_.last();
    if (taken.overran)
      publish_at_ = now + std::max(limits_.period, limits_.loss_pause);
    else if (!taken.events.empty() || before != published_ || !subscribers_.empty())
      publish_at_ = now + limits_.period;
  }

  std::map<std::string, std::string> see_channels() const {
    std::map<std::string, std::string> seen;
    for (const auto& metrics : channels_->list())
      seen[metrics->channel()] =
          render_channel_event(metrics->channel(), metrics.get(), dead_letters_->of(metrics->channel()));
    return seen;
  }

  void look_at_channels() {
    auto seen = see_channels();
    for (const auto& [name, data] : seen)
      if (const auto known = shown_.find(name); known == shown_.end() || known->second != data)
        ring_.add(event_kind::channel, name, name, data);
    for (const auto& [name, data] : shown_)
      if (seen.count(name) == 0)
        ring_.add(event_kind::channel, name, name, render_channel_event(name, nullptr, 0));
    shown_ = std::move(seen);
  }

  void welcome(const subscriber_pointer& one) {
    if (subscribers_.empty())
      beat_at_ = steady::now() + limits_.heartbeat;
    if (shown_.empty())
      shown_ = see_channels(); // as it stands is no news
    retire_at_.reset();
    subscribers_.push_back(one);
  }

  void serve() {
    more_ = false;
    shared_.reset();
    const auto left = std::remove_if(subscribers_.begin(), subscribers_.end(),
                                     [this](const auto& one) { return one->closed || !serve_one(*one); });
    subscribers_.erase(left, subscribers_.end());
  }

  /// Sends what there is, and for which there is room. False when the client is gone.
  bool serve_one(subscriber& one) {
    if (one.stream.unsent() > 0)
      return true;
    if (std::exchange(one.is_new, false) && !one.place) {
      one.place = published_;
      return one.stream.write(render_event({ring_.id_of(published_), "ready", "{}"}));
    }
    if (one.is_stranger || *one.place > published_ || !ring_.reaches(*one.place)) {
      const auto* const why = one.is_stranger ? R"({"reason":"restarted"})" : R"({"reason":"trimmed"})";
      one.is_stranger = false;
      one.place = published_;
      return one.stream.write(render_event({ring_.id_of(published_), "reset", why}));
    }
    if (*one.place == published_)
      return true;
    if (!shared_ || shared_->after != *one.place || !(shared_->filter == one.filter))
      shared_ = {*one.place, one.filter,
                 ring_.collect(*one.place, published_, one.filter, limits_.bytes_per_turn)};
    const auto& found = shared_->found;
    one.place = found.up_to;
    more_ = more_ || found.up_to < published_;
    return found.text.empty() || one.stream.write(found.text);
  }

  void beat(steady::time_point now) {
    beat_at_ = now + limits_.heartbeat;
    for (const auto& one : subscribers_)
      one->beat();
  }

  /// Some time after the last client has left nothing is recorded any more.
  void retire(steady::time_point now) {
    if (!subscribers_.empty() || !desk_->interested.load(std::memory_order_relaxed))
      return;
    if (!retire_at_) {
      retire_at_ = now + limits_.linger;
      return;
    }
    if (now < *retire_at_)
      return;
    const std::lock_guard lock(desk_->mutex);
    if (!desk_->waiting.arrived.empty())
      return;
    desk_->interested.store(false, std::memory_order_relaxed);
    desk_->waiting.events.clear();
    retire_at_.reset();
    ring_.lose();
    published_ = ring_.last();
    shown_.clear();
  }

  const std::string epoch_;
  const std::shared_ptr<const channel_metrics_registry> channels_;
  const std::shared_ptr<const dead_letter_counts> dead_letters_;
  const event_hub_limits limits_;
  const std::shared_ptr<hub_desk> desk_ = std::make_shared<hub_desk>();

  /// The thread's own.
  event_ring ring_;
  std::vector<subscriber_pointer> subscribers_;
  /// What clients may have of the ring.
  uint64_t published_ = 0;
  /// What was told last of each channel.
  std::map<std::string, std::string> shown_;
  /// What one client was sent last: others at the same place are sent the same.
  struct shared_stretch {
    uint64_t after = 0;
    event_filter filter;
    event_ring::stretch found;
  };
  std::optional<shared_stretch> shared_;
  /// Some client has not got everything for which it has room.
  bool more_ = false;
  steady::time_point publish_at_;
  steady::time_point beat_at_;
  std::optional<steady::time_point> retire_at_;
  std::thread thread_;
};

event_hub::event_hub(std::string epoch, std::shared_ptr<const channel_metrics_registry> channels,
                     std::shared_ptr<const dead_letter_counts> dead_letters, event_hub_limits limits)
    : implementation_(std::make_unique<implementation>(std::move(epoch), std::move(channels),
                                                       std::move(dead_letters), limits)) {
  // nop
}

event_hub::~event_hub() {
  implementation_->stop();
}

result<void> event_hub::start() {
  return implementation_->start();
}

void event_hub::stop() {
  implementation_->stop();
}

result<void> event_hub::follow(const http_responder& responder, event_filter filter,
                               const std::optional<std::string>& since) {
  return implementation_->follow(responder, std::move(filter), since);
}

bool event_hub::is_interested() const noexcept {
  return implementation_->is_interested();
}

void event_hub::on_task_events(const std::vector<task_event>& events) {
  implementation_->on_task_events(events);
}

} // namespace task_runner
