// Carries what the launcher reports from the process port's thread to the executor of the channel.
// The one place where that thread meets the actors.
#pragma once

#include "actors/interfaces.hpp"
#include "services/ports/process_runner.hpp"
#include "services/ports/thread_lender.hpp"

#include <functional>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace task_runner {

/// Thread-safe. An event of a channel without executor is dropped: the process port keeps it among its known
/// attempts, and the channel's recovery reads them.
class runner_bridge final : public process_events {
public:
  /// Called for each end before it is passed on, on the port's thread; for logging a command's output.
  using end_observer = std::function<void(const attempt_ended&)>;

  /// The port's thread is lent to what follows from its events; null: it is not. The lender must outlive
  /// this.
  explicit runner_bridge(end_observer observer, thread_lender* lender = nullptr)
      : observer_(std::move(observer))
      , lender_(lender) {}

  void attach(const std::string& channel, executor_actor executor);
  void detach(const std::string& channel);
  /// Drops every executor, so that no handle outlives the actor system.
  void detach_all();

  /// The channel's executor; an empty handle when there is none now.
  executor_actor executor_of(const std::string& channel) const;

  void on_started(const attempt_started& event) override;
  void on_ended(const attempt_ended& event) override;
  /// One message for each channel.
  void on_events(std::vector<attempt_event> events) override;

private:
  end_observer observer_;
  thread_lender* lender_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, executor_actor> executors_;
};

} // namespace task_runner
