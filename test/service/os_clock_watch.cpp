// The watch over the wall clock: which steps count, and that they are told once, or again when nobody could
// deal with them. The clock itself is never set by a test: its readings are.
#include "services/domain/time_text.hpp"
#include "services/os/clock_watch.hpp"
#include "services/os/kept_clock.hpp"
#include "test/support/wait.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <cstdlib>

using namespace task_runner;
using namespace task_runner::test;

TEST_CASE("a step counts within one boot, and from a second on") {
  const clock_mark mark{"boot", 1'000'000};
  CHECK(clock_step_ms(mark, {"boot", 1'000'000}) == 0);
  CHECK(clock_step_ms(mark, {"boot", 1'001'000}) == 0);
  CHECK(clock_step_ms(mark, {"boot", 1'001'001}) == 1'001);
  CHECK(clock_step_ms(mark, {"boot", 1'000'000 - 86'400'000}) == -86'400'000);
  CHECK(clock_step_ms(mark, {"another", 9'000'000}) == 0);
  CHECK(clock_step_ms({"", 0}, {"", 9'000'000}) == 0);
}

TEST_CASE("the clock's mark names the boot and does not move by itself") {
  const auto one = read_clock_mark();
  const auto two = read_clock_mark();
  REQUIRE((one && two));
  CHECK(one->boot_id.size() == 36);
  CHECK(clock_step_ms(*one, *two) == 0);
}

TEST_CASE("a step is told once, and measured from the one before") {
  std::atomic<int64_t> offset{0};
  std::atomic<int64_t> told{0};
  std::atomic<int> times{0};
  auto watch = clock_watch::start(
      {"boot", 0},
      [&](int64_t step_ms, const clock_mark&) {
        told = step_ms;
        ++times;
        return true;
      },
      [&]() -> result<clock_mark> {
        return clock_mark{"boot", offset};
      });
  REQUIRE(watch);
  offset = 5'000;
  (*watch)->look();
  CHECK(wait_until([&] { return told == 5'000; }));
  offset = 3'000;
  (*watch)->look();
  CHECK(wait_until([&] { return told == -2'000; }));
  (*watch)->stop();
  CHECK(times == 2);
}

TEST_CASE("a step that happened before the watch began is told at once") {
  std::atomic<int64_t> told{0};
  auto watch = clock_watch::start(
      {"boot", 0},
      [&](int64_t step_ms, const clock_mark&) {
        told = step_ms;
        return true;
      },
      []() -> result<clock_mark> {
        return clock_mark{"boot", 7'000};
      });
  REQUIRE(watch);
  CHECK(wait_until([&] { return told == 7'000; }));
}

TEST_CASE("a step that nobody could deal with is told again, as a whole") {
  std::atomic<int64_t> offset{4'000};
  std::atomic<int64_t> told{0};
  std::atomic<int> times{0};
  auto watch = clock_watch::start(
      {"boot", 0},
      [&](int64_t step_ms, const clock_mark&) {
        told = step_ms;
        return ++times > 1;
      },
      [&]() -> result<clock_mark> {
        return clock_mark{"boot", offset};
      });
  REQUIRE(watch);
  CHECK(wait_until([&] { return times == 1; }));
  offset = 10'000;
  (*watch)->look(); // instead of waiting for the next try
  CHECK(wait_until([&] { return times == 2; }));
  CHECK(told == 10'000);
}

TEST_CASE(
    "the kept clock goes on from where it was told that the clock stands, and has the watch look once") {
  constexpr int64_t day_ms = 86'400'000;
  const auto mark = read_clock_mark();
  REQUIRE(mark);
  std::atomic<int> looks{0};
  auto watch = clock_watch::start(
      *mark, [](int64_t, const clock_mark&) { return true; },
      [&]() -> result<clock_mark> {
        ++looks;
        return *mark;
      });
  REQUIRE(watch);
  REQUIRE(wait_until([&] { return looks == 1; }));
  kept_wall_clock clock;
  clock.report_to(watch->get());
  const auto ahead_ms = [&] { return clock.now_ms() - system_now_ms(); };
  CHECK(std::abs(ahead_ms()) < clock_step_min_ms);
  clock.keep(mark->offset_ms);
  CHECK(std::abs(ahead_ms()) < clock_step_min_ms);
  CHECK(looks == 1);
  // As if somebody had set the machine's clock back by a day just now.
  clock.keep(mark->offset_ms + day_ms);
  CHECK(std::abs(ahead_ms() - day_ms) < clock_step_min_ms);
  CHECK(std::abs(ahead_ms() - day_ms) < clock_step_min_ms);
  REQUIRE(wait_until([&] { return looks == 2; }));
  clock.keep(mark->offset_ms - day_ms);
  CHECK(std::abs(ahead_ms() + day_ms) < clock_step_min_ms);
  clock.keep(mark->offset_ms);
  CHECK(std::abs(ahead_ms()) < clock_step_min_ms);
  (*watch)->stop();
  CHECK(looks == 2);
}
