// The small values everything else is made of. Times as text, the error table, results, task states,
// outcomes.
#include "services/domain/error.hpp"
#include "services/domain/result.hpp"
#include "services/domain/task.hpp"
#include "services/domain/time_text.hpp"

#include <catch2/catch.hpp>

#include <memory>
#include <random>
#include <set>
#include <string>
#include <time.h>

using namespace task_runner;

TEST_CASE("times are RFC 3339 in UTC with milliseconds") {
  CHECK(format_time(0) == "1970-01-01T00:00:00.000Z");
  CHECK(format_time(1'769'903'999'123) == "2026-01-31T23:59:59.123Z");
  CHECK(format_time(951'782'400'000) == "2000-02-29T00:00:00.000Z");
  CHECK(format_time(951'868'799'999) == "2000-02-29T23:59:59.999Z");
  CHECK(format_time(4'107'542'400'000) == "2100-03-01T00:00:00.000Z");
  CHECK(format_time(253'402'300'799'999) == "9999-12-31T23:59:59.999Z");
}

TEST_CASE("property: times agree with the C library") {
  std::mt19937_64 random(Catch::rngSeed());
  for (int i = 0; i < 20'000; ++i) {
    const auto time_ms = static_cast<wall_time_ms>(random() % 253'402'300'800'000ULL);
    const time_t seconds = time_ms / 1'000;
    tm parts{};
    REQUIRE(gmtime_r(&seconds, &parts) != nullptr);
    char text[64];
    REQUIRE(strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts) == 19);
    const std::string milliseconds = std::to_string(1'000 + time_ms % 1'000).substr(1);
    if (format_time(time_ms) != std::string(text) + "." + milliseconds + "Z")
      FAIL("at " << time_ms << ": " << format_time(time_ms));
  }
}

TEST_CASE("the wall clock tells this machine's time") {
  const wall_time_ms before = static_cast<wall_time_ms>(time(nullptr)) * 1'000;
  const wall_time_ms now = system_now_ms();
  const wall_time_ms after = (static_cast<wall_time_ms>(time(nullptr)) + 1) * 1'000;
  // time() may lag behind by a tick of the kernel's coarse clock.
  CHECK(now >= before - 20);
  CHECK(now <= after + 20);
}

TEST_CASE("every error code has a name of its own and a status of HTTP") {
  const std::pair<error_code, int> expected[] = {
      {error_code::invalid_argument, 400}, {error_code::forbidden, 403},
      {error_code::not_found, 404},        {error_code::method_not_allowed, 405},
      {error_code::conflict, 409},         {error_code::too_large, 413},
      {error_code::out_of_range, 422},     {error_code::queue_full, 429},
      {error_code::internal, 500},         {error_code::overloaded, 503},
      {error_code::draining, 503},         {error_code::unavailable, 503},
      {error_code::timeout, 504},          {error_code::in_progress, 409},
      {error_code::key_reused, 422}};
  std::set<std::string> names;
  for (const auto& [code, status] : expected) {
    CHECK(http_status(code) == status);
    names.insert(std::string(to_string(code)));
  }
  CHECK(names.size() == std::size(expected));
  CHECK(names.count("") == 0);
  std::set<std::string_view> titles;
  for (const auto code : all_error_codes()) {
    CHECK(find_error_code(to_string(code)) == code);
    CHECK(advice_on(code).size() > 10);
    titles.insert(title_of(code));
  }
  CHECK(titles.size() == std::size(expected));
  CHECK_FALSE(find_error_code("Timeout"));
  CHECK_FALSE(find_error_code(""));
  CHECK(to_string(error_code::invalid_argument) == "invalid_argument");
  CHECK(to_string(error_code::timeout) == "timeout");
}

TEST_CASE("a result is a value or an error") {
  result<std::string> good = std::string("value");
  REQUIRE(good);
  CHECK(*good == "value");
  CHECK(good->size() == 5);
  good->push_back('!');
  CHECK(*std::move(good) == "value!");

  const result<std::string> bad = error{error_code::not_found, "gone"};
  REQUIRE_FALSE(bad);
  CHECK(bad.failure().code == error_code::not_found);
  CHECK(bad.failure().message == "gone");

  // An error as a value, and a value that cannot be copied.
  const result<int> zero = 0;
  CHECK(zero);
  result<std::unique_ptr<int>> moved = std::make_unique<int>(3);
  const std::unique_ptr<int> taken = *std::move(moved);
  CHECK(*taken == 3);

  const result<void> done;
  CHECK(done);
  const result<void> failed = error{error_code::timeout, "late"};
  REQUIRE_FALSE(failed);
  CHECK(failed.failure().message == "late");
}

TEST_CASE("states and outcomes have their documented names") {
  CHECK(to_string(task_state::pending) == "pending");
  CHECK(to_string(task_state::delayed) == "delayed");
  CHECK(to_string(task_state::running) == "running");
  CHECK(to_string(task_state::finished) == "finished");
  CHECK(to_string(task_state::dead) == "dead");
  CHECK(to_string(task_state::cancelled) == "cancelled");
  CHECK(to_string(outcome_kind::exited) == "exited");
  CHECK(to_string(outcome_kind::signalled) == "signalled");
  CHECK(to_string(outcome_kind::timed_out) == "timed_out");
  CHECK(to_string(outcome_kind::spawn_failed) == "spawn_failed");
  CHECK(to_string(outcome_kind::cancelled) == "cancelled");
  CHECK(to_string(outcome_kind::expired) == "expired");
  CHECK(to_string(outcome_kind::lost) == "lost");
  CHECK_FALSE(is_terminal(task_state::pending));
  CHECK_FALSE(is_terminal(task_state::delayed));
  CHECK_FALSE(is_terminal(task_state::running));
  CHECK(is_terminal(task_state::finished));
  CHECK(is_terminal(task_state::dead));
  CHECK(is_terminal(task_state::cancelled));
}

TEST_CASE("only exit code 0 is success") {
  CHECK(outcome{outcome_kind::exited, 0, ""}.succeeded());
  CHECK_FALSE(outcome{outcome_kind::exited, 1, ""}.succeeded());
  CHECK_FALSE(outcome{outcome_kind::signalled, 0, ""}.succeeded());
  CHECK_FALSE(outcome{outcome_kind::lost, 0, ""}.succeeded());
}

TEST_CASE("a task's line is its command, or else its name") {
  task one;
  one.name = "date";
  CHECK(one.line() == "date");
  one.command.line = "date -u";
  CHECK(one.line() == "date -u");
}

TEST_CASE("attempts are ordered by task, then by number") {
  CHECK(attempt_key{"a", 2} < attempt_key{"b", 1});
  CHECK(attempt_key{"a", 1} < attempt_key{"a", 2});
  CHECK_FALSE(attempt_key{"a", 1} < attempt_key{"a", 1});
  CHECK(attempt_key{"a", 1} == attempt_key{"a", 1});
}
