// The history of what is measured: steps, totals, gaps, and channels that come and go, on a clock that the
// test moves by hand.
#include "services/observability/statistics_history.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using namespace task_runner;

namespace {

constexpr wall_time_ms noon_ms = 1'800'000'000'000;

/// A history of channels that count what the test says.
struct measured {
  explicit measured(statistics_limits limits = {})
      : history(registry, limits, [this] { return now; }) {}

  /// Time passes, and a sample is taken at the end of each step.
  void pass(int64_t time_ms) {
    for (const auto until = now.steady_ms + time_ms; now.steady_ms < until;) {
      advance(std::min(history.step_ms(), until - now.steady_ms));
      history.sample();
    }
  }
  void advance(int64_t time_ms) {
    now.steady_ms += time_ms;
    now.wall_ms += time_ms;
  }

  /// One number of each point but the gaps.
  std::vector<uint64_t> column(size_t counter, history_span span = history_span::hour) {
    std::vector<uint64_t> found;
    for (const auto& point : history.read(span, 1'000).points)
      if (point.length_ms > 0)
        found.push_back(point.counted[counter]);
    return found;
  }

  channel_history of(const std::string& channel) {
    auto found = history.read_channel(channel);
    REQUIRE(found);
    CHECK(found->steps.size() == found->channels.front().points.size());
    return found->channels.front();
  }

  history_moment now{1'000'000, noon_ms};
  std::shared_ptr<channel_metrics_registry> registry = std::make_shared<channel_metrics_registry>();
  statistics_history history;
};

void stand(channel_metrics& channel, uint64_t pending, uint64_t held = 0) {
  channel_counts counts;
  counts.pending = pending;
  counts.held = held;
  counts.running = 1;
  channel.set(counts);
}

std::vector<uint64_t> finished_of(const channel_history& one) {
  std::vector<uint64_t> found;
  for (const auto& point : one.points)
    if (point)
      found.push_back(point->finished);
  return found;
}

} // namespace

TEST_CASE("a step has what was counted within it, the last one what was counted since") {
  measured all;
  const auto mail = all.registry->of("mail");
  const auto web = all.registry->of("web");
  mail->pushed += 3;
  web->pushed += 4;
  web->attempts_ended[static_cast<size_t>(attempt_end::timed_out)] += 2;
  all.pass(5'000);
  mail->pushed += 1;
  stand(*mail, 7, 2);
  web->set_workers(5);
  all.advance(1'200);
  const auto series = all.history.read(history_span::hour, 1'000);
  REQUIRE(series.points.size() == 2);
  CHECK(series.step_ms == 5'000);
  CHECK(series.span_ms == 3'600'000);
  CHECK(series.points[0].at_ms == noon_ms + 5'000);
  CHECK(series.points[0].length_ms == 5'000);
  CHECK(series.points[0].counted[counter_pushed] == 7);
  CHECK(series.points[0].counted[counter_names.size() + static_cast<size_t>(attempt_end::timed_out)] == 2);
  CHECK(series.points[0].standing.pending == 0);
  CHECK(series.points[1].at_ms == noon_ms + 6'200);
  CHECK(series.points[1].length_ms == 1'200);
  CHECK(series.points[1].counted[counter_pushed] == 1);
  CHECK(series.points[1].standing.pending == 7);
  CHECK(series.points[1].standing.held == 2);
  CHECK(series.points[1].standing.running == 1);
  CHECK(series.points[1].workers == 5);
}

TEST_CASE("asking takes nothing away") {
  measured all;
  all.registry->of("mail")->pushed += 5;
  all.advance(1'000);
  CHECK(all.column(counter_pushed) == std::vector<uint64_t>{5});
  CHECK(all.column(counter_pushed) == std::vector<uint64_t>{5});
  CHECK(all.of("mail").points.back()->pushed == 5);
  all.pass(4'000);
  CHECK(all.column(counter_pushed) == std::vector<uint64_t>{5, 0});
}

TEST_CASE("a step in which nothing ended has no percentiles") {
  measured all;
  const auto mail = all.registry->of("mail");
  all.pass(5'000);
  mail->wait.add(95);
  mail->run.add(3'000);
  all.pass(5'000);
  const auto points = all.history.read(history_span::hour, 1'000).points;
  CHECK_FALSE(points[0].wait.p50_ms);
  CHECK_FALSE(points[0].run.p99_ms);
  REQUIRE(points[1].wait.p95_ms);
  CHECK(*points[1].wait.p95_ms == Approx(90).margin(10));
  CHECK(*points[1].run.p50_ms == Approx(2'850).margin(351));
  CHECK_FALSE(points[2].wait.p50_ms);
}

TEST_CASE("what a channel counted before it went is kept, and one of the same name begins anew") {
  measured all;
  const auto first = all.registry->of("mail");
  first->finished += 10;
  all.pass(5'000);
  first->finished += 2;
  all.registry->remove("mail");
  all.registry->of("mail")->finished += 1;
  all.pass(5'000);
  CHECK(all.column(counter_finished) == std::vector<uint64_t>{10, 3, 0});
  CHECK(finished_of(all.of("mail")) == std::vector<uint64_t>{1});
  all.registry->remove("mail");
  all.pass(5'000);
  CHECK(all.column(counter_finished) == std::vector<uint64_t>{10, 3, 0, 0});
  const auto gone = all.history.read_channel("mail");
  REQUIRE_FALSE(gone);
  CHECK(gone.failure().code == error_code::not_found);
}

TEST_CASE("time in which nobody looked is a gap, and what was counted meanwhile has its true length") {
  measured all;
  const auto mail = all.registry->of("mail");
  all.pass(60'000);
  mail->pushed += 30;
  all.advance(600'000); // suspended
  all.history.sample();
  all.pass(5'000);
  const auto points = all.history.read(history_span::hour, 1'000).points;
  REQUIRE(points.size() == 12 + 1 + 1 + 1 + 1);
  CHECK(points[12].length_ms == 0);
  CHECK(points[12].at_ms == noon_ms + 65'000);
  CHECK(points[13].length_ms == 600'000);
  CHECK(points[13].counted[counter_pushed] == 30);
  CHECK(points[13].at_ms == noon_ms + 660'000);
  CHECK(points[14].length_ms == 5'000);
  const auto one = all.of("mail");
  REQUIRE(one.points.size() == 4);
  CHECK_FALSE(one.points[1]);
  CHECK(one.points[2]->pushed == 30);
  // What came with the late sample counts as of late, over all of its time.
  const auto recent = all.history.read(history_span::hour, 1'000).recent;
  CHECK(recent.counted[counter_pushed] == 30);
  CHECK(recent.length_ms == 605'000);
}

TEST_CASE("points from before a long suspension leave the span") {
  measured all;
  all.pass(60'000);
  all.advance(8 * 3'600'000);
  all.history.sample();
  const auto points = all.history.read(history_span::hour, 1'000).points;
  REQUIRE(points.size() == 2);
  CHECK(points[0].length_ms == 8 * 3'600'000);
}

TEST_CASE("when the wall clock is set, all points move and stay apart as they were") {
  measured all;
  all.pass(15'000);
  all.now.wall_ms -= 3'600'000;
  all.advance(1'000);
  const auto points = all.history.read(history_span::hour, 1'000).points;
  REQUIRE(points.size() == 4);
  CHECK(points[0].at_ms == noon_ms - 3'600'000 + 5'000);
  CHECK(points[2].at_ms - points[0].at_ms == 10'000);
  CHECK(points[3].at_ms - points[2].at_ms == 1'000);
}

TEST_CASE("an hour of fine steps and a day of coarse ones are kept, no more") {
  measured all;
  const auto mail = all.registry->of("mail");
  for (int i = 0; i < 1'000; ++i) {
    mail->pushed += 1;
    all.pass(5'000);
  }
  const auto hour = all.column(counter_pushed);
  CHECK(hour.size() == 720 + 1); // and the step in progress
  CHECK(hour[0] == 1);
  const auto day = all.history.read(history_span::day, 1'000);
  CHECK(day.step_ms == 300'000);
  CHECK(day.span_ms == 86'400'000);
  REQUIRE(day.points.size() == 1'000 / 60 + 1);
  for (size_t i = 0; i + 1 < day.points.size(); ++i) {
    CHECK(day.points[i].counted[counter_pushed] == 60);
    CHECK(day.points[i].length_ms == 300'000);
  }
  CHECK(day.points.back().counted[counter_pushed] == 1'000 % 60);
  CHECK(all.history.read(history_span::hour, 10).points.size() == 10);
  for (int i = 0; i < 300 * 60; ++i)
    all.pass(5'000);
  CHECK(all.history.read(history_span::day, 1'000).points.size() == 288 + 1);
}

TEST_CASE("samples that come a little early or late do not shift the coarse steps") {
  measured all;
  const auto mail = all.registry->of("mail");
  for (int i = 0; i < 180; ++i) {
    mail->pushed += 1;
    all.advance(i % 2 == 0 ? 4'990 : 5'010);
    all.history.sample();
  }
  CHECK(all.column(counter_pushed, history_span::day) == std::vector<uint64_t>{60, 60, 60, 0});
  CHECK(all.of("mail").points.size() == 15 + 1);
}

TEST_CASE("totals are of five minutes and of an hour") {
  measured all;
  const auto mail = all.registry->of("mail");
  mail->finished += 100;
  mail->run.add(60'000);
  all.pass(2 * 3'600'000);
  mail->finished += 30;
  mail->dead += 10;
  mail->run.add(1'000);
  all.pass(1'800'000);
  mail->finished += 5;
  mail->run.add(10);
  all.advance(1'000);
  const auto series = all.history.read(history_span::day, 1);
  CHECK(series.points.size() == 1);
  CHECK(series.recent.counted[counter_finished] == 5);
  CHECK(series.recent.counted[counter_dead] == 0);
  CHECK(series.recent.run.p99_ms.value() <= 10);
  CHECK(series.recent.length_ms == 301'000);
  CHECK(series.whole.counted[counter_finished] == 35);
  CHECK(series.whole.counted[counter_dead] == 10);
  CHECK(series.whole.run.p99_ms.value() == Approx(900).margin(100));
  CHECK(failure_share(35, 10).value() == Approx(10.0 / 45));
  CHECK_FALSE(failure_share(0, 0));
}

TEST_CASE("each channel has an hour of minutes, from when there was one") {
  measured all;
  const auto mail = all.registry->of("mail");
  all.pass(120'000);
  const auto web = all.registry->of("web");
  web->pushed += 5;
  web->finished += 2;
  web->dead += 1;
  stand(*web, 2);
  all.pass(60'000);
  stand(*web, 0);
  all.advance(10'000);
  const auto page = all.history.read_channels({}, 100);
  REQUIRE(page.channels.size() == 2);
  CHECK(page.step_ms == 60'000);
  CHECK(page.span_ms == 3'600'000);
  REQUIRE(page.steps.size() == 4);
  CHECK(page.steps[2].at_ms == noon_ms + 180'000);
  CHECK(page.steps[3].length_ms == 10'000);
  CHECK(page.channels[0].channel == "mail");
  CHECK(finished_of(page.channels[0]) == std::vector<uint64_t>{0, 0, 0, 0});
  const auto& points = page.channels[1].points;
  REQUIRE(points.size() == 4);
  CHECK_FALSE(points[0]);
  CHECK_FALSE(points[1]);
  CHECK(points[2]->pushed == 5);
  CHECK(points[2]->dead == 1);
  CHECK(points[2]->pending == 2);
  CHECK(points[3]->pushed == 0);
  CHECK(points[3]->pending == 0);
  CHECK(page.channels[1].whole.length_ms == 70'000);
  CHECK(page.channels[1].whole.finished == 2);
  for (int i = 0; i < 100; ++i) {
    web->finished += 1;
    all.pass(60'000);
  }
  const auto later = all.of("web");
  CHECK(later.points.size() == 61);
  CHECK(later.recent.finished == 5);
  CHECK(later.whole.finished == 60);
  CHECK(finished_of(later) == [] {
    std::vector<uint64_t> each(60, 1);
    each.push_back(0);
    return each;
  }());
}

TEST_CASE("how long it will take follows from what ended of late") {
  measured all;
  const auto mail = all.registry->of("mail");
  CHECK(all.of("mail").eta_s() == 0.0);
  stand(*mail, 90, 30);
  all.pass(240'000);
  CHECK_FALSE(all.of("mail").eta_s()); // nothing ends
  mail->finished += 40;
  mail->dead += 20;
  all.pass(60'000);
  const auto one = all.of("mail");
  CHECK(one.ended_per_s().value() == Approx(60.0 / 300));
  CHECK(one.eta_s().value() == Approx(120 / 0.2));
  channel_counts counts = mail->counts();
  counts.paused = true;
  mail->set(counts);
  CHECK_FALSE(all.of("mail").eta_s());
  counts.paused = false;
  mail->set(counts);
  all.pass(360'000);
  CHECK_FALSE(all.of("mail").eta_s()); // not any more
}

TEST_CASE("channels are read by name, a page at a time") {
  measured all;
  for (int i = 0; i < 25; ++i)
    all.registry->of(std::string(1, static_cast<char>('z' - i)));
  std::string seen;
  for (std::string after;;) {
    const auto page = all.history.read_channels(after, 7);
    for (const auto& one : page.channels)
      seen += one.channel;
    if (page.channels.size() < 7)
      break;
    after = page.channels.back().channel;
  }
  CHECK(seen == "bcdefghijklmnopqrstuvwxyz");
}

TEST_CASE("the history can be read while channels count and it is sampled") {
  auto registry = std::make_shared<channel_metrics_registry>();
  std::atomic<int64_t> steady_ms{1};
  statistics_history history(registry, {}, [&] { return history_moment{steady_ms += 100, noon_ms}; });
  const auto mail = registry->of("mail");
  std::thread writer([&] {
    for (int i = 0; i < 20'000; ++i) {
      mail->pushed += 1;
      mail->wait.add(i % 1'000);
      if (i % 100 == 0)
        history.sample();
      if (i % 500 == 0) {
        registry->of("web")->pushed += 1;
        registry->remove("web");
      }
    }
  });
  for (int i = 0; i < 50; ++i) {
    uint64_t sum = 0;
    for (const auto& point : history.read(history_span::hour, 1'000).points)
      sum += point.counted[counter_pushed];
    CHECK(sum <= 20'040);
    CHECK(history.read_channel("mail"));
  }
  writer.join();
  uint64_t sum = 0;
  for (const auto& point : history.read(history_span::hour, 1'000).points)
    sum += point.counted[counter_pushed];
  CHECK(sum >= 20'000);
}
