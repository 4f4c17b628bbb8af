// The conversation with the launcher on the client's own thread: finding it, hearing whether it answers,
// asking it to go over to our program, and finding the next one when it has gone.
#include "services/domain/quantities.hpp"
#include "services/launcher/launcher_client.hpp"
#include "services/launcher/state_claim.hpp"
#include "services/observability/log.hpp"

#include <algorithm>
#include <array>
#include <poll.h>
#include <pthread.h>
#include <random>

namespace task_runner {
namespace {

using launcher::any_message;
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
/// Packets received before the queue has its turn again.
constexpr int packets_per_turn = 64;
/// What may trouble a launcher that is connected.
constexpr const char* silence = "silence";
constexpr const char* shortage = "shortage";

} // namespace

void launcher_client::run() {
  ::pthread_setname_np(::pthread_self(), "tr-launch-io");
  for (;;) {
    const clock::time_point now = clock::now();
    tell_events(now); // also what sending has brought up
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
      lose_connection(launcher::describe_silence(link_->peer()));

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
      {
        // Before the queue is looked into: what comes from now on wakes again.
        const std::lock_guard<std::mutex> lock(mutex_);
        woken_ = false;
      }
      end_dropped();
    }
    const bool heard = (waits[1].revents & POLLIN) != 0;
    if (link_ && waits[1].revents != 0) {
      if ((waits[1].revents & POLLOUT) != 0)
        blocked_ = false;
      receive_packets();
    }
    tell_events(clock::now());
    if (must_send(clock::now()) && ready_ && !blocked_)
      send_orders();
    if (ready_ && version_ >= launcher::protocol_version_ping)
      ask_for_life(clock::now(), heard);
  }
  drop_link();
  const std::lock_guard<std::mutex> lock(mutex_);
  health_.connected = false;
  health_.launcher_pid = 0;
}

void launcher_client::drop_link() {
  const std::lock_guard<std::mutex> sending(send_mutex_);
  link_.reset();
  ready_ = false;
}

int launcher_client::wait_ms(clock::time_point now) const {
  clock::time_point next = clock::time_point::max();
  if (!link_)
    next = std::min(next, retry_at_);
  else if (!ready_)
    next = std::min(next, handshake_until_);
  else if (version_ >= launcher::protocol_version_ping && !ping_open_)
    next = std::min(next, ping_at_);
  else if (version_ >= launcher::protocol_version_ping && trouble_kind_ != silence)
    next = std::min(next, silent_since_ + std::chrono::milliseconds(options_.silence_max_ms));
  if (ready_ && !blocked_ && send_at_ != clock::time_point())
    next = std::min(next, send_at_);
  if (stop_until_ != clock::time_point())
    next = std::min(next, stop_until_);
  if (tell_at_ != clock::time_point())
    next = std::min(next, tell_at_);
  if (settle_at_ != clock::time_point())
    next = std::min(next, settle_at_);
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
  {
    const std::lock_guard<std::mutex> sending(send_mutex_);
    link_ = std::move(*opened);
    blocked_ = false;
  }
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    peer_ = link_->peer();
  }
  listing_.clear();
  handshake_until_ = clock::now() + handshake_max;
}

void launcher_client::lose_connection(const std::string& reason) {
  const clock::time_point now = clock::now();
  const bool lived = ready_ && now - ready_since_ >= lifetime_min;
  const bool goes_over = going_over_ && ready_;
  const bool was_upgrade = upgrade_first_ && link_ != nullptr;
  drop_link();
  ping_open_ = false;
  trouble_kind_.clear();
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
    health_.trouble.clear();
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

void launcher_client::ask_for_life(clock::time_point now, bool heard) {
  if (heard)
    silent_since_ = now;
  if (!ping_open_) {
    if (now < ping_at_)
      return;
    ping_open_ = true;
    ping_unsent_ = true;
    silent_since_ = now;
  }
  if (ping_unsent_ && !blocked_) {
    // One that does not read fills its socket: that is silence too.
    ping_unsent_ = link_->send_ping() == packet_status::again;
    blocked_ = ping_unsent_;
  }
  if (heard && trouble_kind_ == silence)
    tell_trouble({}, {});
  if (trouble_kind_ == silence || now < silent_since_ + std::chrono::milliseconds(options_.silence_max_ms))
    return;
  const std::string pid = std::to_string(link_->peer());
  tell_trouble(silence, "process " + pid + ", the launcher, has said nothing for " +
                            format_duration(options_.silence_max_ms) +
                            "; its commands run on and no others start; if it is stopped, let it go on: "
                            "kill -CONT " +
                            pid);
}

void launcher_client::take_pong(const launcher::pong_message& pong) {
  ping_open_ = false;
  ping_at_ = clock::now() + std::chrono::milliseconds(options_.ping_pause_ms);
  if (pong.shortage.empty() || pong.shortage_ms < static_cast<uint64_t>(options_.shortage_max_ms))
    return tell_trouble({}, {});
  tell_trouble(shortage, std::to_string(pong.waiting) + " starts have waited for resources for " +
                             format_duration(static_cast<int64_t>(pong.shortage_ms)) + ": " + pong.shortage);
}

void launcher_client::tell_trouble(const std::string& kind, const std::string& trouble) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    health_.trouble = trouble;
  }
  if (kind == trouble_kind_)
    return;
  if (!kind.empty())
    log_event(log_level::warning, "the launcher does not do its work", {{"reason", trouble}});
  else
    log_event(log_level::info, "the launcher does its work again", {{"pid", link_->peer()}});
  trouble_kind_ = kind;
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
  } else if (const auto* pong = std::get_if<launcher::pong_message>(&message)) {
    if (ready_)
      take_pong(*pong);
  } else if (auto* events = std::get_if<launcher::events_message>(&message)) {
    take_events(std::move(events->events));
  }
}

void launcher_client::take_refusal(const launcher::refused_message& refused) {
  const bool may_ask = program_.known() && !upgrade_asked_;
  const bool no_common_version = refused.version_max < launcher::protocol_version_min ||
                                 refused.version_min > launcher::protocol_version_max;
  if (no_common_version && may_ask) {
    upgrade_asked_ = true;
    upgrade_first_ = true;
    drop_link();
    retry_at_ = clock::now();
    return;
  }
  lose_connection("the launcher refused: " + refused.reason);
}

void launcher_client::take_welcome(const launcher::welcome_message& welcome) {
  program_differs_ = program_.known() && welcome.program != program_;
  version_ = welcome.version;
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

} // namespace task_runner
