// Percentiles out of buckets: how far they may be off, and what they say where there is little to say.
#include "services/observability/channel_metrics.hpp"
#include "services/observability/duration_spread.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

using namespace task_runner;

TEST_CASE("the fine buckets are in order, and know every bound of the coarse ones") {
  CHECK(std::is_sorted(spread_bounds_ms.begin(), spread_bounds_ms.end()));
  CHECK(std::adjacent_find(spread_bounds_ms.begin(), spread_bounds_ms.end()) == spread_bounds_ms.end());
  for (const double bound_s : duration_bounds_s)
    CHECK(std::binary_search(spread_bounds_ms.begin(), spread_bounds_ms.end(), std::lround(bound_s * 1'000)));
}

TEST_CASE("nothing counted has no percentiles") {
  CHECK_FALSE(percentile_ms(spread_counts{}, 0.5));
}

TEST_CASE("a single duration is told within its bucket") {
  duration_spread spread;
  spread.add(900);
  for (const double share : {0.5, 0.95, 0.99}) {
    const auto found = percentile_ms(spread.take(), share);
    REQUIRE(found);
    CHECK(*found > 800);
    CHECK(*found <= 1'000);
  }
}

TEST_CASE("what took no time is told as no more than a millisecond, what took for ever as a week") {
  duration_spread spread;
  spread.add(0);
  CHECK(percentile_ms(spread.take(), 0.99).value() <= 1);
  spread.add(1'000'000'000'000);
  CHECK(percentile_ms(spread.take(), 0.99).value() == spread_bounds_ms.back());
}

TEST_CASE("percentiles of many durations are near the true ones") {
  std::mt19937 random(20'260'131); // the same draws each time
  for (const double mean_ms : {3.0, 40.0, 700.0, 20'000.0, 2'000'000.0}) {
    std::lognormal_distribution<double> draw(std::log(mean_ms), 0.8);
    duration_spread spread;
    std::vector<int64_t> all;
    for (int i = 0; i < 20'000; ++i) {
      all.push_back(std::llround(draw(random)));
      spread.add(all.back());
    }
    std::sort(all.begin(), all.end());
    for (const double share : {0.5, 0.95, 0.99}) {
      const auto exact = static_cast<double>(all[static_cast<size_t>(share * 20'000)]);
      INFO("mean " << mean_ms << " ms, share " << share);
      CHECK(percentile_ms(spread.take(), share).value() == Approx(exact).epsilon(0.06).margin(1));
    }
  }
}

TEST_CASE("a step has what came between two looks") {
  duration_spread spread;
  spread.add(10);
  const auto before = spread.take();
  spread.add(10);
  spread.add(2'000);
  const spread_step step(spread.take(), before);
  spread_counts sum{};
  step.add_to(sum);
  step.add_to(sum);
  CHECK(percentile_ms(sum, 0.25).value() <= 10);
  uint64_t count = 0;
  for (const auto one : sum)
    count += one;
  CHECK(count == 4);
  const spread_step backwards(before, spread.take());
  spread_counts none{};
  backwards.add_to(none);
  CHECK(none == spread_counts{});
}

TEST_CASE("durations of a channel are counted with those of all channels, also when it is gone") {
  channel_metrics_registry registry;
  registry.of("mail")->wait.add(100);
  registry.of("web")->wait.add(100);
  registry.of("web")->run.add(7);
  registry.remove("mail");
  registry.of("mail")->wait.add(100);
  const auto waits = registry.spreads().wait->take();
  const auto runs = registry.spreads().run->take();
  CHECK(*std::max_element(waits.begin(), waits.end()) == 3);
  CHECK(*std::max_element(runs.begin(), runs.end()) == 1);
}
