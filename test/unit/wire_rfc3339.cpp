// parse_rfc3339 against format_time, and against everything that only looks like a time.
// Writing and reading must agree over the whole range.
#include "services/domain/time_text.hpp"
#include "services/wire/rfc3339.hpp"

#include <catch2/catch.hpp>

#include <random>

using namespace task_runner;

TEST_CASE("what format_time writes is read back") {
  std::mt19937_64 random(20'260'131);
  for (int i = 0; i < 20'000; ++i) {
    const auto moment_ms = static_cast<wall_time_ms>(random() % 253'402'300'800'000ULL);
    REQUIRE(parse_rfc3339(format_time(moment_ms)) == moment_ms);
  }
  CHECK(parse_rfc3339(format_time(0)) == 0);
  CHECK(parse_rfc3339(format_time(253'402'300'799'999)) == 253'402'300'799'999);
}

TEST_CASE("the forms RFC 3339 allows") {
  CHECK(parse_rfc3339("2000-02-29T12:00:00Z") == 951'825'600'000);
  CHECK(parse_rfc3339("2000-02-29t12:00:00z") == 951'825'600'000);
  CHECK(parse_rfc3339("2000-02-29 12:00:00.5Z") == 951'825'600'500);
  CHECK(parse_rfc3339("2000-02-29T12:00:00.123999999Z") == 951'825'600'123);
  CHECK(parse_rfc3339("2000-02-29T14:30:00+02:30") == 951'825'600'000);
  CHECK(parse_rfc3339("2000-02-29T04:00:00-08:00") == 951'825'600'000);
  CHECK(parse_rfc3339("1969-12-31T23:00:00-01:00") == 0);
  CHECK(parse_rfc3339("2016-12-31T23:59:60Z") == 1'483'228'800'000);
}

TEST_CASE("what is no time is refused") {
  for (const char* text : {"",
                           "2000",
                           "2000-02-29",
                           "2000-02-29T12:00Z",
                           "2000-02-29T12:00:00",
                           "2000-02-30T12:00:00Z",
                           "1900-02-29T12:00:00Z",
                           "2000-13-01T12:00:00Z",
                           "2000-00-01T12:00:00Z",
                           "2000-01-00T12:00:00Z",
                           "2000-01-01T24:00:00Z",
                           "2000-01-01T12:60:00Z",
                           "2000-01-01T12:00:61Z",
                           "2000-01-01T12:00:00.Z",
                           "2000-01-01T12:00:00+0200",
                           "2000-01-01T12:00:00+24:00",
                           "2000-01-01T12:00:00+02:60",
                           "2000-01-01T12:00:00Zx",
                           " 2000-01-01T12:00:00Z",
                           "1969-12-31T23:59:59Z",
                           "9999-12-31T23:59:59-01:00",
                           "+200-01-01T12:00:00Z",
                           "20 0-01-01T12:00:00Z",
                           "0000-01-01T00:00:00Z"}) {
    INFO(text);
    CHECK_FALSE(parse_rfc3339(text));
  }
}
