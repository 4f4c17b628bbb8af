// The thread, what others put aside for it, and one look at an output after the other.
#include "services/streaming/output_followers.hpp"

#include "services/observability/log.hpp"
#include "services/streaming/output_events.hpp"
#include "services/streaming/stream_desk.hpp"
#include "services/wire/byte_text.hpp"

#include <algorithm>
#include <map>
#include <mutex>
#include <pthread.h>
#include <set>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace task_runner {

namespace {

using steady = std::chrono::steady_clock;

/// Looks are due at multiples of this, so that many outputs are looked at in one turn.
constexpr std::chrono::milliseconds turn{10};

/// The first turn that is not before `moment`.
steady::time_point on_turn(steady::time_point moment) {
  const auto turns = (moment.time_since_epoch() + turn - steady::duration(1)) / turn;
  return steady::time_point(turns * turn);
}

/// One client.
struct follower : stream_client {
  attempt_key key;
  uint64_t offset = 0;
  /// Its offset has not been held against what there is.
  bool is_new = true;
};
using follower_pointer = std::shared_ptr<follower>;

/// What other threads have put aside for the one that reads.
struct news {
  std::vector<std::pair<follower_pointer, task_sighting>> arrived;
  /// Have room again, or have left.
  std::vector<follower_pointer> roused;
  std::vector<task_event> events;
  std::vector<task_sighting> seen;
  /// Tasks of which something was left out.
  std::unordered_set<std::string> missed;

  bool empty() const noexcept {
    return arrived.empty() && roused.empty() && events.empty() && seen.empty() && missed.empty();
  }
};

/// Where it lies.
struct follower_desk : stream_desk<follower, news> {
  /// How many followers each task has.
  std::unordered_map<std::string, size_t> followed_ids;
};

/// One attempt with its followers.
struct followed {
  std::vector<follower_pointer> followers;
  /// It may have output.
  bool begun = false;
  std::optional<output_end> end;
  steady::time_point look_at = steady::time_point::max();
  std::chrono::milliseconds pause{0};
};

/// A piece that was read, and its event: followers at the same place share it.
struct shared_piece {
  output_stretch stretch;
  /// How many of its bytes the event has; 0: there is nothing to tell yet.
  size_t taken = 0;
  std::string event;
};

/// What was read in one turn, by its place.
using piece_map = std::map<uint64_t, shared_piece>;

/// Most pieces that are kept in a turn; one more, and all are forgotten.
constexpr size_t pieces_max = 32;

/// What came of one look at what a follower has not seen.
enum class progress : uint8_t { caught_up, has_more, waits_for_room, gone };

} // namespace

class output_followers::implementation {
public:
  implementation(attempt_output& outputs, task_look_up look_up, output_followers_limits limits)
      : outputs_(outputs)
      , look_up_(std::move(look_up))
      , limits_(limits) {}

  result<void> start() {
    return start_sender(
        thread_, [this] { run(); }, "those who follow output");
  }

  void stop() {
    desk_->end(thread_);
    {
      const std::lock_guard lock(desk_->mutex);
      desk_->followed_ids.clear();
      desk_->interested.store(false, std::memory_order_relaxed); // the thread may have meant otherwise
    }
    attempts_.clear();
  }

  void follow(const http_responder& responder, uint32_t attempt, uint64_t offset, task_sighting seen) {
    const auto one = std::make_shared<follower>();
    one->key = {seen.task_id, attempt};
    one->offset = offset;
    if (!open_stream<follower, news>(desk_, one, responder))
      return;
    {
      const std::lock_guard lock(desk_->mutex);
      // While the thread waits for a sick disk clients come and go; who is sent away comes back.
      if (desk_->stopping || desk_->waiting.arrived.size() >= limits_.arrivals_max)
        return;
      ++desk_->followed_ids[one->key.task_id];
      desk_->interested.store(true, std::memory_order_relaxed);
      desk_->waiting.arrived.emplace_back(one, std::move(seen));
    }
    desk_->changed.notify_one();
  }

  void task_seen(task_sighting seen) {
    {
      const std::lock_guard lock(desk_->mutex);
      if (desk_->followed_ids.count(seen.task_id) == 0)
        return;
      desk_->waiting.seen.push_back(std::move(seen));
    }
    desk_->changed.notify_one();
  }

  bool is_interested() const noexcept { return desk_->interested.load(std::memory_order_relaxed); }

  void on_task_events(const std::vector<task_event>& events) {
    bool any = false;
    {
      const std::lock_guard lock(desk_->mutex);
      for (const auto& event : events) {
        if (desk_->followed_ids.count(event.task_id) == 0)
          continue;
        any = true;
        auto& waiting = desk_->waiting;
        if (waiting.events.size() < limits_.news_max)
          waiting.events.push_back(event);
        else
          waiting.missed.insert(event.task_id);
      }
    }
    if (any)
      desk_->changed.notify_one();
  }

private:
  using attempt_map = std::map<attempt_key, followed>;

  void run() {
    ::pthread_setname_np(::pthread_self(), "tr-follow");
    beat_at_ = steady::now() + limits_.heartbeat;
    for (;;) {
      news taken;
      {
        const auto due = next_due();
        std::unique_lock lock(desk_->mutex);
        const auto has_news = [this] { return desk_->stopping || !desk_->waiting.empty(); };
        if (due == steady::time_point::max())
          desk_->changed.wait(lock, has_news);
        else
          desk_->changed.wait_until(lock, due, has_news);
        if (desk_->stopping)
          return;
        std::swap(taken, desk_->waiting);
        follower_desk::settle(taken.roused);
      }
      take_in(taken);
      const auto now = steady::now();
      for (auto at = attempts_.begin(); at != attempts_.end();) {
        const auto next = std::next(at);
        if (at->second.look_at <= now)
          serve(at, now);
        at = next;
      }
      if (now >= beat_at_)
        beat(now);
    }
  }

  /// With nobody there nothing is due.
  steady::time_point next_due() const {
    if (attempts_.empty())
      return steady::time_point::max();
    auto due = beat_at_;
    for (const auto& entry : attempts_)
      due = std::min(due, entry.second.look_at);
    return due;
  }

  void take_in(news& taken) {
    const auto now = steady::now();
    if (attempts_.empty())
      beat_at_ = now + limits_.heartbeat;
    std::set<std::string> unsure(taken.missed.begin(), taken.missed.end());
    for (auto& [one, seen] : taken.arrived) {
      auto& attempt = attempts_[one->key];
      attempt.followers.push_back(one);
      attempt.look_at = now;
      judge(one->key, attempt, seen);
      // What happened since the task was found, and before anybody listened for it.
      if (!attempt.end)
        unsure.insert(one->key.task_id);
    }
    for (const auto& event : taken.events)
      for_each_attempt(event.task_id, [&](const attempt_key& key, followed& attempt) {
        if (!take_event(key, attempt, event))
          unsure.insert(key.task_id);
      });
    for (const auto& seen : taken.seen)
      for_each_attempt(seen.task_id,
                       [&](const attempt_key& key, followed& attempt) { judge(key, attempt, seen); });
    for (const auto& id : unsure)
      look_up_(id);
    for (const auto& one : taken.roused)
      if (const auto found = attempts_.find(one->key); found != attempts_.end())
        found->second.look_at = now;
  }

  template <class Work>
  void for_each_attempt(const std::string& task_id, Work work) {
    for (auto at = attempts_.lower_bound({task_id, 0}); at != attempts_.end() && at->first.task_id == task_id;
         ++at)
      work(at->first, at->second);
  }

  static void judge(const attempt_key& key, followed& attempt, const task_sighting& seen) {
    if (!seen.value) {
      set_end(attempt, {});
      return;
    }
    if (auto end = find_output_end(*seen.value, seen.attempts, key.attempt))
      set_end(attempt, std::move(*end));
    else if (seen.value->attempt == key.attempt)
      begin(attempt);
  }

  /// False when the event leaves open what has become of the attempt.
  static bool take_event(const attempt_key& key, followed& attempt, const task_event& event) {
    if (attempt.end)
      return true;
    if (event.deleted)
      return false;
    const bool is_ours = event.attempt == key.attempt;
    if (event.attempt < key.attempt) {
      if (is_terminal(event.state))
        set_end(attempt, {event.how, event.state});
    } else if (is_ours && event.state == task_state::running) {
      begin(attempt);
    } else if (is_ours && event.how) {
      set_end(attempt, {event.how, event.state});
    } else {
      return false;
    }
    return true;
  }

  static void begin(followed& attempt) {
    if (std::exchange(attempt.begun, true))
      return;
    attempt.look_at = std::min(attempt.look_at, steady::now());
  }

  static void set_end(followed& attempt, output_end how) {
    if (attempt.end)
      return;
    attempt.end = std::move(how);
    attempt.look_at = steady::now();
  }

  /// Looks at an output for all its followers.
  void serve(attempt_map::iterator at, steady::time_point now) {
    const auto& key = at->first;
    auto& attempt = at->second;
    piece_map pieces;
    bool grew = false;
    bool more = false;
    bool watching = false;
    auto& all = attempt.followers;
    const auto left = std::remove_if(all.begin(), all.end(), [&](const follower_pointer& one) {
      const auto came = one->closed ? progress::gone : serve_one(*one, attempt, pieces, grew);
      more = more || came == progress::has_more;
      watching = watching || came == progress::caught_up;
      return came == progress::gone;
    });
    const auto gone = static_cast<size_t>(all.end() - left);
    all.erase(left, all.end());
    forget(key.task_id, gone);
    if (all.empty()) {
      attempts_.erase(at);
      return;
    }
    // Those that wait for room are heard of.
    if (more) {
      attempt.look_at = now;
    } else if (!watching || !attempt.begun) {
      attempt.look_at = steady::time_point::max();
    } else {
      attempt.pause =
          grew ? limits_.pause_min : std::clamp(attempt.pause * 2, limits_.pause_min, limits_.pause_max);
      attempt.look_at = on_turn(now + attempt.pause);
    }
  }

  progress serve_one(follower& one, const followed& attempt, piece_map& pieces, bool& grew) {
    for (size_t sent = 0; sent < limits_.events_per_turn; ++sent) {
      if (one.stream.unsent() > 0)
        return progress::waits_for_room;
      const auto found = find_piece(one, attempt, pieces);
      if (!found) {
        log_event(log_level::warning, "the output of a task cannot be followed",
                  {{"task_id", one.key.task_id},
                   {"attempt", one.key.attempt},
                   {"reason", found.failure().message}});
        one.stream.write(render_failure_event(found.failure()));
        return progress::gone;
      }
      const auto& piece = **found;
      if (std::exchange(one.is_new, false) && one.offset > piece.stretch.written) {
        one.offset = 0;
        if (!one.stream.write(render_reset_event(one.key.attempt)))
          return progress::gone;
        continue;
      }
      if (piece.stretch.offset > one.offset) {
        const auto from = std::exchange(one.offset, piece.stretch.offset);
        if (!one.stream.write(render_gap_event(one.key.attempt, from, one.offset)))
          return progress::gone;
        continue;
      }
      if (piece.taken == 0) {
        if (!attempt.end)
          return progress::caught_up;
        one.stream.write(render_end_event(one.key, one.offset, *attempt.end));
        return progress::gone;
      }
      if (!one.stream.write(piece.event))
        return progress::gone;
      one.offset += piece.taken;
      grew = true;
    }
    return progress::has_more;
  }

  /// What comes next for a follower: out of `pieces`, or read into them.
  result<const shared_piece*> find_piece(const follower& one, const followed& attempt, piece_map& pieces) {
    if (const auto known = pieces.find(one.offset); known != pieces.end())
      return &known->second;
    auto read = outputs_.read(one.key, one.offset, output_event_max);
    if (!read)
      return read.failure();
    if (pieces.size() >= pieces_max)
      pieces.clear();
    auto& piece = pieces[one.offset];
    piece.stretch = std::move(*read);
    const std::string_view bytes = piece.stretch.bytes;
    const bool at_end = piece.stretch.offset + bytes.size() >= piece.stretch.written;
    const bool complete = piece.stretch.ends_at_gap || (attempt.end && at_end);
    piece.taken = complete ? bytes.size() : whole_characters(bytes).size();
    if (piece.taken > 0)
      piece.event = render_output_event(one.key.attempt, piece.stretch.offset, bytes.substr(0, piece.taken));
    return &piece;
  }

  /// Shows every client that its stream lives, and looks up what may have been missed.
  void beat(steady::time_point now) {
    beat_at_ = now + limits_.heartbeat;
    const std::string* asked = nullptr;
    for (const auto& [key, attempt] : attempts_) {
      for (const auto& one : attempt.followers)
        one->beat();
      if (!attempt.end && (asked == nullptr || *asked != key.task_id)) {
        asked = &key.task_id;
        look_up_(key.task_id);
      }
    }
  }

  void forget(const std::string& task_id, size_t count) {
    if (count == 0)
      return;
    const std::lock_guard lock(desk_->mutex);
    const auto found = desk_->followed_ids.find(task_id);
    if ((found->second -= count) == 0)
      desk_->followed_ids.erase(found);
    desk_->interested.store(!desk_->followed_ids.empty(), std::memory_order_relaxed);
  }

  attempt_output& outputs_;
  const task_look_up look_up_;
  const output_followers_limits limits_;
  const std::shared_ptr<follower_desk> desk_ = std::make_shared<follower_desk>();
  attempt_map attempts_;
  steady::time_point beat_at_;
  std::thread thread_;
};

output_followers::output_followers(attempt_output& outputs, task_look_up look_up,
                                   output_followers_limits limits)
    : implementation_(std::make_unique<implementation>(outputs, std::move(look_up), limits)) {
  // nop
}

output_followers::~output_followers() {
  implementation_->stop();
}

result<void> output_followers::start() {
  return implementation_->start();
}

void output_followers::stop() {
  implementation_->stop();
}

void output_followers::follow(const http_responder& responder, uint32_t attempt, uint64_t offset,
                              task_sighting seen) {
  implementation_->follow(responder, attempt, offset, std::move(seen));
}

void output_followers::task_seen(task_sighting seen) {
  implementation_->task_seen(std::move(seen));
}

bool output_followers::is_interested() const noexcept {
  return implementation_->is_interested();
}

void output_followers::on_task_events(const std::vector<task_event>& events) {
  implementation_->on_task_events(events);
}

} // namespace task_runner
