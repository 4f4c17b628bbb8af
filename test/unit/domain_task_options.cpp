// Tests of task options: how task and channel join, how long the pause before another attempt is, and the
// names.
#include "services/domain/task_options.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

using namespace task_runner;

namespace {

task_options with_backoff(backoff_kind kind, int64_t first_ms, double jitter = 0) {
  task_options options;
  options.backoff = kind;
  options.backoff_ms = first_ms;
  options.jitter = jitter;
  return options;
}

/// The pause where chance takes nothing away.
int64_t longest(const task_options& options, uint32_t failures) {
  return backoff_delay_ms(options, failures, 0);
}

} // namespace

TEST_CASE("a constant backoff pauses the same every time") {
  const auto options = with_backoff(backoff_kind::constant, 700);
  for (const uint32_t failures : {1U, 2U, 3U, 1'000U})
    CHECK(longest(options, failures) == 700);
}

TEST_CASE("a linear backoff grows with the number of failures") {
  const auto options = with_backoff(backoff_kind::linear, 700);
  CHECK(longest(options, 1) == 700);
  CHECK(longest(options, 2) == 1'400);
  CHECK(longest(options, 5) == 3'500);
}

TEST_CASE("an exponential backoff doubles") {
  const auto options = with_backoff(backoff_kind::exponential, 700);
  CHECK(longest(options, 1) == 700);
  CHECK(longest(options, 2) == 1'400);
  CHECK(longest(options, 3) == 2'800);
  CHECK(longest(options, 4) == 5'600);
}

TEST_CASE("no pause is longer than its maximum, however many failures there were") {
  for (const auto kind : {backoff_kind::linear, backoff_kind::exponential}) {
    auto options = with_backoff(kind, 1'000);
    options.backoff_max_ms = 10'000;
    for (const uint32_t failures : {11U, 64U, 65U, 1'000U, 4'000'000'000U})
      CHECK(longest(options, failures) == 10'000);
    options.backoff_max_ms.reset();
    CHECK(longest(options, 4'000'000'000U) == backoff_max_ms_default);
  }
  auto options = with_backoff(backoff_kind::constant, 20'000);
  options.backoff_max_ms = 10'000;
  CHECK(longest(options, 1) == 10'000);
}

TEST_CASE("a pause of nothing stays nothing") {
  for (const auto kind : {backoff_kind::constant, backoff_kind::linear, backoff_kind::exponential})
    CHECK(backoff_delay_ms(with_backoff(kind, 0, 1), 30, 12'345) == 0);
}

TEST_CASE("nobody asks about no failure; it counts as the first") {
  CHECK(longest(with_backoff(backoff_kind::linear, 700), 0) == 700);
  CHECK(longest(with_backoff(backoff_kind::exponential, 700), 0) == 700);
}

TEST_CASE("jitter takes away at most its part of the pause, and spreads over all of it") {
  const auto options = with_backoff(backoff_kind::constant, 1'000'000, 0.25);
  std::set<int64_t> pauses;
  int64_t least = 1'000'000;
  int64_t most = 0;
  for (uint32_t i = 0; i < 1'000; ++i) {
    const auto pause_ms = backoff_delay_ms(options, 1, backoff_salt("task-" + std::to_string(i), 1));
    REQUIRE(pause_ms <= 1'000'000);
    REQUIRE(pause_ms >= 750'000);
    pauses.insert(pause_ms);
    least = std::min(least, pause_ms);
    most = std::max(most, pause_ms);
  }
  CHECK(pauses.size() > 950);
  CHECK(least < 760'000);
  CHECK(most > 990'000);
}

TEST_CASE("what is left open is exponential from one second, half of it left to chance") {
  const task_options nothing;
  CHECK(longest(nothing, 1) == 1'000);
  CHECK(longest(nothing, 2) == 2'000);
  bool shorter = false;
  for (uint32_t attempt = 1; attempt < 100; ++attempt) {
    const auto pause_ms = backoff_delay_ms(nothing, 1, backoff_salt("a", attempt));
    REQUIRE(pause_ms >= 500);
    REQUIRE(pause_ms <= 1'000);
    shorter = shorter || pause_ms < 990;
  }
  CHECK(shorter);
  auto constant = with_backoff(backoff_kind::constant, 1'000);
  constant.jitter.reset();
  CHECK(backoff_delay_ms(constant, 1, backoff_salt("a", 1)) == 1'000);
}

TEST_CASE("a jitter out of its range is taken as the nearest one") {
  CHECK(backoff_delay_ms(with_backoff(backoff_kind::constant, 1'000, -3), 1, 999'999) == 1'000);
  CHECK(backoff_delay_ms(with_backoff(backoff_kind::constant, 1'000, 9), 1, 999'999) >= 0);
}

TEST_CASE("the same history gives the same pause, another one another") {
  const task_options nothing;
  CHECK(backoff_salt("task", 3) == backoff_salt("task", 3));
  CHECK(backoff_salt("task", 3) != backoff_salt("task", 4));
  CHECK(backoff_salt("task", 3) != backoff_salt("tasl", 3));
  CHECK(backoff_delay_ms(nothing, 2, backoff_salt("task", 3)) ==
        backoff_delay_ms(nothing, 2, backoff_salt("task", 3)));
}

TEST_CASE("a task's own option stands before its channel's") {
  task_options own;
  own.priority = 7;
  own.max_attempts = 3;
  own.retry_on = std::vector<uint8_t>{};
  own.concurrency_key = "";
  task_options common;
  common.priority = 1;
  common.backoff = backoff_kind::linear;
  common.backoff_ms = 5;
  common.backoff_max_ms = 6;
  common.jitter = 0.1;
  common.retry_on = std::vector<uint8_t>{1};
  common.timeout_ms = 8;
  common.grace_ms = 9;
  common.expires_ms = 10;
  common.delivery = delivery_kind::at_most_once;
  common.concurrency_key = "disk";
  common.concurrency_max = 2;
  const auto both = merge(own, common);
  CHECK(both.priority == 7);
  CHECK(both.max_attempts == 3U);
  CHECK(both.retry_on == std::vector<uint8_t>{});
  CHECK(both.concurrency_key == std::string());
  CHECK(both.concurrency_max == 2U);
  CHECK(both.backoff == backoff_kind::linear);
  CHECK(both.backoff_ms == 5);
  CHECK(both.backoff_max_ms == 6);
  CHECK(both.jitter == 0.1);
  CHECK(both.timeout_ms == 8);
  CHECK(both.grace_ms == 9);
  CHECK(both.expires_ms == 10);
  CHECK(both.delivery == delivery_kind::at_most_once);
}

TEST_CASE("the surroundings of task and channel are joined, each limit for itself") {
  task_options own;
  own.environment.variables = {{"A", "task"}};
  own.environment.directory = "/task";
  own.environment.nice = 5;
  own.environment.limits.memory_bytes = 1;
  task_options common;
  common.environment.variables = {{"A", "channel"}, {"B", "channel"}};
  common.environment.directory = "/channel";
  common.environment.input = "in";
  common.environment.user = "nobody";
  common.environment.file_mask = 022U;
  common.environment.limits.memory_bytes = 2;
  common.environment.limits.cpu_s = 3;
  common.environment.limits.processes = 4;
  common.environment.limits.file_size_bytes = 5;
  const auto both = merge(own, common).environment;
  // The task's come last, and a later one wins.
  CHECK(both.variables ==
        std::vector<std::pair<std::string, std::string>>{{"A", "channel"}, {"B", "channel"}, {"A", "task"}});
  CHECK(both.directory == std::string("/task"));
  CHECK(both.input == std::string("in"));
  CHECK(both.user == std::string("nobody"));
  CHECK(both.nice == 5);
  CHECK(both.file_mask == 022U);
  CHECK(both.limits.memory_bytes == 1U);
  CHECK(both.limits.cpu_s == 3U);
  CHECK(both.limits.processes == 4U);
  CHECK(both.limits.file_size_bytes == 5U);
}

TEST_CASE("joining with nothing changes nothing") {
  task_options options;
  options.priority = 1;
  options.environment.variables = {{"A", "1"}};
  CHECK(merge(options, {}) == options);
  CHECK(merge({}, options) == options);
  CHECK(merge({}, {}).empty());
  CHECK_FALSE(options.empty());
}

TEST_CASE("an option that says something is not empty") {
  const auto says = [](auto set) {
    task_options options;
    set(options);
    return !options.empty() && options == options && !(options == task_options{});
  };
  CHECK(says([](task_options& o) { o.priority = 0; }));
  CHECK(says([](task_options& o) { o.max_attempts = 1; }));
  CHECK(says([](task_options& o) { o.retry_on.emplace(); }));
  CHECK(says([](task_options& o) { o.timeout_ms = 1; }));
  CHECK(says([](task_options& o) { o.expires_ms = 1; }));
  CHECK(says([](task_options& o) { o.delivery = delivery_kind::at_least_once; }));
  CHECK(says([](task_options& o) { o.concurrency_key = ""; }));
  CHECK(says([](task_options& o) { o.environment.variables = {{"A", ""}}; }));
  CHECK(says([](task_options& o) { o.environment.input = ""; }));
  CHECK(says([](task_options& o) { o.environment.limits.cpu_s = 0; }));
}

TEST_CASE("kinds of backoff and delivery keep their names") {
  for (const auto kind : {backoff_kind::constant, backoff_kind::linear, backoff_kind::exponential})
    CHECK(parse_backoff_kind(to_string(kind)) == kind);
  for (const auto kind : {delivery_kind::at_least_once, delivery_kind::at_most_once})
    CHECK(parse_delivery_kind(to_string(kind)) == kind);
  CHECK(to_string(backoff_kind::exponential) == "exponential");
  CHECK(to_string(delivery_kind::at_most_once) == "at-most-once");
  CHECK_FALSE(parse_backoff_kind("Linear"));
  CHECK_FALSE(parse_backoff_kind(""));
  CHECK_FALSE(parse_delivery_kind("once"));
}
