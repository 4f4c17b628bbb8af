// Attempts on the client's own thread: requests on their way to the launcher, and what it tells of them.
// Requests leave the queue only once the kernel has taken them, so that none is lost with a dying launcher
// unsaid.
#include "services/domain/time_text.hpp"
#include "services/launcher/attempt_codec.hpp"
#include "services/launcher/launcher_client.hpp"
#include "services/launcher/launcher_identity.hpp"
#include "services/observability/log.hpp"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

namespace task_runner {
namespace {

using launcher::packet_batch;
using launcher::packet_status;

/// Orders and bytes in one packet; well below the packet's limit.
constexpr size_t orders_per_packet = 256;
constexpr size_t order_bytes_per_packet = 24'576;
/// About what an order that is no start takes, bytes.
constexpr size_t small_order_bytes = 300;
/// Nothing follows from a start but what statuses show: it is told with the next end, which short commands
/// have at hand, or this much later, or when so many have gathered.
constexpr auto starts_pause = std::chrono::milliseconds(10);
constexpr size_t starts_kept_max = 256;
/// Settlements follow upon ends, and nothing waits for them: they travel with the next start, or this much
/// after the end. One that is lost with this process is made good when the next one hears of the attempt.
constexpr auto settlements_pause = std::chrono::milliseconds(25);
/// Pause before an order is tried again for which there was no descriptor or memory.
constexpr auto resource_pause = std::chrono::milliseconds(100);

} // namespace

std::vector<launcher_client::order> launcher_client::take_batch() {
  std::vector<order> batch;
  const std::lock_guard<std::mutex> lock(mutex_);
  size_t bytes = 0;
  while (!queue_.empty() && batch.size() < orders_per_packet) {
    const auto* start = std::get_if<attempt_start>(&queue_.front());
    attempt_entry* entry = start != nullptr ? find(start->key) : nullptr;
    if (start != nullptr && (entry == nullptr || entry->dropped)) {
      queue_.pop_front();
      continue;
    }
    const size_t size = start != nullptr ? launcher::size_of(*start) : small_order_bytes;
    if (!batch.empty() && bytes + size > order_bytes_per_packet)
      break;
    bytes += size;
    // From here on a stop must follow it to the launcher.
    if (entry != nullptr)
      entry->queued = false;
    if (std::holds_alternative<settle_order>(queue_.front()))
      --settlements_;
    batch.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  return batch;
}

packet_status launcher_client::send_batch(const std::vector<order>& batch) {
  packet_batch packets(packet_batch::kind::requests);
  for (const order& one : batch) {
    if (const auto* start = std::get_if<attempt_start>(&one))
      packets.add(launcher::any_request(*start));
    else if (const auto* signal_one = std::get_if<signal_order>(&one))
      packets.add(launcher::any_request(launcher::signal_request{signal_one->key, signal_one->number}));
    else if (const auto* stop_one = std::get_if<stop_order>(&one))
      packets.add(launcher::any_request(launcher::stop_request{stop_one->key, stop_one->grace_ms}));
    else if (const auto* settle_one = std::get_if<settle_order>(&one))
      packets.add(launcher::any_request(launcher::settle_request{settle_one->key}));
  }
  const std::vector<std::string> packet = packets.take();
  return link_->send(packet.front());
}

bool launcher_client::send_at_once() {
  if (!link_ || !ready_ || blocked_ || send_at_ != clock::time_point())
    return false;
  for (;;) {
    std::vector<order> batch = take_batch();
    if (batch.empty())
      return true;
    const auto* first = std::get_if<attempt_start>(&batch.front());
    const bool is_large = first != nullptr && launcher::needs_descriptor(*first);
    if (!is_large && send_batch(batch) == packet_status::done)
      continue;
    put_back(std::move(batch));
    // The thread waits until the socket takes more; a connection that has gone shows itself to it.
    if (!is_large)
      blocked_ = true;
    return false;
  }
}

void launcher_client::send_or_wake() {
  {
    // Whoever holds it may have looked into the queue before we put something there: the thread looks again.
    const std::unique_lock<std::mutex> sending(send_mutex_, std::try_to_lock);
    if (sending && send_at_once())
      return;
  }
  bool wake = false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    wake = must_wake();
  }
  if (wake)
    wake_.wake();
}

void launcher_client::send_orders() {
  const std::lock_guard<std::mutex> sending(send_mutex_);
  while (link_ && !blocked_ && send_at_ <= clock::now()) {
    std::vector<order> batch = take_batch();
    if (batch.empty()) {
      send_at_ = {};
      return;
    }
    const auto* first = std::get_if<attempt_start>(&batch.front());
    if (first != nullptr && launcher::needs_descriptor(*first)) {
      if (!send_large(batch))
        return;
      continue;
    }
    send_at_ = {};
    if (send_batch(batch) != packet_status::done) {
      put_back(std::move(batch));
      // A connection that has gone shows itself when it is read from.
      blocked_ = true;
    }
  }
}

bool launcher_client::send_large(std::vector<order>& batch) {
  // Its size has kept every other order out of the batch.
  const auto& start = std::get<attempt_start>(batch.front());
  const result<packet_status> sent = link_->send_large(start);
  if (!sent && sent.failure().code != error_code::overloaded) {
    // This will not pass by waiting, as a file size limit of this process would not.
    end_unsent(start, sent.failure());
    return true;
  }
  if (!sent) {
    // Nothing is wrong with the command: it waits until this process has what it takes again.
    if (!std::exchange(large_starts_wait_, true))
      log_event(log_level::warning, "requests to the launcher wait for resources",
                {{"reason", sent.failure().message}});
    put_back(std::move(batch));
    if (move_up_stops())
      return true;
    send_at_ = clock::now() + resource_pause;
    return false;
  }
  large_starts_wait_ = false;
  send_at_ = {};
  if (*sent == packet_status::done)
    return true;
  put_back(std::move(batch));
  blocked_ = true;
  return false;
}

void launcher_client::put_back(std::vector<order> batch) {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (const order& one : batch) {
    if (const auto* start = std::get_if<attempt_start>(&one)) {
      if (attempt_entry* entry = find(start->key))
        entry->queued = true;
    } else if (std::holds_alternative<settle_order>(one)) {
      ++settlements_;
    }
  }
  queue_.insert(queue_.begin(), std::make_move_iterator(batch.begin()), std::make_move_iterator(batch.end()));
}

void launcher_client::end_unsent(const attempt_start& start, const error& why) {
  attempt_ended end;
  end.key = start.key;
  end.channel = start.channel;
  end.how = {outcome_kind::spawn_failed, 0, "the command could not be sent to the launcher: " + why.message};
  end.ended_at_ms = system_now_ms();
  take_ended(std::move(end));
}

bool launcher_client::move_up_stops() {
  const std::lock_guard<std::mutex> lock(mutex_);
  // Not signals: one may be meant for a start that waits here, and must stay behind it. A stop may be, too:
  // it can have come while that start was on its way out.
  const auto behind = std::stable_partition(queue_.begin(), queue_.end(), [this](const order& one) {
    if (const auto* stop = std::get_if<stop_order>(&one)) {
      const attempt_entry* entry = find(stop->key);
      return entry == nullptr || !entry->queued;
    }
    return std::holds_alternative<settle_order>(one);
  });
  return behind != queue_.begin();
}

void launcher_client::end_dropped() {
  std::vector<attempt_key> dropped;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    dropped.swap(dropped_);
  }
  for (const attempt_key& key : dropped) {
    attempt_ended end;
    end.key = key;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      const attempt_entry* entry = find(key);
      if (entry == nullptr)
        continue;
      end.channel = entry->attempt.channel;
    }
    end.how.kind = outcome_kind::cancelled;
    end.ended_at_ms = system_now_ms();
    take_ended(std::move(end));
  }
}

void launcher_client::take_listing() {
  std::vector<attempt_event> ended;
  size_t lost = 0;
  int pid = 0;
  const uint64_t identity = launcher::identify_launcher(link_->descriptor());
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    launcher_id_ = identity;
    std::set<attempt_key> listed;
    for (known_attempt& one : listing_) {
      listed.insert(one.key);
      attempt_entry* entry = find(one.key);
      if (entry == nullptr) {
        // After the first listing an ended attempt we do not know is one we settled, and the word was lost.
        if (ready_once_ && one.ended)
          enqueue_settlement(one.key);
        else
          insert(one);
        continue;
      }
      if (entry->attempt.ended)
        continue;
      if (entry->attempt.pid == 0 && one.pid != 0) {
        entry->attempt.pid = one.pid;
        entry->attempt.started_at_ms = one.started_at_ms;
        news_.emplace_back(attempt_started{one.key, one.channel, one.pid, one.started_at_ms});
      }
      if (one.ended) {
        end_entry(*entry, one.end);
        lost += one.end.how.kind == outcome_kind::lost ? 1 : 0;
        ended.emplace_back(one.end);
      }
    }
    for (auto& [name, table] : channels_) {
      for (auto& [key, entry] : table) {
        if (entry.attempt.ended || entry.queued || listed.count(key) != 0)
          continue;
        attempt_ended end;
        end.key = key;
        end.channel = name;
        end.how.kind = outcome_kind::lost;
        end.started_at_ms = entry.attempt.started_at_ms;
        end.ended_at_ms = system_now_ms();
        end_entry(entry, end);
        ++lost;
        ended.emplace_back(std::move(end));
      }
    }
    pid = health_.launcher_pid;
    if (ready_once_ && !(going_over_ && pid == connected_pid_))
      ++health_.restarts;
    ready_once_ = true;
    health_.connected = true;
    health_.last_error.clear();
    health_.trouble.clear();
    if (!program_differs_)
      health_.upgrade_failure.clear();
  }
  going_over_ = false;
  connected_pid_ = pid;
  {
    const std::lock_guard<std::mutex> sending(send_mutex_);
    ready_ = true;
  }
  ready_since_ = clock::now();
  ping_at_ = ready_since_ + std::chrono::milliseconds(options_.ping_pause_ms);
  logged_failure_.clear();
  log_event(log_level::info, "the launcher is connected",
            {{"pid", pid}, {"known", listing_.size()}, {"lost", lost}});
  listing_.clear();
  ready_changed_.notify_all();
  if (program_differs_ && !upgrade_asked_)
    ask_for_upgrade();
  std::move(ended.begin(), ended.end(), std::back_inserter(news_));
}

void launcher_client::take_events(std::vector<attempt_event> events) {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (attempt_event& one : events) {
    const attempt_key& key =
        std::visit([](const auto& event) -> const attempt_key& { return event.key; }, one);
    attempt_entry* entry = find(key);
    if (entry == nullptr || entry->attempt.ended)
      continue;
    if (const auto* started = std::get_if<attempt_started>(&one)) {
      entry->attempt.pid = started->pid;
      entry->attempt.started_at_ms = started->started_at_ms;
    } else if (const auto* ended = std::get_if<attempt_ended>(&one)) {
      end_entry(*entry, *ended);
    }
    news_.push_back(std::move(one));
  }
}

void launcher_client::take_ended(attempt_ended event) {
  std::vector<attempt_event> events;
  events.emplace_back(std::move(event));
  take_events(std::move(events));
}

void launcher_client::tell_events(clock::time_point now) {
  if (news_.empty())
    return;
  const bool only_starts = std::all_of(news_.begin(), news_.end(), [](const attempt_event& one) {
    return std::holds_alternative<attempt_started>(one);
  });
  if (only_starts && news_.size() < starts_kept_max) {
    if (tell_at_ == clock::time_point())
      tell_at_ = now + starts_pause;
    if (now < tell_at_)
      return;
  }
  tell_at_ = {};
  if (!only_starts)
    expect_settlements(now);
  events_->on_events(std::exchange(news_, {}));
}

void launcher_client::expect_settlements(clock::time_point now) {
  if (settle_at_ != clock::time_point())
    return;
  settle_at_ = now + settlements_pause;
  const std::lock_guard<std::mutex> lock(mutex_);
  settlements_expected_ = true;
}

bool launcher_client::must_send(clock::time_point now) {
  const bool is_due = settle_at_ != clock::time_point() && settle_at_ <= now;
  if (is_due)
    settle_at_ = {};
  const std::lock_guard<std::mutex> lock(mutex_);
  if (is_due)
    settlements_expected_ = false;
  return stopping_ || !settlements_expected_ || !only_settlements();
}

} // namespace task_runner
