// A Pistache transport that also waits for what the gate needs: posts of other threads, deadlines, room to
// send. It takes the place of the one in Pistache's Endpoint, which wakes up twice a second per thread for
// time limits that cut pending answers; this one sleeps until something is due.
#pragma once

#include "services/http/gate.hpp"

#include <pistache/transport.h>

#include <memory>

namespace task_runner {

/// The event loop's side of one worker. Pistache clones the one it is given for each worker thread.
class gate_transport final : public Pistache::Tcp::Transport {
public:
  explicit gate_transport(const std::shared_ptr<const gate_core>& core);
  /// Closes what is still open. Runs after the worker thread has ended.
  ~gate_transport() override;

  std::shared_ptr<Pistache::Aio::Handler> clone() const override;
  void registerPoller(Pistache::Polling::Epoll& poller) override;
  void onReady(const Pistache::Aio::FdSet& ready) override;

private:
  gate_transport(std::shared_ptr<const gate_core> core, std::shared_ptr<gate> own_gate);

  void handle(const Pistache::Aio::FdSet& ready);
  void forward(const Pistache::Aio::FdSet& ready);
  void wait_for_room(int descriptor, bool wanted);
  void arm_timer();

  const std::shared_ptr<const gate_core> core_;
  const std::shared_ptr<gate> gate_;
  int timer_ = -1;
  /// What the timer is set to, monotonic milliseconds.
  int64_t armed_ms_ = http_connection::never;
};

} // namespace task_runner
