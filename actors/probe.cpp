// Bookkeeping of the actors' probes.
#include "actors/probe.hpp"

#include "services/domain/time_text.hpp"

#include <algorithm>

namespace task_runner {

handling::handling(actor_probe& probe, size_t message_kind, size_t mailbox_depth)
    : probe_(probe) {
  probe_.handled_[message_kind].fetch_add(1, std::memory_order_relaxed);
  probe_.mailbox_depth_.store(mailbox_depth, std::memory_order_relaxed);
  probe_.busy_since_ms_.store(system_now_ms(), std::memory_order_relaxed);
}

handling::~handling() {
  probe_.busy_since_ms_.store(0, std::memory_order_relaxed);
}

std::shared_ptr<actor_probe> probe_registry::add(std::string name, std::string_view kind,
                                                 std::vector<std::string_view> message_kinds) {
  auto probe = std::make_shared<actor_probe>(std::move(name), kind, std::move(message_kinds));
  std::lock_guard<std::mutex> guard(mutex_);
  probes_.push_back(probe);
  return probe;
}

std::vector<std::shared_ptr<const actor_probe>> probe_registry::list() const {
  std::vector<std::shared_ptr<const actor_probe>> live;
  std::lock_guard<std::mutex> guard(mutex_);
  probes_.erase(
      std::remove_if(probes_.begin(), probes_.end(), [](const auto& probe) { return probe.expired(); }),
      probes_.end());
  live.reserve(probes_.size());
  for (const auto& probe : probes_)
    if (auto strong = probe.lock())
      live.push_back(std::move(strong));
  return live;
}

} // namespace task_runner
