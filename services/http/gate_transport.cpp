// The worker's event loop: Pistache's events, and those of the gate beside them.
#include "services/http/gate_transport.hpp"

#include "services/http/worker_turn.hpp"
#include "services/observability/log.hpp"

#include <cerrno>
#include <exception>
#include <sys/timerfd.h>
#include <system_error>
#include <unistd.h>

namespace task_runner {

namespace {

using Pistache::Flags;
using Pistache::Polling::NotifyOn;
using Pistache::Polling::Tag;

/// Deadlines are met this late at most, milliseconds; it bounds how often all connections are looked through.
constexpr int64_t deadline_slack_ms = 20;

Tag tag_of(int descriptor) {
  return Tag(static_cast<uint64_t>(descriptor));
}

} // namespace

gate_transport::gate_transport(const std::shared_ptr<const gate_core>& core)
    : gate_transport(core, std::make_shared<gate>(core)) {}

gate_transport::gate_transport(std::shared_ptr<const gate_core> core, std::shared_ptr<gate> own_gate)
    : Pistache::Tcp::Transport(own_gate)
    , core_(std::move(core))
    , gate_(std::move(own_gate)) {}

gate_transport::~gate_transport() {
  for (const auto& entry : peers) {
    gate_->disconnect(entry.first);
    ::close(entry.first);
  }
  if (timer_ >= 0)
    ::close(timer_);
}

std::shared_ptr<Pistache::Aio::Handler> gate_transport::clone() const {
  return std::make_shared<gate_transport>(core_);
}

void gate_transport::registerPoller(Pistache::Polling::Epoll& poller) {
  Pistache::Tcp::Transport::registerPoller(poller);
  timer_ = ::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (timer_ < 0)
    throw std::system_error(errno, std::generic_category(), "timerfd_create");
  poller.addFd(timer_, Flags<NotifyOn>(NotifyOn::Read), tag_of(timer_));
  poller.addFd(gate_->mailbox_descriptor(), Flags<NotifyOn>(NotifyOn::Read),
               tag_of(gate_->mailbox_descriptor()));
}

void gate_transport::onReady(const Pistache::Aio::FdSet& ready) {
  const worker_turn turn;
  // An exception would end the worker thread, and the process with it.
  try {
    handle(ready);
  } catch (const std::exception& thrown) {
    log_event(log_level::error, "HTTP worker failed to handle an event", {{"reason", thrown.what()}});
  }
}

void gate_transport::handle(const Pistache::Aio::FdSet& ready) {
  bool posted = false;
  bool timer = false;
  bool special = false;
  for (const auto& entry : ready) {
    if (entry.getTag() == tag_of(timer_))
      timer = true;
    else if (entry.getTag() == tag_of(gate_->mailbox_descriptor()))
      posted = true;
    else if (entry.isWritable())
      special = true;
  }
  if (special || posted || timer)
    forward(ready);
  else
    Pistache::Tcp::Transport::onReady(ready);
  if (posted)
    for (const int descriptor : gate_->take_posted())
      wait_for_room(descriptor, true);
  if (timer) {
    uint64_t expirations = 0;
    if (::read(timer_, &expirations, sizeof expirations) > 0)
      armed_ms_ = http_connection::never;
    gate_->expire(monotonic_now_ms());
  }
  arm_timer();
}

/// Hands Pistache its own events only. It must never see that a socket has room: it would look for an answer
/// of its own making and throw.
void gate_transport::forward(const Pistache::Aio::FdSet& ready) {
  std::vector<Pistache::Polling::Event> events;
  for (const auto& entry : ready) {
    const auto tag = entry.getTag();
    if (tag == tag_of(timer_) || tag == tag_of(gate_->mailbox_descriptor()))
      continue;
    const int descriptor = static_cast<int>(tag.value());
    if (entry.isWritable() && peers.find(descriptor) != peers.end()) {
      gate_->on_room(descriptor);
      wait_for_room(descriptor, gate_->wants_room(descriptor));
    }
    if (!entry.isReadable())
      continue;
    Pistache::Polling::Event event(tag);
    event.flags = Flags<NotifyOn>(NotifyOn::Read);
    events.push_back(event);
  }
  if (!events.empty())
    Pistache::Tcp::Transport::onReady(Pistache::Aio::FdSet(std::move(events)));
}

void gate_transport::wait_for_room(int descriptor, bool wanted) {
  const auto interest =
      wanted ? NotifyOn::Read | NotifyOn::Write | NotifyOn::Shutdown : NotifyOn::Read | NotifyOn::Shutdown;
  reactor()->modifyFd(key(), descriptor, interest, Pistache::Polling::Mode::Edge);
}

void gate_transport::arm_timer() {
  const int64_t wake_at_ms = gate_->wake_at_ms();
  if (wake_at_ms >= armed_ms_)
    return;
  armed_ms_ = wake_at_ms;
  const int64_t at_ms = wake_at_ms + deadline_slack_ms;
  itimerspec when{};
  when.it_value.tv_sec = at_ms / 1'000;
  when.it_value.tv_nsec = at_ms % 1'000 * 1'000'000;
  // Fails only for arguments that are wrong by construction.
  ::timerfd_settime(timer_, TFD_TIMER_ABSTIME, &when, nullptr);
}

} // namespace task_runner
