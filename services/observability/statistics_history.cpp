// Sampling of the history: counters that only grow become steps, and steps points of a ring.
#include "services/observability/statistics_history.hpp"

#include <algorithm>
#include <ctime>
#include <limits>
#include <utility>

namespace task_runner {

namespace {

constexpr auto relaxed = std::memory_order_relaxed;

uint32_t narrow(uint64_t value) noexcept {
  return static_cast<uint32_t>(std::min<uint64_t>(value, std::numeric_limits<uint32_t>::max()));
}

void add(uint32_t& to, uint64_t more) noexcept {
  to = narrow(to + more);
}

task_counters counters_of(const channel_metrics& one) noexcept {
  task_counters counted{one.pushed.load(relaxed), one.duplicates.load(relaxed), one.finished.load(relaxed),
                        one.dead.load(relaxed),   one.cancelled.load(relaxed),  one.expired.load(relaxed),
                        one.retried.load(relaxed)};
  for (size_t i = 0; i < attempt_ends_count; ++i)
    counted[counter_names.size() + i] = one.attempts_ended[i].load(relaxed);
  return counted;
}

duration_percentiles percentiles_of(const spread_counts& counts) noexcept {
  return {percentile_ms(counts, 0.5), percentile_ms(counts, 0.95), percentile_ms(counts, 0.99)};
}

duration_percentiles percentiles_of(const spread_step& step) noexcept {
  spread_counts counts{};
  step.add_to(counts);
  return percentiles_of(counts);
}

/// Whether so much time passed that the points around it do not belong together.
bool is_late(int64_t length_ms, int64_t step_ms) noexcept {
  return length_ms > 2 * step_ms;
}

} // namespace

history_moment read_history_moment() noexcept {
  const auto read = [](clockid_t which) {
    timespec now{};
    ::clock_gettime(which, &now);
    return static_cast<int64_t>(now.tv_sec) * 1'000 + now.tv_nsec / 1'000'000;
  };
  return {read(CLOCK_BOOTTIME), read(CLOCK_REALTIME)};
}

std::optional<double> failure_share(uint64_t finished, uint64_t dead) noexcept {
  if (finished + dead == 0)
    return std::nullopt;
  return static_cast<double>(dead) / static_cast<double>(finished + dead);
}

std::optional<double> channel_history::ended_per_s() const noexcept {
  if (recent.length_ms <= 0)
    return std::nullopt;
  return static_cast<double>(recent.finished + recent.dead) * 1'000.0 / static_cast<double>(recent.length_ms);
}

std::optional<double> channel_history::eta_s() const noexcept {
  const auto waiting = counts.pending + counts.held;
  if (waiting == 0)
    return 0.0;
  const auto rate = ended_per_s();
  if (counts.paused || !rate || *rate <= 0)
    return std::nullopt;
  return static_cast<double>(waiting) / *rate;
}

statistics_history::statistics_history(std::shared_ptr<const channel_metrics_registry> channels,
                                       statistics_limits limits, std::function<history_moment()> now)
    : channels_(std::move(channels))
    , limits_(limits)
    , now_(std::move(now))
    , fine_(limits.points, limits.step_ms, now_().steady_ms)
    , coarse_(limits.coarse_points, limits.coarse_step_ms, fine_.begun_ms)
    , channel_steps_(limits.channel_points)
    , channel_step_begun_ms_(fine_.begun_ms) {
  // nop
}

void statistics_history::take(known_channel& one) {
  const auto counted = counters_of(*one.metrics);
  for (size_t i = 0; i < counted.size(); ++i) {
    // They only grow, and a channel that is made anew has new ones.
    const auto more = counted[i] - std::min(counted[i], one.seen[i]);
    fine_.counted[i] += more;
    coarse_.counted[i] += more;
    if (i == counter_pushed)
      add(one.current.pushed, more);
    else if (i == counter_finished)
      add(one.current.finished, more);
    else if (i == counter_dead)
      add(one.current.dead, more);
  }
  one.seen = counted;
}

statistics_history::standing_of_all statistics_history::look() {
  ++looks_;
  standing_of_all sum;
  size_t found = 0;
  for (const auto& metrics : channels_->list()) {
    auto& one = known_[metrics.get()];
    if (!one.metrics) {
      one.metrics = metrics;
      one.first_step = channel_steps_over_;
    }
    one.look = looks_;
    ++found;
    take(one);
    const auto counts = metrics->counts();
    one.current.pending = narrow(counts.pending + counts.held);
    sum.counts.pending += counts.pending;
    sum.counts.held += counts.held;
    sum.counts.delayed += counts.delayed;
    sum.counts.running += counts.running;
    sum.workers += metrics->workers();
  }
  if (found == known_.size())
    return sum;
  for (auto at = known_.begin(); at != known_.end();) {
    if (at->second.look == looks_) {
      ++at;
      continue;
    }
    take(at->second); // what it did before it went
    at = known_.erase(at);
  }
  return sum;
}

statistics_history::kept_point statistics_history::point_of(const series& which, const history_moment& now,
                                                            const standing_of_all& standing) const {
  kept_point point;
  point.end_ms = now.steady_ms;
  point.length_ms = now.steady_ms - which.begun_ms;
  for (size_t i = 0; i < which.counted.size(); ++i)
    point.counted[i] = narrow(which.counted[i]);
  const auto& counts = standing.counts;
  point.standing = {narrow(counts.pending), narrow(counts.held), narrow(counts.delayed),
                    narrow(counts.running), narrow(standing.workers)};
  point.wait = spread_step(channels_->spreads().wait->take(), which.wait_before);
  point.run = spread_step(channels_->spreads().run->take(), which.run_before);
  return point;
}

void statistics_history::close(series& which, const history_moment& now, const standing_of_all& standing) {
  auto point = point_of(which, now, standing);
  // What was counted in between is in the point or comes with the next one, never in both.
  point.wait.add_to(which.wait_before);
  point.run.add_to(which.run_before);
  which.kept.push(std::move(point));
  which.begun_ms = now.steady_ms;
  which.counted = {};
}

void statistics_history::close_channel_step(const history_moment& now) {
  const auto place = channel_steps_over_ % limits_.channel_points;
  for (auto& [metrics, one] : known_) {
    const auto& now_over = one.current;
    const bool is_quiet =
        now_over.pushed == 0 && now_over.finished == 0 && now_over.dead == 0 && now_over.pending == 0;
    if (one.steps.empty() && !is_quiet)
      one.steps.resize(limits_.channel_points);
    if (!one.steps.empty())
      one.steps[place] = now_over;
    one.current = {};
    one.current.pending = now_over.pending;
  }
  channel_steps_.push({now.steady_ms, now.steady_ms - channel_step_begun_ms_});
  channel_step_begun_ms_ = now.steady_ms;
  ++channel_steps_over_;
}

void statistics_history::sample() {
  const std::lock_guard lock(mutex_);
  const auto now = now_();
  const auto standing = look();
  if (now.steady_ms <= fine_.begun_ms)
    return; // no time has passed
  // Samples come a little early or late; a step that is nearly over is.
  const auto is_over = [&](int64_t begun_ms, int64_t step_ms) {
    return now.steady_ms - begun_ms > step_ms - limits_.step_ms / 2;
  };
  close(fine_, now, standing);
  if (is_over(coarse_.begun_ms, coarse_.step_ms))
    close(coarse_, now, standing);
  if (is_over(channel_step_begun_ms_, limits_.channel_step_ms))
    close_channel_step(now);
}

statistics_totals statistics_history::totals_of(int64_t window_ms, const history_moment& now,
                                                const kept_point& current) const {
  statistics_totals totals;
  spread_counts wait{};
  spread_counts run{};
  const auto add_point = [&](const kept_point& point) {
    totals.length_ms += point.length_ms;
    for (size_t i = 0; i < point.counted.size(); ++i)
      totals.counted[i] += point.counted[i];
    point.wait.add_to(wait);
    point.run.add_to(run);
  };
  for (size_t i = 0; i < fine_.kept.size(); ++i)
    if (fine_.kept[i].end_ms > now.steady_ms - window_ms)
      add_point(fine_.kept[i]);
  add_point(current);
  totals.wait = percentiles_of(wait);
  totals.run = percentiles_of(run);
  return totals;
}

statistics_series statistics_history::read(history_span span, size_t points_max) {
  const std::lock_guard lock(mutex_);
  const auto now = now_();
  const auto standing = look();
  const auto& which = span == history_span::hour ? fine_ : coarse_;
  statistics_series found;
  found.step_ms = which.step_ms;
  found.span_ms = which.step_ms *
                  static_cast<int64_t>(span == history_span::hour ? limits_.points : limits_.coarse_points);
  const auto current = point_of(fine_, now, standing);
  found.recent = totals_of(recent_window_ms, now, current);
  found.whole = totals_of(whole_window_ms, now, current);

  const auto wall_of = [&](int64_t moment_ms) { return now.wall_ms - (now.steady_ms - moment_ms); };
  const auto show = [&](const kept_point& kept) {
    if (!found.points.empty() && is_late(kept.length_ms, which.step_ms)) {
      const auto gap_at_ms = found.points.back().at_ms + which.step_ms;
      found.points.emplace_back().at_ms = gap_at_ms;
    }
    auto& point = found.points.emplace_back();
    point.at_ms = wall_of(kept.end_ms);
    point.length_ms = kept.length_ms;
    std::copy(kept.counted.begin(), kept.counted.end(), point.counted.begin());
    const auto& [pending, held, delayed, running, workers] = kept.standing;
    point.standing.pending = pending;
    point.standing.held = held;
    point.standing.delayed = delayed;
    point.standing.running = running;
    point.workers = workers;
    point.wait = percentiles_of(kept.wait);
    point.run = percentiles_of(kept.run);
  };
  // Before a suspension there may be points that are older than the span.
  for (size_t i = 0; i < which.kept.size(); ++i)
    if (which.kept.size() - i < points_max && which.kept[i].end_ms > now.steady_ms - found.span_ms)
      show(which.kept[i]);
  // A step that has just begun has no length, and one of length 0 would be taken for a gap.
  auto last = span == history_span::hour ? current : point_of(coarse_, now, standing);
  last.length_ms = std::max<int64_t>(last.length_ms, 1);
  show(last);
  if (found.points.size() > points_max)
    found.points.erase(found.points.begin(), found.points.end() - static_cast<std::ptrdiff_t>(points_max));
  return found;
}

channel_histories statistics_history::frame_of(const history_moment& now) const {
  channel_histories frame;
  frame.now_ms = now.wall_ms;
  frame.step_ms = limits_.channel_step_ms;
  frame.span_ms = limits_.channel_step_ms * static_cast<int64_t>(limits_.channel_points);
  const auto show = [&](int64_t end_ms, int64_t length_ms) {
    if (!frame.steps.empty() && is_late(length_ms, frame.step_ms))
      frame.steps.push_back({frame.steps.back().at_ms + frame.step_ms, 0});
    frame.steps.push_back({now.wall_ms - (now.steady_ms - end_ms), std::max<int64_t>(length_ms, 1)});
  };
  for (size_t i = 0; i < channel_steps_.size(); ++i)
    show(channel_steps_[i].end_ms, channel_steps_[i].length_ms);
  show(now.steady_ms, now.steady_ms - channel_step_begun_ms_);
  return frame;
}

channel_history statistics_history::history_of(const known_channel& one, const history_moment& now) const {
  channel_history found;
  found.channel = one.metrics->channel();
  found.counts = one.metrics->counts();
  found.workers = one.metrics->workers();
  const auto add_step = [&](const channel_point& point, const stretch& when) {
    if (is_late(when.length_ms, limits_.channel_step_ms) && !found.points.empty())
      found.points.emplace_back();
    found.points.emplace_back(point);
    for (auto* totals : {&found.recent, &found.whole}) {
      const auto window_ms = totals == &found.recent ? recent_window_ms : whole_window_ms;
      if (when.end_ms <= now.steady_ms - window_ms)
        continue;
      totals->length_ms += when.length_ms;
      totals->pushed += point.pushed;
      totals->finished += point.finished;
      totals->dead += point.dead;
    }
  };
  for (size_t i = 0; i < channel_steps_.size(); ++i) {
    const auto number = channel_steps_over_ - channel_steps_.size() + i;
    const auto& when = channel_steps_[i];
    if (number >= one.first_step) {
      add_step(one.steps.empty() ? channel_point{} : one.steps[number % limits_.channel_points], when);
      continue;
    }
    if (is_late(when.length_ms, limits_.channel_step_ms) && !found.points.empty())
      found.points.emplace_back();
    found.points.emplace_back();
  }
  add_step(one.current, {now.steady_ms, now.steady_ms - channel_step_begun_ms_});
  return found;
}

channel_histories statistics_history::read_channels(std::string_view after, size_t limit) {
  const std::lock_guard lock(mutex_);
  const auto now = now_();
  look();
  std::vector<const known_channel*> wanted;
  for (const auto& [metrics, one] : known_)
    if (metrics->channel() > after)
      wanted.push_back(&one);
  const auto end = wanted.begin() + static_cast<std::ptrdiff_t>(std::min(limit, wanted.size()));
  std::partial_sort(wanted.begin(), end, wanted.end(), [](const auto* left, const auto* right) {
    return left->metrics->channel() < right->metrics->channel();
  });
  auto found = frame_of(now);
  for (auto at = wanted.begin(); at != end; ++at)
    found.channels.push_back(history_of(**at, now));
  return found;
}

result<channel_histories> statistics_history::read_channel(const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto now = now_();
  look();
  for (const auto& [metrics, one] : known_)
    if (metrics->channel() == name) {
      auto found = frame_of(now);
      found.channels.push_back(history_of(one, now));
      return found;
    }
  return error{error_code::not_found,
               "there is no channel " + name + "; GET /api/v1/channels lists them all"};
}

} // namespace task_runner
