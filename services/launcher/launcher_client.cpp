// The conversation with the launcher on a thread of its own, and the table of attempts that it keeps current.
// Requests leave the queue only once the kernel has taken them, so that none is lost with a dying launcher
// unsaid.
#include "services/launcher/launcher_client.hpp"

#include "services/domain/time_text.hpp"
#include "services/launcher/attempt_codec.hpp"
#include "services/observability/log.hpp"

#include <algorithm>
#include <array>
#include <fcntl.h>
#include <fstream>
#include <poll.h>
#include <pthread.h>
#include <random>
#include <set>

namespace task_runner {
namespace {

using launcher::any_message;
using launcher::packet_batch;
using launcher::packet_status;

/// Pause before the second and each further try to reach or start a launcher; doubled up to the bound.
constexpr int backoff_first_ms = 100;
constexpr int backoff_max_ms = 5'000;
/// A launcher that lived shorter than this was no success: the next one is started with backoff.
constexpr auto lifetime_min = std::chrono::seconds(1);
/// From connecting to the end of the listing.
constexpr auto handshake_max = std::chrono::seconds(5);
/// How long stop() lets queued requests leave.
constexpr auto stop_wait_max = std::chrono::seconds(1);
/// Orders and bytes in one packet; well below the packet's limit.
constexpr size_t orders_per_packet = 256;
constexpr size_t order_bytes_per_packet = 24'576;
/// About what an order that is no start takes, bytes.
constexpr size_t small_order_bytes = 300;
/// Packets received before the queue has its turn again.
constexpr int packets_per_turn = 64;

/// Our own program is the one that this process began as, whatever has become of its file.
launcher::program_identity identify(const std::string& program) {
  if (program == "/proc/self/exe")
    return launcher::own_program();
  const launcher::owned_descriptor file(::open(program.c_str(), O_PATH | O_CLOEXEC));
  return launcher::identify_program(file.get());
}

/// What a person can do about a launcher that does not answer.
std::string describe_silence(const std::string& state_dir) {
  std::ifstream file(state_dir + "/launcher.pid");
  int pid = 0;
  if (!(file >> pid) || pid <= 0)
    return "it did not answer in time";
  const std::string number = std::to_string(pid);
  return "process " + number +
         " (launcher.pid) did not answer in time; if it is stopped, let it go on: kill " + "-CONT " + number;
}

} // namespace

launcher_client::launcher_client(launcher_client_options options)
    : options_(std::move(options))
    , program_(identify(options_.program)) {}

launcher_client::~launcher_client() {
  stop();
}

result<void> launcher_client::start_service(process_events& events) {
  if (wake_.get() < 0 || cancel_.get() < 0)
    return error{error_code::unavailable, "cannot make an eventfd for the launcher's connection"};
  events_ = &events;
  thread_ = std::thread([this] { run(); });
  std::unique_lock<std::mutex> lock(mutex_);
  if (ready_changed_.wait_for(lock, std::chrono::milliseconds(options_.start_wait_ms),
                              [this] { return ready_once_; }))
    return {};
  const std::string reason =
      health_.last_error.empty() ? describe_silence(options_.state_dir) : health_.last_error;
  lock.unlock();
  stop();
  return error{error_code::unavailable, "no launcher: " + reason};
}

void launcher_client::stop() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  cancel_.wake();
  wake_.wake();
  if (thread_.joinable())
    thread_.join();
}

result<void> launcher_client::start(attempt_start request) {
  if (const result<void> checked = launcher::check_start(request); !checked)
    return checked.failure();
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (stopping_)
      return error{error_code::unavailable, "the connection to the launcher has been closed"};
    if (find(request.key) != nullptr)
      return {};
    if (queue_.size() >= options_.queue_max)
      return error{error_code::overloaded, std::to_string(queue_.size()) +
                                               " requests wait for the launcher already; try again later"};
    known_attempt attempt;
    attempt.key = request.key;
    attempt.channel = request.channel;
    insert(attempt).queued = true;
    queue_.emplace_back(std::move(request));
  }
  wake_.wake();
  return {};
}

result<void> launcher_client::signal(const attempt_key& key, int signal_number) {
  if (signal_number < 1 || signal_number > 64)
    return error{error_code::out_of_range,
                 "a signal number is 1 to 64, not " + std::to_string(signal_number)};
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (stopping_)
      return error{error_code::unavailable, "the connection to the launcher has been closed"};
    const attempt_entry* entry = find(key);
    if (entry == nullptr || entry->attempt.ended)
      return error{error_code::not_found,
                   "attempt " + std::to_string(key.attempt) + " of task " + key.task_id + " does not run"};
    if (queue_.size() >= options_.queue_max)
      return error{error_code::overloaded, std::to_string(queue_.size()) +
                                               " requests wait for the launcher already; try again later"};
    queue_.emplace_back(signal_order{key, signal_number});
  }
  wake_.wake();
  return {};
}

result<void> launcher_client::stop(const attempt_key& key, int64_t grace_ms) {
  if (grace_ms < 0 || grace_ms > grace_ms_max)
    return error{error_code::out_of_range,
                 "a grace is 0 ms to an hour, not " + std::to_string(grace_ms) + " ms"};
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (stopping_)
      return error{error_code::unavailable, "the connection to the launcher has been closed"};
    attempt_entry* entry = find(key);
    if (entry == nullptr || entry->attempt.ended)
      return error{error_code::not_found,
                   "attempt " + std::to_string(key.attempt) + " of task " + key.task_id + " does not run"};
    if (entry->queued) {
      if (!entry->dropped)
        dropped_.push_back(key);
      entry->dropped = true;
    } else if (queue_.size() >= options_.queue_max) {
      return error{error_code::overloaded, std::to_string(queue_.size()) +
                                               " requests wait for the launcher already; try again later"};
    } else {
      queue_.emplace_back(stop_order{key, grace_ms});
    }
  }
  wake_.wake();
  return {};
}

void launcher_client::settled(const attempt_key& key) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const attempt_entry* entry = find(key);
    if (entry == nullptr || !entry->attempt.ended)
      return;
    erase(key);
    // No bound of its own: there is at most one for each attempt that the launcher reported.
    queue_.emplace_back(settle_order{key});
  }
  wake_.wake();
}

std::vector<known_attempt> launcher_client::known_attempts(const std::string& channel) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<known_attempt> attempts;
  const auto found = channels_.find(channel);
  if (found == channels_.end())
    return attempts;
  attempts.reserve(found->second.size());
  for (const auto& [key, entry] : found->second)
    attempts.push_back(entry.attempt);
  return attempts;
}

launcher_health launcher_client::health() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  launcher_health now = health_;
  now.running = live_;
  now.queued = queue_.size();
  return now;
}

launcher_client::attempt_entry* launcher_client::find(const attempt_key& key) {
  const auto channel = channel_of_.find(key);
  if (channel == channel_of_.end())
    return nullptr;
  return &channels_.at(channel->second).at(key);
}

launcher_client::attempt_entry& launcher_client::insert(const known_attempt& attempt) {
  channel_of_[attempt.key] = attempt.channel;
  attempt_entry& entry = channels_[attempt.channel][attempt.key];
  entry.attempt = attempt;
  if (!attempt.ended)
    ++live_;
  return entry;
}

void launcher_client::erase(const attempt_key& key) {
  const auto channel = channel_of_.find(key);
  const auto table = channels_.find(channel->second);
  table->second.erase(key);
  if (table->second.empty())
    channels_.erase(table);
  channel_of_.erase(channel);
}

void launcher_client::end_entry(attempt_entry& entry, const attempt_ended& end) {
  entry.attempt.ended = true;
  entry.attempt.end = end;
  entry.queued = false;
  --live_;
}

void launcher_client::run() {
  ::pthread_setname_np(::pthread_self(), "tr-launch-io");
  for (;;) {
    const clock::time_point now = clock::now();
    bool must_stop = false;
    bool has_orders = false;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      must_stop = stopping_;
      has_orders = !queue_.empty();
    }
    if (must_stop) {
      if (stop_until_ == clock::time_point())
        stop_until_ = now + stop_wait_max;
      if (!ready_ || !has_orders || now >= stop_until_)
        break;
    }
    if (!link_ && now >= retry_at_)
      connect();
    if (link_ && !ready_ && clock::now() >= handshake_until_)
      lose_connection(describe_silence(options_.state_dir));

    std::array<pollfd, 2> waits{pollfd{wake_.get(), POLLIN, 0}, pollfd{-1, POLLIN, 0}};
    if (link_) {
      waits[1].fd = link_->descriptor();
      if (blocked_)
        waits[1].events = POLLIN | POLLOUT;
    }
    if (::poll(waits.data(), waits.size(), wait_ms(clock::now())) < 0)
      continue; // Interrupted: nothing is missed.
    if (waits[0].revents != 0) {
      wake_.clear();
      end_dropped();
    }
    if (link_ && waits[1].revents != 0) {
      if ((waits[1].revents & POLLOUT) != 0)
        blocked_ = false;
      receive_packets();
    }
    if (ready_ && !blocked_)
      send_orders();
  }
  link_.reset();
  const std::lock_guard<std::mutex> lock(mutex_);
  health_.connected = false;
  health_.launcher_pid = 0;
}

int launcher_client::wait_ms(clock::time_point now) const {
  clock::time_point next = clock::time_point::max();
  if (!link_)
    next = std::min(next, retry_at_);
  else if (!ready_)
    next = std::min(next, handshake_until_);
  if (stop_until_ != clock::time_point())
    next = std::min(next, stop_until_);
  if (next == clock::time_point::max())
    return -1;
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(next - now).count();
  return static_cast<int>(std::max<int64_t>(left + 1, 0));
}

void launcher_client::connect() {
  const auto purpose = upgrade_first_ ? launcher::link_purpose::upgrade : launcher::link_purpose::converse;
  result<std::unique_ptr<launcher::launcher_link>> opened = launcher::launcher_link::open(
      {options_.state_dir, options_.launcher_binary, options_.launcher_arguments, options_.program, program_},
      purpose, cancel_.get());
  if (!opened) {
    lose_connection(opened.failure().message);
    return;
  }
  link_ = std::move(*opened);
  listing_.clear();
  blocked_ = false;
  handshake_until_ = clock::now() + handshake_max;
}

void launcher_client::lose_connection(const std::string& reason) {
  const clock::time_point now = clock::now();
  const bool lived = ready_ && now - ready_since_ >= lifetime_min;
  const bool goes_over = going_over_ && ready_;
  const bool was_upgrade = upgrade_first_ && link_ != nullptr;
  link_.reset();
  ready_ = false;
  upgrade_first_ = upgrade_first_ && !was_upgrade;
  if (goes_over || was_upgrade) {
    // It has taken in all that we sent, and is back in a moment, with one program or the other.
    backoff_ms_ = 0;
    retry_at_ = now;
    return;
  }
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    health_.connected = false;
    health_.launcher_pid = 0;
    health_.last_error = reason;
    if (stopping_)
      return;
  }
  if (lived) {
    backoff_ms_ = 0;
  } else {
    backoff_ms_ = backoff_ms_ == 0 ? backoff_first_ms : std::min(backoff_ms_ * 2, backoff_max_ms);
    static thread_local std::minstd_rand jitter{std::random_device{}()};
    backoff_ms_ += static_cast<int>(jitter() % static_cast<unsigned>(backoff_first_ms / 4 + 1));
  }
  retry_at_ = now + std::chrono::milliseconds(backoff_ms_);
  // Said once, not at every try.
  if (reason != logged_failure_) {
    log_event(log_level::warning, "the launcher is not connected", {{"reason", reason}});
    logged_failure_ = reason;
  }
}

void launcher_client::send_orders() {
  std::vector<order> batch;
  while (link_ && !blocked_) {
    batch.clear();
    {
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
        batch.push_back(std::move(queue_.front()));
        queue_.pop_front();
      }
    }
    if (batch.empty())
      return;

    packet_status sent = packet_status::done;
    const auto* first = std::get_if<attempt_start>(&batch.front());
    if (first != nullptr && launcher::needs_descriptor(*first)) {
      // Its size has kept every other order out of the batch.
      const result<packet_status> large = link_->send_large(*first);
      if (!large) {
        refuse_start(*first, large.failure().message);
        continue;
      }
      sent = *large;
    } else {
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
      sent = link_->send(packet.front());
    }

    if (sent != packet_status::done) {
      const std::lock_guard<std::mutex> lock(mutex_);
      for (const order& one : batch)
        if (const auto* start = std::get_if<attempt_start>(&one))
          if (attempt_entry* entry = find(start->key))
            entry->queued = true;
      queue_.insert(queue_.begin(), std::make_move_iterator(batch.begin()),
                    std::make_move_iterator(batch.end()));
      // A connection that has gone shows itself when it is read from.
      blocked_ = true;
      return;
    }
  }
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
    take_ended(end);
  }
}

void launcher_client::refuse_start(const attempt_start& start, const std::string& reason) {
  attempt_ended end;
  end.key = start.key;
  end.channel = start.channel;
  end.how.kind = outcome_kind::spawn_failed;
  end.how.error = "the start cannot be handed to the launcher: " + reason;
  end.ended_at_ms = system_now_ms();
  take_ended(end);
}

void launcher_client::receive_packets() {
  for (int i = 0; i < packets_per_turn && link_; ++i) {
    any_message received;
    switch (link_->receive(received)) {
    case packet_status::again:
      return;
    case packet_status::closed:
      lose_connection("the launcher has gone");
      return;
    case packet_status::damaged:
      lose_connection("the launcher sent a packet that makes no sense");
      return;
    case packet_status::done:
      take_message(std::move(received));
      break;
    }
  }
}

void launcher_client::take_message(any_message message) {
  if (const auto* refused = std::get_if<launcher::refused_message>(&message)) {
    take_refusal(*refused);
  } else if (const auto* failed = std::get_if<launcher::upgrade_failed_message>(&message)) {
    going_over_ = false;
    take_upgrade_failure(failed->reason);
    if (upgrade_first_)
      lose_connection(failed->reason);
  } else if (const auto* welcome = std::get_if<launcher::welcome_message>(&message)) {
    take_welcome(*welcome);
  } else if (auto* listing = std::get_if<launcher::listing_message>(&message)) {
    if (!ready_)
      listing_.insert(listing_.end(), std::make_move_iterator(listing->attempts.begin()),
                      std::make_move_iterator(listing->attempts.end()));
  } else if (std::holds_alternative<launcher::ready_message>(message)) {
    if (!ready_)
      take_listing();
  } else if (const auto* events = std::get_if<launcher::events_message>(&message)) {
    for (const launcher::any_event& one : events->events) {
      if (const auto* started = std::get_if<attempt_started>(&one))
        take_started(*started);
      else if (const auto* ended = std::get_if<attempt_ended>(&one))
        take_ended(*ended);
    }
  }
}

void launcher_client::take_refusal(const launcher::refused_message& refused) {
  const bool may_ask = program_.known() && !upgrade_asked_;
  const bool no_common_version = refused.version_max < launcher::protocol_version_min ||
                                 refused.version_min > launcher::protocol_version_max;
  if (no_common_version && may_ask) {
    upgrade_asked_ = true;
    upgrade_first_ = true;
    link_.reset();
    retry_at_ = clock::now();
    return;
  }
  lose_connection("the launcher refused: " + refused.reason);
}

void launcher_client::take_welcome(const launcher::welcome_message& welcome) {
  program_differs_ = program_.known() && welcome.program != program_;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    health_.launcher_pid = static_cast<int>(welcome.launcher_pid);
    health_.launcher_version = welcome.launcher_version;
    health_.containment = welcome.containment;
    health_.running_max = welcome.running_max;
    health_.upgrades = welcome.upgrades;
  }
  if (program_differs_ && upgrade_asked_)
    take_upgrade_failure(welcome.upgrade_failure);
}

void launcher_client::ask_for_upgrade() {
  upgrade_asked_ = true;
  const result<void> sent = link_->send_upgrade(options_.program);
  if (!sent)
    return take_upgrade_failure(sent.failure().message);
  going_over_ = true;
  log_event(log_level::info, "the launcher runs another program and is asked to go over to this one", {});
}

void launcher_client::take_upgrade_failure(const std::string& reason) {
  bool is_news = false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    is_news = health_.upgrade_failure != reason;
    health_.upgrade_failure = reason;
  }
  if (is_news)
    log_event(log_level::warning, "the launcher goes on with another program than the daemon's",
              {{"reason", reason}});
}

void launcher_client::take_listing() {
  std::vector<attempt_started> started;
  std::vector<attempt_ended> ended;
  int pid = 0;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::set<attempt_key> listed;
    for (known_attempt& one : listing_) {
      listed.insert(one.key);
      attempt_entry* entry = find(one.key);
      if (entry == nullptr) {
        // After the first listing an ended attempt we do not know is one we settled, and the word was lost.
        if (ready_once_ && one.ended)
          queue_.emplace_back(settle_order{one.key});
        else
          insert(one);
        continue;
      }
      if (entry->attempt.ended)
        continue;
      if (entry->attempt.pid == 0 && one.pid != 0) {
        entry->attempt.pid = one.pid;
        entry->attempt.started_at_ms = one.started_at_ms;
        started.push_back({one.key, one.channel, one.pid, one.started_at_ms});
      }
      if (one.ended) {
        end_entry(*entry, one.end);
        ended.push_back(one.end);
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
        ended.push_back(std::move(end));
      }
    }
    pid = health_.launcher_pid;
    if (ready_once_ && !(going_over_ && pid == connected_pid_))
      ++health_.restarts;
    ready_once_ = true;
    health_.connected = true;
    health_.last_error.clear();
    if (!program_differs_)
      health_.upgrade_failure.clear();
  }
  going_over_ = false;
  connected_pid_ = pid;
  ready_ = true;
  ready_since_ = clock::now();
  logged_failure_.clear();
  log_event(log_level::info, "the launcher is connected",
            {{"pid", pid},
             {"known", listing_.size()},
             {"lost", std::count_if(ended.begin(), ended.end(), [](const attempt_ended& one) {
                return one.how.kind == outcome_kind::lost;
              })}});
  listing_.clear();
  ready_changed_.notify_all();
  if (program_differs_ && !upgrade_asked_)
    ask_for_upgrade();
  for (const attempt_started& one : started)
    events_->on_started(one);
  for (const attempt_ended& one : ended)
    events_->on_ended(one);
}

void launcher_client::take_started(const attempt_started& event) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    attempt_entry* entry = find(event.key);
    if (entry == nullptr || entry->attempt.ended)
      return;
    entry->attempt.pid = event.pid;
    entry->attempt.started_at_ms = event.started_at_ms;
  }
  events_->on_started(event);
}

void launcher_client::take_ended(const attempt_ended& event) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    attempt_entry* entry = find(event.key);
    if (entry == nullptr || entry->attempt.ended)
      return;
    end_entry(*entry, event);
  }
  events_->on_ended(event);
}

} // namespace task_runner
