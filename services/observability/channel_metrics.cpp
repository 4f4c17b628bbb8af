// Bookkeeping of what is measured of channels.
#include "services/observability/channel_metrics.hpp"

#include <algorithm>

namespace task_runner {

namespace {

constexpr auto relaxed = std::memory_order_relaxed;

} // namespace

void duration_histogram::snapshot::add(const snapshot& other) noexcept {
  for (size_t i = 0; i < at_most.size(); ++i)
    at_most[i] += other.at_most[i];
  count += other.count;
  sum_s += other.sum_s;
}

void duration_histogram::add(int64_t duration_ms) noexcept {
  const auto counted_ms = std::max<int64_t>(duration_ms, 0);
  const auto* const bucket = std::lower_bound(duration_bounds_s.begin(), duration_bounds_s.end(),
                                              static_cast<double>(counted_ms) / 1000.0);
  buckets_[static_cast<size_t>(bucket - duration_bounds_s.begin())].fetch_add(1, relaxed);
  sum_ms_.fetch_add(static_cast<uint64_t>(counted_ms), relaxed);
  if (fine_ != nullptr)
    fine_->add(counted_ms);
}

duration_histogram::snapshot duration_histogram::take() const noexcept {
  snapshot found;
  for (size_t i = 0; i < buckets_.size(); ++i) {
    found.count += buckets_[i].load(relaxed);
    if (i < found.at_most.size())
      found.at_most[i] = found.count;
  }
  found.sum_s = static_cast<double>(sum_ms_.load(relaxed)) / 1000.0;
  return found;
}

std::string_view to_string(attempt_end end) noexcept {
  constexpr std::array<std::string_view, attempt_ends_count> names = {
      "succeeded", "failed", "signalled", "timed_out", "spawn_failed", "cancelled", "lost"};
  return names[static_cast<size_t>(end)];
}

std::optional<attempt_end> find_attempt_end(const outcome& how) noexcept {
  switch (how.kind) {
  case outcome_kind::exited:
    return how.succeeded() ? attempt_end::succeeded : attempt_end::failed;
  case outcome_kind::signalled:
    return attempt_end::signalled;
  case outcome_kind::timed_out:
    return attempt_end::timed_out;
  case outcome_kind::spawn_failed:
    return attempt_end::spawn_failed;
  case outcome_kind::cancelled:
    return attempt_end::cancelled;
  case outcome_kind::lost:
    return attempt_end::lost;
  case outcome_kind::expired:
    break;
  }
  return std::nullopt;
}

void channel_tally::add(const channel_tally& other) noexcept {
  pushed += other.pushed;
  duplicates += other.duplicates;
  finished += other.finished;
  dead += other.dead;
  cancelled += other.cancelled;
  expired += other.expired;
  retried += other.retried;
  repairs += other.repairs;
  for (size_t i = 0; i < attempt_ends_count; ++i)
    attempts_ended[i] += other.attempts_ended[i];
  wait.add(other.wait);
  run.add(other.run);
}

void channel_metrics::set(const channel_counts& now) noexcept {
  pending_.store(now.pending, relaxed);
  held_.store(now.held, relaxed);
  delayed_.store(now.delayed, relaxed);
  running_.store(now.running, relaxed);
  paused_.store(now.paused, relaxed);
  next_ready_at_ms_.store(now.next_ready_at_ms, relaxed);
}

channel_counts channel_metrics::counts() const noexcept {
  channel_counts now;
  now.pending = pending_.load(relaxed);
  now.held = held_.load(relaxed);
  now.delayed = delayed_.load(relaxed);
  now.running = running_.load(relaxed);
  now.paused = paused_.load(relaxed);
  now.next_ready_at_ms = next_ready_at_ms_.load(relaxed);
  return now;
}

channel_tally channel_metrics::tally() const noexcept {
  channel_tally counted;
  counted.pushed = pushed;
  counted.duplicates = duplicates;
  counted.finished = finished;
  counted.dead = dead;
  counted.cancelled = cancelled;
  counted.expired = expired;
  counted.retried = retried;
  counted.repairs = repairs;
  for (size_t i = 0; i < attempt_ends_count; ++i)
    counted.attempts_ended[i] = attempts_ended[i];
  counted.wait = wait.take();
  counted.run = run.take();
  return counted;
}

std::shared_ptr<channel_metrics> channel_metrics_registry::of(const std::string& channel) {
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(channels_.begin(), channels_.end(),
                                  [&](const auto& one) { return one->channel() == channel; });
  if (found != channels_.end())
    return *found;
  const bool has_lines = with_lines_ < metrics_channels_max;
  with_lines_ += has_lines ? 1 : 0;
  return channels_.emplace_back(std::make_shared<channel_metrics>(channel, spreads_, has_lines));
}

void channel_metrics_registry::remove(const std::string& channel) {
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(channels_.begin(), channels_.end(),
                                  [&](const auto& one) { return one->channel() == channel; });
  if (found == channels_.end())
    return;
  // Lines of its own end with it; a sum must not fall.
  if ((*found)->has_lines()) {
    --with_lines_;
  } else {
    if (!gone_)
      gone_.emplace();
    gone_->add((*found)->tally());
  }
  channels_.erase(found);
}

std::vector<std::shared_ptr<const channel_metrics>> channel_metrics_registry::list() const {
  const std::lock_guard lock(mutex_);
  return {channels_.begin(), channels_.end()};
}

channel_overview channel_metrics_registry::overview() const {
  const std::lock_guard lock(mutex_);
  return {{channels_.begin(), channels_.end()}, gone_};
}

} // namespace task_runner
